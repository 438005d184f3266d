//! Which of a command's inputs shrink together, and which stay whole.

/// What happens to one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It shrinks to the fraction.
    Sampled,
    /// It shrinks record for record with the input of this number (the same for all of a group,
    /// that one included): mates of paired reads, or tables with one row for one row.
    Together(usize),
    /// It stays whole, since it is a minor part of all data. A dictionary or a list of names must
    /// be complete, and costs little.
    Minor,
    /// It stays whole: it isn't data, or can't be sampled, for this reason.
    Whole(String),
}

/// What happens to each input.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One for each input, in their order.
    pub treatments: Vec<Treatment>,
    /// The share of all data, by uncompressed size, that shrinks with the fraction: below 1 where
    /// something stays whole. Samples say little about a command when this is low.
    pub coverage: f64,
}

impl Plan {
    /// The numbers of the inputs that shrink.
    pub fn sampled(&self) -> impl Iterator<Item = usize> + '_ {
        self.treatments
            .iter()
            .enumerate()
            .filter(|(_, t)| matches!(t, Treatment::Sampled | Treatment::Together(_)))
            .map(|(i, _)| i)
    }

    /// Whether anything shrinks.
    pub fn is_useful(&self) -> bool {
        self.sampled().next().is_some()
    }
}

/// The smallest inputs stay whole while together they are at most this share of all data ...
const MINOR_SHARE: f64 = 0.05;
/// ... or this share, as far as each is below [`MINOR_SIZE`].
const SMALL_SHARE: f64 = 0.2;
const MINOR_SIZE: u64 = 256 << 10;

/// Which of the inputs with these sizes are minor. The largest never is.
#[expect(clippy::cast_precision_loss, reason = "shares")]
pub(crate) fn minor(sizes: &[u64]) -> Vec<bool> {
    let total: u64 = sizes.iter().sum();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&i| sizes[i]);
    let mut minor = vec![false; sizes.len()];
    let mut sum = 0;
    order.pop();
    for i in order {
        sum += sizes[i];
        let share = sum as f64 / total.max(1) as f64;
        minor[i] = share <= MINOR_SHARE || (sizes[i] < MINOR_SIZE && share <= SMALL_SHARE);
    }
    minor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_stay_whole_but_many_equals_do_not() {
        assert_eq!(minor(&[100 << 20, 1 << 20, 200 << 10]), [false, true, true]);
        assert_eq!(minor(&[50 << 20, 50 << 20]), [false, false]);
        let equals = minor(&[100 << 10; 1000]);
        assert!(equals.iter().filter(|m| **m).count() <= 200);
        assert_eq!(minor(&[10]), [false]);
        assert_eq!(minor(&[]), [] as [bool; 0]);
    }
}
