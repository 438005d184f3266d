use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use crate::format::Content;
use crate::input::{AnyBytes, Input, Kind, Role, Tree, walk};

use super::directory;
use super::plan::{Plan, Treatment, minor};
use super::random::Random;
use super::source::Source;
use super::{ContentSize, SampleError, SampleReport, Strategy};

/// Open files kept between samples, at most.
const KEPT: usize = 200;
/// Tables up to this size are counted to see whether they have as many rows as another.
const COUNTED: u64 = 64 << 20;
/// Having as many rows as another table says nothing where they are fewer.
const FEW: u64 = 100;
/// Of more inputs than this no groups are sought: a command that takes so many treats them alike.
const COMPARED: usize = 16;

/// Makes samples of a command's inputs: again and again, of growing fractions, without looking at
/// the same things twice.
#[derive(Debug)]
pub struct Samples {
    slots: Vec<Slot>,
    seed: u64,
    any_bytes: AnyBytes,
    plan: Option<Plan>,
}

#[derive(Debug)]
struct Slot {
    input: Input,
    source: Option<Source>,
    tree: Option<Tree>,
    /// Records to take of a whole group are a fraction of this.
    group_records: Option<f64>,
}

impl Samples {
    /// For these inputs, by their numbers in this order. Nothing is read yet. The same `seed`
    /// gives the same samples.
    pub fn new(inputs: &[Input], seed: u64) -> Self {
        Samples {
            slots: inputs
                .iter()
                .map(|input| Slot {
                    input: input.clone(),
                    source: None,
                    tree: None,
                    group_records: None,
                })
                .collect(),
            seed,
            any_bytes: AnyBytes::No,
            plan: None,
        }
    }

    /// What smaller inputs must keep for the command to work on them; by default their format (see
    /// [`crate::input::takes_any_bytes`]).
    #[must_use]
    pub fn with_any_bytes(mut self, any_bytes: AnyBytes) -> Self {
        self.any_bytes = any_bytes;
        self
    }

    fn slot(&mut self, index: usize) -> Result<&mut Slot, SampleError> {
        let count = self.slots.len();
        self.slots
            .get_mut(index)
            .ok_or(SampleError::NoSuchInput { index, count })
    }

    /// The prepared file of an input, opened if need be. It goes back by [`Samples::put_back`].
    fn take_source(&mut self, index: usize) -> Result<Source, SampleError> {
        let any_bytes = self.any_bytes;
        let slot = self.slot(index)?;
        match slot.source.take() {
            Some(source) => Ok(source),
            None => Source::open(&slot.input.real, any_bytes),
        }
    }

    fn put_back(&mut self, index: usize, source: Source) {
        if index < KEPT {
            self.slots[index].source = Some(source);
        }
    }

    /// The uncompressed size of an input's content.
    ///
    /// # Errors
    /// Where it can't be read or isn't a file that can be sampled.
    pub fn content(&mut self, index: usize) -> Result<ContentSize, SampleError> {
        let slot = self.slot(index)?;
        if matches!(slot.input.kind, Kind::Directory { .. }) {
            return Ok(ContentSize {
                bytes: slot.input.bytes.get(),
                exact: true,
            });
        }
        let source = self.take_source(index)?;
        let size = source.content();
        self.put_back(index, source);
        Ok(size)
    }

    /// The estimated number of an input's records; for a directory, of its files. `None` where its
    /// content has no records.
    ///
    /// # Errors
    /// As [`Samples::content`].
    pub fn records(&mut self, index: usize) -> Result<Option<f64>, SampleError> {
        let slot = self.slot(index)?;
        if let Kind::Directory { files } = slot.input.kind {
            #[expect(clippy::cast_precision_loss, reason = "a count of files")]
            return Ok(Some(files as f64));
        }
        let source = self.take_source(index)?;
        let records = source.records();
        self.put_back(index, source);
        Ok(records)
    }

    /// Decides which inputs shrink, and which of them together. Data in proportion to its size is
    /// what a command's work depends on, so all of it shrinks by the same fraction; but the
    /// smallest inputs stay whole as long as they are at most 5 % of all data together (20 %, as
    /// far as each is below 256 KiB).
    pub fn plan(&mut self) -> Plan {
        if let Some(plan) = &self.plan {
            return plan.clone();
        }
        let plan = self.make_plan();
        self.plan = Some(plan.clone());
        plan
    }

