//! Which processes belong together, from the process table alone.
//!
//! A process belongs if its parent does, if it was seen to belong before, or if it inherited the
//! variable that names the environment. The last finds those whose parents ended between two looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::process_table::{self, Io, Stat, State};

/// The variable by which processes are known where there are no control groups.
pub(crate) const VARIABLE: &str = "FORESHADOW_ENVIRONMENT";

/// A process this old that shows no variables has none, or is not to be looked at by us.
const SETTLED: Duration = Duration::from_secs(10);

/// Resources counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) cpu: Duration,
    pub(crate) faults: u64,
    pub(crate) major_faults: u64,
    pub(crate) io: Io,
}

impl Counted {
    fn of(stat: &Stat, io: Io) -> Self {
        Counted {
            cpu: stat.cpu + stat.children_cpu,
            faults: stat.faults,
            major_faults: stat.major_faults,
            io,
        }
    }

    fn add(&mut self, other: &Counted) {
        self.cpu += other.cpu;
        self.faults += other.faults;
        self.major_faults += other.major_faults;
        self.io.read_chars = self.io.read_chars + other.io.read_chars;
        self.io.write_chars = self.io.write_chars + other.io.write_chars;
        self.io.disk_read = self.io.disk_read + other.io.disk_read;
        self.io.disk_written = self.io.disk_written + other.io.disk_written;
    }

    /// Counters never fall, though what an ended process used may be lost between two looks.
    fn at_least(&mut self, other: &Counted) {
        self.cpu = self.cpu.max(other.cpu);
        self.faults = self.faults.max(other.faults);
        self.major_faults = self.major_faults.max(other.major_faults);
        self.io.read_chars = self.io.read_chars.max(other.io.read_chars);
        self.io.write_chars = self.io.write_chars.max(other.io.write_chars);
        self.io.disk_read = self.io.disk_read.max(other.io.disk_read);
        self.io.disk_written = self.io.disk_written.max(other.io.disk_written);
    }
}

/// A process that belongs.
#[derive(Clone, Copy, Debug)]
struct Member {
    stat: Stat,
    counted: Counted,
}

/// The processes that belong to one environment.
#[derive(Debug)]
pub(crate) struct Descent {
    /// `FORESHADOW_ENVIRONMENT=NAME`.
    variable: Vec<u8>,
    members: BTreeMap<u32, Member>,
    /// Looked at and found not to belong, by start time.
    strangers: BTreeMap<u32, u64>,
    /// What ended members had used that no living member has in its count of descendants.
    gone: Counted,
    most: Counted,
}

impl Descent {
    pub(crate) fn new(name: &str) -> Self {
        Descent {
            variable: format!("{VARIABLE}={name}").into_bytes(),
            members: BTreeMap::new(),
            strangers: BTreeMap::new(),
            gone: Counted::default(),
            most: Counted::default(),
        }
    }

    /// A process that belongs from the start.
    pub(crate) fn add_root(&mut self, pid: u32) {
        if let Some(stat) = process_table::stat(pid) {
            self.strangers.remove(&pid);
            self.admit(pid, stat);
        }
    }

    fn admit(&mut self, pid: u32, stat: Stat) {
        let before = self.members.get(&pid).map(|member| member.counted.io);
        let io = process_table::io(pid).or(before).unwrap_or_default();
        let counted = Counted::of(&stat, io);
        self.members.insert(pid, Member { stat, counted });
    }

    /// Looks at the process table again.
    pub(crate) fn look(&mut self) {
        let table: BTreeMap<u32, Stat> = process_table::all()
            .into_iter()
            .filter_map(|pid| Some((pid, process_table::stat(pid)?)))
            .collect();
        self.part_with_ended(&table);
        let mut belonging: BTreeSet<u32> = self.members.keys().copied().collect();
        self.strangers
            .retain(|pid, start| table.get(pid).is_some_and(|stat| stat.start == *start));
        for (pid, stat) in &table {
            if belonging.contains(pid) || self.strangers.contains_key(pid) {
                continue;
            }
            match self.judge(*pid, stat) {
                Some(true) => {
                    belonging.insert(*pid);
                }
                Some(false) => {
                    self.strangers.insert(*pid, stat.start);
                }
                None => {}
            }
        }
        // Children may have lower numbers than their parents, so go round until nobody is new.
        loop {
            let before = belonging.len();
            for (pid, stat) in &table {
                if belonging.contains(&stat.parent) {
                    belonging.insert(*pid);
                }
            }
            if belonging.len() == before {
                break;
            }
        }
        for pid in belonging {
            if let Some(stat) = table.get(&pid) {
                self.admit(pid, *stat);
            }
        }
        let mut now = self.gone;
        for member in self.members.values() {
            now.add(&member.counted);
        }
        self.most.at_least(&now);
    }

    /// Whether a process carries the variable; None where that cannot be told yet: in the middle of an
    /// exec it seems to have no variables, or may not be looked at.
    fn judge(&self, pid: u32, stat: &Stat) -> Option<bool> {
        if stat.is_kernel_thread {
            return Some(false);
        }
        match std::fs::read(format!("/proc/{pid}/environ")) {
            Ok(environ) if !environ.is_empty() => {
                Some(environ.split(|b| *b == 0).any(|v| v == self.variable))
            }
            _ => (process_table::age(stat) > SETTLED).then_some(false),
        }
    }

    /// Forgets members that ended, keeping what they used unless a parent that belongs has waited for
    /// them and so has it in its own count.
    fn part_with_ended(&mut self, table: &BTreeMap<u32, Stat>) {
        let ended: Vec<u32> = self
            .members
            .iter()
            .filter(|(pid, member)| {
                table
                    .get(pid)
                    .is_none_or(|stat| stat.start != member.stat.start)
            })
            .map(|(pid, _)| *pid)
            .collect();
        for pid in &ended {
            let Some(member) = self.members.get(pid) else {
                continue;
            };
            let parent = member.stat.parent;
            if !self.members.contains_key(&parent) {
                let counted = member.counted;
                self.gone.add(&counted);
            }
        }
        for pid in ended {
            self.members.remove(&pid);
        }
    }

    /// Those that have not ended, with their states.
    pub(crate) fn alive(&self) -> impl Iterator<Item = (u32, State)> {
        self.members
            .iter()
            .map(|(pid, member)| (*pid, member.stat.state))
            .filter(|(_, state)| !matches!(state, State::Zombie | State::Dead))
    }

    /// Their threads.
    pub(crate) fn threads(&self) -> u64 {
        self.members
            .values()
            .filter(|member| !matches!(member.stat.state, State::Zombie | State::Dead))
            .map(|member| member.stat.threads)
            .sum()
    }

    /// What they used so far.
    pub(crate) fn counted(&self) -> Counted {
        self.most
    }
}

/// The environment a process names in its variables.
pub(crate) fn named_by(pid: u32) -> Option<String> {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{VARIABLE}=");
    environ
        .split(|b| *b == 0)
        .find_map(|variable| variable.strip_prefix(prefix.as_bytes()))
        .and_then(|name| String::from_utf8(name.to_vec()).ok())
}
