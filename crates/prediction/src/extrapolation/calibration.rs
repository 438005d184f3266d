//! How far extrapolating small runs goes wrong: widths set against programs with known outcomes.

/// The width of one kind of extrapolation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Prior {
    /// Standard deviation of the logarithm, per unit of the logarithm of the factor.
    pub width: f64,
    /// Standard deviation of the logarithm at no factor at all: noise of measuring.
    pub floor: f64,
}

impl Prior {
    /// Standard deviation of the logarithm for an extrapolation by `factor` (at least 1).
    pub fn sigma(&self, factor: f64) -> f64 {
        (self.width * factor.max(1.0).ln()).hypot(self.floor)
    }
}
