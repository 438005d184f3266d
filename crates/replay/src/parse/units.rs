//! Amounts, durations and times as the writers of traces print them.

use foreshadow_quantity::Bytes;

/// Why a cell is not a number that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Missing,
    NotANumber,
    Negative,
    Absurd,
}

impl Bad {
    pub fn reason(self, column: &str) -> String {
        match self {
            Bad::Missing => format!("{column} is missing"),
            Bad::NotANumber => format!("{column} is not a number"),
            Bad::Negative => format!("{column} is negative"),
            Bad::Absurd => format!("{column} is absurdly large"),
        }
    }
}

/// More than any machine has: 1 EiB; and more than any task runs: a thousand years.
const MOST_BYTES: f64 = 1_152_921_504_606_846_976.0;
const MOST_SECONDS: f64 = 1000.0 * 366.0 * 86400.0;

fn missing(s: &str) -> bool {
    matches!(
        s,
        "" | "-" | "null" | "NA" | "N/A" | "None" | "none" | "Unknown" | "UNLIMITED"
    )
}

fn bounded(n: f64, most: f64) -> Result<f64, Bad> {
    if n.is_nan() {
        Err(Bad::NotANumber)
    } else if n < 0.0 {
        Err(Bad::Negative)
    } else if n > most {
        Err(Bad::Absurd)
    } else {
        Ok(n)
    }
}

/// An amount in bytes: `274485248`, `261.8 MB`, `4 GB`, `1234K`, `4Gn`, `2000Mc`. Units are powers
/// of 1024, as both Nextflow and Slurm write them.
pub(super) fn bytes(s: &str) -> Result<f64, Bad> {
    let s = s.trim();
    if missing(s) {
        return Err(Bad::Missing);
    }
    if let Ok(n) = s.parse::<f64>() {
        return bounded(n, MOST_BYTES);
    }
    if let Some(rest) = s.strip_prefix('-') {
        return if bytes(rest).is_ok() {
            Err(Bad::Negative)
        } else {
            Err(Bad::NotANumber)
        };
    }
    let end = s
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or(Bad::NotANumber)?;
    let unit = s[end..].trim().to_ascii_uppercase();
    let letter = unit.trim_end_matches('B').trim_end_matches('I');
    let text = format!("{}{letter}iB", s[..end].trim());
    let text = if letter.is_empty() {
        s[..end].trim().to_owned()
    } else {
        text
    };
    text.parse::<Bytes>()
        .map_err(|e| {
            if e.to_string().contains("below") {
                Bad::Absurd
            } else {
                Bad::NotANumber
            }
        })
        .and_then(|b| bounded(b.as_f64(), MOST_BYTES))
}

/// Seconds from a duration in bare milliseconds or in words, as Nextflow writes them: `12291`,
/// `12.3s`, `1h 2m 3s`, `350ms`, `2d 4h`.
pub(super) fn nextflow_seconds(s: &str) -> Result<f64, Bad> {
    let s = s.trim();
    if missing(s) {
        return Err(Bad::Missing);
    }
    if let Ok(n) = s.parse::<f64>() {
        return bounded(n / 1000.0, MOST_SECONDS);
    }
    if s.contains(':') {
        return clock_seconds(s);
    }
    let mut total = 0.0;
    for part in s.split_whitespace() {
        let end = part
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or(Bad::NotANumber)?;
        let n: f64 = part[..end].parse().map_err(|_| Bad::NotANumber)?;
        let unit = match &part[end..] {
            "ms" | "milli" | "millis" => 0.001,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => return Err(Bad::NotANumber),
        };
        total += bounded(n, f64::MAX)? * unit;
    }
    bounded(total, MOST_SECONDS)
}

