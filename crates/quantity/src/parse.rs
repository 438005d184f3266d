use std::str::FromStr;
use std::time::Duration;

use crate::{Bytes, Cores, Rate};

/// A quantity that could not be read: what was given, and what was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not {wanted}")]
pub struct ParseQuantityError {
    given: String,
    wanted: &'static str,
}

fn error(given: &str, wanted: &'static str) -> ParseQuantityError {
    ParseQuantityError {
        given: given.to_owned(),
        wanted,
    }
}

/// Splits `1.5GiB` into 1.5 and `GiB`; None where there is no non-negative finite number in front.
fn split(s: &str) -> Option<(f64, &str)> {
    let s = s.trim();
    let end = s
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        // An exponent belongs to the number: 1e9.
        .map(|end| {
            let rest = &s[end..];
            let exponent = rest.strip_prefix(['e', 'E']).map(|r| {
                let digits = r.bytes().take_while(u8::is_ascii_digit).count();
                if digits == 0 { 0 } else { digits + 1 }
            });
            end + exponent.unwrap_or(0)
        })
        .unwrap_or(s.len());
    let number: f64 = s[..end].replace('_', "").parse().ok()?;
    (number.is_finite() && number >= 0.0).then(|| (number, s[end..].trim()))
}

impl FromStr for Bytes {
    type Err = ParseQuantityError;

    /// `1073741824`, `1.5GiB`, `512M`, `2gb`. As in `systemd` and Slurm, `K`, `M`, `G`, `T`, `P`
    /// alone are powers of 1024; `kB`, `MB`, `GB` are powers of 1000.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a size such as 512MiB, 1.5G or 1073741824";
        let (number, unit) = split(s).ok_or_else(|| error(s, WANTED))?;
        let unit = unit.to_ascii_lowercase();
        let (prefix, base) = match unit.as_str() {
            "" | "b" => ("", 1.0),
            u if u.ends_with("ib") => (&u[..u.len() - 2], 1024.0),
            u if u.ends_with('b') => (&u[..u.len() - 1], 1000.0),
            u => (u, 1024.0_f64),
        };
        let power = match prefix {
            "" => 0,
            "k" => 1,
            "m" => 2,
            "g" => 3,
            "t" => 4,
            "p" => 5,
            "e" => 6,
            _ => return Err(error(s, WANTED)),
        };
        let bytes = number * base.powi(power);
        // u64::MAX as a float; beyond it the cast would saturate silently.
        if bytes >= 18_446_744_073_709_551_615.0 {
            return Err(error(s, "a size below 16 EiB"));
        }
        Ok(Bytes::from_f64(bytes))
    }
}

impl FromStr for Cores {
    type Err = ParseQuantityError;

    /// `2`, `0.5` or `500m` (thousandths).
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a number of cores such as 2, 0.5 or 500m";
        match split(s) {
            Some((n, "")) if n <= 1e9 => Ok(Cores::from_f64(n)),
            Some((n, "m")) if n <= 1e12 => Ok(Cores::from_f64(n / 1000.0)),
            _ => Err(error(s, WANTED)),
        }
    }
}

impl FromStr for Rate {
    type Err = ParseQuantityError;

    /// A size each second: `10MiB/s`; the `/s` may be left out.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let size = s.trim().strip_suffix("/s").unwrap_or(s);
        size.parse()
            .map(Rate::per_second)
            .map_err(|_| error(s, "a rate such as 10MiB/s"))
    }
}

/// Reads a duration: `10s`, `250ms`, `5m`, `2h`, `1.5d`, or seconds without a unit.
///
/// # Errors
/// Where the text is no such duration, or it is longer than a thousand years.
pub fn parse_duration(s: &str) -> Result<Duration, ParseQuantityError> {
    const WANTED: &str = "a duration such as 10s, 250ms or 2h";
    let (number, unit) = split(s).ok_or_else(|| error(s, WANTED))?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86400.0,
        _ => return Err(error(s, WANTED)),
    };
    if seconds > 1000.0 * 366.0 * 86400.0 {
        return Err(error(s, "a duration below a thousand years"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| error(s, WANTED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_in_the_units_people_write() {
        for (text, bytes) in [
            ("0", 0),
            ("1073741824", 1 << 30),
            ("1e9", 1_000_000_000),
            ("1.5GiB", 3 << 29),
            ("512M", 512 << 20),
            ("512 MiB", 512 << 20),
            ("2gb", 2_000_000_000),
            ("64kB", 64_000),
            ("1_000", 1000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes::new(bytes)), "{text}");
        }
        for text in [
            "",
            "MiB",
            "-1",
            "nan",
            "inf",
            "1.2.3",
            "5 lightyears",
            "99999999T",
        ] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        assert_eq!(
            "lots".parse::<Bytes>().unwrap_err().to_string(),
            "'lots' is not a size such as 512MiB, 1.5G or 1073741824"
        );
    }

    #[test]
    fn cores_rates_and_durations() {
        assert_eq!("0.5".parse(), Ok(Cores::milli(500)));
        assert_eq!("500m".parse(), Ok(Cores::milli(500)));
        assert!("-1".parse::<Cores>().is_err());
        assert_eq!("10MiB/s".parse(), Ok(Rate::per_second(Bytes::mib(10))));
        assert_eq!("10M".parse(), Ok(Rate::per_second(Bytes::mib(10))));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        assert!(parse_duration("1e300d").is_err());
    }

    proptest! {
        #[test]
        fn printed_sizes_read_back_within_rounding(n in 0_u64..1 << 60) {
            let read: Bytes = Bytes::new(n).to_string().parse().unwrap();
            let off = (read.as_f64() - Bytes::new(n).as_f64()).abs();
            prop_assert!(off <= Bytes::new(n).as_f64() * 0.0051);
        }

        #[test]
        fn no_text_panics(s in "\\PC*") {
            let _ = (s.parse::<Bytes>(), s.parse::<Cores>(), s.parse::<Rate>(), parse_duration(&s));
        }

        #[test]
        fn quantiles_are_ordered(v in proptest::array::uniform6(-1e12_f64..1e12)) {
            let q = crate::Quantiles::new(v).unwrap();
            prop_assert!(q.values().is_sorted());
            prop_assert!(q.p05() >= 0.0);
        }
    }
}
