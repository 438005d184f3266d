//! A limited way to the outside network.
//!
//! `slirp4netns`, a common tool of rootless containers, connects an interface of the shadow to
//! ordinary sockets of this user: nothing of the host's network is set up or changed, no rights
//! are needed, and nothing is left when it ends. It is told to refuse the host's loopback
//! services. Token buckets on the shadow's side (tc-tbf(8)) hold both directions to the rate;
//! what arrives is shaped on an intermediate interface (ifb).

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use foreshadow_quantity::Rate;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::{CapabilitySet, configure_capability_in_ambient_set};

use super::error::{At, Failure, IsolationError, Step};
use super::sys::{self, Reaped};
use super::wire::c_string;

/// The shadow's interface.
const INTERFACE: &str = "tap0";
/// What arrives passes through this one.
const ARRIVALS: &str = "arrivals";
/// How long the helper may take to be ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name server that the helper offers, which asks the host's.
pub(super) const RESOLVER: &[u8] = b"nameserver 10.0.2.3\noptions timeout:3 attempts:2\n";

/// The programs that a limited network needs, and the rate each way.
#[derive(Clone, Debug)]
pub(super) struct Limited {
    pub rate: Rate,
    helper: PathBuf,
    ip: PathBuf,
    tc: PathBuf,
}

impl Limited {
    /// Finds the programs.
    pub fn new(rate: Rate) -> Result<Self, IsolationError> {
        if rate.bytes().get() == 0 {
            return Err(unavailable("a rate of 0 lets nothing through"));
        }
        let find = |name: &str, package: &str| {
            find_program(name).ok_or_else(|| {
                unavailable(&format!(
                    "{name} is not installed (Debian: apt install {package})"
                ))
            })
        };
        Ok(Limited {
            rate,
            helper: find("slirp4netns", "slirp4netns")?,
            ip: find("ip", "iproute2")?,
            tc: find("tc", "iproute2")?,
        })
    }

    /// Holds the shadow's traffic to the rate. Run by the first process, in its namespaces, while
    /// it has the rights.
    pub fn shape(&self) -> Result<(), Failure> {
        let rate = format!("{}bit", self.rate.bytes().get().saturating_mul(8));
        // A twentieth of a second at once, but never less than a few packets.
        let burst = (self.rate.bytes().get() / 20).clamp(16 << 10, 4 << 20);
        let burst = burst.to_string();
        let bucket = |interface| {
            let head = ["qdisc", "add", "dev", interface, "root", "tbf"];
            let tail = ["rate", &rate, "burst", &burst, "latency", "100ms"];
            [head, tail].concat()
        };
        let (ip, tc) = (self.ip.as_path(), self.tc.as_path());
        run(ip, &["link", "add", ARRIVALS, "type", "ifb"])?;
        run(ip, &["link", "set", ARRIVALS, "up"])?;
        run(tc, &bucket(INTERFACE))?;
        run(tc, &bucket(ARRIVALS))?;
        run(tc, &["qdisc", "add", "dev", INTERFACE, "ingress"])?;
        let filter = ["filter", "add", "dev", INTERFACE, "parent", "ffff:"];
        let all = ["protocol", "all", "u32", "match", "u32", "0", "0"];
        let there = ["action", "mirred", "egress", "redirect", "dev", ARRIVALS];
        run(tc, &[&filter[..], &all, &there].concat())
    }
}

/// The helper that connects a shadow. It ends when this value does, or its owner does.
#[derive(Debug)]
pub(super) struct Uplink {
    helper: Child,
    /// The helper ends when this is closed, by whatever closes it.
    alive: Option<OwnedFd>,
}

