//! Shadows of hosts with more mounts than one, and hosts that do not let us make any.
//!
//! The mounts are made in a mount namespace of the test's own, in a copy of this program, so that
//! the machine is spared.
#![allow(unsafe_code)]

mod isolation_help;

use std::fs::{self, Permissions};

use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use foreshadow_environment::Exit;
use foreshadow_environment::isolation::{IsolationError, IsolationKind, Sandbox, Step};
use isolation_help::*;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount,
};

/// The variable that tells a copy of this program that it is one, and where it may mount.
const INSIDE: &str = "FORESHADOW_TEST_INSIDE";

fn inside() -> Option<PathBuf> {
    std::env::var_os(INSIDE).map(PathBuf::from)
}

/// Runs one test of this program again, after `prepare`, which makes system calls only.
fn again(
    test: &str,
    place: &Path,
    prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> Output {
    let mut command = Command::new(this_program());
    command
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, place)
        .stdin(Stdio::null());
    // SAFETY: between fork and exec, `prepare` only makes system calls with prepared arguments.
    unsafe { command.pre_exec(prepare) };
    command.output().expect("runs")
}

fn must_succeed(output: &Output) {
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: no memory is involved.
    match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn tmpfs(at: &Path) {
    fs::create_dir_all(at).expect("makes");
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), None).expect("mounts");
}

#[test]
fn every_mount_is_mirrored() {
    mirror("every_mount_is_mirrored", || {});
}

#[test]
fn every_mount_is_mirrored_for_an_ordinary_user() {
    if can_be_user() {
        mirror(
            "every_mount_is_mirrored_for_an_ordinary_user",
            become_nobody,
        );
    } else {
        skip(
            "every_mount_is_mirrored_for_an_ordinary_user",
            "no user namespaces here",
        );
    }
}

/// Makes this thread, and the children it makes, a user without rights.
fn become_nobody() {
    // SAFETY: system calls with plain numbers. The kernel changes the calling thread only, which
    // here is wanted: the C library's wrappers would change the test runner's as well.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_setgroups, 0, 0usize), 0);
        assert_eq!(
            libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY),
            0
        );
        assert_eq!(
            libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY),
            0
        );
        // The change took it away.
        assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
    }
}

fn mirror(test: &str, change_user: fn()) {
    if let Some(place) = inside() {
        return look_at_mounts(&place, change_user);
    }
    if !is_root() {
        return skip(test, "only root can mount");
    }
    if can_isolate(test) {
        let dir = open_dir();
        must_succeed(&again(test, dir.path(), || unshare(libc::CLONE_NEWNS)));
    }
}

const NOBODY: u32 = 65534;

/// Everyone may do everything with it; it belongs to a user without rights.
fn open_to_all(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("an owner");
    fs::set_permissions(path, Permissions::from_mode(0o777)).expect("permissions");
}

fn look_at_mounts(place: &Path, change_user: fn()) {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .expect("private");
    // A name with all that the options of mounts and the table of mounts give a meaning to.
    let base = place.join("a b,c:d\\e=f\"g");
    let inner = base.join("inner");
    let deep = inner.join("deep");
    let fixed = base.join("fixed");
    let covered = base.join("covered");
    tmpfs(&inner);
    tmpfs(&deep);
    tmpfs(&fixed);
    tmpfs(&covered);
    fs::write(covered.join("below"), "below").expect("writes");
    tmpfs(&covered);
    for (dir, content) in [
        (&inner, "inner"),
        (&deep, "deep"),
        (&fixed, "fixed"),
        (&covered, "on top"),
    ] {
        fs::write(dir.join("file"), content).expect("writes");
        open_to_all(&dir.join("file"));
        open_to_all(dir);
    }
    open_to_all(&base);
    mount_remount(&fixed, MountFlags::RDONLY | MountFlags::BIND, "").expect("remounts");
    let single = base.join("single");
    fs::write(&single, "").expect("writes");
    mount_bind(inner.join("file"), &single).expect("binds");
    let socket = deep.join("socket");
    let _listener = UnixListener::bind(&socket).expect("binds");
    open_to_all(&socket);
    change_user();
    UnixStream::connect(&socket).expect("connects, without isolation");

    // The directory as an argument: the shell need not quote it.
    let script = |rest: &str| format!("cd \"$1\" && {{ {rest}; }}");
    let run = |sandbox: Sandbox, rest: &str| {
        finish(sandbox, &["sh", "-c", &script(rest), "sh", text(&base)])
    };

    let done = run(
        sandbox(),
        "cat inner/file inner/deep/file fixed/file covered/file single; ls covered",
    );
    assert_eq!(
        done.output, "innerdeepfixedon topinnerfile\n",
        "what is mounted is seen"
    );

    let done = run(
        sandbox(),
        "echo x > inner/deep/file && rm covered/file && mkdir inner/new && \
         mv inner/deep/file inner/deep/other && echo z > inner/new/file && echo written; \
         echo x > fixed/file || echo y > single || echo refused",
    );
    assert!(done.output.contains("written\n"), "{}", done.output);
    assert!(done.output.ends_with("refused\n"), "{}", done.output);
    for (path, content) in [
        (inner.join("file"), "inner"),
        (deep.join("file"), "deep"),
        (covered.join("file"), "on top"),
    ] {
        assert_eq!(fs::read_to_string(path).expect("reads"), content);
    }
    assert!(!inner.join("new").exists());

    // Sockets in nested mounts are as far away as others.
    let own = this_program();
    let connect = format!(
        "FORESHADOW_TEST_SOCKET=\"$1/inner/deep/socket\" {} --exact connector --nocapture",
        text(&own)
    );
    let done = run(sandbox(), &connect);
    assert!(
        done.output.contains("connection refused"),
        "{}",
        done.output
    );

    stand_ins_in_mounts(&base, &run);
}

