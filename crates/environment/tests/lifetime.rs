//! Nothing is left behind: by a drop, by many at once, by a killed owner.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Helper, PATIENCE, environment, eventually, shell};
use foreshadow_environment::{
    BackendKind, Environment, Exit, Host, Limits, Program, Role, SpawnError, Stream, sweep,
};
use foreshadow_quantity::Bytes;

#[test]
fn helper() {
    match std::env::var("FORESHADOW_TEST_ORDER").as_deref() {
        Ok("own") => own_and_hang(),
        Ok("many") => hold_many(),
        _ => common::obey(),
    }
}

/// The groups of an environment.
fn groups(environment: &Environment) -> Vec<PathBuf> {
    let join = environment.join();
    let parents: BTreeSet<&Path> = join.iter().filter_map(|file| file.parent()).collect();
    parents.into_iter().map(Path::to_owned).collect()
}

fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

#[test]
fn a_drop_kills_and_removes_everything() {
    let environment = environment(Limits {
        memory_max: Some(Bytes::mib(512)),
        ..Limits::default()
    });
    let folders = groups(&environment);
    assert!(folders.iter().all(|folder| folder.is_dir()), "{folders:?}");
    // A child, a grandchild, and one that left the session.
    let script = "sleep 1000 & (setsid sleep 1000 &) ; sleep 1000; true";
    let mut process = environment.spawn(shell(script)).unwrap();
    let mut pids = Vec::new();
    eventually("three sleepers and a shell", || {
        pids = environment.pids().unwrap();
        pids.len() >= 4
    });
    drop(environment);
    assert_eq!(process.wait().unwrap().0, Exit::Signal(9));
    eventually("the end of all", || {
        pids.iter().all(|pid| !is_running(*pid))
    });
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
}

#[test]
fn a_frozen_environment_is_dropped_too() {
    let environment = environment(Limits::default());
    let mut process = environment.spawn(shell("sleep 1000")).unwrap();
    environment.freeze().unwrap();
    assert!(matches!(
        environment.spawn(shell("true")),
        Err(SpawnError::Frozen { .. })
    ));
    let folders = groups(&environment);
    drop(environment);
    assert_eq!(process.wait().unwrap().0, Exit::Signal(9));
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
}

#[test]
fn a_refused_limit_leaves_nothing() {
    let host = Host::detect();
    let before = leftovers();
    let result = Environment::create(
        &host,
        Role::Primary,
        &Limits {
            cores: Some(foreshadow_quantity::Cores::ZERO),
            ..Limits::default()
        },
    );
    if host.backend() == BackendKind::None {
        skip!("a_refused_limit_leaves_nothing", "no control groups");
    }
    let error = result.unwrap_err().to_string();
    assert!(error.contains("0.001"), "{error}");
    assert_eq!(leftovers(), before);
}

/// Groups of this very process.
fn leftovers() -> Vec<PathBuf> {
    let probe = environment(Limits::default());
    let own = format!("-{}-", std::process::id());
    let mut found = Vec::new();
    for folder in groups(&probe) {
        let parent = folder.parent().unwrap().to_owned();
        for entry in std::fs::read_dir(parent).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("foreshadow-primary-") && name.contains(&own) {
                found.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn many_at_once() {
    let host = Host::detect();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let host = &host;
            scope.spawn(move || {
                for _ in 0..5 {
                    let environment =
                        Environment::create(host, Role::Shadow, &Limits::default()).unwrap();
                    let mut process = environment.spawn(shell(&format!("exit {n}"))).unwrap();
                    assert_eq!(process.wait().unwrap().0, Exit::Code(n));
                    assert!(environment.wait_empty(PATIENCE).unwrap());
                    let folders = groups(&environment);
                    drop(environment);
                    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
                }
            });
        }
    });
}

/// In the owner that is to be killed: makes an environment, tells about it, and waits.
fn own_and_hang() {
    let host = match std::env::var("FORESHADOW_TEST_HOST").as_deref() {
        Ok("none") => Host::without_control_groups(),
        _ => Host::detect(),
    };
    let environment = Environment::create(&host, Role::Primary, &Limits::default()).unwrap();
    let process = environment.spawn(shell("sleep 1000 & sleep 1000")).unwrap();
    eventually("a shell and its sleepers", || {
        environment.pids().unwrap().len() >= 2
    });
    common::say(&format!("OWNS {} {}", process.pid(), environment.name()));
    std::thread::sleep(10 * PATIENCE);
}

