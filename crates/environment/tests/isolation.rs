//! The isolation at work: what a command in a shadow sees, what comes back, what is left behind.

mod isolation_help;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use foreshadow_environment::isolation::{
    IsolationError, IsolationKind, Sandbox, SandboxOptions, StartError,
};
use foreshadow_environment::{Exit, Program, Stream};
use foreshadow_quantity::Bytes;
use isolation_help::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Leaves the test where shadows cannot be had.
macro_rules! need_isolation {
    ($test:literal) => {
        if !can_isolate($test) {
            return;
        }
    };
}

#[test]
fn exit_codes_and_signals_pass_through() {
    need_isolation!("exit_codes_and_signals_pass_through");
    for code in [0, 1, 7, 125, 126, 127, 255] {
        assert_eq!(sh(&format!("exit {code}")).exit, Exit::Code(code));
    }
    for signal in [1, 6, 9, 11, 15] {
        assert_eq!(sh(&format!("kill -{signal} $$")).exit, Exit::Signal(signal));
    }
}

#[test]
fn commands_that_cannot_run_are_told_apart() {
    need_isolation!("commands_that_cannot_run_are_told_apart");
    let dir = open_dir();
    let plain = dir.path().join("plain");
    fs::write(&plain, "not a program").expect("writes");
    let program = |argv: &[&str]| Program {
        stdin: Stream::Null,
        stdout: Stream::Null,
        stderr: Stream::Null,
        cwd: "/".into(),
        ..Program::new(argv.iter().map(Into::into).collect()).expect("a program")
    };
    let start = |p| sandbox().start(p).map(drop);
    assert!(matches!(
        start(program(&["/nonexistent/program"])),
        Err(StartError::NotFound { command }) if command == Path::new("/nonexistent/program")
    ));
    assert!(matches!(
        start(program(&["no-such-program-anywhere"])),
        Err(StartError::NotFound { .. })
    ));
    assert!(matches!(
        start(program(&[text(&plain)])),
        Err(StartError::NotExecutable { .. })
    ));
    assert!(matches!(
        start(program(&["/"])),
        Err(StartError::NotExecutable { .. })
    ));
    assert!(matches!(start(program(&[])), Err(StartError::NoCommand)));
    assert!(matches!(
        start(program(&["true", "a\0b"])),
        Err(StartError::Nul { .. })
    ));
    assert!(matches!(
        start(Program { cwd: "/nonexistent".into(), ..program(&["true"]) }),
        Err(StartError::WorkingDirectory { path, .. }) if path == Path::new("/nonexistent")
    ));
}

#[test]
fn arguments_variables_directory_and_streams_arrive() {
    need_isolation!("arguments_variables_directory_and_streams_arrive");
    let dir = open_dir();
    let (mut read, write) = pipe();
    let (input, mut feed) = pipe();
    feed.write_all(b"fed\n").expect("feeds");
    drop(feed);
    let long = "x".repeat(100_000);
    let script = r#"read line; echo "$line $1 ${#2} $VARIABLE"; pwd; echo err >&2"#;
    let mut program = program(&["sh", "-c", script, "sh", "a b", &long], dir.path(), write);
    program.env.push(("VARIABLE".into(), "value".into()));
    program.stdin = Stream::Fd(input.into());
    let mut shadow = sandbox().start(program).expect("starts");
    assert_eq!(shadow.wait().expect("ends").0, Exit::Code(0));
    let mut output = String::new();
    read.read_to_string(&mut output).expect("reads");
    let expected = format!("fed a b 100000 value\n{}\nerr\n", text(dir.path()));
    assert_eq!(output, expected);
}

#[test]
fn a_script_without_an_interpreter_line_runs_as_in_a_shell() {
    need_isolation!("a_script_without_an_interpreter_line_runs_as_in_a_shell");
    let dir = open_dir();
    let script = dir.path().join("script");
    fs::write(&script, "echo ran with $1\n").expect("writes");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("permissions");
    let done = finish(sandbox(), &[text(&script), "this"]);
    assert_eq!(
        (done.exit, done.output.as_str()),
        (Exit::Code(0), "ran with this\n")
    );
}

