//! Other processes, and what a process may make of itself.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Attempt, Plain, Scene, alone, check, found};
use crate::isolation_help::{is_root, open_dir, processes_with, text, unique};

/// A process of the host's, gone with the value.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        let child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // So that a signal to its group reaches it alone.
            .process_group(0)
            .spawn()
            .expect("sleep runs");
        Victim(child)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn ended(&mut self) -> bool {
        self.0.try_wait().expect("asks").is_some()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pid(argument: &str) -> i32 {
    argument.parse().expect("a pid")
}

/// A process; reached when it ends.
fn death() -> Result<Scene, String> {
    let mut victim = Victim::new();
    Ok(Scene::new(&[&victim.pid()], move |tried| {
        tried.soon(|| victim.ended())
    }))
}

/// A process; reached when the kernel did what was asked.
fn outcome() -> Result<Scene, String> {
    let victim = Victim::new();
    Ok(Scene::new(&[&victim.pid()], move |tried| {
        let _keep = &victim;
        tried.acted
    }))
}

pub fn signal() -> Attempt {
    Attempt {
        scene: death,
        act: |a| check(unsafe { libc::kill(pid(&a[0]), libc::SIGKILL) }.into()),
        plain: Plain::Works,
    }
}

pub fn signal_group() -> Attempt {
    Attempt {
        scene: death,
        act: |a| check(unsafe { libc::killpg(pid(&a[0]), libc::SIGKILL) }.into()),
        plain: Plain::Works,
    }
}

pub fn signal_all() -> Attempt {
    Attempt {
        scene: death,
        act: |_| {
            unsafe { libc::kill(-1, libc::SIGKILL) };
            // With no one else there, nothing was killed.
            Ok(())
        },
        plain: Plain::Unsafe("it would end every process that this user may signal"),
    }
}

pub fn trace() -> Attempt {
    Attempt {
        scene: outcome,
        act: |a| check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid(&a[0]), 0, 0) }),
        plain: Plain::Perhaps,
    }
}

pub fn see() -> Attempt {
    Attempt {
        scene: outcome,
        act: |a| {
            let comm = fs::read_to_string(format!("/proc/{}/comm", a[0]))?;
            found(comm.trim() == "sleep")
        },
        plain: Plain::Works,
    }
}

pub fn write_memory() -> Attempt {
    Attempt {
        scene: outcome,
        act: |a| {
            fs::OpenOptions::new()
                .write(true)
                .open(format!("/proc/{}/mem", a[0]))
                .map(drop)
        },
        plain: Plain::Perhaps,
    }
}

fn nice(pid: u32) -> i32 {
    unsafe { libc::getpriority(libc::PRIO_PROCESS, pid) }
}

fn renice() -> Result<Scene, String> {
    let victim = Victim::new();
    let before = nice(victim.0.id());
    if before >= 19 {
        return Err("already of the lowest priority".into());
    }
    Ok(Scene::new(&[&victim.pid()], move |_| {
        nice(victim.0.id()) != before
    }))
}

pub fn priority() -> Attempt {
    Attempt {
        scene: renice,
        act: |a| {
            let who = a[0].parse().expect("a pid");
            check(unsafe { libc::setpriority(libc::PRIO_PROCESS, who, 19) }.into())
        },
        plain: Plain::Works,
    }
}

pub fn priority_of_user() -> Attempt {
    Attempt {
        scene: renice,
        act: |_| check(unsafe { libc::setpriority(libc::PRIO_USER, 0, 19) }.into()),
        plain: Plain::Unsafe("it would slow everything that this user runs"),
    }
}

