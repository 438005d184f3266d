//! What the tests of the isolation share: running things in a shadow and looking at the host.
#![allow(dead_code)] // Each test program uses a part of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use foreshadow_environment::isolation::{Sandbox, SandboxOptions, ShadowProcess};
use foreshadow_environment::{Exit, Program, Stream, Totals};

/// Longer than anything here takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(60);

/// Says loudly that a test did not run.
pub fn skip(test: &str, why: impl std::fmt::Display) {
    use std::io::Write;
    // Not by `eprintln!`, which the test runner hides for tests that pass.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether shadows can be had here; says so if not.
pub fn can_isolate(test: &str) -> bool {
    match Sandbox::probe() {
        Ok(_) => true,
        Err(error) => {
            skip(test, error);
            false
        }
    }
}

/// A directory that everyone may enter, on the host's own file system, gone at the end.
pub fn open_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))
        .expect("its permissions");
    dir
}

/// A program with no input, in this directory, whose output and errors go to the file given.
pub fn program(argv: &[&str], cwd: &Path, output: File) -> Program {
    Program {
        argv: argv.iter().map(OsString::from).collect(),
        env: std::env::vars_os().collect(),
        cwd: cwd.to_path_buf(),
        stdin: Stream::Null,
        stdout: Stream::Fd(output.try_clone().expect("a second descriptor").into()),
        stderr: Stream::Fd(output.into()),
    }
}

/// A pipe's two ends as files.
pub fn pipe() -> (File, File) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    (read.into(), write.into())
}

/// What came of a run.
#[derive(Debug)]
pub struct Done {
    pub exit: Exit,
    pub totals: Totals,
    pub output: String,
}

/// Runs to the end what a sandbox shall run; its output and errors together.
pub fn finish(sandbox: Sandbox, argv: &[&str]) -> Done {
    let (mut read, write) = pipe();
    let reader = thread::spawn(move || {
        let mut output = Vec::new();
        read.read_to_end(&mut output).expect("the output");
        String::from_utf8_lossy(&output).into_owned()
    });
    let mut shadow = sandbox
        .start(program(argv, Path::new("/"), write))
        .expect("the command starts");
    let (exit, totals) = shadow.wait().expect("the command ends");
    drop(shadow);
    Done {
        exit,
        totals,
        output: reader.join().expect("the reader ends"),
    }
}

pub fn sandbox() -> Sandbox {
    Sandbox::new(SandboxOptions::default()).expect("a sandbox")
}

/// Runs a shell script in a shadow.
pub fn sh(script: &str) -> Done {
    finish(sandbox(), &["sh", "-c", script])
}

/// Starts a shell script in a shadow, without output.
pub fn start_sh(sandbox: Sandbox, script: &str) -> ShadowProcess {
    let null = File::create("/dev/null").expect("/dev/null");
    sandbox
        .start(program(&["sh", "-c", script], Path::new("/"), null))
        .expect("the script starts")
}

/// Waits until something is so; false after a generous time.
pub fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

/// The processes of the host whose arguments hold this text.
pub fn processes_with(text: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|e| e.file_name().to_string_lossy().parse().ok())
        .filter(|pid: &i32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
        })
        .collect()
}

/// Whether a process exists, and is not a mere zombie.
pub fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|s| s.trim().starts_with('Z'))
    })
}

/// The host's mounts that look like a shadow's: its overlays, its scratch file systems.
pub fn mounts() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    table
        .lines()
        .filter(|line| line.contains("foreshadow") || line.contains("lowerdir=."))
        .map(str::to_string)
        .collect()
}

/// A text that no other run uses.
pub fn unique(what: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("foreshadow-{what}-{}-{count}", std::process::id())
}

/// The path as text, which all paths here are.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// This test program.
pub fn this_program() -> PathBuf {
    std::env::current_exe().expect("the path of this program")
}
