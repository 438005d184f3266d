use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use foreshadow_quantity::{Bytes, Rate};
use rustix::fs::MemfdFlags;
use rustix::process::Pid;
use rustix::stdio::{stderr, stdin, stdout};
use serde::{Deserialize, Serialize};

use super::error::{At, Failure, IsolationError, StartError, Step};
use super::init::{self, Birth};
use super::mounts;
use super::network::{Limited, RESOLVER, Uplink};
use super::plan::Plan;
use super::process::{Init, ShadowProcess};
use super::scratch::{Scratch, used_and_full};
use super::sys;
use super::wire::{Channel, ExecStage, FromInit, Order, Received, c_string};
use crate::{Exit, Program, Stream};

/// What a shadow may use and how it is watched.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The most that the shadow may write, all files together; memory holds it. Beyond it writes
    /// fail with ENOSPC.
    pub scratch: Bytes,
    /// What the shadow reaches by network.
    pub network: NetworkAccess,
    /// Record which files are opened. As root only; see [`ShadowProcess::watches_opens`].
    pub watch_opens: bool,
    /// Files that a fresh process writes `0` to, to enter its environment
    /// (`cgroup.procs` files), before it does anything else.
    pub join: Vec<PathBuf>,
}

impl Default for SandboxOptions {
    /// 256 MiB of scratch, no network, nothing watched, in the environment of this process.
    fn default() -> Self {
        SandboxOptions {
            scratch: Bytes::mib(256),
            network: NetworkAccess::None,
            watch_opens: false,
            join: Vec::new(),
        }
    }
}

/// What a shadow reaches by network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkAccess {
    /// Itself, over its own loopback interface.
    #[default]
    None,
    /// What this machine reaches, at this rate each way, but for services that listen on the
    /// loopback interface only. Needs `slirp4netns` and `iproute2`. What the command does to
    /// others over the network is not undone.
    Limited(Rate),
}

/// How shadows are isolated on this machine, for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IsolationKind {
    /// With root's rights: one overlay over each mount, opened files can be watched.
    Root,
    /// In a user namespace: overlays over directories, every file written belongs to the user.
    UserNamespace,
}

/// A shadow that is set up and waits for its command.
///
/// Its first process exists and is in its environment already; nothing is mounted yet, so that
/// stand-ins for files can be placed. Dropping it instead of starting leaves nothing behind.
#[derive(Debug)]
pub struct Sandbox {
    kind: IsolationKind,
    plan: Plan,
    scratch: Scratch,
    init: Init,
    uplink: Option<Uplink>,
}

impl Sandbox {
    /// Finds out how shadows can be isolated here, by setting one up completely.
    ///
    /// # Errors
    /// [`IsolationError::Refused`] with what the kernel refused and what can be done about it.
    pub fn probe() -> Result<IsolationKind, IsolationError> {
        let sandbox = Sandbox::new(SandboxOptions {
            scratch: Bytes::mib(1),
            ..SandboxOptions::default()
        })?;
        let kind = sandbox.kind;
        let mut shadow = sandbox
            .order(Order::default(), &[None, None, None])
            .map_err(|error| match error {
                StartError::Isolation(error) => error,
                _ => IsolationError::Lost,
            })?;
        match shadow.wait()? {
            (Exit::Code(0), _) => Ok(kind),
            _ => Err(IsolationError::Lost),
        }
    }

    /// Makes the namespaces and the scratch file system of a shadow.
    ///
    /// # Errors
    /// [`IsolationError::Refused`] where the kernel does not let us,
    /// [`IsolationError::NetworkUnavailable`] where limited network cannot be had.
    pub fn new(options: SandboxOptions) -> Result<Sandbox, IsolationError> {
        let limited = match options.network {
            NetworkAccess::None => None,
            NetworkAccess::Limited(rate) => Some(Limited::new(rate)?),
        };
        let limited = limited.as_ref();
        if may_act_as_root() {
            match Sandbox::with_kind(IsolationKind::Root, &options, limited) {
                // In a container, root may have no rights over mounts but user namespaces.
                Err(IsolationError::Refused {
                    step: Step::Namespaces,
                    source,
                    ..
                }) if source.raw_os_error() == Some(libc::EPERM) => {}
                other => return other,
            }
        }
        Sandbox::with_kind(IsolationKind::UserNamespace, &options, limited)
    }

