//! What extrapolating small runs gets wrong, learned from programs with known outcomes.

/// Bias and width of one kind of extrapolation, both per unit of the logarithm of its factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Prior {
    /// Added to the logarithm of the prediction.
    pub bias: f64,
    /// Standard deviation of the logarithm.
    pub width: f64,
    /// Standard deviation of the logarithm at no factor at all: noise of measuring.
    pub floor: f64,
}

impl Prior {
    /// The factor to multiply by and the width, for an extrapolation by `factor` (at least 1).
    pub fn at(&self, factor: f64) -> (f64, f64) {
        let log = factor.max(1.0).ln();
        (
            (self.bias * log).exp(),
            (self.width * log).hypot(self.floor),
        )
    }
}
