//! The processes behind a shadow.
//!
//! The owner forks a **midwife**: it enters the cgroup, makes the namespaces and the first process
//! in them, and ends. The **first process** is the owner's child and pid 1 of the shadow: it
//! builds the view, starts the command, reaps everything, and reports. When it ends, the kernel
//! kills all that is left in the shadow; and it ends when the owner does, for then the socket
//! between them closes.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use foreshadow_quantity::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::setsid;
use rustix::thread::UnshareFlags;

use super::IsolationKind;
use super::command;
use super::error::{At, Failure, Step};
use super::network::Limited;
use super::plan::Plan;
use super::process::is_full;
use super::sys::{self, Reaped};
use super::view::{self, View};
use super::wire::{Before, Channel, FromInit, Order, TaskIo};
use super::{privileges, streams};

/// What the first process knows from the start.
pub(super) struct Birth<'a> {
    pub kind: IsolationKind,
    pub plan: &'a Plan,
    pub join: &'a [PathBuf],
    pub scratch: Bytes,
    pub watch_opens: bool,
    pub network: Option<&'a Limited>,
}

/// The midwife's life, in a fresh child of the owner.
pub(super) fn midwife(birth: &Birth<'_>, channel: RawFd, null: RawFd) -> u8 {
    let channel = match sys::keep_one_descriptor(channel, null) {
        Ok(fd) => Channel::from_fd(fd),
        // There is no one to tell: the owner sees the end of the stream.
        Err(_) => return 1,
    };
    sys::default_signal_actions();
    match deliver(birth, &channel) {
        Ok(pid) => {
            let said = channel.send(&FromInit::Born { pid }.encode(), &[]);
            u8::from(said.is_err())
        }
        Err(failure) => {
            let _ = channel.send(&FromInit::Failed(failure).encode(), &[]);
            1
        }
    }
}

fn deliver(birth: &Birth<'_>, channel: &Channel) -> Result<i32, Failure> {
    for procs in birth.join {
        OpenOptions::new()
            .write(true)
            .open(procs)
            .and_then(|mut file| file.write_all(b"0"))
            .about(Step::Join, procs.display())?;
    }
    let own = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWCGROUP;
    match birth.kind {
        IsolationKind::Root => sys::unshare(own).at(Step::Namespaces)?,
        IsolationKind::UserNamespace => {
            let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
            sys::unshare(own | UnshareFlags::NEWUSER).at(Step::Namespaces)?;
            // Every user keeps their own number: nothing in the shadow sees a difference.
            let map = |path: &str, text: String| fs::write(path, text).about(Step::UserMap, path);
            map("/proc/self/setgroups", "deny".into())?;
            let (user, group) = (user.as_raw(), group.as_raw());
            map("/proc/self/uid_map", format!("{user} {user} 1"))?;
            map("/proc/self/gid_map", format!("{group} {group} 1"))?;
        }
    }
    let pid = sys::fork_sibling(|| first_process(birth, channel)).at(Step::Fork)?;
    Ok(pid.as_raw_nonzero().get())
}

/// The first process's life. It ends only here.
fn first_process(birth: &Birth<'_>, channel: &Channel) -> u8 {
    match live(birth, channel) {
        Ok(()) => 0,
        Err(failure) => {
            let _ = channel.send(&FromInit::Failed(failure).encode(), &[]);
            1
        }
    }
}

fn live(birth: &Birth<'_>, channel: &Channel) -> Result<(), Failure> {
    // No controlling terminal, and out of the reach of its signals.
    setsid().at(Step::Fork)?;
    // For those who look at a list of processes.
    let _ = rustix::thread::set_name(c"foreshadow-init");
    view::detach_from_host()?;
    sys::loopback_up().at(Step::Loopback)?;
    let scratch = view::make_scratch(birth.plan, birth.kind)?;
    channel
        .send(&FromInit::Prepared.encode(), &[scratch.as_fd()])
        .at(Step::Talk)?;
    let Some(received) = channel.receive(false).at(Step::Talk)? else {
        // The owner changed its mind.
        return Ok(());
    };
    let mut fds = received.fds.into_iter();
    let order = read_order(fds.next())?;
    let given: Vec<OwnedFd> = fds.collect();
    let streams = match streams::admit(&order.streams, given) {
        Ok(streams) => streams,
        Err(refused) => {
            let message = FromInit::BadStream {
                stream: refused.stream,
                reason: refused.reason,
            };
            return channel.send(&message.encode(), &[]).at(Step::Talk);
        }
    };
    if let Some(limited) = birth.network {
        limited.shape()?;
    }
    let view = View {
        kind: birth.kind,
        plan: birth.plan,
        order: &order,
        scratch: scratch.as_fd(),
        room: birth.scratch.get(),
    };
    let root = view.build()?;
    let watch = match birth.watch_opens {
        true => view.watch_opens(),
        false => None,
    };
    view::change_root(&root).at(Step::Root)?;
    // Opened while it is still ours to open, without root.
    let counters = fs::File::open("/proc/self/io").ok();
    privileges::give_up().at(Step::Privileges)?;
    let shadow = Shadow {
        channel,
        order: &order,
        scratch: scratch.as_fd(),
        counters: counters.as_ref(),
    };
    shadow.run(streams, watch)
}