    fn make_plan(&mut self) -> Plan {
        let mut treatments = Vec::new();
        let reads = (0..self.slots.len()).any(|i| self.holds(i, Content::Fastq));
        // Data that can shrink, and the bytes of all data.
        let mut candidates = Vec::new();
        let mut sizes = Vec::new();
        let mut everything = 0_u64;
        for index in 0..self.slots.len() {
            let input = &self.slots[index].input;
            if input.role != Role::Data {
                treatments.push(Treatment::Whole("it isn't data".into()));
                continue;
            }
            let mut bytes = input.bytes.get();
            // Reads are compared with sequences that stay the same however many reads there are.
            let reference = reads && self.holds(index, Content::Fasta);
            let why = reference.then(|| "reads are compared with it".to_owned());
            match why.or_else(|| self.why_whole(index)) {
                Some(why) => treatments.push(Treatment::Whole(why)),
                None => {
                    bytes = self.content(index).map_or(bytes, |c| c.bytes);
                    candidates.push(index);
                    sizes.push(bytes);
                    treatments.push(Treatment::Sampled);
                }
            }
            everything += bytes;
        }
        let mut is_minor = minor(&sizes);
        // A minor input that goes row by row with a major one shrinks with it.
        let groups = self.groups(&candidates, &is_minor);
        for &(member, leader) in &groups {
            treatments[member] = Treatment::Together(leader);
        }
        let mut shrinks = 0_u64;
        for (position, &index) in candidates.iter().enumerate() {
            is_minor[position] &= treatments[index] == Treatment::Sampled;
            if is_minor[position] {
                treatments[index] = Treatment::Minor;
            } else {
                shrinks += sizes[position];
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let coverage = shrinks as f64 / everything.max(1) as f64;
        Plan {
            treatments,
            coverage,
        }
    }

    fn holds(&self, index: usize, content: Content) -> bool {
        matches!(&self.slots[index].input.kind, Kind::File(format) if format.content == content)
    }

    fn why_whole(&mut self, index: usize) -> Option<String> {
        match &self.slots[index].input.kind {
            Kind::Unreadable(why) => Some(why.to_string()),
            Kind::Directory { files: 0 } => Some("it holds no files".into()),
            Kind::Directory { .. } => None,
            Kind::File(_) => match self.take_source(index) {
                Ok(source) if source.body.bytes == 0 => Some("it holds no records".into()),
                Ok(source) => {
                    self.put_back(index, source);
                    None
                }
                Err(SampleError::Unsupported { reason, .. }) => Some(reason),
                Err(e) => Some(e.to_string()),
            },
        }
    }

    /// Inputs whose records belong together, each with the first of its group. Groups of minor
    /// inputs only are none.
    fn groups(&mut self, indices: &[usize], minor: &[bool]) -> Vec<(usize, usize)> {
        if !(2..=COMPARED).contains(&indices.len()) {
            return Vec::new();
        }
        let keys: Vec<Option<Key>> = indices.iter().map(|&i| self.key(i)).collect();
        let mut members = Vec::new();
        for (first, key) in keys.iter().enumerate() {
            let Some(key) = key else { continue };
            let same = |k: &Option<Key>| k.as_ref().is_some_and(|k| k.fits(key));
            if keys[..first].iter().any(same) {
                continue;
            }
            let group: Vec<usize> = (first..keys.len()).filter(|&p| same(&keys[p])).collect();
            if group.len() < 2 || group.iter().all(|&p| minor[p]) {
                continue;
            }
            let leader = indices[first];
            let records = match key {
                #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
                Key::Rows(n, _) => Some(*n as f64),
                Key::Read(_) | Key::Lines(_) => self.records(leader).ok().flatten(),
            };
            for position in group {
                let member = indices[position];
                self.slots[member].group_records = records;
                members.push((member, leader));
            }
        }
        members
    }

    fn key(&mut self, index: usize) -> Option<Key> {
        let source = self.take_source(index).ok()?;
        let key = match source.first_read() {
            Ok(Some(name)) => Some(Key::Read(name)),
            _ => {
                let lines = source.first_lines().ok()?;
                match source.count_records(COUNTED).ok().flatten() {
                    Some(n) if n >= FEW => Some(Key::Rows(n, lines)),
                    _ => Some(Key::Lines(lines)),
                }
            }
        };
        self.put_back(index, source);
        key
    }

    /// Writes a sample of a file's content to `out`: about `fraction` of it, by `strategy` or the
    /// nearest that the file allows (the report tells which). Inputs that belong together, by the
    /// plan, get the same records for the same fraction.
    ///
    /// # Errors
    /// [`SampleError`] tells them apart. What was written until then is no valid sample.
    pub fn write(
        &mut self,
        index: usize,
        fraction: f64,
        strategy: Strategy,
        out: &mut dyn Write,
    ) -> Result<SampleReport, SampleError> {
        check(fraction)?;
        if self.slots.len() > 1 {
            self.plan();
        }
        let records = self.slot(index)?.group_records;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, not negative"
        )]
        let records = records
            .filter(|_| fraction < 1.0)
            .map(|n| (n * fraction).round().max(1.0) as u64);
        let mut random = self.random(fraction, strategy);
        let any_bytes = self.any_bytes;
        let mut source = self.take_source(index)?;
        let report = source.write(fraction, records, strategy, any_bytes, &mut random, out);
        self.put_back(index, source);
        report
    }