pub fn limits() -> Attempt {
    fn of(pid: u32) -> String {
        fs::read_to_string(format!("/proc/{pid}/limits")).expect("its limits")
    }
    let scene = || {
        let victim = Victim::new();
        let before = of(victim.0.id());
        Ok(Scene::new(&[&victim.pid()], move |_| {
            of(victim.0.id()) != before
        }))
    };
    let act = |a: &[String]| {
        let limit = libc::rlimit64 {
            rlim_cur: 77,
            rlim_max: 77,
        };
        let none = std::ptr::null_mut();
        check(unsafe { libc::prlimit64(pid(&a[0]), libc::RLIMIT_NOFILE, &limit, none) }.into())
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

/// A process that leaves its session, its parent and its streams, and stays.
pub fn daemon() -> Attempt {
    struct Gone(String);
    impl Drop for Gone {
        fn drop(&mut self) {
            for pid in processes_with(&self.0) {
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
    }
    let scene = || {
        // A number that says nothing to `sleep`, but is found among its arguments.
        let mark: String = unique("")
            .bytes()
            .filter(u8::is_ascii_digit)
            .map(char::from)
            .collect();
        let mark = Gone(format!("0.000000{mark}"));
        Ok(Scene::new(&[&mark.0.clone()], move |tried| {
            tried.soon(|| !processes_with(&mark.0).is_empty())
        }))
    };
    let act = |a: &[String]| {
        alone(|| {
            check(unsafe { libc::setsid() }.into())?;
            Command::new("sleep")
                .args(["1000", &a[0]])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map(drop)
        })?;
        // Until it is what it shall be.
        for _ in 0..1000 {
            if !processes_with(&a[0]).is_empty() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        found(false)
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

pub fn setuid() -> Attempt {
    let scene = || {
        if !is_root() {
            return Err("only root can make a program that gives another user".into());
        }
        let dir = open_dir();
        let copy = dir.path().join("id");
        fs::copy("/usr/bin/id", &copy).map_err(|e| format!("no /usr/bin/id: {e}"))?;
        chown(&copy, Some(12345), Some(12345)).map_err(|e| e.to_string())?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o6755)).expect("permissions");
        Ok(Scene::new(&[text(&copy)], move |tried| {
            let _keep = &dir;
            tried.acted
        }))
    };
    let act = |a: &[String]| {
        let output = Command::new(&a[0]).arg("-u").output()?;
        found(output.stdout == b"12345\n")
    };
    Attempt {
        scene,
        act,
        plain: Plain::Perhaps,
    }
}

/// The first process comes from the owner, whose memory it has a copy of.
pub fn look_into_first() -> Attempt {
    let act = |_: &[String]| {
        let memory = fs::File::open("/proc/1/mem").is_ok();
        // Their numbers are no secret from root; what they lead to is.
        let descriptors = fs::read_dir("/proc/1/fd")
            .is_ok_and(|d| d.flatten().any(|e| fs::read_link(e.path()).is_ok()));
        let traced = unsafe { libc::ptrace(libc::PTRACE_SEIZE, 1, 0, 0) } == 0;
        let variables = fs::read("/proc/1/environ").is_ok_and(|e| !e.is_empty());
        println!(
            "memory {memory}, descriptors {descriptors}, traced {traced}, variables {variables}"
        );
        found(memory || descriptors || traced || variables)
    };
    Attempt {
        scene: Scene::outcome,
        act,
        plain: Plain::Unsafe("the first process of the host is not the test's own"),
    }
}

/// Without its first process, who would see to the rest?
pub fn end_first() -> Attempt {
    let scene = || {
        Ok(Scene::new(&[], |tried| {
            // Had it ended or stopped, the actor's own end would not be told.
            !tried.acted
        }))
    };
    let act = |_: &[String]| {
        for signal in 1..=64 {
            unsafe { libc::kill(1, signal) };
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    };
    Attempt {
        scene,
        act,
        plain: Plain::Unsafe("the first process of the host is not the test's own"),
    }
}

pub fn raise_priority() -> Attempt {
    let act = |_: &[String]| check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) }.into());
    Attempt {
        scene: Scene::outcome,
        act,
        plain: Plain::AsRoot,
    }
}

pub fn real_time() -> Attempt {
    let act = |_: &[String]| {
        let first = libc::sched_param { sched_priority: 1 };
        let io: io::Result<()> =
            check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &first) }.into());
        io
    };
    Attempt {
        scene: Scene::outcome,
        act,
        plain: Plain::Perhaps,
    }
}

pub fn real_time_disk() -> Attempt {
    const PROCESS: i32 = 1;
    const REAL_TIME: i32 = 1 << 13;
    Attempt {
        scene: Scene::outcome,
        act: |_| check(unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, REAL_TIME) }),
        plain: Plain::AsRoot,
    }
}