impl Uplink {
    /// Connects the network namespace of a shadow's first process.
    pub fn connect(limited: &Limited, init: u32) -> Result<Self, IsolationError> {
        let failed = |e: io::Error| unavailable(&format!("slirp4netns cannot be run: {e}"));
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e.into()));
        let (ready, says_ready) = pipe()?;
        let (told, alive) = pipe()?;
        // Memory, not a pipe: nobody reads it while the helper works.
        let errors = memfd_create("errors", MemfdFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
        let errors = File::from(errors);
        let mut command = Command::new(&limited.helper);
        command
            .arg("--configure")
            .arg("--mtu=1500")
            .arg("--disable-host-loopback")
            .arg(format!("--ready-fd={}", says_ready.as_raw_fd()))
            .arg(format!("--exit-fd={}", told.as_raw_fd()))
            .arg(init.to_string())
            .arg(INTERFACE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors.try_clone().map_err(failed)?);
        sys::inherit(&mut command, &[says_ready.as_fd(), told.as_fd()]);
        let helper = command.spawn().map_err(failed)?;
        drop((says_ready, told));
        let mut uplink = Uplink {
            helper,
            alive: Some(alive),
        };
        let patience = Timespec::try_from(PATIENCE).ok();
        let mut fds = [PollFd::new(&ready, PollFlags::IN)];
        let mut said = Vec::new();
        let spoke = poll(&mut fds, patience.as_ref()).is_ok_and(|n| n > 0)
            && File::from(ready).take(1).read_to_end(&mut said).is_ok();
        if spoke && !said.is_empty() {
            return Ok(uplink);
        }
        Err(unavailable(&format!(
            "slirp4netns did not connect it: {}",
            uplink.last_words(&errors)
        )))
    }

    /// What the helper complained of.
    fn last_words(&mut self, errors: &File) -> String {
        self.end();
        let mut words = vec![0; 4096];
        let length = errors.read_at(&mut words, 0).unwrap_or(0);
        in_one_line(&String::from_utf8_lossy(&words[..length]))
    }

    fn end(&mut self) {
        self.alive = None;
        // Both fail only for one that has ended.
        let _ = self.helper.kill();
        let _ = self.helper.wait();
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.end();
    }
}

fn unavailable(reason: &str) -> IsolationError {
    IsolationError::NetworkUnavailable {
        reason: reason.to_string(),
    }
}

/// A program by its name, also where only administrators look for them.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"];
    std::env::split_paths(&path)
        .chain(usual.map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| {
            std::fs::metadata(file)
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

/// Runs a program to its end; its complaints are the error. Without std's `Command`, for this is
/// a fork of a program of many threads.
fn run(program: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let strings = || {
        let words = [program.as_os_str()].into_iter();
        words
            .chain(arguments.iter().map(OsStr::new))
            .map(c_string)
            .collect::<Option<Vec<CString>>>()
    };
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let argv = strings().ok_or_else(invalid).at(Step::Network)?;
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).at(Step::Network)?;
    let child = sys::fork(|| {
        sys::default_signal_actions();
        sys::unblock_signals();
        keep_network_rights();
        if sys::on_stream(write.as_fd(), 1).is_ok() && sys::on_stream(write.as_fd(), 2).is_ok() {
            sys::execve(&argv[0], &argv, &[]);
        }
        127
    })
    .at(Step::Network)?;
    drop(write);
    let mut words = String::new();
    let _ = File::from(read).read_to_string(&mut words);
    loop {
        match sys::reap(true) {
            Reaped::Child(pid, 0) if pid == child.as_raw_nonzero().get() => return Ok(()),
            Reaped::Child(pid, _) if pid != child.as_raw_nonzero().get() => {}
            _ => {
                let (program, arguments) = (program.display(), arguments.join(" "));
                let what = format!("{program} {arguments}: {}", in_one_line(&words));
                return Err(Failure::new(
                    Step::Network,
                    what,
                    io::Error::from_raw_os_error(libc::EOPNOTSUPP),
                ));
            }
        }
    }
}

fn in_one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without root, the rights over our own namespaces would not survive an `execve`.
fn keep_network_rights() {
    let right = CapabilitySet::NET_ADMIN;
    if let Ok(mut has) = rustix::thread::capabilities(None) {
        has.inheritable |= right;
        let _ = rustix::thread::set_capabilities(None, has);
        let _ = configure_capability_in_ambient_set(right, true);
    }
}