    /// Makes a smaller copy of a directory at `destination`, which is created. Files are left out
    /// or shortened, by their sizes; directories, links, modes and times stay. Files named in
    /// `keep` stay whole, and so do hidden ones if they are few.
    ///
    /// The report's records are the files that are there.
    ///
    /// # Errors
    /// As [`Samples::write`].
    pub fn write_directory(
        &mut self,
        index: usize,
        fraction: f64,
        strategy: Strategy,
        destination: &Path,
        keep: &[OsString],
    ) -> Result<SampleReport, SampleError> {
        check(fraction)?;
        let mut random = self.random(fraction, strategy);
        let any_bytes = self.any_bytes;
        let slot = self.slot(index)?;
        let root = slot.input.real.clone();
        if slot.tree.is_none() {
            let tree = walk(&root).map_err(|source| SampleError::Read {
                path: root.clone(),
                source,
            })?;
            slot.tree = Some(tree.map_err(|seen| SampleError::Unsupported {
                path: root.clone(),
                reason: format!("it has more than {seen} entries"),
            })?);
        }
        let Some(tree) = &slot.tree else {
            return Err(SampleError::NoSuchInput { index, count: 0 });
        };
        directory::Job {
            root: &root,
            tree,
            fraction,
            strategy,
            any_bytes,
            keep,
        }
        .write(destination, &mut random)
    }

    /// The same for all inputs: so records are taken from the same places of each, and tables
    /// that are sorted alike still meet.
    fn random(&self, fraction: f64, strategy: Strategy) -> Random {
        Random::new(self.seed, &[fraction.to_bits(), strategy as u64])
    }
}

/// By what inputs are seen to belong together.
enum Key {
    /// The name of the first read.
    Read(Vec<u8>),
    /// The number of rows, and the first ones.
    Rows(u64, Vec<Vec<u8>>),
    /// The first rows, where they weren't counted.
    Lines(Vec<Vec<u8>>),
}

impl Key {
    /// Mates, tables row by row, or two versions of one text.
    fn fits(&self, other: &Key) -> bool {
        match (self, other) {
            (Key::Read(a), Key::Read(b)) => a == b,
            (Key::Rows(a, _), Key::Rows(b, _)) if a == b => true,
            (Key::Rows(_, a) | Key::Lines(a), Key::Rows(_, b) | Key::Lines(b)) => {
                let common = a.iter().filter(|line| b.contains(line)).count();
                common >= 8 && 2 * common >= a.len().max(b.len())
            }
            _ => false,
        }
    }
}

fn check(fraction: f64) -> Result<(), SampleError> {
    if fraction > 0.0 && fraction <= 1.0 {
        Ok(())
    } else {
        Err(SampleError::Fraction(fraction))
    }
}
