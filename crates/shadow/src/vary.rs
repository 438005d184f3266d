use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A number in the command that scales the work.
#[derive(Clone, Debug, PartialEq)]
pub struct Vary {
    /// Its name; `{name}` in an argument is replaced by the value.
    pub name: String,
    /// Its value in the real run, above 0.
    pub value: f64,
}

impl Vary {
    /// The command with each number scaled by `fraction`, and the fraction that rounding left.
    /// Whole numbers stay whole, and at least 1.
    pub fn apply(all: &[Vary], argv: &[OsString], fraction: f64) -> (Vec<OsString>, f64) {
        let mut achieved = fraction;
        let mut argv = argv.to_vec();
        for vary in all {
            let whole = vary.value.fract() == 0.0;
            let scaled = if whole {
                (vary.value * fraction).round().max(1.0)
            } else {
                vary.value * fraction
            };
            achieved = (scaled / vary.value).min(1.0);
            let mark = format!("{{{}}}", vary.name);
            for argument in &mut argv {
                *argument = replace(argument, mark.as_bytes(), scaled.to_string().as_bytes());
            }
        }
        (argv, achieved)
    }

    /// The size of the work, for the ladder: the largest of the numbers.
    pub fn size(all: &[Vary]) -> f64 {
        all.iter().map(|v| v.value).fold(0.0, f64::max)
    }
}

fn replace(text: &OsStr, from: &[u8], to: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(value: f64, fraction: f64) -> (String, f64) {
        let vary = Vary {
            name: "n".into(),
            value,
        };
        let (argv, achieved) = Vary::apply(&[vary], &["--size={n}x{n}".into()], fraction);
        (argv[0].to_string_lossy().into_owned(), achieved)
    }

    #[test]
    fn numbers_are_scaled_everywhere() {
        assert_eq!(apply(1000.0, 0.01), ("--size=10x10".into(), 0.01));
        assert_eq!(apply(1e6, 1.0), ("--size=1000000x1000000".into(), 1.0));
        assert_eq!(apply(0.5, 0.5), ("--size=0.25x0.25".into(), 0.5));
    }

    #[test]
    fn whole_numbers_stay_whole_and_say_what_they_achieve() {
        assert_eq!(apply(10.0, 0.01), ("--size=1x1".into(), 0.1));
        assert_eq!(apply(7.0, 0.5), ("--size=4x4".into(), 4.0 / 7.0));
    }
}