    fn with_kind(
        kind: IsolationKind,
        options: &SandboxOptions,
        network: Option<&Limited>,
    ) -> Result<Sandbox, IsolationError> {
        let plan = read_plan(kind)?;
        let birth = Birth {
            kind,
            plan: &plan,
            join: &options.join,
            scratch: options.scratch,
            watch_opens: options.watch_opens && kind == IsolationKind::Root,
            network,
        };
        let (init, scratch) = give_birth(&birth)?;
        let scratch = Scratch::new(scratch, kind);
        let uplink = match network {
            Some(limited) => {
                write_resolver(&scratch, &plan)?;
                Some(Uplink::connect(limited, init.pid())?)
            }
            None => None,
        };
        Ok(Sandbox {
            kind,
            plan,
            scratch,
            init,
            uplink,
        })
    }

    /// How this shadow is isolated.
    pub fn kind(&self) -> IsolationKind {
        self.kind
    }

    /// The first process, waiting, in this pid namespace.
    pub fn init_pid(&self) -> u32 {
        self.init.pid()
    }

    /// An empty file that stands for the host's file at `path` inside the shadow; the caller fills
    /// it before the start. It gets the owner, mode and times of the host's file, as do
    /// directories above it; where the host has none, it is a new file of ours. Links are
    /// followed, as the command would. What is placed does not count against the scratch.
    ///
    /// # Errors
    /// [`IsolationError::Unplaceable`] for directories, relative paths and the kernel's own file
    /// systems; [`IsolationError::Place`] where the kernel refuses.
    pub fn place(&self, path: &Path) -> Result<File, IsolationError> {
        self.scratch.place(&self.plan, path)
    }

    /// An empty directory that hides the host's at `path`, to be filled with [`Sandbox::place`].
    ///
    /// # Errors
    /// As [`Sandbox::place`].
    pub fn place_dir(&self, path: &Path) -> Result<(), IsolationError> {
        self.scratch.place_dir(&self.plan, path)
    }

    /// A directory made by [`Sandbox::place_dir`], open, so that it can be filled as a whole
    /// (through `/proc/self/fd`).
    ///
    /// # Errors
    /// As [`Sandbox::place`].
    pub fn open_dir(&self, path: &Path) -> Result<OwnedFd, IsolationError> {
        self.scratch.open_placed(&self.plan, path)
    }

    /// Makes the host's file or directory at `path` missing inside the shadow.
    ///
    /// # Errors
    /// As [`Sandbox::place`].
    pub fn hide(&self, path: &Path) -> Result<(), IsolationError> {
        self.scratch.hide(&self.plan, path)
    }

    /// Mounts everything and starts the command. Standard streams that are terminals, or
    /// `/dev/null`, become the shadow's own `/dev/null`; files open for reading only are opened
    /// again, read-only, at the same position.
    ///
    /// # Errors
    /// [`StartError`] tells a command not found or not executable from the rest. Nothing is left
    /// behind.
    pub fn start(self, program: Program) -> Result<ShadowProcess, StartError> {
        let Program {
            argv,
            env,
            cwd,
            stdin: input,
            stdout: output,
            stderr: error,
        } = program;
        let command = PathBuf::from(argv.first().ok_or(StartError::NoCommand)?);
        self.adopt_directories(&argv, &env, &cwd);
        let strings = |list: &mut dyn Iterator<Item = &OsStr>, what| {
            list.map(|s| c_string(s).ok_or(StartError::Nul { what }))
                .collect::<Result<Vec<_>, _>>()
        };
        let variables: Vec<_> = env
            .iter()
            .map(|(name, value)| {
                let mut variable = name.clone();
                variable.push("=");
                variable.push(value);
                variable
            })
            .collect();
        let order = Order {
            argv: strings(&mut argv.iter().map(AsRef::as_ref), "an argument")?,
            env: strings(&mut variables.iter().map(AsRef::as_ref), "a variable")?,
            cwd: c_string(cwd.as_os_str()).ok_or(StartError::Nul {
                what: "the working directory",
            })?,
            ..Order::default()
        };
        let streams = [
            descriptor(&input, stdin()),
            descriptor(&output, stdout()),
            descriptor(&error, stderr()),
        ];
        self.order(order, &streams).map_err(|error| match error {
            StartError::NotFound { .. } => StartError::NotFound { command },
            StartError::NotExecutable { source, .. } => {
                StartError::NotExecutable { command, source }
            }
            StartError::WorkingDirectory { source, .. } => {
                StartError::WorkingDirectory { path: cwd, source }
            }
            other => other,
        })
    }