/// Seconds from `[DD-]HH:MM:SS[.fff]` or `MM:SS`, as Slurm writes them; bare numbers are seconds.
pub(super) fn clock_seconds(s: &str) -> Result<f64, Bad> {
    let s = s.trim();
    if missing(s) {
        return Err(Bad::Missing);
    }
    if let Ok(n) = s.parse::<f64>() {
        return bounded(n, MOST_SECONDS);
    }
    let (days, rest) = match s.split_once('-') {
        Some((d, rest)) if !d.is_empty() => (d.parse::<f64>().map_err(|_| Bad::NotANumber)?, rest),
        Some(_) => return Err(Bad::Negative),
        None => (0.0, s),
    };
    let mut total = 0.0;
    for part in rest.split(':') {
        let n: f64 = part.parse().map_err(|_| Bad::NotANumber)?;
        total = total * 60.0 + bounded(n, f64::MAX)?;
    }
    bounded(days * 86400.0 + total, MOST_SECONDS)
}

/// A point in time in seconds: milliseconds since 1970 as Nextflow's raw traces have them, seconds,
/// or `2024-06-25 10:11:12.345`, with or without a `T`.
pub(super) fn time(s: &str) -> Option<f64> {
    let s = s.trim();
    if missing(s) {
        return None;
    }
    if let Ok(n) = s.parse::<f64>() {
        // Seconds since 1970 reach this in the year 5138, milliseconds did in 1973.
        let n = if n > 1e11 { n / 1000.0 } else { n };
        return n.is_finite().then_some(n);
    }
    let at: jiff::civil::DateTime = s.replacen(' ', "T", 1).parse().ok()?;
    let zoned = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_duration().as_secs_f64())
}

/// A point in time with a zone (RFC 3339) or in one of the forms of [`time`], in seconds.
pub(super) fn timestamp(s: &str) -> Option<f64> {
    let exact = s.parse::<jiff::Timestamp>().ok();
    exact
        .map(|t| t.as_duration().as_secs_f64())
        .or_else(|| time(s))
}

/// A plain number.
pub(super) fn number(s: &str) -> Result<f64, Bad> {
    let s = s.trim();
    if missing(s) {
        return Err(Bad::Missing);
    }
    let n: f64 = s
        .trim_end_matches('%')
        .trim()
        .parse()
        .map_err(|_| Bad::NotANumber)?;
    if n.is_finite() {
        Ok(n)
    } else {
        Err(Bad::NotANumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (text, want) in [
            ("274485248", Ok(274_485_248.0)),
            ("4 GB", Ok(4_294_967_296.0)),
            ("261.5 MB", Ok(274_202_624.0)),
            ("1234K", Ok(1_263_616.0)),
            ("1.5GiB", Ok(1_610_612_736.0)),
            ("12 B", Ok(12.0)),
            ("0", Ok(0.0)),
            ("-", Err(Bad::Missing)),
            ("", Err(Bad::Missing)),
            ("NaN", Err(Bad::NotANumber)),
            ("-5", Err(Bad::Negative)),
            ("-5 GB", Err(Bad::Negative)),
            ("1e30", Err(Bad::Absurd)),
            ("inf", Err(Bad::Absurd)),
            ("99999999 TB", Err(Bad::Absurd)),
            ("4 parsecs", Err(Bad::NotANumber)),
            ("x", Err(Bad::NotANumber)),
        ] {
            assert_eq!(bytes(text), want, "{text}");
        }
    }

    #[test]
    fn durations_and_times() {
        assert_eq!(nextflow_seconds("12291"), Ok(12.291));
        assert_eq!(nextflow_seconds("1h 2m 3s"), Ok(3723.0));
        assert_eq!(nextflow_seconds("250ms"), Ok(0.25));
        assert_eq!(nextflow_seconds("-3"), Err(Bad::Negative));
        assert_eq!(nextflow_seconds("soon"), Err(Bad::NotANumber));
        assert_eq!(clock_seconds("1-02:03:04"), Ok(93784.0));
        assert_eq!(clock_seconds("02:03.5"), Ok(123.5));
        assert_eq!(clock_seconds("x:1"), Err(Bad::NotANumber));
        assert_eq!(time("1719302359716"), Some(1_719_302_359.716));
        assert_eq!(time("2024-06-25 07:59:19.716"), Some(1_719_302_359.716));
        assert_eq!(time("2024-06-25T07:59:19"), Some(1_719_302_359.0));
        assert_eq!(time("Unknown"), None);
        assert_eq!(time("yesterday"), None);
    }
}
