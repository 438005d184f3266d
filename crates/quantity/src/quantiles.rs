use serde::{Deserialize, Serialize};

/// The levels that [`Quantiles`] holds, in order.
pub const LEVELS: [f64; 6] = [0.05, 0.10, 0.50, 0.90, 0.95, 0.99];

/// Six quantiles of an uncertain amount; never decreasing, never negative, always finite.
///
/// The unit is the one of the field that holds it (bytes, seconds, cores).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    p05: f64,
    p10: f64,
    p50: f64,
    p90: f64,
    p95: f64,
    p99: f64,
}

impl Quantiles {
    /// From values at [`LEVELS`]. Values out of order are raised to the one before them, negative
    /// ones to 0. None where a value is not finite.
    pub fn new(values: [f64; 6]) -> Option<Self> {
        if values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut least = 0.0_f64;
        let [p05, p10, p50, p90, p95, p99] = values.map(|v| {
            least = least.max(v);
            least
        });
        Some(Quantiles {
            p05,
            p10,
            p50,
            p90,
            p95,
            p99,
        })
    }

    /// All quantiles at one value (clamped to 0 below); None where it is not finite.
    pub fn exactly(value: f64) -> Option<Self> {
        Self::new([value; 6])
    }

    /// The values at [`LEVELS`].
    pub const fn values(&self) -> [f64; 6] {
        [self.p05, self.p10, self.p50, self.p90, self.p95, self.p99]
    }

    /// The 5 % quantile.
    pub const fn p05(&self) -> f64 {
        self.p05
    }
    /// The 10 % quantile.
    pub const fn p10(&self) -> f64 {
        self.p10
    }
    /// The median.
    pub const fn p50(&self) -> f64 {
        self.p50
    }
    /// The 90 % quantile.
    pub const fn p90(&self) -> f64 {
        self.p90
    }
    /// The 95 % quantile.
    pub const fn p95(&self) -> f64 {
        self.p95
    }
    /// The 99 % quantile.
    pub const fn p99(&self) -> f64 {
        self.p99
    }

    /// Each quantile through a function that does not decrease; None where a result is not finite.
    pub fn map(&self, f: impl FnMut(f64) -> f64) -> Option<Self> {
        Self::new(self.values().map(f))
    }
}
