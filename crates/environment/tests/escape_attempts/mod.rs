//! How an attempt to get out is made and judged.
//!
//! The attempts are system calls, made directly.
#![allow(unsafe_code)]
// Each unsafe block in these modules is one call with plain numbers, or with pointers to locals
// that outlive it; repeating that a hundred times would hide more than it shows.
#![allow(clippy::undocumented_unsafe_blocks)]

pub mod files;
pub mod ipc;
pub mod kernel;
pub mod network;
pub mod processes;
pub mod terminal;

use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use foreshadow_environment::{Exit, Stream};

use crate::isolation_help::*;

/// The variable that tells the actor which attempt to make, and the one for its arguments.
pub const NAME: &str = "FORESHADOW_ATTEMPT";
const ARGUMENTS: &str = "FORESHADOW_ATTEMPT_ARGUMENTS";
const BETWEEN: &str = "\u{1f}";
/// The user of the unprivileged run.
const NOBODY: u32 = 65534;

/// One way out.
pub struct Attempt {
    /// Makes what the attempt is to reach, anew for each try; where it cannot be made, why.
    pub scene: fn() -> Result<Scene, String>,
    /// What the actor does; an error if the kernel refused.
    pub act: fn(&[String]) -> io::Result<()>,
    /// Whether it works without isolation.
    pub plain: Plain,
}

/// Whether an attempt works without isolation.
#[derive(Clone, Copy)]
pub enum Plain {
    /// For everyone.
    Works,
    /// For root.
    AsRoot,
    /// Depending on the machine and its settings; shown where it does.
    Perhaps,
    /// Not to be tried on a host, for this reason.
    Unsafe(&'static str),
}

/// What an attempt is to reach.
pub struct Scene {
    pub arguments: Vec<String>,
    /// What the actor gets as standard input.
    pub input: Option<OwnedFd>,
    /// Whether it is a terminal that shall control the actor, without isolation.
    pub controlling: bool,
    /// Whether the attempt reached it, as the host sees it.
    pub reached: Box<dyn FnMut(&Tried) -> bool>,
}

impl Scene {
    pub fn new(arguments: &[&str], reached: impl FnMut(&Tried) -> bool + 'static) -> Self {
        Scene {
            arguments: arguments.iter().map(ToString::to_string).collect(),
            input: None,
            controlling: false,
            reached: Box::new(reached),
        }
    }