/// Starts an owner, kills it, and tells the first process and the name of what it leaves. Another test,
/// or another program, may sweep that away at any moment.
fn orphan(host: &str) -> (u32, String) {
    let mut owner = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper", "--nocapture"])
        .env("FORESHADOW_TEST_ORDER", "own")
        .env("FORESHADOW_TEST_HOST", host)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let out = std::io::BufReader::new(owner.stdout.take().unwrap());
    let line = std::io::BufRead::lines(out)
        .map_while(Result::ok)
        .find(|line| line.contains("OWNS "))
        .expect("the owner tells what it owns");
    owner.kill().unwrap();
    owner.wait().unwrap();
    let mut words = line.split("OWNS ").nth(1).unwrap().split(' ');
    let pid = words.next().unwrap().parse().unwrap();
    (pid, words.next().unwrap().to_owned())
}

#[test]
fn a_sweep_takes_the_dead_and_leaves_the_living() {
    let host = Host::detect();
    let living = environment(Limits::default());
    let mut alive = living.spawn(shell("sleep 1000")).unwrap();
    let (pid, name) = orphan("detect");
    let folders: Vec<PathBuf> = groups(&living)
        .iter()
        .map(|folder| folder.with_file_name(&name))
        .collect();
    // Many sweep at once; together they do it, and none fails.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let report = sweep(&host).unwrap();
                assert!(
                    report.left.iter().all(|(left, _)| *left != name),
                    "{report:?}"
                );
            });
        }
    });
    eventually("the end of the orphan", || !is_running(pid));
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
    assert!(groups(&living).iter().all(|folder| folder.is_dir()));
    assert!(alive.try_wait().unwrap().is_none(), "the living live on");
    let report = sweep(&host).unwrap();
    assert!(!report.removed.contains(&name), "nothing is left to do");
}

#[test]
fn a_sweep_without_control_groups() {
    let host = Host::without_control_groups();
    let living = Environment::create(&host, Role::Primary, &Limits::default()).unwrap();
    let mut alive = living.spawn(shell("sleep 1000")).unwrap();
    let (pid, name) = orphan("none");
    let report = sweep(&host).unwrap();
    assert!(
        report.left.iter().all(|(left, _)| *left != name),
        "{report:?}"
    );
    eventually("the end of the orphan", || !is_running(pid));
    assert!(alive.try_wait().unwrap().is_none(), "the living live on");
}

#[test]
fn without_control_groups_all_are_found_and_killed() {
    let host = Host::without_control_groups();
    let environment = Environment::create(&host, Role::Primary, &Limits::default()).unwrap();
    let other = Environment::create(&host, Role::Primary, &Limits::default()).unwrap();
    let mut bystander = other.spawn(shell("sleep 1000")).unwrap();
    // The last one's parent ends before anybody looked, and it leaves the session.
    let script = "(setsid sleep 1000 &) ; sleep 1000 & wait; true";
    let mut process = environment.spawn(shell(script)).unwrap();
    let mut pids = Vec::new();
    eventually("a shell and two sleepers", || {
        pids = environment.pids().unwrap();
        pids.len() >= 3
    });
    assert!(environment.join().is_empty());
    environment.freeze().unwrap();
    environment.thaw().unwrap();
    environment.kill().unwrap();
    assert!(environment.wait_empty(PATIENCE).unwrap());
    assert_eq!(process.wait().unwrap().0, Exit::Signal(9));
    assert!(pids.iter().all(|pid| !is_running(*pid)), "{pids:?}");
    assert!(bystander.try_wait().unwrap().is_none(), "others live on");
}

#[test]
fn without_control_groups_usage_is_added_up() {
    let host = Host::without_control_groups();
    let environment = Environment::create(&host, Role::Primary, &Limits::default()).unwrap();
    let mut helper = Helper::start(&environment, "touch 64");
    assert!(helper.hear("READY"));
    let before = environment.usage().unwrap();
    helper.go();
    assert!(helper.hear("DONE"));
    let during = environment.usage().unwrap();
    let grown = during.anon.saturating_sub(before.anon);
    assert!(
        grown >= Bytes::mib(62) && grown <= Bytes::mib(90),
        "64 MiB were touched, {grown} seen"
    );
    assert!(during.cpu >= before.cpu && during.cpu > Duration::ZERO);
    helper.end();
    let after = environment.usage().unwrap();
    assert!(after.cpu >= during.cpu, "counters never fall");
    assert_eq!(after.anon, Bytes::ZERO);
}

/// Writes a file by another process: had this one it open, a process started by another test at that
/// moment would have it too, and it could not be run.
fn write_apart(path: &Path, content: &str, mode: &str) {
    let done = std::process::Command::new("/bin/sh")
        .args(["-c", "printf \"$1\" >\"$0\" && chmod \"$2\" \"$0\""])
        .arg(path)
        .args([content, mode])
        .status()
        .unwrap();
    assert!(done.success());
}