fn stand_ins_in_mounts(base: &Path, run: &dyn Fn(Sandbox, &str) -> Done) {
    let fill = |sandbox: &Sandbox, path: &str, content: &str| {
        let mut file = sandbox.place(&base.join(path)).expect("places");
        file.write_all(content.as_bytes()).expect("fills");
    };
    let shadow = sandbox();
    fill(&shadow, "inner/deep/file", "sample");
    shadow.hide(&base.join("inner/file")).expect("hides");
    let error = shadow.place(&base.join("fixed/file")).expect_err("refused");
    assert!(error.to_string().contains("read-only"), "{error}");
    let done = run(shadow, "ls inner; cat inner/deep/file");
    assert_eq!(done.output, "deep\nsample");

    // A mount replaced as a whole, and a directory with mounts in it.
    let shadow = sandbox();
    shadow.place_dir(&base.join("inner")).expect("replaces");
    fill(&shadow, "inner/deep/only", "placed");
    let done = run(shadow, "find inner | sort; cat inner/deep/only");
    assert_eq!(done.output, "inner\ninner/deep\ninner/deep/only\nplaced");

    let shadow = sandbox();
    shadow.place_dir(base).expect("replaces");
    fill(&shadow, "inner/x", "placed");
    let done = run(shadow, "find . | sort; cat inner/x");
    assert_eq!(done.output, ".\n./inner\n./inner/x\nplaced");
    assert_eq!(
        fs::read_to_string(base.join("inner/deep/file")).expect("reads"),
        "deep"
    );
}

/// Not a test of its own: what tries a socket from inside.
#[test]
fn connector() {
    if let Some(path) = std::env::var_os("FORESHADOW_TEST_SOCKET") {
        match UnixStream::connect(path) {
            Ok(_) => println!("connected"),
            Err(error) => println!("connection refused: {error}"),
        }
    }
}

#[test]
fn where_nothing_can_be_isolated_the_reason_is_told() {
    const TEST: &str = "where_nothing_can_be_isolated_the_reason_is_told";
    if inside().is_some() {
        let error = Sandbox::probe().expect_err("no namespaces here");
        assert!(
            matches!(
                error,
                IsolationError::Refused {
                    step: Step::Namespaces,
                    ..
                }
            ),
            "{error:?}"
        );
        let said = error.to_string();
        assert!(said.contains("max_user_namespaces"), "{said}");
        return;
    }
    if !can_isolate(TEST) {
        return;
    }
    // A user namespace in which there may be none.
    let dir = open_dir();
    let user = rustix::process::geteuid().as_raw();
    let map = format!("{user} {user} 1");
    let output = again(TEST, dir.path(), move || {
        unshare(libc::CLONE_NEWUSER)?;
        write(c"/proc/self/uid_map", map.as_bytes())?;
        for limit in [
            c"/proc/sys/user/max_user_namespaces",
            c"/proc/sys/user/max_mnt_namespaces",
        ] {
            write(limit, b"0")?;
        }
        Ok(())
    });
    must_succeed(&output);
}

fn write(path: &std::ffi::CStr, bytes: &[u8]) -> io::Result<()> {
    let flags = rustix::fs::OFlags::WRONLY;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    rustix::io::write(&file, bytes)?;
    Ok(())
}

#[test]
fn root_without_rights_over_mounts_makes_a_user_namespace() {
    const TEST: &str = "root_without_rights_over_mounts_makes_a_user_namespace";
    if inside().is_some() {
        let kind = Sandbox::probe().expect("possible");
        assert_eq!(kind, IsolationKind::UserNamespace);
        let done = sh("id -u; touch /etc/x && echo made");
        assert_eq!(
            (done.exit, done.output.as_str()),
            (Exit::Code(0), "0\nmade\n")
        );
        assert!(!Path::new("/etc/x").exists());
        return;
    }
    if !is_root() {
        return skip(TEST, "only root has rights to give up");
    }
    if !can_isolate(TEST) || !can_be_user() {
        return skip(TEST, "no user namespaces here");
    }
    let dir = open_dir();
    let output = again(TEST, dir.path(), || {
        let capability = rustix::thread::CapabilitySet::SYS_ADMIN;
        rustix::thread::remove_capability_from_bounding_set(capability)?;
        let mut has = rustix::thread::capabilities(None)?;
        has.effective -= capability;
        has.permitted -= capability;
        Ok(rustix::thread::set_capabilities(None, has)?)
    });
    must_succeed(&output);
}

/// Whether a process without rights can make a user namespace.
fn can_be_user() -> bool {
    let mut command = Command::new("true");
    // SAFETY: one system call.
    unsafe { command.pre_exec(|| unshare(libc::CLONE_NEWUSER)) };
    command.status().is_ok_and(|s| s.success())
}

#[test]
fn a_closed_stream_is_no_obstacle() {
    const TEST: &str = "a_closed_stream_is_no_obstacle";
    if inside().is_some() {
        // Inherits what is not there.
        let program = foreshadow_environment::Program::new(vec!["true".into()]);
        let mut shadow = sandbox()
            .start(program.expect("a program"))
            .expect("starts");
        assert_eq!(shadow.wait().expect("ends").0, Exit::Code(0));
        return;
    }
    if can_isolate(TEST) {
        let dir = open_dir();
        let output = again(TEST, dir.path(), || {
            // SAFETY: nothing uses standard input here.
            unsafe { libc::close(0) };
            Ok(())
        });
        must_succeed(&output);
    }
}
