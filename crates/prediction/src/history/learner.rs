use std::fmt;

use foreshadow_quantity::Quantiles;
use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::change::Change;
use super::fit::{FLOOR, Fit, Place};
use super::memory::{Memory, Seen};
use super::models::{Model, symlog};
use super::{Features, Observation, ObservationError};
use crate::Predictive;

/// What a [`Learner`] assumes before it has seen anything, and how fast it moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Most observations remembered (at least 8 are).
    pub capacity: usize,
    /// Step of the adaptive calibration of levels for one outcome.
    pub calibration_step: f64,
    /// Slack of the change detection, in standard deviations.
    pub change_slack: f64,
    /// Threshold of the change detection.
    pub change_threshold: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            capacity: 256,
            calibration_step: 0.04,
            change_slack: 1.0,
            change_threshold: 5.0,
        }
    }
}

/// Why a learner doesn't predict.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Abstention {
    /// Nothing was observed yet.
    #[error("no finished task to learn from")]
    NoHistory,
    /// A feature lies far above what was seen, and no model has shown how it matters.
    #[error(
        "{feature} is {times:.0} times above what {n} finished tasks had, and no trend over it was found"
    )]
    OutOfRange {
        /// The feature.
        feature: String,
        /// How far above, as a factor.
        times: f64,
        /// From how many tasks the range is known.
        n: u64,
    },
}

/// What a learner says of one task to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Quantiles after calibration, in the unit of the observations.
    pub quantiles: Quantiles,
    /// The whole distribution after calibration: what [`recommend`](crate::cost::recommend) takes.
    pub predictive: Predictive,
    /// How many tasks were observed since the last change.
    pub n: u64,
    /// Root mean square of the leave-one-out errors of the logarithm.
    pub spread: f64,
    models: Vec<(&'static str, Option<String>, f64)>,
    changed: Option<u64>,
}

impl Prediction {
    /// The central interval that holds the outcome with this probability. Its ends are moved out
    /// by less than a byte in a gigabyte, so that a constant lies within whatever the rounding.
    pub fn interval(&self, probability: f64) -> (f64, f64) {
        let tail = (1.0 - probability) / 2.0;
        (
            self.predictive.quantile(tail) * (1.0 - ROUNDING),
            self.predictive.quantile(1.0 - tail) * (1.0 + ROUNDING),
        )
    }

    /// The reasons in words, one a line.
    pub fn explain(&self) -> Vec<String> {
        let mut out = vec![format!(
            "learned from {} finished task{} of this kind, typical error {:.1} %",
            self.n,
            if self.n == 1 { "" } else { "s" },
            self.spread * 100.0
        )];
        for (name, feature, weight) in self.models.iter().filter(|m| m.2 >= 0.1) {
            let over = feature
                .as_ref()
                .map_or(String::new(), |f| format!(" over {f}"));
            out.push(format!(
                "{name}{over}: {:.0} % of the weight",
                weight * 100.0
            ));
        }
        if let Some(at) = self.changed {
            out.push(format!(
                "a change was found after {at} tasks, what was before is forgotten"
            ));
        }
        out
    }
}

/// Learns one quantity of one kind of task from outcomes, one at a time.
///
/// The state is serialisable (with any self-describing format of serde) and carries a version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learner {
    version: Version,
    config: Config,
    memory: Memory,
    observed: u64,
    since_change: u64,
    changed_at: Option<u64>,
    calibration: Calibration,
    change: Change,
    /// Logarithms of outcome over the shadow's median, the last ones.
    shadow_errors: Vec<f64>,
    #[serde(skip)]
    fit: Option<Fit>,
}

/// The version of the layout of a stored learner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version;

impl From<Version> for u32 {
    fn from(_: Version) -> u32 {
        1
    }
}

impl TryFrom<u32> for Version {
    type Error = UnknownVersion;
    fn try_from(v: u32) -> Result<Self, UnknownVersion> {
        if v == 1 {
            Ok(Version)
        } else {
            Err(UnknownVersion(v))
        }
    }
}

/// A stored learner of a newer program.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("learner state has version {0}, this program reads version 1")]
struct UnknownVersion(u32);

/// Amounts closer than this, relative, are the same: logarithms and back don't give them exactly.
const ROUNDING: f64 = 1e-9;

/// Most shadow errors kept.
const SHADOWS: usize = 64;

impl Learner {
    /// A learner that has seen nothing.
    pub fn new(config: Config) -> Self {
        Learner {
            version: Version,
            config,
            memory: Memory::new(),
            observed: 0,
            since_change: 0,
            changed_at: None,
            calibration: Calibration::new(),
            change: Change::default(),
            shadow_errors: Vec::new(),
            fit: None,
        }
    }

