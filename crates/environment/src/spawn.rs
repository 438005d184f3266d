//! Starting a program inside its control groups.
//!
//! Everything is prepared before the fork, because between fork and exec in a process with several
//! threads nothing may be done that allocates or takes a lock.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use foreshadow_quantity::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{Process, Program, SpawnError, Stream, child, descriptors};

/// How a program gets into its environment.
pub(crate) struct Entry<'a> {
    /// The v2 group to be born in.
    pub(crate) born_in: Option<&'a Path>,
    /// The `cgroup.procs` files to write to.
    pub(crate) join: Vec<PathBuf>,
    /// Take the idle scheduling class.
    pub(crate) idle: bool,
    /// Priority to take (`nice`), where not the one of this process.
    pub(crate) nice: Option<i32>,
    /// Whether the new process waits for memory right now, so that it cannot report.
    pub(crate) stuck: &'a dyn Fn() -> bool,
}

/// Starts it and returns when it runs the program.
pub(crate) fn spawn(program: Program, entry: &Entry<'_>) -> Result<Process, SpawnError> {
    let command = program.argv.first().cloned().ok_or(SpawnError::Empty)?;
    let image = Image::new(&program, &command)?;
    let system = |call: &'static str| {
        let command = command.clone();
        move |source: io::Error| SpawnError::System {
            command,
            call,
            source,
        }
    };
    let cwd = c_string(program.cwd.as_os_str())?;
    let null = null_device(&program).map_err(system("opening /dev/null"))?;
    let streams = streams(program.stdin, program.stdout, program.stderr, null.as_ref())
        .map_err(system("preparing the standard streams"))?;
    let mut join = Vec::with_capacity(entry.join.len());
    for path in &entry.join {
        match OpenOptions::new().write(true).open(path) {
            Ok(file) => join.push(file),
            Err(source) => {
                return Err(SpawnError::Join {
                    path: path.clone(),
                    source,
                });
            }
        }
    }
    let target = entry.born_in.and_then(|path| File::open(path).ok());
    let (report, reporter) = report_pipe().map_err(system("pipe"))?;
    let plan = child::Plan {
        streams: streams
            .each_ref()
            .map(|s| s.as_ref().map(AsRawFd::as_raw_fd)),
        join: join.iter().map(AsRawFd::as_raw_fd).collect(),
        cwd: &cwd,
        candidates: pointers(&image.candidates),
        argv: pointers(&image.argv),
        script_argv: pointers(&image.script_argv),
        env: pointers(&image.env),
        reporter: reporter.as_raw_fd(),
        idle: entry.idle,
        nice: entry.nice,
        descriptors: descriptors::limit_of_children(),
    };
    let (pid, handle) =
        child::start(&plan, target.as_ref().map(AsFd::as_fd)).map_err(system("clone"))?;
    drop(reporter);
    let process = Process::new(pid, handle);
    match wait_report(&report, entry.stuck).map_err(system("reading from the new process"))? {
        None => Ok(process),
        Some(failure) => {
            // It ends by itself after having reported.
            drop(process);
            Err(explain(failure, command, &program.cwd, entry, &image))
        }
    }
}

/// What `execve` needs, as C strings.
struct Image {
    /// The paths to try, in order.
    candidates: Vec<CString>,
    argv: Vec<CString>,
    /// For a text file without `#!`: `sh` and a place for its path, then the arguments.
    script_argv: Vec<CString>,
    env: Vec<CString>,
}

impl Image {
    fn new(program: &Program, command: &OsStr) -> Result<Self, SpawnError> {
        let argv: Vec<CString> = program
            .argv
            .iter()
            .map(|arg| c_string(arg))
            .collect::<Result<_, _>>()?;
        let mut env = Vec::with_capacity(program.env.len());
        for (key, value) in &program.env {
            let mut variable = key.clone();
            variable.push("=");
            variable.push(value);
            env.push(c_string(&variable)?);
        }
        let mut script_argv = vec![c_string(OsStr::new("/bin/sh"))?];
        script_argv.extend(argv.iter().cloned());
        Ok(Image {
            candidates: candidates(command, path_variable(program))?,
            argv,
            script_argv,
            env,
        })
    }

    fn bytes(&self) -> Bytes {
        let all = self.argv.iter().chain(&self.env);
        Bytes::new(all.map(|s| s.as_bytes_with_nul().len() as u64).sum())
    }
}

/// `PATH` as the program will see it.
fn path_variable(program: &Program) -> &OsStr {
    program
        .env
        .iter()
        .find(|(key, _)| key == "PATH")
        .map_or(OsStr::new("/bin:/usr/bin"), |(_, value)| value.as_os_str())
}

/// Where a command may be, as execvp(3) has it: as it stands where it has a slash, else in each folder
/// of `PATH`, an empty one meaning the working directory.
fn candidates(command: &OsStr, path: &OsStr) -> Result<Vec<CString>, SpawnError> {
    if command.is_empty() {
        return Ok(Vec::new());
    }
    if command.as_bytes().contains(&b'/') {
        return Ok(vec![c_string(command)?]);
    }
    path.as_bytes()
        .split(|b| *b == b':')
        .map(|folder| {
            let folder = if folder.is_empty() { b"." } else { folder };
            c_string(
                Path::new(OsStr::from_bytes(folder))
                    .join(command)
                    .as_os_str(),
            )
        })
        .collect()
}

