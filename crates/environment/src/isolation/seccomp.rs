//! The system call filter: what a shadow may not ask of the kernel at all.
//!
//! Namespaces and missing capabilities contain nearly everything; the filter takes away what they
//! do not cover (kernel keyrings, sockets outside of network namespaces, core dump handlers,
//! the host's page cache) and closes the doors to new namespaces and mounts.
//! A list of what is denied rather than of what is allowed: a shadow runs any program a user has.

use std::io;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long,
    sock_filter,
};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const NATIVE: u32 = 0xc000_00f3;

/// Calls that fail with EPERM, whatever their arguments.
const DENIED: &[c_long] = &[
    // Keyrings belong to users and sessions, not to namespaces.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    SYS_OPEN_TREE_ATTR,
    // Files by handle: past every path and every layer.
    libc::SYS_open_by_handle_at,
    // The whole machine.
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_quotactl,
    SYS_QUOTACTL_FD,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // The clock.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    // Eyes into the kernel and other processes.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kcmp,
    // The processor's input and output ports.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

// The numbers of calls newer than the C library's list; the same on all architectures.
const SYS_OPEN_TREE_ATTR: c_long = 467;
const SYS_QUOTACTL_FD: c_long = 443;

const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP
    | 0x80) // CLONE_NEWTIME
    .cast_unsigned();

/// Socket families that network namespaces contain. Others (vsock, Bluetooth, ...) reach the
/// machine below or load kernel modules.
const FAMILIES: [u32; 4] = [
    libc::AF_UNIX.cast_unsigned(),
    libc::AF_INET.cast_unsigned(),
    libc::AF_INET6.cast_unsigned(),
    libc::AF_NETLINK.cast_unsigned(),
];

/// Installs the filter for this process and all it starts.
pub(super) fn install() -> io::Result<()> {
    super::sys::seccomp(&mut program())
}

const fn errno(code: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | code.cast_unsigned()
}

/// Success without doing anything.
const PRETEND: u32 = errno(0);

/// One condition on the low half of an argument.
enum Test {
    Equal(u32),
    AnyBit(u32),
    /// The whole pointer is not null; both halves are looked at.
    NotNull,
}

fn program() -> Vec<sock_filter> {
    let mut f = Filter(Vec::new());
    f.load(ARCHITECTURE);
    // Another architecture's calls have other numbers: nothing below would mean what it says.
    f.push(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0);
    f.ret(KILL);
    f.load(NUMBER);
    #[cfg(target_arch = "x86_64")]
    {
        const X32: u32 = 0x4000_0000;
        f.push(BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
        f.ret(errno(libc::ENOSYS));
    }
    for number in DENIED {
        f.call(*number, &[], errno(libc::EPERM));
    }
    // Its flags lie in memory, which a filter cannot read; the C library falls back to clone.
    f.call(libc::SYS_clone3, &[], errno(libc::ENOSYS));
    let namespaces = [(0, Test::AnyBit(NEW_NAMESPACES))];
    f.call(libc::SYS_clone, &namespaces, errno(libc::EPERM));
    f.call(libc::SYS_unshare, &namespaces, errno(libc::EPERM));
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        #[allow(clippy::cast_possible_truncation)] // The kernel looks at the low half only.
        let request = [(1, Test::Equal(request as u32))];
        f.call(libc::SYS_ioctl, &request, errno(libc::EPERM));
    }
    f.families(libc::SYS_socket);
    f.families(libc::SYS_socketpair);
    // Core dumps go to a program of the host's when it wants them, whatever the limit, unless the
    // limit is 1 (core(5)): see `privileges`. Programs that switch dumps off are content.
    let core = libc::RLIMIT_CORE;
    f.call(
        libc::SYS_prlimit64,
        &[(1, Test::Equal(core)), (2, Test::NotNull)],
        PRETEND,
    );
    #[cfg(target_arch = "x86_64")]
    f.call(libc::SYS_setrlimit, &[(0, Test::Equal(core))], PRETEND);
    // The host's page cache and disks are live tasks' too: no dropping, no flushing of all.
    let drop = libc::POSIX_FADV_DONTNEED.cast_unsigned();
    f.call(libc::SYS_fadvise64, &[(3, Test::Equal(drop))], PRETEND);
    f.call(libc::SYS_sync, &[], PRETEND);
    f.ret(ALLOW);
    f.0
}

