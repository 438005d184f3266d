use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// An amount of memory or storage, in bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(u64);

impl Bytes {
    /// No bytes at all.
    pub const ZERO: Bytes = Bytes(0);

    /// `n` bytes.
    pub const fn new(n: u64) -> Self {
        Bytes(n)
    }

    /// `n` KiB (1024 bytes), saturating.
    pub const fn kib(n: u64) -> Self {
        Bytes(n.saturating_mul(1 << 10))
    }

    /// `n` MiB (1024² bytes), saturating.
    pub const fn mib(n: u64) -> Self {
        Bytes(n.saturating_mul(1 << 20))
    }

    /// `n` GiB (1024³ bytes), saturating.
    pub const fn gib(n: u64) -> Self {
        Bytes(n.saturating_mul(1 << 30))
    }

    /// From a real number of bytes; negative and NaN become 0, too large saturates.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float-to-int casts saturate, and NaN gives 0, which is what is documented"
    )]
    pub fn from_f64(n: f64) -> Self {
        Bytes(n as u64)
    }

    /// The count of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The count of bytes as a real number (exact below 2⁵³).
    #[expect(clippy::cast_precision_loss, reason = "8 PiB is beyond any use here")]
    pub const fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// Difference, 0 where `other` is larger.
    pub const fn saturating_sub(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_sub(other.0))
    }

    /// This amount times a factor; negative and NaN factors give 0.
    pub fn scale(self, factor: f64) -> Bytes {
        Bytes::from_f64(self.as_f64() * factor)
    }

    /// Rounded up to the next multiple of `step` (unchanged where `step` is 0).
    pub const fn round_up(self, step: Bytes) -> Bytes {
        match self.0.checked_next_multiple_of(step.0) {
            Some(n) => Bytes(n),
            None => self,
        }
    }
}

impl Add for Bytes {
    type Output = Bytes;
    fn add(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(other.0))
    }
}

impl Sub for Bytes {
    type Output = Bytes;
    /// Saturates at 0: an amount is never negative.
    fn sub(self, other: Bytes) -> Bytes {
        self.saturating_sub(other)
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(iter: I) -> Bytes {
        iter.fold(Bytes::ZERO, Add::add)
    }
}

impl fmt::Display for Bytes {
    /// With a binary unit and at most three digits: `512 B`, `1.5 KiB`, `3.20 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut n = self.as_f64() / 1024.0;
        let mut unit = 0;
        // 999.5 would print as 1000, four digits.
        while n >= 999.5 && unit + 1 < UNITS.len() {
            n /= 1024.0;
            unit += 1;
        }
        let digits = if n < 9.995 {
            2
        } else if n < 99.95 {
            1
        } else {
            0
        };
        f.pad(&format!("{n:.digits$} {}", UNITS[unit]))
    }
}

/// A share of processors: 1 core is one processor fully used. Kept in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cores(u64);

impl Cores {
    /// No processor at all.
    pub const ZERO: Cores = Cores(0);

    /// `n` thousandths of a core.
    pub const fn milli(n: u64) -> Self {
        Cores(n)
    }

    /// `n` whole cores, saturating.
    pub const fn whole(n: u64) -> Self {
        Cores(n.saturating_mul(1000))
    }

    /// From a real number of cores, rounded to thousandths; negative and NaN become 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float-to-int casts saturate, and NaN gives 0, which is what is documented"
    )]
    pub fn from_f64(n: f64) -> Self {
        Cores((n * 1000.0).round() as u64)
    }

    /// The number of thousandths.
    pub const fn as_milli(self) -> u64 {
        self.0
    }

    /// The number of cores as a real number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "no machine has 2^53 thousandths"
    )]
    pub const fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Serialize for Cores {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let n = f64::deserialize(d)?;
        if n.is_finite() && n >= 0.0 {
            Ok(Cores::from_f64(n))
        } else {
            Err(serde::de::Error::custom(format!(
                "cores must be a finite number of at least 0, not {n}"
            )))
        }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2}", self.as_f64()))
    }
}

/// A data rate, in bytes per second.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Rate(Bytes);

impl Rate {
    /// This many bytes each second.
    pub const fn per_second(bytes: Bytes) -> Self {
        Rate(bytes)
    }

    /// The bytes that pass in one second.
    pub const fn bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/s", self.0))
    }
}
