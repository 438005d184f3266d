//! Which commands are runs of the same thing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Beyond this, the rest of a signature is replaced by its hash.
const MOST: usize = 400;
/// Words beyond this are replaced by their hash.
const MOST_WORD: usize = 80;

const NUMBER: &str = "<n>";
const PATH: &str = "<path>";

/// The normalised form of a command: runs with the same signature are compared with each other.
///
/// Kept: the program's name without its directory, subcommands and other plain words, the names of
/// options, the name of a script or a jar. Replaced: numbers (also with a unit, and dates) by
/// `<n>`, paths of data by `<path>`, several of the same in a row by one with a `+`. So
///
/// | command | signature |
/// |---|---|
/// | `/usr/bin/sort -S 50% -k3,3n /data/a.csv` | `sort -S <n> -k3,3n <path>` |
/// | `python3 ./train.py --epochs=20 a.csv b.csv` | `python3 train.py --epochs=<n> <path>+` |
/// | `sh -c "cut -f1 x.tsv \| sort"` | `sh -c {cut -f<n> <path> \| sort}` |
///
/// An option of digits only, as in `zstd -19`, and digits attached to letters, as in `-k3,3n`,
/// usually choose *how* something is done, and stay. A word counts as a path where it is one of
/// `inputs`, holds a `/`, or ends like a file name (`.csv`). The function reads nothing but its
/// arguments: the same command gives the same signature everywhere.
pub fn signature(argv: &[OsString], inputs: &[PathBuf]) -> String {
    let words: Vec<String> = argv
        .iter()
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let Some((program, arguments)) = words.split_first() else {
        return String::new();
    };
    let program = base(program);
    let mut out = vec![shorten(program)];
    let interpreter = Interpreter::of(program);
    // Whether the script (or the code) is still to come.
    let mut awaits_script = interpreter.is_some();
    let mut code_next = false;
    let mut script_next = false;
    for word in arguments {
        let normal = if code_next {
            code_next = false;
            awaits_script = false;
            code(word, inputs, interpreter)
        } else if script_next {
            script_next = false;
            awaits_script = false;
            shorten(base(word))
        } else if word.starts_with('-') && word.len() > 1 {
            if let Some(i) = interpreter.filter(|_| awaits_script) {
                code_next = i.code_options().contains(&word.as_str())
                    // sh -ec CODE
                    || i == Interpreter::Shell
                        && !word.starts_with("--")
                        && word.ends_with('c');
                script_next = i.script_options().contains(&word.as_str());
            }
            option(word, inputs)
        } else if awaits_script {
            awaits_script = false;
            if interpreter == Some(Interpreter::Awk) {
                code(word, inputs, interpreter)
            } else {
                shorten(base(word))
            }
        } else {
            argument(word, inputs)
        };
        push(&mut out, normal);
    }
    cap(&out.join(" "))
}

/// Programs whose first argument is what really runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interpreter {
    Shell,
    Awk,
    Java,
    Other,
}

impl Interpreter {
    fn of(program: &str) -> Option<Self> {
        let stem = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        Some(match stem {
            "sh" | "bash" | "dash" | "zsh" | "ksh" => Interpreter::Shell,
            "awk" | "gawk" | "mawk" | "nawk" => Interpreter::Awk,
            "java" => Interpreter::Java,
            "python" | "pypy" | "perl" | "ruby" | "node" | "Rscript" | "julia" | "lua" | "php" => {
                Interpreter::Other
            }
            _ => return None,
        })
    }

    fn code_options(self) -> &'static [&'static str] {
        match self {
            Interpreter::Shell => &["-c"],
            Interpreter::Awk | Interpreter::Java => &[],
            Interpreter::Other => &["-c", "-e", "-E", "--eval", "-r"],
        }
    }

    fn script_options(self) -> &'static [&'static str] {
        match self {
            Interpreter::Shell => &[],
            Interpreter::Awk => &["-f", "--file"],
            Interpreter::Java => &["-jar"],
            Interpreter::Other => &["-m"],
        }
    }
}

