//! Lines that fit, and words that a shell takes back.

/// Breaks `text` into lines of at most `width` columns; the first begins with `first`, the others
/// with as many spaces. Words longer than a line are left whole, so that they can be copied.
pub(super) fn wrap(first: &str, text: &str, width: usize) -> String {
    let indent = first.chars().count();
    let mut out = String::from(first);
    let mut column = indent;
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        // A number and its unit stay together.
        let unit = word
            .ends_with(|c: char| c.is_ascii_digit())
            .then(|| words.next_if(|w| UNITS.contains(&w.trim_matches([',', '.', ')', ';']))))
            .flatten();
        let length = word.chars().count() + unit.map_or(0, |u| 1 + u.chars().count());
        if column > indent {
            if column + 1 + length > width {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        if let Some(unit) = unit {
            out.push(' ');
            out.push_str(unit);
        }
        column += length;
    }
    out.push('\n');
    out
}

const UNITS: [&str; 10] = ["s", "ms", "min", "h", "%", "B", "KiB", "MiB", "GiB", "TiB"];

/// `text` in at most `width` columns, its end replaced by an ellipsis where it is longer.
pub(super) fn shorten(text: &str, width: usize, unicode: bool) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let ellipsis = if unicode { "…" } else { "..." };
    let keep = width.saturating_sub(ellipsis.chars().count());
    text.chars().take(keep).chain(ellipsis.chars()).collect()
}

/// The words of a command as a POSIX shell reads them back; control characters, which could
/// change what the terminal shows, become `?`.
pub(super) fn shell(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| quote(w)).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    let word: String = word
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    let plain = |c: char| c.is_alphanumeric() || "-_./,:=+@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit() {
        let text = wrap("- ", "one two three four five", 12);
        assert_eq!(text, "- one two\n  three four\n  five\n");
        assert_eq!(wrap("- ", "unbreakableword", 5), "- unbreakableword\n");
        assert_eq!(wrap("- ", "", 5), "- \n");
        assert_eq!(wrap("", "it took 10 s.", 10), "it took\n10 s.\n");
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        assert_eq!(shorten("abcdef", 6, true), "abcdef");
        assert_eq!(shorten("abcdefg", 6, true), "abcde…");
        assert_eq!(shorten("abcdefg", 6, false), "abc...");
    }

    #[test]
    fn words_that_a_shell_takes_back() {
        let words = ["sort", "-t,", "a b", "", "it's", "$x", "-k3\n", "\x1b[2J"].map(str::to_owned);
        assert_eq!(
            shell(&words),
            r"sort -t, 'a b' '' 'it'\''s' '$x' '-k3?' '?[2J'"
        );
    }
}