    /// How many outcomes were observed in all.
    pub fn observed(&self) -> u64 {
        self.observed
    }

    /// How many of them are remembered one by one; bounded by [`Config::capacity`].
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }

    /// How the shadows of this quantity erred: logarithms of outcome over median forecast, the
    /// last ones, oldest first.
    pub fn shadow_errors(&self) -> &[f64] {
        &self.shadow_errors
    }

    /// Learns from one outcome.
    ///
    /// # Errors
    /// Where the amount is not positive and finite; nothing is learned then.
    pub fn observe(
        &mut self,
        features: &Features,
        outcome: &Observation,
    ) -> Result<(), ObservationError> {
        if !(outcome.value > 0.0 && outcome.value.is_finite()) {
            return Err(ObservationError::NotPositive(outcome.value));
        }
        self.refresh();
        let x = self.slots_of(features);
        let raw = self.raw(&x);
        let mut ly = outcome.value.ln();
        let mut weight = 1.0;
        if outcome.censored {
            let forecast = raw.and_then(Predictive::from_weighted);
            if forecast
                .as_ref()
                .is_some_and(|p| p.cdf(outcome.value) < 0.5)
            {
                // That the amount is above what most are above tells nothing.
                self.observed += 1;
                return Ok(());
            }
            // The amount is above the bound: the middle of what the forecast has above it, or
            // where it has nothing, a little more than the bound. It counts as half an observation.
            ly = forecast
                .and_then(|p| p.given_above(outcome.value))
                .map_or(ly + 0.2, |p| p.quantile(0.5).max(outcome.value).ln());
            weight = 0.5;
        } else {
            if let Some(atoms) = raw {
                self.judge(&atoms, outcome.value);
            }
            if let Some(shadow) = features.shadow() {
                if self.shadow_errors.len() == SHADOWS {
                    self.shadow_errors.remove(0);
                }
                self.shadow_errors.push(ly - shadow.ln());
            }
        }
        self.observed += 1;
        self.since_change += 1;
        let capacity = self.config.capacity.max(8);
        self.memory.push(
            Seen {
                ly,
                weight,
                x: x.into(),
            },
            capacity,
        );
        // With many observations one more changes little: refitting at every thirty-second part
        // keeps the mean cost flat.
        let n = self.memory.len() as u64;
        if self.observed.is_multiple_of((n / 32).max(1)) {
            self.fit = Fit::new(&self.memory);
        }
        Ok(())
    }

    /// What the task with these features will use.
    ///
    /// # Errors
    /// An [`Abstention`] says why there is no prediction.
    pub fn predict(&self, features: &Features) -> Result<Prediction, Abstention> {
        let own;
        let fit = match &self.fit {
            Some(fit) => fit,
            None => {
                own = Fit::new(&self.memory).ok_or(Abstention::NoHistory)?;
                &own
            }
        };
        let x: Vec<Option<f64>> = self
            .memory
            .slots()
            .iter()
            .map(|name| features.get(name))
            .collect();
        self.in_range(fit, &x)?;
        let atoms = atoms(fit, &x);
        let predictive = self
            .calibration
            .apply(&atoms)
            .ok_or(Abstention::NoHistory)?;
        Ok(Prediction {
            quantiles: predictive.quantiles(),
            predictive,
            n: self.since_change,
            spread: fit.spread.max(FLOOR),
            models: fit
                .models
                .iter()
                .map(|m| {
                    let feature = m.kind.slot().map(|s| self.memory.slots()[s].clone());
                    (m.kind.name(), feature, m.weight)
                })
                .collect(),
            changed: self.changed_at,
        })
    }

    fn refresh(&mut self) {
        if self.fit.is_none() {
            self.fit = Fit::new(&self.memory);
        }
    }

    fn slots_of(&mut self, features: &Features) -> Vec<Option<f64>> {
        let mut x = Vec::new();
        for (name, value) in features.iter() {
            if let Some(slot) = self.memory.slot(name) {
                if x.len() <= slot {
                    x.resize(slot + 1, None);
                }
                x[slot] = Some(value);
            }
        }
        x
    }

    fn raw(&self, x: &[Option<f64>]) -> Option<Vec<(f64, f64)>> {
        self.fit.as_ref().map(|fit| atoms(fit, x))
    }

    /// Compares an outcome with what was forecast.
    fn judge(&mut self, atoms: &[(f64, f64)], value: f64) {
        // The middle of what lies at the value, so that ties count half below and half above.
        let (low, high) = (value * (1.0 - ROUNDING), value * (1.0 + ROUNDING));
        let below: f64 = atoms.iter().take_while(|a| a.0 < low).map(|a| a.1).sum();
        let at: f64 = atoms
            .iter()
            .filter(|a| a.0 >= low && a.0 <= high)
            .map(|a| a.1)
            .sum();
        let next = atoms.iter().find(|a| a.0 > high).map_or(0.0, |a| a.1);
        let rank = (below + if at > 0.0 { at / 2.0 } else { next / 2.0 }).clamp(0.0, 1.0);
        self.calibration.update(rank, self.config.calibration_step);
        if self.since_change < 8 {
            return;
        }
        let found =
            self.change
                .update(rank, self.config.change_slack, self.config.change_threshold);
        if let Some(k) = found {
            self.memory.forget_before(k - 1);
            self.since_change = (k - 1) as u64;
            self.changed_at = Some(self.observed + 1 - k as u64);
            self.fit = None;
        }
    }

    /// Whether what was seen says anything about this task: a feature may lie above all that was
    /// seen only where a trend over it was found, or where it is known not to matter, or where
    /// another feature explains the amount. Below, the forecast errs to the safe side.
    fn in_range(&self, fit: &Fit, x: &[Option<f64>]) -> Result<(), Abstention> {
        let constant = fit
            .models
            .iter()
            .filter(|m| m.kind.slot().is_none())
            .map(|m| m.loss)
            .fold(f64::INFINITY, f64::min);
        let trend = |slot: usize| {
            let over = |m: &Model| m.kind.slot() == Some(slot) && m.loss < 0.5 * constant;
            fit.n >= 5 && fit.models.iter().any(over)
        };
        if (0..fit.ranges.len()).any(|s| trend(s) && x.get(s).is_some_and(Option::is_some)) {
            return Ok(());
        }
        for (slot, range) in fit.ranges.iter().enumerate() {
            let (Some((low, high)), Some(Some(x))) = (range, x.get(slot)) else {
                continue;
            };
            let outside = symlog(*x) - high;
            let flat = fit.n >= 5 && constant < 0.05 && high - low > 1.0;
            if outside > f64::ln(8.0).max(high - low) && !flat {
                return Err(Abstention::OutOfRange {
                    feature: self.memory.slots()[slot].clone(),
                    times: outside.exp(),
                    n: self.since_change,
                });
            }
        }
        Ok(())
    }
}