/// A repeated placeholder becomes one with a `+`.
fn push(out: &mut Vec<String>, word: String) {
    if word == NUMBER || word == PATH {
        let several = format!("{word}+");
        match out.last_mut() {
            Some(last) if *last == several => return,
            Some(last) if *last == word => {
                *last = several;
                return;
            }
            _ => {}
        }
    }
    out.push(word);
}

fn option(word: &str, inputs: &[PathBuf]) -> String {
    if let Some((name, value)) = word.split_once('=') {
        return shorten(&format!("{name}={}", argument(value, inputs)));
    }
    // A negative number, or a level: `-19` stays, `-0.5` does not.
    if word[1..].contains('.') && is_number(word) {
        return NUMBER.into();
    }
    // -j8: one letter and a number. Of more letters (-k3,3n) the number is a part.
    let mut letters = word.char_indices().skip(1);
    if let (Some((_, letter)), Some((rest, _))) = (letters.next(), letters.next())
        && letter.is_ascii_alphabetic()
    {
        let value = &word[rest..];
        if is_number(value) {
            return format!("-{letter}{NUMBER}");
        }
        if value.starts_with('/') || is_input(value, inputs) {
            return format!("-{letter}{PATH}");
        }
    }
    shorten(word)
}

fn argument(word: &str, inputs: &[PathBuf]) -> String {
    if is_input(word, inputs) {
        return PATH.into();
    }
    if is_number(word) {
        return NUMBER.into();
    }
    // dd if=..., make CC=...
    if let Some((name, value)) = word.split_once('=')
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return shorten(&format!("{name}={}", argument(value, inputs)));
    }
    if looks_like_script(word) {
        return shorten(base(word));
    }
    if looks_like_path(word) {
        return PATH.into();
    }
    shorten(word)
}

fn is_input(word: &str, inputs: &[PathBuf]) -> bool {
    !word.is_empty()
        && inputs.iter().any(|i| {
            i == Path::new(word)
                // Found inputs have absolute paths, the words may not.
                || i.file_name().is_some_and(|n| n == word)
        })
}

fn looks_like_script(word: &str) -> bool {
    const ENDINGS: [&str; 16] = [
        "py", "sh", "pl", "r", "js", "jl", "rb", "lua", "awk", "sql", "nf", "smk", "jar", "php",
        "wdl", "cwl",
    ];
    !word.contains(char::is_whitespace)
        && Path::new(word)
            .extension()
            .and_then(|e| e.to_str())
            .is_some_and(|e| ENDINGS.contains(&e.to_ascii_lowercase().as_str()))
}

fn looks_like_path(word: &str) -> bool {
    if word.contains("://") {
        return true;
    }
    if word.contains(char::is_whitespace) {
        return false;
    }
    if word.starts_with(['/', '~']) || word.starts_with("./") || word.starts_with("../") {
        return true;
    }
    // sed's s/a/b/ and y/a/b/ are no paths.
    let substitution =
        word.len() > 3 && matches!(word.as_bytes()[0], b's' | b'y') && word.as_bytes()[1] == b'/';
    if substitution {
        return false;
    }
    if word.contains('/') {
        return true;
    }
    Path::new(word)
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| {
            (1..=8).contains(&e.len())
                && e.bytes().all(|b| b.is_ascii_alphanumeric())
                && e.bytes().any(|b| b.is_ascii_alphabetic())
        })
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-+@%,:".contains(&b) || b >= 0x80)
}

