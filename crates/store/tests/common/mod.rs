#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use foreshadow_quantity::Bytes;
use foreshadow_store::{Actuals, End, Features, FinishTask, NewTask};

pub fn task(signature: &str) -> NewTask {
    NewTask {
        signature: signature.into(),
        argv: vec!["sort".into(), "big.csv".into()],
        cwd: "/data".into(),
        machine: "m".into(),
        input_bytes: Some(Bytes::mib(3)),
        features: Features {
            inputs: BTreeMap::from([("1".into(), Bytes::mib(3))]),
            ..Features::default()
        },
    }
}

pub fn finish(peak: Bytes) -> FinishTask {
    FinishTask {
        end: End::Code(0),
        cause: None,
        actuals: Actuals {
            peak_memory_bytes: Some(peak),
            cpu_seconds: Some(1.5),
            ..Actuals::default()
        },
        adjustments: Vec::new(),
    }
}

/// The name of the variable through which a test hands a directory to its child processes.
pub const CHILD: &str = "FORESHADOW_TEST_CHILD_DIR";

/// This test program once more, running only the test `name` (which must look at [`CHILD`]),
/// after `prefix`.
pub fn myself(prefix: &[&str], name: &str, dir: &Path) -> Command {
    let me = std::env::current_exe().unwrap();
    let mut words: Vec<std::ffi::OsString> = prefix.iter().map(Into::into).collect();
    words.push(me.into());
    words.extend([name, "--exact", "--nocapture", "--include-ignored"].map(Into::into));
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .env(CHILD, dir)
        .stdout(Stdio::null());
    command
}

pub fn child_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD).map(Into::into)
}

/// Waits up to a minute for `done`.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Whether this machine lets us mount in a mount namespace of our own.
pub fn can_mount() -> bool {
    is_root()
        && Command::new("unshare")
            .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
}
