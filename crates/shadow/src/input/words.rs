//! Splits shell scripts into words, as far as finding file names needs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A word of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The first word of a simple command.
    Command(OsString),
    /// Any other word.
    Plain(OsString),
    /// A word with `*`, `?` or `[` outside quotes, and no variable.
    Pattern(OsString),
    /// What follows `<`.
    Input(OsString),
    /// What follows `>` and its variants.
    Output(OsString),
}

/// What the next word is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Command,
    Argument,
    Input,
    Output,
    /// After `<<` or `<<<`, `>&` and the like: no file.
    Nothing,
}

/// The words of a script. Quotes and backslashes are taken off; `$(...)`, backquotes, groups and
/// pipes are opened, so that the words inside are found too. Variables stay as they are: nothing
/// is run or expanded.
pub(crate) fn script(text: &OsStr) -> Vec<Word> {
    let text = text.as_bytes();
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut place = Place::Command;
    let mut at = 0;
    // Inside double quotes words don't end at blanks, but `$(` opens a script of its own.
    let mut double = false;
    let mut nested: Vec<bool> = Vec::new();
    let mut wild = false;
    while at < text.len() {
        let b = text[at];
        at += 1;
        match b {
            b'\\' => {
                if let Some(&next) = text.get(at) {
                    if next != b'\n' {
                        word.get_or_insert_default().push(next);
                    }
                    at += 1;
                }
            }
            b'\'' if !double => {
                let end = memchr::memchr(b'\'', &text[at..]).map_or(text.len(), |i| at + i);
                word.get_or_insert_default().extend(&text[at..end]);
                at = end + 1;
            }
            b'"' => {
                double = !double;
                word.get_or_insert_default();
            }
            b'$' if text.get(at) == Some(&b'(') => {
                at += 1;
                end_word(&mut word, &mut place, &mut wild, &mut words);
                nested.push(double);
                double = false;
                place = Place::Command;
            }
            b')' if !double => {
                end_word(&mut word, &mut place, &mut wild, &mut words);
                double = nested.pop().unwrap_or(false);
                place = Place::Argument;
            }
            b'`' => {
                end_word(&mut word, &mut place, &mut wild, &mut words);
                place = Place::Command;
            }
            _ if double => word.get_or_insert_default().push(b),
            b' ' | b'\t' => end_word(&mut word, &mut place, &mut wild, &mut words),
            b'#' if word.is_none() => {
                at = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |i| at + i);
            }
            b';' | b'|' | b'&' | b'\n' | b'(' | b'{' | b'}' => {
                // `{` and `}` are part of words unless alone.
                if matches!(b, b'{' | b'}') {
                    let alone =
                        word.is_none() && text.get(at).is_none_or(|n| b" \t\n;".contains(n));
                    if !alone {
                        word.get_or_insert_default().push(b);
                        continue;
                    }
                }
                end_word(&mut word, &mut place, &mut wild, &mut words);
                if b == b'&' && text.get(at) == Some(&b'>') {
                    continue;
                }
                place = Place::Command;
            }
            b'<' | b'>' => {
                // A number right before is the descriptor, not a word.
                if word
                    .as_ref()
                    .is_some_and(|w| w.iter().all(u8::is_ascii_digit))
                {
                    word = None;
                }
                end_word(&mut word, &mut place, &mut wild, &mut words);
                if text.get(at) == Some(&b'(') {
                    // Process substitution: a script of its own.
                    at += 1;
                    nested.push(false);
                    place = Place::Command;
                    continue;
                }
                let mut operator = vec![b];
                while let Some(&next) = text.get(at)
                    && matches!(next, b'<' | b'>' | b'&' | b'|' | b'-')
                    && operator.len() < 3
                {
                    operator.push(next);
                    at += 1;
                }
                place = match &operator[..] {
                    b"<" => Place::Input,
                    [b'<', ..] if operator != b"<>" => Place::Nothing,
                    [.., b'&' | b'-'] => Place::Nothing,
                    _ => Place::Output,
                };
            }
            _ => {
                wild |= matches!(b, b'*' | b'?' | b'[');
                word.get_or_insert_default().push(b);
            }
        }
    }
    end_word(&mut word, &mut place, &mut wild, &mut words);
    words
}

fn end_word(word: &mut Option<Vec<u8>>, place: &mut Place, wild: &mut bool, words: &mut Vec<Word>) {
    let wild = std::mem::take(wild);
    // An empty word names no file.
    let Some(bytes) = word.take().filter(|w| !w.is_empty()) else {
        return;
    };
    let is_assignment = *place == Place::Command
        && bytes.iter().position(|&b| b == b'=').is_some_and(|i| {
            i > 0
                && bytes[..i]
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        });
    let text = OsString::from_vec(bytes);
    words.push(match place {
        // Variables set for a command come before it.
        Place::Command if is_assignment => {
            words.push(Word::Plain(text));
            return;
        }
        Place::Command => Word::Command(text),
        Place::Argument if wild && !text.as_bytes().contains(&b'$') => Word::Pattern(text),
        Place::Argument => Word::Plain(text),
        Place::Input => Word::Input(text),
        Place::Output => Word::Output(text),
        Place::Nothing => {
            *place = Place::Argument;
            return;
        }
    });
    *place = Place::Argument;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> Vec<String> {
        script(OsStr::new(text))
            .into_iter()
            .map(|w| match w {
                Word::Command(w) => format!("!{}", w.display()),
                Word::Plain(w) => w.display().to_string(),
                Word::Pattern(w) => format!("*{}", w.display()),
                Word::Input(w) => format!("<{}", w.display()),
                Word::Output(w) => format!(">{}", w.display()),
            })
            .collect()
    }

    #[test]
    fn pipes_redirections_and_quotes() {
        assert_eq!(
            show(
                "sort -k2 'my file.csv' | uniq -c 2>/dev/null >\"out 1\" <in; LC_ALL=C wc -l a\\ b"
            ),
            [
                "!sort",
                "-k2",
                "my file.csv",
                "!uniq",
                "-c",
                ">/dev/null",
                ">out 1",
                "<in",
                "LC_ALL=C",
                "!wc",
                "-l",
                "a b"
            ]
        );
    }

    #[test]
    fn nested_scripts_are_opened() {
        assert_eq!(
            show("echo \"n: $(wc -l < data.txt)\" && diff <(sort a) <(sort b) # c d"),
            [
                "!echo",
                "n: ",
                "!wc",
                "-l",
                "<data.txt",
                "!diff",
                "!sort",
                "a",
                "!sort",
                "b"
            ]
        );
    }

    #[test]
    fn here_words_and_descriptors_are_no_files() {
        assert_eq!(show("cat <<<word 2>&1 >>log"), ["!cat", ">log"]);
        assert_eq!(
            show("{ cat a; } | tr {} x"),
            ["!cat", "a", "!tr", "{}", "x"]
        );
    }

    #[test]
    fn patterns_are_outside_quotes() {
        assert_eq!(
            show("cat a*.c 'b*' \"c?\" d\\* $x[1] e"),
            ["!cat", "*a*.c", "b*", "c?", "d*", "$x[1]", "e"]
        );
    }

    #[test]
    fn unclosed_quotes_end_with_the_script() {
        assert_eq!(show("cat 'a b"), ["!cat", "a b"]);
        assert_eq!(show("cat \"a b"), ["!cat", "a b"]);
        assert_eq!(show("cat a\\"), ["!cat", "a"]);
    }
}