#[test]
fn input_files_are_read_from_where_they_stand_and_stay_there() {
    need_isolation!("input_files_are_read_from_where_they_stand_and_stay_there");
    let dir = open_dir();
    let path = dir.path().join("input");
    fs::write(&path, "one\ntwo\nthree\n").expect("writes");
    let mut file = File::open(&path).expect("opens");
    file.seek(SeekFrom::Start(4)).expect("seeks");
    let (mut read, write) = pipe();
    let mut program = program(&["cat"], Path::new("/"), write);
    program.stdin = Stream::Fd(file.try_clone().expect("a copy").into());
    let mut shadow = sandbox().start(program).expect("starts");
    assert_eq!(shadow.wait().expect("ends").0, Exit::Code(0));
    let mut output = String::new();
    read.read_to_string(&mut output).expect("reads");
    assert_eq!(output, "two\nthree\n");
    assert_eq!(
        file.stream_position().expect("a position"),
        4,
        "ours did not move"
    );
}

#[test]
fn streams_that_lead_out_are_refused() {
    need_isolation!("streams_that_lead_out_are_refused");
    let directory = File::open("/").expect("opens");
    let mut program = program(&["true"], Path::new("/"), pipe().1);
    program.stdin = Stream::Fd(directory.into());
    let error = sandbox().start(program).map(drop).expect_err("refused");
    assert!(
        matches!(
            error,
            StartError::Stream {
                stream: "input",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_command_sees_the_hosts_files_and_its_own_kernel_directories() {
    need_isolation!("the_command_sees_the_hosts_files_and_its_own_kernel_directories");
    let dir = open_dir();
    fs::write(dir.path().join("file"), "content").expect("writes");
    let done = sh(&format!(
        "cat {}/file; echo; ls /dev; echo --; ls -A /dev/shm; echo --; echo $$; cat /proc/1/comm; \
         echo --; cat /sys/class/net/lo/operstate; ls /sys/class/net",
        text(dir.path())
    ));
    let parts: Vec<&str> = done.output.split("--\n").collect();
    let [files, shm, processes, network] = parts[..] else {
        panic!("unexpected output {}", done.output);
    };
    let mut lines = files.lines();
    assert_eq!(lines.next(), Some("content"));
    let devices: Vec<&str> = lines.collect();
    let expected = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    ];
    assert_eq!(devices, expected);
    assert_eq!(shm, "");
    let pid: u32 = processes
        .lines()
        .next()
        .and_then(|l| l.parse().ok())
        .expect("a pid");
    assert!(pid < 10, "pids start anew, but this is {pid}");
    assert!(network.lines().any(|l| l == "lo"), "{network}");
    assert_eq!(network.lines().count(), 2, "only lo: {network}");
}

#[test]
fn ordinary_things_work_inside() {
    need_isolation!("ordinary_things_work_inside");
    // Pipes, background jobs, temporary files, a pty, own sockets and signals.
    let done = sh(
        "set -e; d=$(mktemp -d); cd $d; seq 1000 | sort -n | tail -1 > a; cat a; mv a b; ln b c; \
         chmod 700 c; rm b; sleep 100 & kill $!; wait $! 2>/dev/null || true; mkdir -p x/y; rmdir x/y; \
         echo x > /dev/null; head -c 3 /dev/urandom | wc -c; ls /proc/self/fd > /dev/null; echo end",
    );
    assert_eq!(done.exit, Exit::Code(0), "{}", done.output);
    assert_eq!(done.output, "1000\n3\nend\n");
}

#[test]
fn directories_of_others_can_be_written_to_as_on_the_host() {
    need_isolation!("directories_of_others_can_be_written_to_as_on_the_host");
    let name = unique("file");
    // Where everyone may write, at the command's side and by argument; and where no user may.
    let script = r#"echo x > "$1" && cat "$1" && mkdir here && rmdir here && ls -d "$1""#;
    let path = Path::new("/var/tmp").join(&name);
    let (mut read, write) = pipe();
    let argv = ["sh", "-c", script, "sh", text(&path)];
    let mut shadow = sandbox()
        .start(program(&argv, Path::new("/var/tmp"), write))
        .expect("starts");
    shadow.wait().expect("ends");
    let mut output = String::new();
    read.read_to_string(&mut output).expect("reads");
    assert_eq!(output, format!("x\n{}\n", text(&path)));
    assert!(!path.exists());
    let done = sh("cd /bin; touch new || echo refused; cd /; touch new || echo refused");
    let refused = done.output.matches("refused\n").count();
    let may_write = |dir: &&str| rustix::fs::access(*dir, rustix::fs::Access::WRITE_OK).is_ok();
    let expected = 2 - ["/bin", "/"].iter().filter(|dir| may_write(dir)).count();
    assert_eq!(refused, expected, "{}", done.output);
}

#[test]
fn totals_count_the_whole_shadow() {
    need_isolation!("totals_count_the_whole_shadow");
    let dir = open_dir();
    let input = dir.path().join("input");
    fs::write(&input, vec![b'x'; 8 << 20]).expect("writes");
    let done = sh(&format!(
        "cat {0} | cat > /dev/null; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done",
        text(&input)
    ));
    let totals = done.totals;
    let read = totals.read_chars.expect("the kernel counts reads").get();
    assert!(read >= 16 << 20, "two times 8 MiB were read, but {read}");
    assert!(read < 24 << 20, "no more than the command's own: {read}");
    assert!(
        totals.user + totals.system > Duration::from_millis(5),
        "{totals:?}"
    );
    assert!(totals.max_rss > Bytes::kib(100), "{totals:?}");
    assert!(totals.minor_faults > 100, "{totals:?}");
}

#[test]
fn killing_tells_what_was_used_until_then() {
    need_isolation!("killing_tells_what_was_used_until_then");
    let (mut read, write) = pipe();
    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo go; sleep 1000";
    let mut shadow = sandbox()
        .start(program(&["sh", "-c", script], Path::new("/"), write))
        .expect("starts");
    assert_eq!(shadow.try_wait().expect("asks"), None);
    let mut go = [0; 3];
    read.read_exact(&mut go).expect("reads");
    shadow.kill();
    let (exit, totals) = shadow.wait().expect("ends");
    assert_eq!(exit, Exit::Signal(9));
    assert!(
        totals.user + totals.system > Duration::from_millis(5),
        "{totals:?}"
    );
    assert_eq!(shadow.wait().expect("again").0, exit);
}

#[test]
fn it_can_be_polled() {
    need_isolation!("it_can_be_polled");
    let mut shadow = start_sh(sandbox(), "exit 3");
    let patience = Timespec::try_from(LONG).ok();
    let fd = shadow.as_fd();
    let ready = poll(
        &mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)],
        patience.as_ref(),
    );
    assert_eq!(ready, Ok(1));
    let ended = shadow.try_wait().expect("asks").expect("it has ended");
    assert_eq!(ended.0, Exit::Code(3));
}

#[test]
fn nothing_is_left_after_the_end_nor_after_a_drop() {
    need_isolation!("nothing_is_left_after_the_end_nor_after_a_drop");
    let before = mounts();
    let mark = unique("left");
    // A process that leaves its session and lives on.
    let script = format!("(setsid sh -c 'sleep 1000; : {mark}' &) ; sleep 1000; : {mark}");
    let shadow = start_sh(sandbox(), &script);
    let init = shadow.init_pid();
    assert!(eventually(|| processes_with(&mark).len() >= 2), "they run");
    assert!(lives(init));
    assert_eq!(mounts(), before, "the host sees no mount of a shadow");
    drop(shadow);
    assert_eq!(processes_with(&mark), [0; 0]);
    assert!(!Path::new(&format!("/proc/{init}")).exists(), "reaped");
    // One that ends by itself, its daemon still there.
    let script = format!("(setsid sh -c 'sleep 1000; : {mark}' &) ; exit 0");
    let mut shadow = start_sh(sandbox(), &script);
    shadow.wait().expect("ends");
    assert_eq!(processes_with(&mark), [0; 0]);
    // One that never started.
    let idle = sandbox();
    let init = idle.init_pid();
    drop(idle);
    assert!(!Path::new(&format!("/proc/{init}")).exists(), "reaped");
    assert_eq!(mounts(), before);
}

/// Not a test of its own: the owner that is killed in the next one.
#[test]
fn owner_to_be_killed() {
    let Ok(mark) = std::env::var("FORESHADOW_TEST_MARK") else {
        return;
    };
    let shadow = start_sh(
        sandbox(),
        &format!("(setsid sh -c 'sleep 1000; : {mark}' &); sleep 1000; : {mark}"),
    );
    // A second one that only waits for its command.
    let idle = sandbox();
    println!("INITS {} {}", shadow.init_pid(), idle.init_pid());
    std::thread::sleep(Duration::from_secs(1000));
}

#[test]
fn killing_the_owner_leaves_nothing() {
    need_isolation!("killing_the_owner_leaves_nothing");
    let mark = unique("owner");
    let before = mounts();
    let mut owner = std::process::Command::new(this_program())
        .args(["--exact", "owner_to_be_killed", "--nocapture"])
        .env("FORESHADOW_TEST_MARK", &mark)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the owner starts");
    let mut output = owner.stdout.take().expect("its output");
    let mut said = String::new();
    let mut byte = [0];
    while !said.contains("INITS") || !said.ends_with('\n') {
        output.read_exact(&mut byte).expect("it goes on");
        said.push(char::from(byte[0]));
    }
    let inits: Vec<u32> = said
        .lines()
        .find_map(|l| l.split_once("INITS "))
        .map(|(_, pids)| pids.split(' ').map(|p| p.parse().expect("a pid")).collect())
        .expect("pids");
    assert!(eventually(|| processes_with(&mark).len() >= 2), "they run");
    owner.kill().expect("kills");
    owner.wait().expect("reaps");
    assert!(
        eventually(|| processes_with(&mark).is_empty()),
        "the command and its daemon are gone"
    );
    for init in inits {
        assert!(eventually(|| !lives(init)), "first process {init} is gone");
    }
    assert_eq!(mounts(), before);
}

#[test]
fn a_stand_in_takes_the_place_of_an_input_in_every_way() {
    need_isolation!("a_stand_in_takes_the_place_of_an_input_in_every_way");
    let dir = open_dir();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).expect("makes");
    let path = inner.join("data.csv");
    fs::write(&path, "the real thing, much longer\n").expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("permissions");
    let host = fs::metadata(&path).expect("metadata");
    let host_dir = fs::metadata(&inner).expect("metadata");
    let sandbox = sandbox();
    let mut stand_in = sandbox.place(&path).expect("places");
    stand_in.write_all(b"sample\n").expect("fills");
    drop(stand_in);
    let p = text(&path);
    let done = finish(
        sandbox,
        &[
            "sh",
            "-c",
            &format!(
                "set -e; cat {p}; stat -c '%a %Y %u %g' {p}; stat -c '%a %Y' {i}; \
                 echo more >> {p}; cat {p}; mv {p} {p}.old; test ! -e {p}; cat {p}.old; \
                 ln {p}.old {p}.link; rm {p}.old; echo new > {p}; cat {p}; ls {i}",
                i = text(&inner)
            ),
        ],
    );
    assert_eq!(done.exit, Exit::Code(0), "{}", done.output);
    let expected = format!(
        "sample\n640 {} {} {}\n755 {}\nsample\nmore\nsample\nmore\nnew\ndata.csv\ndata.csv.link\n",
        host.mtime(),
        host.uid(),
        host.gid(),
        host_dir.mtime()
    );
    assert_eq!(done.output, expected);
    assert_eq!(
        fs::read_to_string(&path).expect("reads"),
        "the real thing, much longer\n"
    );
    assert_eq!(fs::read_dir(&inner).expect("lists").count(), 1);
}

