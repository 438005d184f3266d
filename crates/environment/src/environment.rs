//! The environment itself: the one owner of its groups and of what runs in them.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Hybrid, Processes, V2};
use crate::descent;
use crate::name::Name;
use crate::placement::Placement;
use crate::spawn::{self, Entry};
use crate::{
    EnvironmentError, Host, Limits, MemoryEvents, Pressure, Process, Program, SpawnError,
    Unsupported, Usage,
};

/// How long the end of killed processes is waited for when an environment is dropped.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// What an environment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The real run.
    Primary,
    /// A mirror whose effects never leave it.
    Shadow,
}

/// A place where commands run, with limits that can be changed while they do.
///
/// It owns all that is inside: dropped, it kills what still runs, waits for that to end, and removes
/// its groups. All methods may be called from several threads at once.
#[derive(Debug)]
pub struct Environment {
    name: Name,
    text: String,
    limits: Mutex<Limits>,
    frozen: AtomicBool,
    backend: Box<dyn Backend>,
}

impl Environment {
    /// Makes an environment with these limits; those that the machine cannot hold are told by
    /// [`Environment::unsupported`].
    ///
    /// # Errors
    /// Where a group cannot be made or the kernel refuses a limit; nothing is left behind then.
    pub fn create(
        host: &Host,
        role: Role,
        limits: &Limits,
    ) -> Result<Environment, EnvironmentError> {
        let name = Name::fresh(role);
        let text = name.to_string();
        let backend: Box<dyn Backend> = match host.placement() {
            Placement::V2(place) => Box::new(V2::create(place, &text)?),
            Placement::Hybrid(place) => Box::new(Hybrid::create(place, &text)?),
            Placement::None(reason) => Box::new(Processes::create(&text, reason)),
        };
        backend.apply(&Limits::default(), limits)?;
        Ok(Environment {
            name,
            text,
            limits: Mutex::new(*limits),
            frozen: AtomicBool::new(false),
            backend,
        })
    }

    /// Its name, unlike that of any other environment on this machine.
    pub fn name(&self) -> &str {
        &self.text
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.name.role
    }

