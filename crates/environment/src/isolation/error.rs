use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a shadow could not be isolated, prepared or watched.
#[derive(Debug, Error)]
pub enum IsolationError {
    /// The kernel, or the container we run in, refused a part of the isolation. Nothing was run.
    #[error("cannot isolate a shadow here: {step}{} failed: {source}{}", about(.detail), hint(*.step, .source))]
    Refused {
        /// The part that was refused.
        step: Step,
        /// What it was about, a path mostly; may be empty.
        detail: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Limited network was asked for and cannot be had.
    #[error("no limited network for shadows: {reason}; run the shadow without a network")]
    NetworkUnavailable {
        /// Why not.
        reason: String,
    },
    /// A file or directory cannot be replaced inside the shadow.
    #[error("cannot put a stand-in for {} into the shadow: {reason}", path.display())]
    Unplaceable {
        /// The path on the host.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Writing a stand-in failed.
    #[error("cannot put a stand-in for {} into the shadow: {source}", path.display())]
    Place {
        /// The path on the host.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The shadow's first process ended without saying why (killed from outside, mostly).
    #[error("the shadow's first process ended unexpectedly; was it killed from outside?")]
    Lost,
    /// A system call about a running shadow failed.
    #[error("cannot {doing} the shadow: {source}")]
    Control {
        /// What was being done.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Why a command did not start in a shadow.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no command.
    #[error("no command given")]
    NoCommand,
    /// An argument, a variable or the working directory holds a NUL byte.
    #[error("{what} holds a NUL byte, which no command can receive")]
    Nul {
        /// Which of them.
        what: &'static str,
    },
    /// The command was not found.
    #[error("{}: command not found", command.display())]
    NotFound {
        /// The command as given.
        command: PathBuf,
    },
    /// The command exists but cannot be executed.
    #[error("{}: cannot execute: {source}", command.display())]
    NotExecutable {
        /// The command as given.
        command: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The working directory cannot be entered inside the shadow.
    #[error("cannot enter {} inside the shadow: {source}", path.display())]
    WorkingDirectory {
        /// The directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A standard stream would open a way out of the shadow.
    #[error("standard {stream} cannot be given to a shadow: {reason}")]
    Stream {
        /// `input`, `output` or `error`.
        stream: &'static str,
        /// Why not.
        reason: String,
    },
    /// The isolation failed; the command was not run.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
}

/// The parts of setting up a shadow, to name the one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Making the first process.
    Fork,
    /// Entering the environment's cgroup.
    Join,
    /// Making namespaces.
    Namespaces,
    /// Mapping the user into a user namespace.
    UserMap,
    /// Reading the table of mounts.
    Mounts,
    /// Making the scratch file system.
    Scratch,
    /// Bringing up the loopback interface.
    Loopback,
    /// Limiting the network's rate.
    Network,
    /// Mounting an overlay.
    Overlay,
    /// Mounting a fresh directory over one of the host's.
    Fresh,
    /// Making `/dev`.
    Devices,
    /// Mounting `/proc`.
    Proc,
    /// Mounting `/sys`.
    Sys,
    /// Making the new root the root.
    Root,
    /// Giving up privileges.
    Privileges,
    /// Installing the system call filter.
    Filter,
    /// Handing over the standard streams.
    Streams,
    /// Talking to the first process.
    Talk,
}

impl Step {
    const ALL: [Step; 18] = [
        Step::Fork,
        Step::Join,
        Step::Namespaces,
        Step::UserMap,
        Step::Mounts,
        Step::Scratch,
        Step::Loopback,
        Step::Network,
        Step::Overlay,
        Step::Fresh,
        Step::Devices,
        Step::Proc,
        Step::Sys,
        Step::Root,
        Step::Privileges,
        Step::Filter,
        Step::Streams,
        Step::Talk,
    ];

    pub(super) fn from_number(number: u8) -> Option<Step> {
        Step::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Fork => "making the first process",
            Step::Join => "entering the cgroup",
            Step::Namespaces => "making namespaces",
            Step::UserMap => "mapping the user into a user namespace",
            Step::Mounts => "reading the table of mounts",
            Step::Scratch => "making the scratch file system",
            Step::Loopback => "bringing up the loopback interface",
            Step::Network => "limiting the network",
            Step::Overlay => "mounting an overlay",
            Step::Fresh => "mounting a fresh directory",
            Step::Devices => "making /dev",
            Step::Proc => "mounting /proc",
            Step::Sys => "mounting /sys",
            Step::Root => "changing the root",
            Step::Privileges => "giving up privileges",
            Step::Filter => "installing the system call filter",
            Step::Streams => "handing over the standard streams",
            Step::Talk => "talking to the first process",
        })
    }
}

/// A step that failed, as a child process reports it.
#[derive(Debug)]
pub(super) struct Failure {
    pub step: Step,
    pub detail: String,
    pub source: io::Error,
}

impl Failure {
    pub fn new(step: Step, detail: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Failure {
            step,
            detail: detail.into(),
            source: source.into(),
        }
    }
}

impl From<Failure> for IsolationError {
    fn from(failure: Failure) -> Self {
        IsolationError::Refused {
            step: failure.step,
            detail: failure.detail,
            source: failure.source,
        }
    }
}

/// Names the step while `?` carries the error up.
pub(super) trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
    fn about(self, step: Step, detail: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|e| Failure::new(step, "", e))
    }

    fn about(self, step: Step, detail: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|e| Failure::new(step, detail.to_string(), e))
    }
}

fn about(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(" ({detail})")
    }
}

/// What the user can do about the refusals that are met in practice.
fn hint(step: Step, source: &io::Error) -> &'static str {
    match (step, source.raw_os_error()) {
        (Step::Namespaces, Some(libc::EPERM)) => {
            "; run as root, or let users make user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1; kernel.apparmor_restrict_unprivileged_userns=0); \
             inside a container it needs --privileged"
        }
        (Step::Namespaces, Some(libc::ENOSPC)) => {
            "; the limit of namespaces is reached: raise sysctl user.max_user_namespaces and its siblings"
        }
        (Step::UserMap | Step::Scratch, Some(libc::EPERM | libc::EACCES)) => {
            "; user namespaces are made without rights here: \
             sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
        }
        (Step::Scratch, Some(libc::ENOSYS)) => "; Linux 5.12 or later is needed",
        (Step::Overlay, Some(libc::ENODEV)) => "; load the module: modprobe overlay",
        (Step::Overlay, Some(libc::EPERM)) => {
            "; overlays in user namespaces need Linux 5.11 or later; or run as root"
        }
        (Step::Proc, Some(libc::EPERM)) => {
            "; this container hides parts of /proc: run outside of it, or with --privileged"
        }
        (Step::Root, Some(libc::EINVAL)) => {
            "; the root is the initial ramfs: switch_root to another file system first"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_survive_their_numbers() {
        for (number, step) in Step::ALL.iter().enumerate() {
            assert_eq!(*step as usize, number);
            assert_eq!(Step::from_number(number as u8), Some(*step));
        }
        assert_eq!(Step::from_number(200), None);
    }

    #[test]
    fn a_refusal_says_what_where_and_what_to_do() {
        let error = IsolationError::from(Failure::new(
            Step::Overlay,
            "/home",
            io::Error::from_raw_os_error(libc::ENODEV),
        ));
        let text = error.to_string();
        assert!(text.contains("mounting an overlay (/home)"), "{text}");
        assert!(text.contains("modprobe overlay"), "{text}");
    }
}
