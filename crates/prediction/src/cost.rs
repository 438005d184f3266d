//! How much to ask for: the allocation of least expected cost.
//!
//! # Problem
//! A task needs an unknown peak `v` with a known distribution. An attempt with allocation `a`
//! that holds (`a ≥ v`) wastes `a − v` for the run time. One that doesn't wastes all of `a` until
//! it is killed, delays the task, and is followed by another attempt. A quantile picked by taste
//! ("p95") balances none of this: where the tail is thin a larger quantile costs next to nothing;
//! where one task in fifty needs ten times the memory, covering it wastes more than a retry.
//!
//! # Approach
//! The expected cost is piecewise linear in the allocation between the atoms of the distribution,
//! so that an optimum lies on an atom. With `G(j)` the least cost still to come once it is known
//! that `v` exceeds atom `j`,
//!
//! `G(j) = min over k > j of Σ_{j<i≤k} w_i (a_k − v_i) + Σ_{i>k} w_i (τ a_k + ρ v_i) + G(k)`
//!
//! where `τ` is the share of the run time until a failing attempt dies and `ρ` the penalty of a
//! failure in units of peak × run time. Solved backwards this gives the first allocation and the
//! whole ladder of retries in O(m²) for `m` atoms; more than 64 are thinned to steps of at most a
//! tenth of the remaining probability, and the first choice is then refined among all of them.
//!
//! For `ρ = 0` and retries straight to the maximum this is the rule of Tovar et al., "A Job Sizing
//! Strategy for High-Throughput Scientific Workflows" (IEEE TPDS 2018).

use foreshadow_quantity::Bytes;
use serde::{Deserialize, Serialize};

use crate::Predictive;

/// Up to so many atoms the solution is exact.
const FEW: usize = 64;

/// What over- and under-allocation cost, in units of bytes × run time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostModel {
    /// The extra cost of one failed attempt, in units of the task's peak × its run time: for lost
    /// time and trust, beyond the memory that the attempt held.
    pub failure_penalty: f64,
    /// The share of the run time after which an attempt with too little memory dies (0..=1).
    pub time_to_failure: f64,
    /// What is added at least to the chosen atom, relative: peaks of identical runs differ by a
    /// few pages.
    pub least_margin: f64,
    /// The most that can be allocated (the machine, the pool), if there is such a limit.
    pub limit: Option<Bytes>,
}

impl Default for CostModel {
    /// One peak × run time for a failure, which comes at the end of the run, 0.2 % least margin.
    fn default() -> Self {
        CostModel {
            failure_penalty: 1.0,
            time_to_failure: 1.0,
            least_margin: 0.002,
            limit: None,
        }
    }
}

/// An allocation, what to try if it fails, and what it is expected to cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// What to ask for.
    pub allocation: Bytes,
    /// What to ask for if that fails, and so on; empty where the distribution has nothing above
    /// (then double).
    pub retries: Vec<Bytes>,
    /// The probability that the first attempt fails.
    pub failure_probability: f64,
    /// Expected waste of all attempts in bytes (× run time), the penalty of failures left out.
    pub expected_waste: f64,
}

/// The allocation that minimises the expected cost under a predictive distribution of the peak in
/// bytes. Infinite and negative parameters of the model count as 0.
pub fn recommend(peak: &Predictive, model: &CostModel) -> Recommendation {
    let plan = Plan::new(peak, model);
    let chosen = plan.solve();
    let first = chosen[0];
    let scale = 1.0 + positive(model.least_margin);
    let limit = |a: f64| {
        let a = Bytes::from_f64((a * scale).ceil());
        model.limit.map_or(a, |l| a.min(l))
    };
    let allocation = limit(plan.value[first]);
    let mut retries: Vec<Bytes> = chosen[1..].iter().map(|&k| limit(plan.value[k])).collect();
    retries.dedup();
    retries.retain(|a| *a > allocation);
    Recommendation {
        allocation,
        retries,
        failure_probability: 1.0 - peak.cdf(allocation.as_f64()),
        expected_waste: plan.waste(&chosen),
    }
}