    /// The limits that were asked for last.
    pub fn limits(&self) -> Limits {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Changes the limits while processes run.
    ///
    /// # Errors
    /// [`EnvironmentError::BelowUse`] where memory is to be limited below what is in use: the
    /// processes live on. Any other refusal of the kernel, too, leaves the limits as they were.
    pub fn set_limits(&self, limits: &Limits) -> Result<(), EnvironmentError> {
        let mut current = self.lock();
        if let Err(error) = self.backend.apply(&current, limits) {
            // What was set before the refusal goes back; the refusal is what the caller must know.
            let _ = self.backend.apply(limits, &current);
            return Err(error);
        }
        *current = *limits;
        Ok(())
    }

    /// Each limit asked for, and each feature, that this environment cannot offer, and why.
    pub fn unsupported(&self) -> Vec<Unsupported> {
        self.backend.unsupported(&self.limits())
    }

    /// The `cgroup.procs` files to which a new process writes `0`, in this order, before it does
    /// anything else; none where there are no control groups.
    pub fn join(&self) -> Vec<PathBuf> {
        self.backend.join()
    }

    /// The folder of the v2 group for `clone3` with `CLONE_INTO_CGROUP`, where there is one. A process
    /// born in it need not write to the first of the [`Environment::join`] files.
    pub fn clone_target(&self) -> Option<&Path> {
        self.backend.clone_target()
    }

    /// Tells that a process was started in it by other means than [`Environment::spawn`] (having
    /// joined by [`Environment::join`]); without control groups this is how it is known at all.
    pub fn adopt(&self, pid: u32) {
        self.backend.started(pid);
    }

    /// Starts a program inside, without isolation: in this process's session, process group and
    /// namespaces. Returns when the program runs.
    ///
    /// # Errors
    /// [`SpawnError`] tells a command that does not exist from one that cannot be executed.
    pub fn spawn(&self, mut program: Program) -> Result<Process, SpawnError> {
        if self.frozen.load(Ordering::Acquire) {
            return Err(SpawnError::Frozen {
                name: self.text.clone(),
            });
        }
        let limits = self.limits();
        let (idle, nice) = self.backend.priority(&limits);
        if let Some(name) = self.backend.variable() {
            program.env.push((descent::VARIABLE.into(), name.into()));
        }
        let stuck = || self.backend.under_oom().unwrap_or(false);
        let entry = Entry {
            born_in: self.backend.clone_target(),
            join: self.backend.join(),
            idle,
            nice,
            stuck: &stuck,
        };
        let process = spawn::spawn(program, &entry)?;
        self.backend.started(process.pid());
        Ok(process)
    }

    /// What is used now and was used so far.
    ///
    /// # Errors
    /// Where the kernel's counters cannot be read.
    pub fn usage(&self) -> Result<Usage, EnvironmentError> {
        self.backend.usage()
    }

    /// Reads again what changes fast, CPU time and memory, at a small part of the cost of
    /// [`Environment::usage`]; the other fields of `usage` stay as they are (kernel memory too, on
    /// version 1), and memory too where no process ran since.
    ///
    /// # Errors
    /// Where the kernel's counters cannot be read.
    pub fn refresh(&self, usage: &mut Usage) -> Result<(), EnvironmentError> {
        self.backend.refresh(usage)
    }

    /// Time lost to waiting so far; None where the kernel does not count it for this environment.
    ///
    /// # Errors
    /// Where the kernel's counters cannot be read.
    pub fn pressure(&self) -> Result<Option<Pressure>, EnvironmentError> {
        self.backend.pressure()
    }

    /// The processes inside.
    ///
    /// # Errors
    /// Where the kernel's list cannot be read.
    pub fn pids(&self) -> Result<Vec<u32>, EnvironmentError> {
        self.backend.pids()
    }

    /// Stops all processes inside; returns when they have stopped.
    ///
    /// # Errors
    /// [`EnvironmentError::NotFrozen`] where one does not stop within some seconds (it may wait for a
    /// disk, or for memory); the others stay stopped until [`Environment::thaw`].
    pub fn freeze(&self) -> Result<(), EnvironmentError> {
        self.frozen.store(true, Ordering::Release);
        self.backend.freeze()
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn thaw(&self) -> Result<(), EnvironmentError> {
        self.backend.thaw()?;
        self.frozen.store(false, Ordering::Release);
        Ok(())
    }

    /// Kills all processes inside, frozen ones too. They may take a moment to go:
    /// [`Environment::wait_empty`].
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn kill(&self) -> Result<(), EnvironmentError> {
        self.backend.kill()
    }

    /// Waits until no process is inside; false where some are left after `patience`.
    ///
    /// # Errors
    /// Where the kernel's counters cannot be read.
    pub fn wait_empty(&self, patience: Duration) -> Result<bool, EnvironmentError> {
        self.backend.wait_empty(patience)
    }

    /// A descriptor that tells at once when memory runs out; None where the machine has none.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn memory_events(&self) -> Result<Option<MemoryEvents>, EnvironmentError> {
        self.backend.memory_events()
    }

    /// Lets processes that reach [`Limits::memory_max`] wait there until the limit is raised, in place
    /// of being killed. False where the machine cannot (only version 1 control groups can; on version
    /// 2 a [`Limits::memory_high`] below the maximum slows them instead).
    ///
    /// Only memory touched by the program itself makes it wait. Where the kernel needs memory on its
    /// behalf, the call does not wait: a `read` into memory not yet touched comes back short or with
    /// EFAULT, `fork` with ENOMEM. So the limit is better raised before it is reached, as
    /// [`MemoryEvents::set_thresholds`] lets one do, and the pause is for what comes too fast.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn set_oom_pause(&self, pause: bool) -> Result<bool, EnvironmentError> {
        self.backend.set_oom_pause(pause)
    }

    /// Whether a process waits at the memory limit right now.
    ///
    /// # Errors
    /// Where the kernel's counters cannot be read.
    pub fn under_oom(&self) -> Result<bool, EnvironmentError> {
        self.backend.under_oom()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure; what stays is found by the next sweep.
        if self.backend.kill().is_ok() {
            let _ = self.backend.wait_empty(DROP_PATIENCE);
        }
    }
}
