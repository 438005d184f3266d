//! The shadow's isolation: a command runs on the real files, and nothing it does reaches them, or
//! anything else of the machine.
//!
//! # How
//! Private mount, pid, IPC, UTS, network and cgroup namespaces; overlays over the host's mounts
//! with all writes in a bounded scratch file system in memory; `/proc`, `/dev`, `/run` and
//! `/dev/shm` of its own; `/sys` and `/proc/sys` to look at; few capabilities, `no_new_privs`, a
//! system call filter, no terminal, no descriptors but the three streams.
//! As root, or in a user namespace where the kernel lets users make one.
//!
//! # Order of events
//! 1. [`Sandbox::new`] makes the first process of the shadow, in its environment and namespaces,
//!    with an empty scratch file system.
//! 2. [`Sandbox::place`] and its siblings put stand-ins for the host's files into it.
//! 3. [`Sandbox::start`] mounts the view and starts the command.
//! 4. [`ShadowProcess`] waits, kills, and tells what happened.
//!
//! However the owner ends, the shadow ends with it: its first process sees its socket close, and
//! the kernel kills whatever a first process leaves. The scratch file system was never in the
//! host's table of mounts, so nothing is to be unmounted.
//!
//! # What is not contained
//! The outside network, where it is asked for ([`NetworkAccess::Limited`]): what a command does there
//! is done. Load: processor, memory and disk reads are the environment's to limit. The page cache is the
//! host's: a shadow's reads warm it. Read-only information of the machine (`/proc/meminfo`,
//! `/sys`) is visible.
//!
//! Without root, files that lie directly in a directory with mounts beneath it are shown read-only
//! (the kernel allows no overlay there): a command that writes to one of them meets EROFS.
//!
//! Needs Linux 5.12. Without root and before Linux 6.6, a command cannot make a directory where it
//! removed one of the host's (EIO), for want of attributes on tmpfs.

mod command;
mod devices;
mod error;
mod init;
mod mounts;
mod network;
mod opens;
mod plan;
mod privileges;
mod process;
mod sandbox;
mod scratch;
mod seccomp;
mod streams;
mod sys;
mod view;
mod whiteout;
mod wire;

pub use error::{IsolationError, StartError, Step};
pub use process::ShadowProcess;
pub use sandbox::{IsolationKind, NetworkAccess, Sandbox, SandboxOptions};
