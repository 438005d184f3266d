//! Giving up what a shadow must not have: limits, capabilities, the way to new privileges.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::seccomp;

/// What an ordinary command of root needs to work with files and its own processes. Everything
/// else (mounting, device nodes, raw sockets, real-time scheduling, the clock, ...) is dropped.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT);

/// Capabilities that kernels know, or will: 64 bits in the interface.
const ALL: u32 = 64;

/// Limits and capabilities, for this process and all it starts. There is no way back.
pub(super) fn give_up() -> io::Result<()> {
    // A limit of 1, not 0: the one value for which the kernel does not start the host's core dump
    // handler either (core(5)).
    limit(Resource::Core, 1)?;
    limit(Resource::Rtprio, 0)?;
    clear_ambient_capability_set().or_else(older_kernel)?;
    for number in 0..ALL {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if !KEPT.contains(capability) {
            match remove_capability_from_bounding_set(capability) {
                Ok(()) => {}
                // The first number that the kernel does not know.
                Err(rustix::io::Errno::INVAL) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let has = rustix::thread::capabilities(None)?;
    let kept = has.permitted & KEPT;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    set_no_new_privs(true)?;
    // The first process's memory and descriptors are not the command's to look into.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// The system call filter, after which little can be set up any more.
pub(super) fn filter() -> io::Result<()> {
    seccomp::install()
}

fn older_kernel(error: rustix::io::Errno) -> rustix::io::Result<()> {
    match error {
        rustix::io::Errno::INVAL => Ok(()),
        error => Err(error),
    }
}

fn limit(resource: Resource, to: u64) -> io::Result<()> {
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(to),
            maximum: Some(to),
        },
    )?)
}