struct Filter(Vec<sock_filter>);

impl Filter {
    fn push(&mut self, code: u32, k: u32, yes: u8, no: u8) {
        self.0.push(sock_filter {
            code: u16::try_from(code).unwrap_or(u16::MAX),
            jt: yes,
            jf: no,
            k,
        });
    }

    fn load(&mut self, offset: u32) {
        self.push(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
    }

    fn ret(&mut self, action: u32) {
        self.push(BPF_RET | BPF_K, action, 0, 0);
    }

    /// `action` for this call if all tests hold. Expects the number loaded, and leaves it so.
    fn call(&mut self, number: c_long, tests: &[(u32, Test)], action: u32) {
        let mut body = Filter(Vec::new());
        // Backwards, since every failed test jumps to the end.
        let mut pieces: Vec<Vec<sock_filter>> = Vec::new();
        for (argument, test) in tests {
            let low = ARGUMENTS + argument * 8 + low_half();
            let high = ARGUMENTS + argument * 8 + (4 - low_half());
            let mut piece = Filter(Vec::new());
            match test {
                Test::Equal(value) => {
                    piece.load(low);
                    piece.push(BPF_JMP | BPF_JEQ | BPF_K, *value, 0, FAIL);
                }
                Test::AnyBit(bits) => {
                    piece.load(low);
                    piece.push(BPF_JMP | BPF_JSET | BPF_K, *bits, 0, FAIL);
                }
                Test::NotNull => {
                    piece.load(low);
                    piece.push(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
                    piece.load(high);
                    piece.push(BPF_JMP | BPF_JEQ | BPF_K, 0, FAIL, 0);
                }
            }
            pieces.push(piece.0);
        }
        for piece in pieces {
            body.0.extend(piece);
        }
        body.ret(action);
        // What fails goes past the return, to where the number is loaded again.
        let length = body.0.len();
        for (at, instruction) in body.0.iter_mut().enumerate() {
            let past = u8::try_from(length - at - 1).unwrap_or(u8::MAX);
            if instruction.jt == FAIL {
                instruction.jt = past;
            }
            if instruction.jf == FAIL {
                instruction.jf = past;
            }
        }
        self.enter(number, body, !tests.is_empty());
    }

    /// Lets only contained socket families through.
    fn families(&mut self, number: c_long) {
        let mut body = Filter(Vec::new());
        body.load(ARGUMENTS + low_half());
        for (i, family) in FAMILIES.iter().enumerate() {
            // Past the remaining families and the return.
            let past = u8::try_from(FAMILIES.len() - i).unwrap_or(u8::MAX);
            body.push(BPF_JMP | BPF_JEQ | BPF_K, *family, past, 0);
        }
        body.ret(errno(libc::EAFNOSUPPORT));
        self.enter(number, body, true);
    }

    /// Runs `body` for this call only.
    fn enter(&mut self, number: c_long, mut body: Filter, reload: bool) {
        if reload {
            body.load(NUMBER);
        }
        let skip = u8::try_from(body.0.len()).unwrap_or(u8::MAX);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.push(BPF_JMP | BPF_JEQ | BPF_K, number, 0, skip);
        self.0.append(&mut body.0);
    }
}

/// A jump to the end of the body, resolved when the body is complete.
const FAIL: u8 = u8::MAX;

/// Offset of the low half of an argument.
const fn low_half() -> u32 {
    if cfg!(target_endian = "big") { 4 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer: the same small machine, run here.
    fn decide(architecture: u32, number: c_long, arguments: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => u32::try_from(number).expect("a number"),
            ARCHITECTURE => architecture,
            _ => {
                let at = offset - ARGUMENTS;
                let value = arguments[(at / 8) as usize];
                if at.is_multiple_of(8) {
                    (value & 0xffff_ffff) as u32
                } else {
                    (value >> 32) as u32
                }
            }
        };
        let program = program();
        let (mut at, mut a) = (0, 0u32);
        for _ in 0..10_000 {
            let i = program[at];
            at += 1;
            let jump = |yes: bool| usize::from(if yes { i.jt } else { i.jf });
            match u32::from(i.code) {
                c if c == BPF_LD | BPF_W | BPF_ABS => a = word(i.k),
                c if c == BPF_JMP | BPF_JEQ | BPF_K => at += jump(a == i.k),
                c if c == BPF_JMP | BPF_JGE | BPF_K => at += jump(a >= i.k),
                c if c == BPF_JMP | BPF_JSET | BPF_K => at += jump(a & i.k != 0),
                c if c == BPF_RET | BPF_K => return i.k,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
        panic!("the filter does not end");
    }

    fn native(number: c_long, arguments: [u64; 6]) -> u32 {
        decide(NATIVE, number, arguments)
    }

    const NONE: [u64; 6] = [0; 6];

    #[test]
    fn ordinary_calls_pass() {
        for number in [
            libc::SYS_read,
            libc::SYS_openat,
            libc::SYS_execve,
            libc::SYS_mmap,
            libc::SYS_futex,
            libc::SYS_fsync,
        ] {
            assert_eq!(native(number, NONE), ALLOW, "call {number}");
        }
    }

    #[test]
    fn every_denied_call_is_denied() {
        for number in DENIED {
            assert_eq!(native(*number, NONE), errno(libc::EPERM), "call {number}");
        }
    }

    #[test]
    fn arguments_decide() {
        let arg = |at: usize, value: u64| {
            let mut all = NONE;
            all[at] = value;
            all
        };
        let user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
        assert_eq!(native(libc::SYS_clone, arg(0, user)), errno(libc::EPERM));
        assert_eq!(native(libc::SYS_clone, arg(0, 0x11)), ALLOW);
        assert_eq!(native(libc::SYS_unshare, arg(0, user)), errno(libc::EPERM));
        assert_eq!(native(libc::SYS_unshare, arg(0, 0x400)), ALLOW);
        assert_eq!(native(libc::SYS_clone3, NONE), errno(libc::ENOSYS));
        let inject = libc::TIOCSTI;
        assert_eq!(native(libc::SYS_ioctl, arg(1, inject)), errno(libc::EPERM));
        // The kernel cuts the request to 32 bits, so must we.
        let hidden = inject | (7 << 32);
        assert_eq!(native(libc::SYS_ioctl, arg(1, hidden)), errno(libc::EPERM));
        assert_eq!(native(libc::SYS_ioctl, arg(1, 0x5401)), ALLOW);
        for family in FAMILIES {
            assert_eq!(native(libc::SYS_socket, arg(0, family.into())), ALLOW);
        }
        for family in [0u64, 3, 17, 31, 38, 40] {
            let answer = native(libc::SYS_socket, arg(0, family));
            assert_eq!(answer, errno(libc::EAFNOSUPPORT), "family {family}");
        }
        assert_eq!(native(libc::SYS_fadvise64, arg(3, 4)), PRETEND);
        assert_eq!(native(libc::SYS_fadvise64, arg(3, 3)), ALLOW);
    }

    #[test]
    fn core_limits_are_read_but_not_changed() {
        let core = u64::from(libc::RLIMIT_CORE);
        let call = |resource, new| native(libc::SYS_prlimit64, [0, resource, new, 0, 0, 0]);
        assert_eq!(call(core, 0), ALLOW);
        assert_eq!(call(core, 0x1000), PRETEND);
        assert_eq!(
            call(core, 0x10_0000_0000),
            PRETEND,
            "only the high half set"
        );
        assert_eq!(call(u64::from(libc::RLIMIT_NOFILE), 0x1000), ALLOW);
    }

    #[test]
    fn other_architectures_are_killed() {
        assert_eq!(decide(0x4000_0003, libc::SYS_read, NONE), KILL);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(native(0x4000_0000 + 1, NONE), errno(libc::ENOSYS));
    }
}
