use super::{Known, Method, Outcome};

/// The target of the Kubernetes Vertical Pod Autoscaler's recommender with its default settings:
/// the 90th percentile of a decaying histogram of peaks (half-life 24 h; buckets from 10 MB on
/// that grow by 5 %), plus 15 %, at least 250 MiB. After an out-of-memory kill the larger of
/// 1.2 times and 100 MiB more. One task counts as one peak.
#[derive(Clone, Debug, Default)]
pub struct Vpa {
    /// Weights by bucket, relative to `reference`.
    weights: Vec<f64>,
    total: f64,
    reference: Option<f64>,
}

const FIRST: f64 = 1e7;
const GROWTH: f64 = 1.05;
const HALF_LIFE: f64 = 86400.0;
const PERCENTILE: f64 = 0.9;
const MARGIN: f64 = 1.15;
const LEAST: f64 = 250.0 * 1_048_576.0;
const BUMP: f64 = 100.0 * 1_048_576.0;
/// 10 MB × 1.05^n reaches 1 TB at 176 buckets, which is the recommender's last.
const BUCKETS: usize = 177;

impl Vpa {
    /// Start of a bucket: the sum of the widths of those before.
    fn start(bucket: usize) -> f64 {
        // At most 177, exact in an i32.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            reason = "small"
        )]
        let n = bucket as i32;
        FIRST * (GROWTH.powi(n) - 1.0) / (GROWTH - 1.0)
    }

    fn bucket(peak: f64) -> usize {
        let n = ((peak * (GROWTH - 1.0) / FIRST + 1.0).ln() / GROWTH.ln()).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded"
        )]
        let n = n.clamp(0.0, 176.0) as usize;
        n
    }
}

impl Method for Vpa {
    fn first(&mut self, _task: &Known<'_>) -> Option<f64> {
        if self.total <= 0.0 {
            return None;
        }
        let mut sum = 0.0;
        let mut bucket = 0;
        for (i, w) in self.weights.iter().enumerate() {
            sum += w;
            bucket = i;
            if sum >= PERCENTILE * self.total {
                break;
            }
        }
        // The recommender takes the end of the bucket.
        Some((Vpa::start(bucket + 1) * MARGIN).max(LEAST))
    }

    fn retry(&mut self, failed: f64, _attempt: u32) -> f64 {
        (failed * 1.2).max(failed + BUMP)
    }

    fn observe(&mut self, task: &Known<'_>, outcome: &Outcome) {
        let reference = *self.reference.get_or_insert(task.at);
        let mut exponent = (task.at - reference) / HALF_LIFE;
        // Weights double every day: before they overflow, all are halved and the reference moves.
        if exponent > 100.0 {
            let factor = (-exponent).exp2();
            for w in &mut self.weights {
                *w *= factor;
            }
            self.total *= factor;
            self.reference = Some(task.at);
            exponent = 0.0;
        }
        if self.weights.is_empty() {
            self.weights = vec![0.0; BUCKETS];
        }
        let weight = exponent.max(-1000.0).exp2();
        self.weights[Vpa::bucket(outcome.peak)] += weight;
        self.total += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_the_bucket_with_a_margin() {
        let mut v = Vpa::default();
        let known = Known {
            names: &[],
            values: &[],
            requested: None,
            at: 0.0,
        };
        assert_eq!(v.first(&known), None);
        for _ in 0..10 {
            v.observe(
                &known,
                &Outcome {
                    peak: 1e9,
                    seconds: 1.0,
                    complete: true,
                },
            );
        }
        let a = v.first(&known).unwrap();
        assert!(a > 1.15e9 && a < 1.15e9 * 1.06, "{a}");
        // A hundred days later the past has no weight any more, and nothing overflows.
        let later = Known {
            at: 86400.0 * 2000.0,
            ..known
        };
        v.observe(
            &later,
            &Outcome {
                peak: 2e9,
                seconds: 1.0,
                complete: true,
            },
        );
        assert!(v.first(&later).unwrap() > 2.3e9);
    }
}