/// Numbers, with a sign, an exponent, thousands, a unit or a percent sign; also dates and times.
fn is_number(word: &str) -> bool {
    const UNITS: [&str; 27] = [
        "", "%", "k", "m", "g", "t", "p", "kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib", "b",
        "s", "ms", "min", "h", "d", "x", "bp", "kbp", "mbp", "gbp", "us",
    ];
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    if unsigned.parse::<f64>().is_ok() {
        return true;
    }
    let end = unsigned
        .find(|c: char| !(c.is_ascii_digit() || "._".contains(c)))
        .unwrap_or(unsigned.len());
    let (digits, unit) = unsigned.split_at(end);
    if digits.replace('_', "").parse::<f64>().is_ok()
        && UNITS.contains(&unit.to_ascii_lowercase().as_str())
    {
        return true;
    }
    // 2024-01-31, 12:30:00
    let parts: Vec<&str> = unsigned.split(['-', ':']).collect();
    parts.len() >= 3
        && parts
            .iter()
            .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// Code in an argument: a shell's is a line of commands; of another language only what is surely
/// data is replaced.
fn code(text: &str, inputs: &[PathBuf], interpreter: Option<Interpreter>) -> String {
    let mut out: Vec<String> = Vec::new();
    let shell = interpreter == Some(Interpreter::Shell);
    for word in text.split_whitespace() {
        let bare = word.trim_matches(['"', '\'']);
        let normal = if shell && bare.starts_with('-') && bare.len() > 1 {
            option(bare, inputs)
        } else if shell {
            argument(bare, inputs)
        } else {
            numbers(word, inputs)
        };
        push(&mut out, normal);
    }
    let joined = out.join(" ");
    if joined.len() > 4 * MOST_WORD {
        format!("{{#{:016x}}}", hash(joined.as_bytes()))
    } else {
        format!("{{{joined}}}")
    }
}

/// Numbers and names of inputs within a word of code.
fn numbers(word: &str, inputs: &[PathBuf]) -> String {
    let mut out = String::new();
    let mut token = String::new();
    let flush = |token: &mut String, out: &mut String| {
        if is_input(token, inputs) {
            out.push_str(PATH);
        } else if is_number(token) && token.len() > 2 {
            out.push_str(NUMBER);
        } else {
            // Short numbers are columns and indices (`$3`) rather than amounts.
            out.push_str(token);
        }
        token.clear();
    };
    for c in word.chars() {
        if c.is_alphanumeric() || "._/-".contains(c) && !token.is_empty() {
            token.push(c);
        } else {
            flush(&mut token, &mut out);
            out.push(c);
        }
    }
    flush(&mut token, &mut out);
    out
}

fn base(path: &str) -> &str {
    path.rsplit('/').find(|p| !p.is_empty()).unwrap_or(path)
}

fn shorten(word: &str) -> String {
    if word.len() <= MOST_WORD {
        word.to_owned()
    } else {
        format!("#{:016x}", hash(word.as_bytes()))
    }
}

fn cap(text: &str) -> String {
    if text.len() <= MOST {
        return text.to_owned();
    }
    let end = (0..=MOST)
        .rev()
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(0);
    format!("{}#{:016x}", &text[..end], hash(&text.as_bytes()[end..]))
}

/// FNV-1a, 64 bits: the same in every version and on every machine, as stored names must be.
/// Source: Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str], inputs: &[&str]) -> String {
        let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
        let inputs: Vec<PathBuf> = inputs.iter().map(PathBuf::from).collect();
        signature(&argv, &inputs)
    }

    #[test]
    fn what_is_kept_and_what_is_replaced() {
        for (words, expected) in [
            (
                &["/usr/bin/sort", "-S", "50%", "-k3,3n", "/data/a.csv"][..],
                "sort -S <n> -k3,3n <path>",
            ),
            (
                &["sort", "-t,", "-k3,3n", "big.csv", "-o", "out.csv"],
                "sort -t, -k3,3n <path> -o <path>",
            ),
            (&["zstd", "-19", "-T4", "x.tar"], "zstd -19 -T<n> <path>"),
            (
                &[
                    "python3",
                    "./train.py",
                    "--epochs=20",
                    "a.csv",
                    "b.csv",
                    "c.csv",
                ],
                "python3 train.py --epochs=<n> <path>+",
            ),
            (
                &["python3", "-m", "http.server", "8000"],
                "python3 -m http.server <n>",
            ),
            (
                &["python3.11", "-u", "/opt/x/run.py", "5"],
                "python3.11 -u run.py <n>",
            ),
            (
                &["java", "-Xmx4g", "-jar", "/opt/tool-1.2.jar", "in.bam"],
                "java -Xmx4g -jar tool-1.2.jar <path>",
            ),
            (
                &["dd", "if=/dev/zero", "of=x.img", "bs=1M"],
                "dd if=<path> of=<path> bs=<n>",
            ),
            (
                &["samtools", "sort", "-@", "8", "x.bam"],
                "samtools sort -@ <n> <path>",
            ),
            (&["sed", "-e", "s/a/b/g", "notes"], "sed -e s/a/b/g notes"),
            (&["seq", "1", "1000000"], "seq <n>+"),
            (
                &["report", "--since", "2024-01-31", "-5"],
                "report --since <n> -5",
            ),
            (
                &["awk", "-F,", "{s[$1]+=$3}", "big.csv"],
                "awk -F, {{s[$1]+=$3}} <path>",
            ),
            (
                &["awk", "-f", "lib/sum.awk", "big.csv"],
                "awk -f sum.awk <path>",
            ),
            (&["bash", "scripts/job.sh", "/data"], "bash job.sh <path>"),
            (&["true"], "true"),
        ] {
            assert_eq!(of(words, &[]), expected, "{words:?}");
        }
    }

    #[test]
    fn code_in_arguments() {
        assert_eq!(
            of(&["sh", "-c", "cut -f1 x.tsv | sort -S 100M"], &[]),
            "sh -c {cut -f<n> <path> | sort -S <n>}"
        );
        assert_eq!(
            of(&["bash", "-ec", "wc < data"], &["/home/u/data"]),
            "bash -ec {wc < <path>}"
        );
        assert_eq!(
            of(&["python3", "-c", "x = [0] * 1000000; y2 = 3.5"], &[]),
            of(&["python3", "-c", "x = [0] * 777; y2 = 4.25"], &[])
        );
        assert_ne!(
            of(&["python3", "-c", "print(1)"], &[]),
            of(&["python3", "-c", "sorted(range(1))"], &[])
        );
    }

    #[test]
    fn inputs_without_a_look_of_a_path() {
        assert_eq!(of(&["sort", "data"], &[]), "sort data");
        assert_eq!(of(&["sort", "data"], &["data"]), "sort <path>");
        assert_eq!(of(&["sort", "data"], &["/abs/data"]), "sort <path>");
        // A known and an unknown input are the same command.
        assert_eq!(
            of(&["sort", "a.csv"], &["a.csv"]),
            of(&["sort", "b.csv"], &[])
        );
    }

    #[test]
    fn long_commands_stay_short_and_distinct() {
        let many: Vec<String> = (0..10_000).map(|i| format!("word{i}x")).collect();
        let mut words: Vec<&str> = many.iter().map(String::as_str).collect();
        words.insert(0, "tool");
        let one = of(&words, &[]);
        assert!(one.len() <= MOST + 17, "{}", one.len());
        words.pop();
        assert_ne!(of(&words, &[]), one);
        let megabyte = "x".repeat(1 << 20);
        assert!(of(&["tool", &megabyte], &[]).len() < 40);
        assert!(of(&["sh", "-c", &megabyte], &[]).len() < 60);
    }

    #[test]
    fn odd_words_do_not_panic() {
        for word in [
            "",
            "-",
            "--",
            "=",
            "-=",
            "-é",
            "-é8",
            "é",
            "/",
            "//",
            "s/",
            "-\u{fffd}1",
            ".",
        ] {
            for program in ["x", "sh", "awk", "python3", ""] {
                let _ = of(&[program, word, word], &[word]);
                let _ = of(&[program, "-c", word], &[]);
            }
        }
        assert_eq!(of(&[], &[]), "");
    }
}
