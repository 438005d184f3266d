//! Puts the samples of one rung where its shadow looks for the inputs.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use foreshadow_environment::isolation::Sandbox;
use foreshadow_quantity::Bytes;

use crate::error::ShadowError;
use crate::input::{Input, Kind, Origin};
use crate::sample::{SampleReport, Samples, Strategy};

/// What was put into a sandbox.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// The fraction of the content that the samples hold together, weighted by size; `None` where
    /// nothing was sampled.
    pub fraction: Option<f64>,
    /// Bytes of the samples of files, as stored.
    pub bytes: Bytes,
    pub notes: Vec<String>,
    sampled: f64,
    whole: f64,
}

pub(crate) struct Filler<'a> {
    inputs: &'a [Input],
    samples: &'a mut Samples,
    fraction: f64,
    strategy: Strategy,
    indices: Vec<usize>,
    filled: Filled,
}

impl<'a> Filler<'a> {
    pub fn new(
        inputs: &'a [Input],
        samples: &'a mut Samples,
        fraction: f64,
        strategy: Strategy,
    ) -> Self {
        let indices = samples.plan().sampled().collect();
        Filler {
            inputs,
            samples,
            fraction,
            strategy,
            indices,
            filled: Filled::default(),
        }
    }

    /// Whether a directory shrinks: its files are worked on one after the other.
    pub fn parts(&self) -> bool {
        let directory = |i: &usize| matches!(self.inputs[*i].kind, Kind::Directory { .. });
        self.indices.iter().any(directory)
    }

    /// The files whose reading tells the progress; none where a directory shrinks, since its files
    /// are too many to follow.
    pub fn watched(&self) -> Vec<PathBuf> {
        if self.parts() {
            return Vec::new();
        }
        self.indices
            .iter()
            .map(|&i| self.inputs[i].real.clone())
            .collect()
    }

    /// A sample of what is on standard input, if a file is.
    pub fn stdin(&mut self) -> Result<Option<File>, ShadowError> {
        let Some(index) = self
            .inputs
            .iter()
            .position(|i| i.origin == Origin::Stdin && matches!(i.kind, Kind::File(_)))
        else {
            return Ok(None);
        };
        if !self.indices.contains(&index) {
            let file = File::open(&self.inputs[index].real).map_err(ShadowError::StandardInput)?;
            return Ok(Some(file));
        }
        let mut file = tempfile::tempfile().map_err(ShadowError::StandardInput)?;
        let report = self.write(index, &mut file)?;
        self.count(index, &report);
        file.seek(SeekFrom::Start(0))
            .map_err(ShadowError::StandardInput)?;
        Ok(Some(file))
    }

    /// Puts all samples but that of standard input into the sandbox.
    pub fn fill(&mut self, sandbox: &Sandbox) -> Result<(), ShadowError> {
        for index in self.indices.clone() {
            let input = &self.inputs[index];
            if input.origin == Origin::Stdin {
                continue;
            }
            let report = if let Kind::Directory { .. } = input.kind {
                sandbox.place_dir(&input.real)?;
                let dir = sandbox.open_dir(&input.real)?;
                let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
                self.samples
                    .write_directory(index, self.fraction, self.strategy, &path, &[])?
            } else {
                let mut file = sandbox.place(&input.real)?;
                self.write(index, &mut file)?
            };
            self.count(index, &report);
        }
        Ok(())
    }

    fn write(&mut self, index: usize, file: &mut File) -> Result<SampleReport, ShadowError> {
        let mut out = BufWriter::with_capacity(256 << 10, file);
        let report = self
            .samples
            .write(index, self.fraction, self.strategy, &mut out)?;
        out.flush().map_err(ShadowError::StandardInput)?;
        Ok(report)
    }

    fn count(&mut self, index: usize, report: &SampleReport) {
        if !matches!(self.inputs[index].kind, Kind::Directory { .. }) {
            self.filled.bytes = self.filled.bytes + report.bytes;
        }
        #[expect(clippy::cast_precision_loss, reason = "sizes of files")]
        let content = self.samples.content(index).map_or(0.0, |c| c.bytes as f64);
        self.filled.sampled += report.fraction * content;
        self.filled.whole += content;
        for note in &report.notes {
            self.filled
                .notes
                .push(format!("{}: {note}", self.inputs[index].path.display()));
        }
    }

    pub fn done(mut self) -> Filled {
        if self.filled.whole > 0.0 {
            self.filled.fraction =
                Some((self.filled.sampled / self.filled.whole).clamp(1e-12, 1.0));
        }
        self.filled
    }
}

/// The file behind an open descriptor, from its start and with a position of its own; `None` where
/// it is no regular file.
pub(crate) fn reopen(file: &File) -> Result<Option<File>, ShadowError> {
    let regular = file.metadata().is_ok_and(|m| m.is_file());
    if !regular {
        return Ok(None);
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::open(path)
        .map(Some)
        .map_err(|e: io::Error| ShadowError::StandardInput(e))
}