#[test]
fn stand_ins_follow_links_and_need_no_original() {
    need_isolation!("stand_ins_follow_links_and_need_no_original");
    let dir = open_dir();
    let real = dir.path().join("real");
    let link = dir.path().join("link");
    fs::write(&real, "host").expect("writes");
    std::os::unix::fs::symlink(&real, &link).expect("links");
    let sandbox = sandbox();
    let place = |path: &Path, content: &str| {
        let mut file = sandbox.place(path).expect("places");
        file.write_all(content.as_bytes()).expect("fills");
    };
    place(&link, "shadow");
    place(&dir.path().join("not/there/yet"), "made");
    // A second stand-in replaces the first.
    place(&link, "again");
    sandbox.hide(Path::new("/etc/hostname")).expect("hides");
    let done = finish(
        sandbox,
        &[
            "sh",
            "-c",
            &format!(
                "cd {}; cat real link; readlink link; cat not/there/yet; ls /etc/hostname",
                text(dir.path())
            ),
        ],
    );
    let expected = format!("againagain{}\nmade", text(&real));
    assert!(done.output.starts_with(&expected), "{}", done.output);
    assert!(!done.exit.success(), "the hidden file is missing");
    assert_eq!(fs::read_to_string(&real).expect("reads"), "host");
    assert!(!dir.path().join("not").exists());
}