    /// Directories in which a command is likely to write; see [`Scratch::adopt`].
    fn adopt_directories(&self, argv: &[OsString], env: &[(OsString, OsString)], cwd: &Path) {
        if self.kind != IsolationKind::UserNamespace {
            return;
        }
        let variable = |name: &str| {
            env.iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| Path::new(v))
        };
        let usual = [Some(cwd), variable("TMPDIR"), variable("HOME")];
        let usual = usual.into_iter().flatten().chain([Path::new("/var/tmp")]);
        usual.for_each(|dir| self.scratch.adopt(&self.plan, dir));
        // Arguments that name files, or directories.
        for argument in argv.iter().skip(1).take(MOST_ARGUMENTS) {
            let path = cwd.join(argument);
            self.scratch.adopt(&self.plan, &path);
            if let Some(dir) = path.parent().filter(|dir| *dir != cwd) {
                self.scratch.adopt(&self.plan, dir);
            }
        }
    }

    fn order(
        self,
        mut order: Order,
        streams: &[Option<BorrowedFd<'_>>; 3],
    ) -> Result<ShadowProcess, StartError> {
        let placed = self.scratch.finish()?;
        order.replaced = placed.replaced;
        order.placed = placed.paths;
        order.streams = streams.map(|s| s.is_some());
        let scratch = self.scratch.into_dir();
        let (held, _) = used_and_full(scratch.as_fd())
            .map_err(|e| IsolationError::from(Failure::new(Step::Scratch, "", e)))?;
        let memory = in_memory(&order.encode())
            .at(Step::Talk)
            .map_err(IsolationError::from)?;
        let mut fds = vec![memory.as_fd()];
        fds.extend(streams.iter().flatten());
        let init = self.init;
        init.channel
            .send(b"start", &fds)
            .map_err(|_| IsolationError::Lost)?;
        let (before, watch) = started(&init.channel)?;
        Ok(ShadowProcess::new(
            init,
            self.uplink,
            before,
            scratch,
            held,
            watch,
        ))
    }
}

/// How many arguments are looked at as names of files.
const MOST_ARGUMENTS: usize = 256;

/// Hears whether the command started.
fn started(channel: &Channel) -> Result<(super::wire::Before, Option<OwnedFd>), StartError> {
    let (message, fds) = hear(channel)?;
    match message {
        FromInit::Started { before } => Ok((before, fds.into_iter().next())),
        FromInit::NotExecuted { errno, stage } => {
            let source = io::Error::from_raw_os_error(errno);
            Err(match (stage, errno) {
                (ExecStage::WorkingDirectory, _) => StartError::WorkingDirectory {
                    path: PathBuf::new(),
                    source,
                },
                (ExecStage::Exec, libc::ENOENT | libc::ENOTDIR) => StartError::NotFound {
                    command: PathBuf::new(),
                },
                (ExecStage::Exec, _) => StartError::NotExecutable {
                    command: PathBuf::new(),
                    source,
                },
                (ExecStage::Other, _) => {
                    IsolationError::from(Failure::new(Step::Streams, "", source)).into()
                }
            })
        }
        FromInit::BadStream { stream, reason } => Err(StartError::Stream {
            stream: match stream {
                0 => "input",
                1 => "output",
                _ => "error",
            },
            reason,
        }),
        FromInit::Failed(failure) => Err(IsolationError::from(failure).into()),
        _ => Err(IsolationError::Lost.into()),
    }
}