fn positive(x: f64) -> f64 {
    if x.is_finite() { x.max(0.0) } else { 0.0 }
}

/// The atoms with sums over them, and the price of failures.
struct Plan<'a> {
    value: &'a [f64],
    /// Probability of not exceeding the atom.
    below: &'a [f64],
    /// Sum of weight × value up to and with the atom.
    moment: Vec<f64>,
    tau: f64,
    rho: f64,
}

impl<'a> Plan<'a> {
    fn new(peak: &'a Predictive, model: &CostModel) -> Self {
        let mut sum = 0.0;
        let moment = peak
            .atoms()
            .map(|(v, w)| {
                sum += v * w;
                sum
            })
            .collect();
        Plan {
            value: peak.values(),
            below: peak.cumulative(),
            moment,
            tau: positive(model.time_to_failure).min(1.0),
            rho: positive(model.failure_penalty),
        }
    }

    /// Probability and moment of the atoms before `from` (None: nothing is known yet).
    fn before(&self, from: Option<usize>) -> (f64, f64) {
        from.map_or((0.0, 0.0), |j| (self.below[j], self.moment[j]))
    }

    /// The cost of an attempt at atom `k` when `v` is known to exceed atom `from`, what follows a
    /// failure left out; without the penalty where `rho` is 0.
    fn attempt(&self, from: Option<usize>, k: usize, rho: f64) -> f64 {
        let (p, m) = self.before(from);
        let last = self.moment[self.moment.len() - 1];
        let a = self.value[k];
        a * (self.below[k] - p) - (self.moment[k] - m)
            + self.tau * a * (1.0 - self.below[k])
            + rho * (last - self.moment[k])
    }

    /// All atoms where they are few; else some at steps of at most a tenth of the remaining
    /// probability, always with the last.
    fn candidates(&self) -> Vec<usize> {
        if self.value.len() <= FEW {
            return (0..self.value.len()).collect();
        }
        let mut out = Vec::with_capacity(96);
        let mut above = 1.0;
        let last = self.value.len() - 1;
        for k in 0..last {
            // The step is taken from this atom if the next one would overshoot.
            if 1.0 - self.below[k + 1] < 0.9 * above || k == 0 {
                out.push(k);
                above = 1.0 - self.below[k];
            }
        }
        out.push(last);
        out
    }

    /// The chain of atoms of least expected cost: the first attempt and each retry.
    fn solve(&self) -> Vec<usize> {
        let at = self.candidates();
        let m = at.len();
        // Least cost to come after a failure at candidate c, and the candidate to try then.
        let mut cost = vec![0.0; m];
        let mut next = vec![m; m];
        let best_after = |from: Option<usize>, first: usize, cost: &[f64]| {
            let mut best = (f64::INFINITY, m - 1);
            for c in first..m {
                let total = self.attempt(from, at[c], self.rho) + cost[c];
                if total < best.0 {
                    best = (total, c);
                }
            }
            best
        };
        for c in (0..m - 1).rev() {
            let (total, choice) = best_after(Some(at[c]), c + 1, &cost);
            cost[c] = total;
            next[c] = choice;
        }
        let (mut total, coarse) = best_after(None, 0, &cost);
        let mut first = at[coarse];
        let mut follow = next[coarse];
        // Among the atoms between its neighbours there may be a better one.
        let low = if coarse == 0 { 0 } else { at[coarse - 1] + 1 };
        let high = if coarse + 1 < m {
            at[coarse + 1]
        } else {
            at[coarse]
        };
        for k in low..high {
            let after = at.partition_point(|a| *a <= k);
            if k == at[coarse] || after >= m {
                continue;
            }
            let (later, choice) = best_after(Some(k), after, &cost);
            let here = self.attempt(None, k, self.rho) + later;
            if here < total {
                (total, first, follow) = (here, k, choice);
            }
        }
        let mut chain = vec![first];
        while follow < m {
            chain.push(at[follow]);
            follow = next[follow];
        }
        chain
    }