#[test]
fn a_command_that_cannot_run_is_told_apart() {
    let environment = environment(Limits::default());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str, mode: &str| {
        let path = folder.path().join(name);
        write_apart(&path, content, mode);
        path.to_str().unwrap().to_owned()
    };
    let fails = |argv: &[&str]| environment.spawn(common::program(argv)).unwrap_err();
    for (argv, code, word) in [
        (vec!["no-such-command-anywhere"], 127, "not found"),
        (vec!["/no/such/path"], 127, "not found"),
        (vec![""], 127, "not found"),
        (vec![folder.path().to_str().unwrap()], 126, "denied"),
        (vec![&*file("plain", "hello\n", "644")], 126, "denied"),
        (
            vec![&*file("bad", "#!/no/such/sh\n", "755")],
            126,
            "interpreter",
        ),
        (vec![&*file("empty", "", "755")], 126, "format"),
        (
            vec![&*file("binary", "\\000\\000\\000", "755")],
            126,
            "format",
        ),
    ] {
        let error = fails(&argv);
        assert_eq!(error.exit_code(), code, "{argv:?}: {error}");
        let text = error.to_string().to_lowercase();
        assert!(text.contains(word), "{argv:?}: {error}");
    }
    let long = "x".repeat(1 << 20);
    let error = fails(&["/bin/echo", &long]);
    assert_eq!(error.exit_code(), 125);
    assert!(error.to_string().contains("128 KiB"), "{error}");
    let error = fails(&["/bin/echo", "a\0b"]);
    assert!(error.to_string().contains("zero byte"), "{error}");
    let mut lost = shell("true");
    lost.cwd = "/no/such/folder".into();
    let error = environment.spawn(lost).unwrap_err();
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
    assert!(matches!(
        environment.spawn(Program::new(Vec::new()).unwrap()),
        Err(SpawnError::Empty)
    ));
    assert!(environment.wait_empty(PATIENCE).unwrap(), "none stays");
}

#[test]
fn a_script_without_a_first_line_runs_as_by_the_shell() {
    let environment = environment(Limits::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    write_apart(&path, "exit $1\n", "755");
    let mut program = common::program(&["script", "5"]);
    program.env = vec![("PATH".into(), folder.path().into())];
    let mut process = environment.spawn(program).unwrap();
    assert_eq!(process.wait().unwrap().0, Exit::Code(5));
}

#[test]
fn streams_and_signals_are_as_asked() {
    let environment = environment(Limits::default());
    let (read, write) = common::pipe();
    // SIGPIPE must kill the writer although this process ignores it.
    let mut program = shell("echo out; echo err >&2; kill -PIPE $$; exit 3");
    program.stdout = Stream::Fd(write.try_clone().unwrap().into());
    program.stderr = Stream::Fd(write.into());
    let mut process = environment.spawn(program).unwrap();
    let text = std::io::read_to_string(read).unwrap();
    assert_eq!(text, "out\nerr\n");
    assert_eq!(process.wait().unwrap().0, Exit::Signal(13));
    // The process stays in our session and group.
    let mut process = environment.spawn(shell("sleep 1000")).unwrap();
    let field = |pid: u32, n: usize| -> String {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after = stat.rsplit(") ").next().unwrap();
        after.split(' ').nth(n).unwrap().to_owned()
    };
    for n in [2, 3] {
        assert_eq!(field(process.pid(), n), field(std::process::id(), n));
    }
    process.signal(15).unwrap();
    assert_eq!(process.wait().unwrap().0, Exit::Signal(15));
    process.signal(15).unwrap();
}

#[test]
fn more_environments_than_open_files() {
    use rustix::process::{Resource, getrlimit};
    // In a process of its own, because the limit is one of the whole process.
    let test = std::process::Command::new("/bin/sh")
        .args([
            "-c",
            "ulimit -S -n 64; exec \"$0\" --exact helper --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .env("FORESHADOW_TEST_ORDER", "many")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&test.stdout);
    assert!(test.status.success(), "{test:?}");
    assert!(text.contains("HELD"), "{text}");
    let hard = getrlimit(Resource::Nofile).maximum;
    if hard.is_some_and(|hard| hard <= 64) {
        skip!("more_environments_than_open_files", "hard limit {hard:?}");
    }
    assert!(text.contains("CHILD 64"), "{text}");
}

/// In a process that may open few files: holds many environments, then raises the limit, which its
/// children must not notice.
fn hold_many() {
    let mut held: Vec<Environment> = (0..20).map(|_| environment(Limits::default())).collect();
    for environment in &held {
        environment.usage().unwrap();
        let mut process = environment.spawn(shell("exit 0")).unwrap();
        assert_eq!(process.wait().unwrap().0, Exit::Code(0));
    }
    common::say("HELD");
    held.truncate(1);
    foreshadow_environment::raise_descriptor_limit();
    let mut process = held[0].spawn(shell("echo CHILD $(ulimit -S -n)")).unwrap();
    assert_eq!(process.wait().unwrap().0, Exit::Code(0));
}