#[test]
fn a_replaced_directory_shows_only_what_was_placed() {
    need_isolation!("a_replaced_directory_shows_only_what_was_placed");
    let dir = open_dir();
    let data = dir.path().join("data");
    fs::create_dir_all(data.join("sub")).expect("makes");
    for name in ["a", "b", "sub/c", "sub/d"] {
        fs::write(data.join(name), name).expect("writes");
    }
    let sandbox = sandbox();
    sandbox.place_dir(&data).expect("replaces");
    let mut sampled = sandbox.place(&data.join("sub/c")).expect("places");
    sampled.write_all(b"sampled").expect("fills");
    let script = format!("cd {}; find . -type f; cat sub/c; ls -d ..", text(&data));
    let done = finish(sandbox, &["sh", "-c", &script]);
    assert_eq!(done.output, "./sub/c\nsampled..\n");
    assert_eq!(fs::read_dir(&data).expect("lists").count(), 3);
}

#[test]
fn stand_ins_go_to_fresh_directories_too_and_not_to_the_kernels() {
    need_isolation!("stand_ins_go_to_fresh_directories_too_and_not_to_the_kernels");
    let sandbox = sandbox();
    for path in ["/run/foreshadow/x", "/dev/shm/y"] {
        let mut file = sandbox.place(Path::new(path)).expect("places");
        file.write_all(path.as_bytes()).expect("fills");
    }
    for path in ["/proc/sys/vm/x", "/dev/null", "/sys/x", "relative", "/etc"] {
        let error = sandbox.place(Path::new(path)).expect_err("refused");
        assert!(
            matches!(error, IsolationError::Unplaceable { .. }),
            "{path}: {error}"
        );
    }
    let done = finish(sandbox, &["cat", "/run/foreshadow/x", "/dev/shm/y"]);
    assert_eq!(done.output, "/run/foreshadow/x/dev/shm/y");
    assert!(!Path::new("/run/foreshadow/x").exists());
    assert!(!Path::new("/dev/shm/y").exists());
}