fn c_string(text: &OsStr) -> Result<CString, SpawnError> {
    CString::new(text.as_bytes()).map_err(|_| SpawnError::ZeroByte {
        what: text.to_owned(),
    })
}

/// Pointers to strings, closed by a null pointer.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|s| s.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

fn null_device(program: &Program) -> io::Result<Option<File>> {
    let wanted = [&program.stdin, &program.stdout, &program.stderr]
        .into_iter()
        .any(|stream| matches!(stream, Stream::Null));
    wanted
        .then(|| OpenOptions::new().read(true).write(true).open("/dev/null"))
        .transpose()
}

/// The descriptors to put in place of 0, 1 and 2, none of which is itself one of these, so that
/// putting one in place never closes another.
fn streams(
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    null: Option<&File>,
) -> io::Result<[Option<OwnedFd>; 3]> {
    let one = |stream| -> io::Result<Option<OwnedFd>> {
        match (stream, null) {
            (Stream::Null, Some(null)) => above_standard(null.as_fd()).map(Some),
            (Stream::Fd(fd), _) if fd.as_raw_fd() < 3 => above_standard(fd.as_fd()).map(Some),
            (Stream::Fd(fd), _) => Ok(Some(fd)),
            (Stream::Inherit | Stream::Null, _) => Ok(None),
        }
    };
    Ok([one(stdin)?, one(stdout)?, one(stderr)?])
}

fn above_standard(fd: std::os::fd::BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}

/// A pipe that closes when the program starts; its ends are not among the standard streams.
fn report_pipe() -> io::Result<(File, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let write = if write.as_raw_fd() < 3 {
        above_standard(write.as_fd())?
    } else {
        write
    };
    Ok((File::from(read), write))
}

/// Waits for the pipe to close (None) or to bring a failure.
fn wait_report(mut report: &File, stuck: &dyn Fn() -> bool) -> io::Result<Option<child::Failure>> {
    loop {
        let mut fds = [PollFd::from_borrowed_fd(report.as_fd(), PollFlags::IN)];
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        match poll(&mut fds, Some(&pause)) {
            Ok(0) if stuck() => return Ok(None),
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut message = [0; child::Failure::SIZE];
        return match report.read(&mut message)? {
            child::Failure::SIZE => Ok(Some(child::Failure::decode(message))),
            // Written with one call, so it comes whole or not at all.
            _ => Ok(None),
        };
    }
}

/// A failure in the words of the caller.
fn explain(
    failure: child::Failure,
    command: OsString,
    cwd: &Path,
    entry: &Entry<'_>,
    image: &Image,
) -> SpawnError {
    let source = io::Error::from_raw_os_error(failure.errno);
    match failure.stage {
        child::Stage::Join(number) => SpawnError::Join {
            path: entry.join.get(number).cloned().unwrap_or_default(),
            source,
        },
        child::Stage::Streams => SpawnError::System {
            command,
            call: "dup2",
            source,
        },
        child::Stage::Priority => SpawnError::System {
            command,
            call: "setting the scheduling class",
            source,
        },
        child::Stage::WorkingDirectory => SpawnError::WorkingDirectory {
            path: cwd.to_owned(),
            source,
        },
        child::Stage::Exec => match failure.errno {
            libc::ENOENT | libc::ENOTDIR => match existing(image, cwd) {
                Some(path) => SpawnError::NotExecutable {
                    command,
                    reason: format!(
                        "the interpreter that {} asks for does not exist",
                        path.display()
                    ),
                },
                None => SpawnError::NotFound { command },
            },
            libc::E2BIG => SpawnError::TooLong {
                command,
                bytes: image.bytes(),
            },
            libc::EACCES
            | libc::EPERM
            | libc::ENOEXEC
            | libc::EISDIR
            | libc::ELIBBAD
            | libc::EINVAL
            | libc::ELOOP
            | libc::ENAMETOOLONG
            | libc::ETXTBSY => SpawnError::NotExecutable {
                command,
                reason: reason(&source),
            },
            _ => SpawnError::System {
                command,
                call: "execve",
                source,
            },
        },
    }
}

/// The words of an error, without the number that Rust puts after them.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A candidate that exists although exec did not find it.
fn existing(image: &Image, cwd: &Path) -> Option<PathBuf> {
    image
        .candidates
        .iter()
        .map(|path| cwd.join(OsStr::from_bytes(path.as_bytes())))
        .find(|path| path.is_file())
}

/// Owns a descriptor that a system call returned.
#[expect(unsafe_code, reason = "a raw descriptor from clone3")]
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller got `fd` from the kernel just now and gave it to nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_follow_the_path() {
        let all = candidates(OsStr::new("ls"), OsStr::new("/a::/b")).unwrap();
        let all: Vec<_> = all.iter().map(|c| c.to_str().unwrap()).collect();
        assert_eq!(all, ["/a/ls", "./ls", "/b/ls"]);
        let all = candidates(OsStr::new("./ls"), OsStr::new("/a")).unwrap();
        assert_eq!(all.len(), 1);
        assert!(
            candidates(OsStr::new(""), OsStr::new("/a"))
                .unwrap()
                .is_empty()
        );
    }
}