/// The raw predictive distribution, increasing values with weights that sum to 1.
fn atoms(fit: &Fit, x: &[Option<f64>]) -> Vec<(f64, f64)> {
    let Place {
        centre,
        scale,
        beyond,
    } = fit.place(x);
    // Each error weighs alike, one more is for the unseen: of that, what is above the largest;
    // and the smallest error's share is spread below it.
    const STEPS: [f64; 6] = [0.3, 0.6, 0.8, 0.9, 0.97, 1.0];
    let mass: f64 = fit.errors.iter().map(|e| e.1).sum::<f64>() + 1.0;
    let mut out = Vec::with_capacity(fit.errors.len() + 2 * STEPS.len());
    let (first, last) = match (fit.errors.first(), fit.errors.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => ((0.0, 1.0), (0.0, 1.0)),
    };
    for i in (0..STEPS.len()).rev() {
        let before = if i == 0 { 0.0 } else { STEPS[i - 1] };
        let middle = (STEPS[i] + before) / 2.0;
        // Exponential distance below the smallest.
        let depth = -(1.0 - middle).ln();
        out.push((
            first.0 - fit.head * depth,
            first.1 / mass * (STEPS[i] - before),
        ));
    }
    for (e, w) in fit.errors.iter().skip(1) {
        out.push((*e, w / mass));
    }
    for i in 0..STEPS.len() {
        let before = if i == 0 { 0.0 } else { STEPS[i - 1] };
        let depth = -(1.0 - STEPS[i].min(0.99)).ln();
        out.push((last.0 + fit.tail * depth, (STEPS[i] - before) / mass));
    }
    if beyond > 0.0 {
        // A coarse normal distribution around each.
        const NORMAL: [(f64, f64); 5] = [
            (-2.0, 0.06),
            (-1.0, 0.24),
            (0.0, 0.4),
            (1.0, 0.24),
            (2.0, 0.06),
        ];
        let step = beyond / scale;
        out = out
            .iter()
            .flat_map(|(e, w)| NORMAL.map(|(z, share)| (e + z * step, w * share)))
            .collect();
        out.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    }
    let total: f64 = out.iter().map(|a| a.1).sum();
    for a in &mut out {
        a.0 = (centre + scale * a.0).min(700.0).exp();
        a.1 /= total;
    }
    out
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3e} ({} tasks)", self.quantiles.p50(), self.n)
    }
}