fn read_order(memory: Option<OwnedFd>) -> Result<Order, Failure> {
    let bad = || io::Error::from_raw_os_error(libc::EBADMSG);
    let mut bytes = Vec::new();
    let mut file = fs::File::from(memory.ok_or_else(bad).at(Step::Talk)?);
    file.seek(SeekFrom::Start(0)).at(Step::Talk)?;
    file.read_to_end(&mut bytes).at(Step::Talk)?;
    Order::decode(&bytes).ok_or_else(bad).at(Step::Talk)
}

/// A shadow whose view and privileges are as they stay.
struct Shadow<'a> {
    channel: &'a Channel,
    order: &'a Order,
    scratch: BorrowedFd<'a>,
    counters: Option<&'a fs::File>,
}

impl Shadow<'_> {
    fn run(&self, streams: streams::Admitted, watch: Option<OwnedFd>) -> Result<(), Failure> {
        let channel = self.channel;
        let children = sys::child_signals().at(Step::Fork)?;
        let before = Before {
            used: sys::own_usage(),
            io: self.counters.and_then(TaskIo::read),
        };
        privileges::filter().at(Step::Filter)?;
        let cloexec = rustix::pipe::PipeFlags::CLOEXEC;
        let (ready, result) = rustix::pipe::pipe_with(cloexec).at(Step::Fork)?;
        let command = sys::fork(|| command::become_command(self.order, &streams, result.as_fd()))
            .at(Step::Fork)?
            .as_raw_nonzero()
            .get();
        drop(result);
        drop(streams);
        if let Some((stage, errno)) = command::outcome(ready) {
            let message = FromInit::NotExecuted { errno, stage };
            return channel.send(&message.encode(), &[]).at(Step::Talk);
        }
        let started = FromInit::Started { before }.encode();
        let beside: Vec<BorrowedFd<'_>> = watch.iter().map(AsFd::as_fd).collect();
        channel.send(&started, &beside).at(Step::Talk)?;
        drop(watch);

        let status = wait_for(command, channel.as_fd(), children.as_fd());
        // Of a command that filled the scratch and then cleaned up, only this moment tells.
        let scratch_full = is_full(self.scratch);
        let status = status.unwrap_or(libc::SIGKILL);
        let status = end_all(command).unwrap_or(status);
        let ended = FromInit::Ended {
            status,
            scratch_full,
            io: self.counters.and_then(TaskIo::read),
        };
        channel.send(&ended.encode(), &[]).at(Step::Talk)?;
        // The owner may still want names of the files that were opened: they need this mount
        // namespace. It closes its end when it has them, or when it ends.
        let _ = channel.receive(false);
        Ok(())
    }
}

/// Reaps until the command ends; its status, or `None` when the owner is gone or says stop.
fn wait_for(command: i32, owner: BorrowedFd<'_>, children: BorrowedFd<'_>) -> Option<i32> {
    loop {
        loop {
            match sys::reap(false) {
                Reaped::Child(pid, status) if pid == command => return Some(status),
                Reaped::Child(..) => {}
                Reaped::NoneYet => break,
                Reaped::NoChildren => return None,
            }
        }
        let mut fds = [
            PollFd::from_borrowed_fd(owner, PollFlags::IN | PollFlags::RDHUP),
            PollFd::from_borrowed_fd(children, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
        if !fds[0].revents().is_empty() {
            return None;
        }
        if !fds[1].revents().is_empty() {
            // The signals themselves say nothing that reaping does not.
            let mut signals = [0; 1024];
            let _ = rustix::io::read(children, &mut signals);
        }
    }
}

/// Kills and reaps all that still runs; the command's status, if it was among them.
fn end_all(command: i32) -> Option<i32> {
    let mut ended = None;
    // A fork bomb may need more than one blow. Should it outlast these, the end of this process
    // makes the kernel stop all forks and kill the rest.
    for _ in 0..100_000 {
        sys::kill_all_others();
        match sys::reap(true) {
            Reaped::Child(pid, status) if pid == command => ended = Some(status),
            Reaped::Child(..) | Reaped::NoneYet => {}
            Reaped::NoChildren => break,
        }
    }
    ended
}

/// Opens the host's `/dev/null` for the children made here.
pub(super) fn open_null() -> io::Result<OwnedFd> {
    Ok(OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into())
}

/// The number of a descriptor, to be handed to a child that inherits it.
pub(super) fn number(fd: &impl AsRawFd) -> RawFd {
    fd.as_raw_fd()
}
