//! Standard inputs that can't be read twice.

use std::os::fd::AsFd;

use super::{Generator, Ladder, Rung, Source};
use crate::error::ShadowError;
use crate::input::{self, Input, Kind, StandardInput, Unreadable};
use crate::run::ShadowInput;

impl Generator<'_> {
    /// What is on standard input and can't be read twice.
    pub(super) fn lost_stdin(&self) -> Option<Input> {
        let found = input::discover(input::Request {
            argv: &[],
            cwd: &self.task.cwd,
            stdin: StandardInput::Descriptor(self.task.stdin.as_ref()?.as_fd()),
            named: &[],
        });
        found.into_iter().find(cannot_be_replayed)
    }

    /// The whole of standard input, for a shadow.
    pub(super) fn whole_stdin(&self) -> Result<ShadowInput, ShadowError> {
        let Some(file) = &self.task.stdin else {
            return Ok(ShadowInput::Nothing);
        };
        Ok(match crate::fill::reopen(file)? {
            Some(file) => ShadowInput::File(file),
            None if self.lost_stdin().is_some() => ShadowInput::Missing,
            None => ShadowInput::Nothing,
        })
    }

    /// Whether a shadow's figures are worthless since it found nothing on standard input, where the
    /// real run finds something. A terminal is forgiven where there are `samples`: programs look
    /// there for somebody who wants to stop them.
    pub(super) fn missed_stdin(&mut self, rung: &Rung, samples: bool) -> Option<Unreadable> {
        if !rung.run.missed_stdin {
            return None;
        }
        match self.lost_stdin()?.kind {
            Kind::Unreadable(Unreadable::Terminal) if samples => {
                self.note("it reads the terminal; in a shadow nobody types");
                None
            }
            Kind::Unreadable(why) => Some(why),
            Kind::File(_) | Kind::Directory { .. } => None,
        }
    }

    /// Nothing can be said: it reads what can't be read twice.
    pub(super) fn without_stdin(
        mut self,
        mut inputs: Vec<Input>,
        source: Source,
        rung: Rung,
        what: &Unreadable,
    ) -> Ladder {
        self.wasted.push(rung);
        if *what != Unreadable::Terminal {
            inputs.extend(self.lost_stdin());
        }
        let what = match what {
            Unreadable::Pipe => "a pipe",
            Unreadable::Socket => "a socket",
            Unreadable::Terminal => "a terminal",
            _ => "a device",
        };
        let why = format!(
            "the command reads standard input, which is {what} and can't be replayed; redirect a \
             file instead: `< FILE`, or `< /dev/null` where it needs nothing from there"
        );
        self.failed(inputs, source, why)
    }
}

/// Whether what is read from it is gone.
pub(super) fn cannot_be_replayed(input: &Input) -> bool {
    matches!(
        input.kind,
        Kind::Unreadable(
            Unreadable::Pipe | Unreadable::Socket | Unreadable::Terminal | Unreadable::Device
        )
    )
}
