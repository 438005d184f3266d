use serde::{Deserialize, Serialize};

/// What is known about a task before it runs: named numbers, any of which may be missing.
///
/// Names are the caller's, and should mean the same for every task of a signature: bytes of input
/// in all (`input_bytes`) and by role, record counts, arguments that are numbers, threads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Features {
    values: Vec<(String, f64)>,
    shadow: Option<f64>,
}

impl Features {
    /// No feature at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more feature; a value that is not finite counts as missing. The last value of a
    /// name wins.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: f64) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a feature; a value that is not finite counts as missing and is not stored.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        self.values.retain(|(n, _)| *n != name);
        if value.is_finite() {
            self.values.push((name, value));
        }
    }

    /// With the median that a shadow forecast for this very quantity (same unit as the
    /// observation); the learner learns how forecasts of this kind err. Ignored unless positive.
    #[must_use]
    pub fn with_shadow(mut self, median: f64) -> Self {
        self.shadow = (median.is_finite() && median > 0.0).then_some(median);
        self
    }

    /// The value of a feature, if it is known.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    /// All features that are known.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(n, v)| (n.as_str(), *v))
    }

    /// The shadow's forecast of the median, if there was one.
    pub fn shadow(&self) -> Option<f64> {
        self.shadow
    }
}

/// What one finished task used of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The amount (bytes, seconds): positive and finite.
    pub value: f64,
    /// Whether the task was ended before it was done, so that `value` is only a lower bound.
    pub censored: bool,
}

impl Observation {
    /// The amount used by a task that ran to its end.
    pub const fn complete(value: f64) -> Self {
        Observation {
            value,
            censored: false,
        }
    }

    /// A lower bound: what a killed or failed task had used when it ended.
    pub const fn at_least(value: f64) -> Self {
        Observation {
            value,
            censored: true,
        }
    }
}

/// An observation that can't be learned from.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ObservationError {
    /// Zero, negative, infinite or not a number: an amount that was not measured must be left out,
    /// not given as 0.
    #[error("an observed amount must be positive and finite, not {0}")]
    NotPositive(f64),
}