    fn waste(&self, chain: &[usize]) -> f64 {
        let mut from = None;
        let mut sum = 0.0;
        for &k in chain {
            sum += self.attempt(from, k, 0.0);
            from = Some(k);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn no_margin() -> CostModel {
        CostModel {
            least_margin: 0.0,
            ..CostModel::default()
        }
    }

    /// Cost of a ladder by definition, atom by atom.
    fn cost(p: &Predictive, ladder: &[f64], model: &CostModel) -> f64 {
        p.atoms()
            .map(|(v, w)| {
                let mut sum = 0.0;
                for a in ladder {
                    if *a >= v {
                        return w * (sum + a - v);
                    }
                    sum += model.time_to_failure * a + model.failure_penalty * v;
                }
                f64::INFINITY
            })
            .sum()
    }

    #[test]
    fn a_certain_peak_gets_the_least_margin() {
        let p = Predictive::exactly(1e9).unwrap();
        let r = recommend(&p, &CostModel::default());
        assert_eq!(r.allocation, Bytes::new(1_002_000_000));
        assert!(r.retries.is_empty());
        assert_eq!(r.failure_probability, 0.0);
    }

    #[test]
    fn a_rare_giant_is_left_to_a_retry_and_a_common_one_is_not() {
        let with = |share: f64| {
            let p = Predictive::from_weighted(vec![(1e9, 1.0 - share), (50e9, share)]).unwrap();
            recommend(&p, &no_margin())
        };
        let rare = with(0.01);
        assert_eq!(rare.allocation, Bytes::new(1_000_000_000));
        assert_eq!(rare.retries, vec![Bytes::new(50_000_000_000)]);
        assert!((rare.failure_probability - 0.01).abs() < 1e-9);
        assert_eq!(with(0.6).allocation, Bytes::new(50_000_000_000));
    }

    #[test]
    fn the_limit_bounds_every_attempt() {
        let p = Predictive::from_weighted(vec![(1e9, 0.99), (50e9, 0.01)]).unwrap();
        let r = recommend(
            &p,
            &CostModel {
                limit: Some(Bytes::new(2_000_000_000)),
                ..no_margin()
            },
        );
        assert_eq!(r.retries, vec![Bytes::new(2_000_000_000)]);
    }

    proptest! {
        #[test]
        fn no_other_ladder_of_two_is_cheaper(
            pairs in proptest::collection::vec((1.0_f64..1e3, 0.01_f64..1.0), 1..9),
            rho in 0.0_f64..3.0,
        ) {
            let p = Predictive::from_weighted(pairs).unwrap();
            let model = CostModel { failure_penalty: rho, ..no_margin() };
            let plan = Plan::new(&p, &model);
            let chain: Vec<f64> = plan.solve().iter().map(|k| p.values()[*k]).collect();
            let ours = cost(&p, &chain, &model);
            for a in p.values() {
                for b in p.values() {
                    prop_assert!(ours <= cost(&p, &[*a, *b, p.largest()], &model) + 1e-6);
                }
            }
            let r = recommend(&p, &CostModel { failure_penalty: 0.0, ..model });
            prop_assert!(r.expected_waste >= 0.0);
        }

        #[test]
        fn a_dearer_failure_never_lowers_the_chance_to_hold(
            values in proptest::collection::vec(1.0_f64..1e6, 1..300),
        ) {
            let p = Predictive::from_weighted(values.iter().map(|v| (*v, 1.0)).collect()).unwrap();
            let at = |rho| recommend(&p, &CostModel { failure_penalty: rho, ..no_margin() });
            let (cheap, dear) = (at(0.5), at(8.0));
            prop_assert!(dear.failure_probability <= cheap.failure_probability + 0.11);
        }
    }
}
