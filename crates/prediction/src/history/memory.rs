//! A bounded memory of observations: the recent ones, and a uniform sample of the older ones.

use serde::{Deserialize, Serialize};

/// Most features a learner looks at.
pub(super) const MAX_FEATURES: usize = 8;

/// One remembered observation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Natural logarithm of the amount (imputed above the bound, where it was censored).
    pub ly: f64,
    /// 1, or less for an imputed one.
    pub weight: f64,
    /// By feature slot; None where it was missing. May be shorter than the list of slots.
    pub x: Box<[Option<f64>]>,
}

impl Seen {
    pub fn x(&self, slot: usize) -> Option<f64> {
        self.x.get(slot).copied().flatten()
    }
}

/// The last `capacity / 2` observations, and as many drawn uniformly from those before (reservoir
/// sampling, Vitter's algorithm R), with a generator of its own so that replays are repeatable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Oldest first; short, so that taking from its front is cheap.
    recent: Vec<Seen>,
    older: Vec<Seen>,
    /// How many have passed through to the older ones.
    passed: u64,
    random: u64,
    slots: Vec<String>,
}

impl Memory {
    pub fn new() -> Self {
        Memory {
            recent: Vec::new(),
            older: Vec::new(),
            passed: 0,
            random: 0x9E37_79B9_7F4A_7C15,
            slots: Vec::new(),
        }
    }

    /// Names of the feature slots.
    pub fn slots(&self) -> &[String] {
        &self.slots
    }

    /// The slot of a feature; a new name takes a free slot, or that of a feature which no
    /// remembered observation has any more, or none.
    pub fn slot(&mut self, name: &str) -> Option<usize> {
        if let Some(i) = self.slots.iter().position(|s| s == name) {
            return Some(i);
        }
        if self.slots.len() < MAX_FEATURES {
            self.slots.push(name.to_owned());
            return Some(self.slots.len() - 1);
        }
        let unused = (0..self.slots.len()).find(|i| self.iter().all(|s| s.x(*i).is_none()))?;
        name.clone_into(&mut self.slots[unused]);
        Some(unused)
    }

    pub fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    /// All that is remembered, the most recent last.
    pub fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.older.iter().chain(&self.recent)
    }

    pub fn push(&mut self, seen: Seen, capacity: usize) {
        let half = (capacity / 2).max(1);
        if self.recent.len() >= half {
            let old = self.recent.remove(0);
            self.passed += 1;
            if self.older.len() < half {
                self.older.push(old);
            } else {
                let at = self.draw() % self.passed;
                if let Some(place) = usize::try_from(at).ok().and_then(|i| self.older.get_mut(i)) {
                    *place = old;
                }
            }
        }
        self.recent.push(seen);
    }

    /// Forgets all but the last `keep` observations.
    pub fn forget_before(&mut self, keep: usize) {
        self.older.clear();
        self.passed = 0;
        let drop = self.recent.len().saturating_sub(keep);
        self.recent.drain(..drop);
    }

    /// xorshift64*, by Vigna: repeatable, and good enough to choose what to forget.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }
}