    /// A scene with nothing to see: what counts is whether the kernel did it.
    pub fn outcome() -> Result<Scene, String> {
        Ok(Scene::new(&[], |tried| tried.acted))
    }
}

/// What came of a try.
#[derive(Debug)]
pub struct Tried {
    /// Whether the actor's calls succeeded.
    pub acted: bool,
    pub exit: Exit,
    pub isolated: bool,
    pub output: String,
}

impl Tried {
    /// Waits until something is so; briefly in a shadow, where it is not to happen.
    pub fn soon(&self, is_so: impl FnMut() -> bool) -> bool {
        if self.isolated {
            thread::sleep(Duration::from_millis(200));
            let mut is_so = is_so;
            is_so()
        } else {
            eventually(is_so)
        }
    }
}

const ACTED: i32 = 0;
const REFUSED: i32 = 3;

/// The actor's part.
#[allow(clippy::exit)] // The exit code is the answer.
pub fn act(attempt: &Attempt) {
    let arguments = std::env::var(ARGUMENTS).unwrap_or_default();
    let arguments: Vec<String> = arguments.split(BETWEEN).map(str::to_string).collect();
    let code = match (attempt.act)(&arguments) {
        Ok(()) => ACTED,
        Err(error) => {
            println!("refused: {error}");
            REFUSED
        }
    };
    std::process::exit(code);
}

/// Tries the attempt in a shadow, where it must fail, and without one, where it must not.
pub fn prove(name: &str, attempt: &Attempt) {
    if !can_isolate(name) {
        return;
    }
    let mut scene = match (attempt.scene)() {
        Ok(scene) => scene,
        Err(why) => return skip(name, why),
    };
    let tried = in_shadow(name, &mut scene);
    assert!(
        tried.exit == Exit::Code(ACTED)
            || tried.exit == Exit::Code(REFUSED)
            || matches!(tried.exit, Exit::Signal(_)),
        "the actor did not act: {tried:?}"
    );
    assert!(
        !(scene.reached)(&tried),
        "{name} got out: {tried:?}\n{}",
        tried.output
    );
    drop(scene);

    let must = match attempt.plain {
        Plain::Works => true,
        Plain::AsRoot if is_root() => true,
        Plain::Perhaps => false,
        Plain::AsRoot => return,
        Plain::Unsafe(why) => return note(name, why),
    };
    let mut scene = (attempt.scene)().expect("the scene once more");
    let tried = without_shadow(name, &mut scene);
    let reached = (scene.reached)(&tried);
    assert!(
        reached || !must,
        "{name} should work without isolation: {tried:?}\n{}",
        tried.output
    );
    if !reached {
        note(
            name,
            "this machine does not allow it even without isolation",
        );
    }
}

fn note(name: &str, why: &str) {
    skip(&format!("{name} without isolation"), why);
}

fn in_shadow(name: &str, scene: &mut Scene) -> Tried {
    let (read, write) = pipe();
    let reader = collect(read);
    let this = this_program();
    let argv = [text(&this), "--exact", "actor", "--nocapture"];
    let mut program = program(&argv, Path::new("/"), write);
    program.env.push((NAME.into(), name.into()));
    program
        .env
        .push((ARGUMENTS.into(), scene.arguments.join(BETWEEN).into()));
    if let Some(input) = &scene.input {
        program.stdin = Stream::Fd(input.try_clone().expect("a second descriptor"));
    }
    let mut shadow = sandbox().start(program).expect("the actor starts");
    let (exit, _) = shadow.wait().expect("the actor ends");
    drop(shadow);
    Tried {
        acted: exit == Exit::Code(ACTED),
        exit,
        isolated: true,
        output: reader.join().expect("the output"),
    }
}

fn without_shadow(name: &str, scene: &mut Scene) -> Tried {
    use std::os::unix::process::ExitStatusExt;
    let (read, write) = pipe();
    let reader = collect(read);
    let mut command = Command::new(this_program());
    command
        .args(["--exact", "actor", "--nocapture"])
        .current_dir("/")
        .env(NAME, name)
        .env(ARGUMENTS, scene.arguments.join(BETWEEN))
        .stdin(match &scene.input {
            Some(input) => input.try_clone().expect("a second descriptor").into(),
            None => Stdio::null(),
        })
        .stdout(write.try_clone().expect("a second descriptor"))
        .stderr(write);
    if scene.controlling {
        // Only async-signal-safe calls.
        unsafe {
            command.pre_exec(|| {
                check(libc::setsid().into())?;
                check(libc::ioctl(0, libc::TIOCSCTTY, 0).into())
            });
        }
    }
    let status = command.status().expect("the actor runs");
    // Its ends of the pipe are ours as well.
    drop(command);
    let exit = status
        .code()
        .map(Exit::Code)
        .or(status.signal().map(Exit::Signal))
        .expect("an exit");
    Tried {
        acted: exit == Exit::Code(ACTED),
        exit,
        isolated: false,
        output: reader.join().expect("the output"),
    }
}

/// Collects what the actor says. A daemon may hold the pipe, so the end is marked by the actor's.
fn collect(mut read: std::fs::File) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut output = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = read.read(&mut buffer) {
            output.extend(&buffer[..n]);
        }
        String::from_utf8_lossy(&output).into_owned()
    })
}

/// Runs this whole test program as a user without rights.
pub fn prove_as_ordinary_user(test: &str) {
    if !is_root() {
        return skip(test, "already run by an ordinary user");
    }
    // Where everyone can enter.
    let dir = open_dir();
    let copy = dir.path().join("escape");
    std::fs::copy(this_program(), &copy).expect("copies the program");
    let run = Command::new(&copy)
        .args(["--skip", test, "--test-threads=2"])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .env_remove("TMPDIR")
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    let output = String::from_utf8_lossy(&run.stdout);
    let errors = String::from_utf8_lossy(&run.stderr);
    // What was skipped there was skipped here.
    for line in errors.lines().filter(|l| l.starts_with("SKIPPED")) {
        let _ = writeln!(io::stderr(), "{line} (as an ordinary user)");
    }
    assert!(run.status.success(), "{output}\n{errors}");
}

/// The error of a system call that says -1.
pub fn check(code: libc::c_long) -> io::Result<()> {
    value(code).map(drop)
}

/// The value of a system call unless it says -1.
pub fn value(code: libc::c_long) -> io::Result<libc::c_long> {
    if code == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(code)
    }
}

/// A C string.
pub fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL inside")
}

/// Refused, unless something was found.
pub fn found(it: bool) -> io::Result<()> {
    if it {
        Ok(())
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Does something in a child of one thread, as some calls demand.
pub fn alone(act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let pid = value(unsafe { libc::fork() }.into())?;
    if pid == 0 {
        let code = match act() {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
        };
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    check(unsafe { libc::waitpid(i32::try_from(pid).expect("a pid"), &mut status, 0) }.into())?;
    match libc::WEXITSTATUS(status) {
        0 if libc::WIFEXITED(status) => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// A copy of a descriptor, with a number that nothing else has, inherited by all children.
pub fn inheritable(fd: &impl AsRawFd) -> OwnedFd {
    let copy = value(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD, 700) }.into());
    let copy = i32::try_from(copy.expect("a copy")).expect("a descriptor");
    unsafe { OwnedFd::from_raw_fd(copy) }
}
