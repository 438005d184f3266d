use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The digits, in the order of their ASCII codes (Crockford's base 32: no I, L, O, U).
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 50 bits of time and 50 random ones.
const LENGTH: usize = 20;

/// The name of a task: 20 characters, unique, and sorting as the times of their making do.
///
/// The first ten hold milliseconds since 1970, the others are random: a million tasks within the
/// same millisecond collide with a probability of 0.04 %, and a collision is refused by the
/// database and drawn again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

impl TaskId {
    /// A new name, from the clock and from the kernel's random numbers.
    pub fn new() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Self::from_parts(millis, random())
    }

    fn from_parts(millis: u64, random: u64) -> Self {
        let digit = |bits: u64, place: usize| {
            let value = (bits >> (5 * place)) & 31;
            // `value` is below 32.
            char::from(DIGITS[usize::try_from(value).unwrap_or(0)])
        };
        TaskId(
            (0..LENGTH / 2)
                .rev()
                .map(|place| digit(millis, place))
                .chain((0..LENGTH / 2).rev().map(|place| digit(random, place)))
                .collect(),
        )
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TaskId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is no name of a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not the name of a task (20 lower-case letters and digits)")]
pub struct ParseTaskIdError {
    given: String,
}

impl FromStr for TaskId {
    type Err = ParseTaskIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s.len() == LENGTH && s.bytes().all(|b| DIGITS.contains(&b)) {
            Ok(TaskId(s.to_owned()))
        } else {
            Err(ParseTaskIdError {
                given: s.to_owned(),
            })
        }
    }
}

fn random() -> u64 {
    let mut bytes = [0_u8; 8];
    let read = File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    if read.is_ok() {
        return u64::from_ne_bytes(bytes);
    }
    // Without /dev: the standard library's hash keys come from the kernel as well.
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_read_back() {
        let early = TaskId::from_parts(1, u64::MAX);
        let late = TaskId::from_parts(1_764_000_000_000, 0);
        assert!(early < late);
        assert!(late < TaskId::from_parts(1_764_000_000_001, 0));
        assert_eq!(late.as_str().len(), LENGTH);
        assert_eq!(late.as_str().parse(), Ok(late.clone()));
        assert!("not a task".parse::<TaskId>().is_err());
        assert!("ILOU0000000000000000".parse::<TaskId>().is_err());
    }

    #[test]
    fn names_differ() {
        let mut names: Vec<TaskId> = (0..10_000).map(|_| TaskId::new()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 10_000);
    }
}
