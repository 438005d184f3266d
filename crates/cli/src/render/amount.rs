//! Amounts in words that fit beside each other.

use foreshadow_quantity::{Bytes, Cores};

/// A unit in which the figures of a resource are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Seconds,
    Cores,
}

impl Unit {
    /// One value.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Unit::Bytes => Bytes::from_f64(value).to_string(),
            Unit::Seconds => seconds(value),
            Unit::Cores => cores(value),
        }
    }

    /// Two values, the unit only once where both have the same.
    pub(crate) fn range(self, low: f64, high: f64, unicode: bool) -> String {
        let (low, high) = (self.show(low), self.show(high));
        if low == high {
            return low;
        }
        let dash = if unicode { " – " } else { " - " };
        match (low.split_once(' '), high.split_once(' ')) {
            (Some((number, unit)), Some((_, other))) if unit == other && !unit.contains(' ') => {
                format!("{number}{dash}{high}")
            }
            _ => format!("{low}{dash}{high}"),
        }
    }
}

/// `50 ms`, `0.40 s`, `2.5 s`, `12 s`, `2 min 05 s`, `3 h 12 min`, `2 d 4 h`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a range that fits"
)]
pub(crate) fn seconds(s: f64) -> String {
    let s = if s.is_finite() {
        s.clamp(0.0, 1e12)
    } else {
        0.0
    };
    if s < 0.0005 {
        return "0 s".into();
    }
    if s < 0.0995 {
        return format!("{:.0} ms", s * 1000.0);
    }
    if s < 0.995 {
        return format!("{s:.2} s");
    }
    if s < 9.95 {
        return format!("{s:.1} s");
    }
    if s < 99.5 {
        return format!("{s:.0} s");
    }
    let whole = s.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    if hours == 0 {
        format!("{minutes} min {:02} s", whole % 60)
    } else if days == 0 {
        format!("{hours} h {:02} min", minutes % 60)
    } else {
        format!("{days} d {} h", hours % 24)
    }
}

/// `0.5`, `1`, `1.9`: cores without digits that say nothing.
pub(crate) fn cores(n: f64) -> String {
    let text = if n < 0.095 {
        format!("{n:.2}")
    } else {
        format!("{n:.1}")
    };
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// `1/64`, `3/8`, `all`, or `12 %` where it is no such part.
pub(crate) fn fraction(f: f64) -> String {
    if !(f.is_finite() && f > 0.0) {
        return "0".into();
    }
    for denominator in [1_u32, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096] {
        let numerator = f * f64::from(denominator);
        let near = numerator.round();
        if (1.0..4.0).contains(&near) && (numerator - near).abs() < 0.02 * near {
            return match denominator {
                1 if near < 1.5 => "all".into(),
                1 => format!("{near:.0}"),
                _ => format!("{near:.0}/{denominator}"),
            };
        }
    }
    let percent = f * 100.0;
    if percent < 0.01 {
        format!("1/{:.0}", 1.0 / f)
    } else if percent < 1.0 {
        format!("{percent:.2} %")
    } else if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// As `--memory` takes it, never less than the amount: `256M`, `1536M`.
pub(crate) fn memory_option(bytes: Bytes) -> String {
    format!("{}M", bytes.get().div_ceil(1 << 20))
}

/// As `--cores` takes it.
pub(crate) fn cores_option(n: Cores) -> String {
    let text = format!("{:.3}", n.as_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_every_size() {
        for (s, text) in [
            (0.0, "0 s"),
            (0.05, "50 ms"),
            (0.0996, "0.10 s"),
            (0.36, "0.36 s"),
            (9.96, "10 s"),
            (99.6, "1 min 40 s"),
            (3599.7, "1 h 00 min"),
            (3725.0, "1 h 02 min"),
            (100_000.0, "1 d 3 h"),
            (f64::NAN, "0 s"),
        ] {
            assert_eq!(seconds(s), text);
        }
    }

    #[test]
    fn parts_of_the_work() {
        for (f, text) in [
            (1.0, "all"),
            (0.015_625, "1/64"),
            (0.0157, "1/64"),
            (0.375, "3/8"),
            (0.052, "5.2 %"),
            (0.00001, "1/100000"),
            (0.9, "90 %"),
            (0.0, "0"),
        ] {
            assert_eq!(fraction(f), text);
        }
    }

    #[test]
    fn ranges_name_their_unit_once() {
        let mib = f64::from(1 << 20);
        assert_eq!(
            Unit::Bytes.range(198.0 * mib, 231.0 * mib, true),
            "198 – 231 MiB"
        );
        assert_eq!(Unit::Bytes.range(1.0, 231.0 * mib, false), "1 B - 231 MiB");
        assert_eq!(
            Unit::Seconds.range(100.0, 130.0, true),
            "1 min 40 s – 2 min 10 s"
        );
        assert_eq!(Unit::Cores.range(1.0, 1.04, true), "1");
        assert_eq!(Unit::Seconds.range(1.0, 1.0, true), "1.0 s");
    }

    #[test]
    fn options_read_back_as_at_least_the_same() {
        for bytes in [0, 1, 1 << 20, (1 << 20) + 1, 3 << 30] {
            let text = memory_option(Bytes::new(bytes));
            assert!(
                text.parse::<Bytes>().unwrap() >= Bytes::new(bytes),
                "{text}"
            );
        }
        for (milli, text) in [
            (1000, "1"),
            (500, "0.5"),
            (1250, "1.25"),
            (10_000, "10"),
            (3, "0.003"),
            (0, "0"),
        ] {
            assert_eq!(cores_option(Cores::milli(milli)), text);
            assert_eq!(text.parse(), Ok(Cores::milli(milli)));
        }
    }
}