fn hear(channel: &Channel) -> Result<(FromInit, Vec<OwnedFd>), IsolationError> {
    let received = channel
        .receive(false)
        .map_err(|source| IsolationError::Control {
            doing: "hear from",
            source,
        })?;
    let Received { bytes, fds } = received.ok_or(IsolationError::Lost)?;
    let message = FromInit::decode(&bytes).ok_or(IsolationError::Lost)?;
    Ok((message, fds))
}

/// Forks the midwife and waits until the first process is ready.
fn give_birth(birth: &Birth<'_>) -> Result<(Init, OwnedFd), IsolationError> {
    let fork = |e: io::Error| IsolationError::from(Failure::new(Step::Fork, "", e));
    let (ours, theirs) = Channel::pair().map_err(fork)?;
    let null = init::open_null().map_err(fork)?;
    let (channel, null_number) = (init::number(&theirs.as_fd()), init::number(&null));
    let midwife = {
        // No handler of this program may run in the child.
        let _blocked = sys::Blocked::all().map_err(fork)?;
        sys::fork(|| init::midwife(birth, channel, null_number)).map_err(fork)?
    };
    drop((theirs, null));
    let born = await_birth(&ours);
    // It ends right after its message.
    let _ = sys::wait4(midwife);
    let (pid, mut scratch) = born?;
    let init = Init::new(pid, ours).map_err(fork)?;
    while scratch.is_none() {
        match hear(&init.channel)? {
            (FromInit::Prepared, fds) => scratch = fds.into_iter().next(),
            (FromInit::Failed(failure), _) => return Err(failure.into()),
            _ => return Err(IsolationError::Lost),
        }
    }
    scratch
        .map(|scratch| (init, scratch))
        .ok_or(IsolationError::Lost)
}

/// Hears the pid of the first process; its own message may come before the midwife's.
fn await_birth(channel: &Channel) -> Result<(Pid, Option<OwnedFd>), IsolationError> {
    let mut scratch = None;
    let mut failed = None;
    loop {
        match hear(channel) {
            Ok((FromInit::Born { pid }, _)) => {
                let pid = Pid::from_raw(pid).ok_or(IsolationError::Lost)?;
                if let Some(failure) = failed {
                    // Reaps it as well.
                    let _ = sys::wait4(pid);
                    return Err(IsolationError::from(failure));
                }
                return Ok((pid, scratch));
            }
            Ok((FromInit::Prepared, fds)) => scratch = fds.into_iter().next(),
            Ok((FromInit::Failed(failure), _)) if failed.is_none() => failed = Some(failure),
            Ok(_) => return Err(IsolationError::Lost),
            // A midwife that failed says nothing more.
            Err(error) => return Err(failed.map_or(error, IsolationError::from)),
        }
    }
}

/// Names are asked for where the shadow can reach a server.
fn write_resolver(scratch: &Scratch, plan: &Plan) -> Result<(), IsolationError> {
    let path = Path::new("/etc/resolv.conf");
    scratch
        .place(plan, path)?
        .write_all(RESOLVER)
        .map_err(|source| IsolationError::Place {
            path: path.into(),
            source,
        })
}

fn read_plan(kind: IsolationKind) -> Result<Plan, IsolationError> {
    let step =
        |e: io::Error| IsolationError::from(Failure::new(Step::Mounts, "/proc/self/mountinfo", e));
    let table = fs::read("/proc/self/mountinfo").map_err(step)?;
    let table =
        mounts::parse(&table).ok_or_else(|| step(io::Error::from_raw_os_error(libc::EBADMSG)))?;
    Plan::new(kind, &table).map_err(step)
}

/// Root with the rights that count; a container's root may lack them.
fn may_act_as_root() -> bool {
    rustix::process::geteuid().is_root()
        && rustix::thread::capabilities(None).is_ok_and(|has| {
            has.effective
                .contains(rustix::thread::CapabilitySet::SYS_ADMIN)
        })
}

fn descriptor<'a>(stream: &'a Stream, own: BorrowedFd<'a>) -> Option<BorrowedFd<'a>> {
    match stream {
        Stream::Null => None,
        Stream::Fd(fd) => Some(fd.as_fd()),
        // A stream of ours that is closed is nothing to pass on.
        Stream::Inherit => rustix::io::fcntl_getfd(own).is_ok().then_some(own),
    }
}

fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("order", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}