#[test]
fn the_scratch_is_bounded_and_says_when_it_is_full() {
    need_isolation!("the_scratch_is_bounded_and_says_when_it_is_full");
    let dir = open_dir();
    let options = || SandboxOptions {
        scratch: Bytes::mib(4),
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::new(options()).expect("a sandbox");
    // What is placed does not count.
    let mut stand_in = sandbox.place(&dir.path().join("in")).expect("places");
    stand_in.write_all(&vec![1; 8 << 20]).expect("fills");
    drop(stand_in);
    let script = format!(
        "cd {}; head -c 3145728 /dev/zero > out && echo fits; head -c 3145728 /dev/zero > more || echo full",
        text(dir.path())
    );
    let (mut read, write) = pipe();
    let mut shadow = sandbox
        .start(program(&["sh", "-c", &script], Path::new("/"), write))
        .expect("starts");
    shadow.wait().expect("ends");
    let mut output = String::new();
    read.read_to_string(&mut output).expect("reads");
    assert!(
        output.contains("fits") && output.contains("full"),
        "{output}"
    );
    assert!(shadow.scratch_full());
    let used = shadow.scratch_used();
    assert!(
        used > Bytes::mib(3) && used <= Bytes::mib(4) + Bytes::kib(64),
        "{used}"
    );
    // The same in all places that can be written to, and of files without content.
    for place in ["/dev/shm", "/run", "/tmp", "/dev"] {
        let mut shadow = start_sh(
            Sandbox::new(options()).expect("a sandbox"),
            &format!("head -c 8388608 /dev/zero > {place}/big"),
        );
        let exit = shadow.wait().expect("ends").0;
        if is_root() || place != "/run" {
            assert_eq!(exit, Exit::Code(1), "{place}");
            assert!(shadow.scratch_full(), "{place}");
        }
    }
    let mut shadow = start_sh(
        Sandbox::new(options()).expect("a sandbox"),
        "cd /tmp; i=0; while : > $i; do i=$((i+1)); done",
    );
    shadow.wait().expect("ends");
    assert!(shadow.scratch_full(), "files are bounded as well");
    let mut shadow = start_sh(Sandbox::new(options()).expect("a sandbox"), "true");
    shadow.wait().expect("ends");
    assert!(!shadow.scratch_full());
}

#[test]
fn opened_files_are_named() {
    need_isolation!("opened_files_are_named");
    if Sandbox::probe().expect("it was possible") != IsolationKind::Root {
        return skip("opened_files_are_named", "only root can watch opened files");
    }
    let dir = open_dir();
    for name in ["read", "sampled", "untouched"] {
        fs::write(dir.path().join(name), name).expect("writes");
    }
    let sandbox = Sandbox::new(SandboxOptions {
        watch_opens: true,
        ..SandboxOptions::default()
    })
    .expect("a sandbox");
    sandbox.place(&dir.path().join("sampled")).expect("places");
    let script = format!("cd {}; cat read sampled > written", text(dir.path()));
    let mut shadow = start_sh(sandbox, &script);
    assert!(shadow.watches_opens());
    shadow.wait().expect("ends");
    let opened = shadow.opened();
    for name in ["read", "sampled", "written"] {
        assert!(
            opened.contains(&dir.path().join(name)),
            "{name}: {opened:?}"
        );
    }
    assert!(!opened.contains(&dir.path().join("untouched")));
    assert!(!shadow.missed_opens());
    // Not watched unless asked for.
    let mut shadow = start_sh(crate::isolation_help::sandbox(), "true");
    shadow.wait().expect("ends");
    assert!(!shadow.watches_opens() && shadow.opened().is_empty());
}

#[test]
fn written_files_are_told_from_read_ones() {
    need_isolation!("written_files_are_told_from_read_ones");
    if Sandbox::probe().expect("it was possible") != IsolationKind::Root {
        return skip(
            "written_files_are_told_from_read_ones",
            "only root can watch opened files",
        );
    }
    let dir = open_dir();
    for name in ["read", "over", "appended", "first", "opened"] {
        fs::write(dir.path().join(name), name).expect("writes");
    }
    let sandbox = Sandbox::new(SandboxOptions {
        watch_opens: true,
        ..SandboxOptions::default()
    })
    .expect("a sandbox");
    drop(sandbox.place(&dir.path().join("over")).expect("places"));
    let script = format!(
        "cd {}; cat read >new; cat read >over; cat read >>appended; cat first >/dev/null; \
         echo x >>first; exec 3<>opened",
        text(dir.path())
    );
    let mut shadow = start_sh(sandbox, &script);
    shadow.wait().expect("ends");
    let written = shadow.written();
    for (name, expected) in [
        ("new", true),
        ("over", true),
        ("appended", true),
        ("read", false),
        ("first", false),
        ("opened", false),
    ] {
        let path = dir.path().join(name);
        assert!(shadow.opened().contains(&path), "{name}");
        assert_eq!(written.contains(&path), expected, "{name}: {written:?}");
    }
    assert_eq!(
        fs::read_to_string(dir.path().join("over")).expect("reads"),
        "over"
    );
}

#[test]
fn many_at_once() {
    need_isolation!("many_at_once");
    let before = mounts();
    let dir = open_dir();
    let file = dir.path().join("file");
    fs::write(&file, "host").expect("writes");
    let run = |n: usize| {
        let sandbox = sandbox();
        let mut stand_in = sandbox.place(&file).expect("places");
        write!(stand_in, "{n}").expect("fills");
        drop(stand_in);
        let script = format!("cat {0}; echo x >> {0}; exit {1}", text(&file), n);
        let done = finish(sandbox, &["sh", "-c", &script]);
        assert_eq!(done.output, n.to_string());
        assert_eq!(done.exit, Exit::Code(i32::try_from(n).expect("small")));
    };
    std::thread::scope(|scope| {
        for n in 0..50 {
            scope.spawn(move || run(n));
        }
    });
    assert_eq!(fs::read_to_string(&file).expect("reads"), "host");
    assert_eq!(mounts(), before);
}

#[test]
fn a_fork_bomb_ends_with_its_shadow() {
    need_isolation!("a_fork_bomb_ends_with_its_shadow");
    let mark = unique("bomb");
    // Bounded by itself, for a machine without pid limits: sixty-four processes, each replaced
    // when it ends.
    let script = format!(
        "b() {{ while :; do (sleep 0.01; : {mark}); done; }}; \
         i=0; while [ $i -lt 32 ]; do b & i=$((i+1)); done; sleep 1000; : {mark}"
    );
    let shadow = start_sh(sandbox(), &script);
    assert!(eventually(|| processes_with(&mark).len() > 16));
    drop(shadow);
    assert_eq!(processes_with(&mark), [0; 0]);
}

#[test]
fn it_is_in_its_environment_from_the_start() {
    need_isolation!("it_is_in_its_environment_from_the_start");
    // A stand-in for a cgroup.procs file: what is written there is all that is asked for.
    let dir = open_dir();
    let procs = dir.path().join("cgroup.procs");
    fs::write(&procs, "").expect("writes");
    let sandbox = Sandbox::new(SandboxOptions {
        join: vec![procs.clone()],
        ..SandboxOptions::default()
    })
    .expect("a sandbox");
    assert_eq!(fs::read_to_string(&procs).expect("reads"), "0");
    drop(sandbox);
    let missing = dir.path().join("missing/cgroup.procs");
    let error = Sandbox::new(SandboxOptions {
        join: vec![missing.clone()],
        ..SandboxOptions::default()
    })
    .map(drop)
    .expect_err("cannot join");
    assert!(error.to_string().contains(text(&missing)), "{error}");
}

#[test]
fn dies_first_when_memory_runs_out() {
    need_isolation!("dies_first_when_memory_runs_out");
    assert_eq!(sh("cat /proc/self/oom_score_adj").output, "1000\n");
}
