//! The messages between the owner of a shadow and the shadow's first process: one datagram each
//! over a private socket pair, descriptors beside them.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use foreshadow_quantity::Bytes;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown,
    socketpair,
};

use super::error::{Failure, Step};
use super::sys::Counted;

/// Longest message; larger things travel in a memory file.
const LONGEST: usize = 8192;
/// Most descriptors beside one message.
const MOST_FDS: usize = 4;

/// One end of the socket pair.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// A message as received.
pub(super) struct Received {
    pub bytes: Vec<u8>,
    pub fds: Vec<OwnedFd>,
}

impl Channel {
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (a, b) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Channel(a), Channel(b)))
    }

    pub fn from_fd(fd: OwnedFd) -> Self {
        Channel(fd)
    }

    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        let sent = sendmsg(
            &self.0,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EMSGSIZE))
        }
    }

    /// The next message; `None` when the other end is gone. Waits unless `now`, in which case
    /// nothing there yet is [`io::ErrorKind::WouldBlock`].
    pub fn receive(&self, now: bool) -> io::Result<Option<Received>> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut flags = RecvFlags::CMSG_CLOEXEC;
        if now {
            flags |= RecvFlags::DONTWAIT;
        }
        let length = loop {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, &mut slices, &mut control, flags) {
                Ok(message) => break message.bytes,
                Err(rustix::io::Errno::INTR) => {}
                // The other end died with a message of ours unread.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        if length == 0 {
            return Ok(None);
        }
        bytes.truncate(length);
        Ok(Some(Received { bytes, fds }))
    }

    /// Says that nothing more will be sent: the other end sees the end of the stream.
    pub fn finish(&self) {
        // Fails only when the other end is gone already.
        let _ = shutdown(&self.0, Shutdown::Write);
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What the first process says.
#[derive(Debug)]
pub(super) enum FromInit {
    /// It was made and has this pid in our namespace.
    Born { pid: i32 },
    /// It waits for the order; the scratch file system comes beside.
    Prepared,
    /// The command runs. What the first process used so far is not the command's.
    Started { before: Before },
    /// The command could not be executed.
    NotExecuted { errno: i32, stage: ExecStage },
    /// A step failed; nothing was run.
    Failed(Failure),
    /// A stream would have been a way out.
    BadStream { stream: u8, reason: String },
    /// The command ended and nothing of it runs any more. What the first process and all that it
    /// reaped read and wrote since its own beginning.
    Ended {
        status: i32,
        scratch_full: bool,
        io: Option<TaskIo>,
    },
}

/// Where the last steps of a command's start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExecStage {
    WorkingDirectory,
    Exec,
    Other,
}

/// What the first process had used before the command was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    pub used: Counted,
    pub io: Option<TaskIo>,
}

/// The counters of `/proc/PID/io`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TaskIo {
    pub read_chars: u64,
    pub write_chars: u64,
    pub read_bytes: u64,
    pub write_bytes: u64,
}

impl TaskIo {
    /// Reads them from the file, which may have been opened earlier.
    pub fn read(file: &File) -> Option<TaskIo> {
        let mut text = [0; 1024];
        let length = file.read_at(&mut text, 0).ok()?;
        TaskIo::parse(std::str::from_utf8(&text[..length]).ok()?)
    }

    /// Reads the text of `/proc/PID/io`; `None` if a line is missing.
    pub fn parse(text: &str) -> Option<TaskIo> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .and_then(|value| value.trim().parse().ok())
        };
        Some(TaskIo {
            read_chars: field("rchar")?,
            write_chars: field("wchar")?,
            read_bytes: field("read_bytes")?,
            write_bytes: field("write_bytes")?,
        })
    }
}

/// What to run, and what the placed stand-ins need at the time of mounting.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Empty: set everything up, run nothing, end with code 0.
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
    pub cwd: CString,
    /// For each of the three streams, whether a descriptor comes beside.
    pub streams: [bool; 3],
    /// Directories that were replaced as a whole: mounts at and beneath them stay away.
    pub replaced: Vec<PathBuf>,
    /// Paths that hold stand-ins: the mounts that hold them must succeed.
    pub placed: Vec<PathBuf>,
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u64(&mut self, n: u64) -> &mut Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }
    fn list<T>(&mut self, items: &[T], bytes: impl Fn(&T) -> &[u8]) -> &mut Self {
        self.u64(items.len() as u64);
        for item in items {
            self.bytes(bytes(item));
        }
        self
    }
    fn counted(&mut self, c: &Counted) -> &mut Self {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.u64(micros(c.user))
            .u64(micros(c.system))
            .u64(c.max_rss.get())
            .u64(c.major_faults)
            .u64(c.minor_faults)
    }
    fn io(&mut self, io: Option<&TaskIo>) -> &mut Self {
        let known = io.is_some();
        let io = io.copied().unwrap_or_default();
        self.u64(known.into())
            .u64(io.read_chars)
            .u64(io.write_chars)
            .u64(io.read_bytes)
            .u64(io.write_bytes)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
    fn i32(&mut self) -> Option<i32> {
        i32::try_from(self.u64()?.cast_signed()).ok()
    }
    fn u8(&mut self) -> Option<u8> {
        u8::try_from(self.u64()?).ok()
    }
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = usize::try_from(self.u64()?).ok()?;
        self.take(n)
    }
    fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes()?).into_owned())
    }
    fn list<T>(&mut self, item: impl Fn(&[u8]) -> Option<T>) -> Option<Vec<T>> {
        let n = self.u64()?;
        (0..n).map(|_| item(self.bytes()?)).collect()
    }
    fn counted(&mut self) -> Option<Counted> {
        Some(Counted {
            user: Duration::from_micros(self.u64()?),
            system: Duration::from_micros(self.u64()?),
            max_rss: Bytes::new(self.u64()?),
            major_faults: self.u64()?,
            minor_faults: self.u64()?,
        })
    }
    fn io(&mut self) -> Option<Option<TaskIo>> {
        let known = self.u64()? != 0;
        let io = TaskIo {
            read_chars: self.u64()?,
            write_chars: self.u64()?,
            read_bytes: self.u64()?,
            write_bytes: self.u64()?,
        };
        Some(known.then_some(io))
    }
}

fn signed(n: i32) -> u64 {
    i64::from(n).cast_unsigned()
}

/// A detail short enough for one message.
fn short(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(LONGEST / 2)]
}

impl FromInit {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            FromInit::Born { pid } => w.u64(0).u64(signed(*pid)),
            FromInit::Prepared => w.u64(1),
            FromInit::Started { before } => w.u64(2).counted(&before.used).io(before.io.as_ref()),
            FromInit::NotExecuted { errno, stage } => {
                w.u64(3).u64(signed(*errno)).u64(*stage as u64)
            }
            FromInit::Failed(failure) => w
                .u64(4)
                .u64(failure.step as u64)
                .u64(signed(failure.source.raw_os_error().unwrap_or(libc::EIO)))
                .bytes(short(&failure.detail)),
            FromInit::BadStream { stream, reason } => {
                w.u64(5).u64((*stream).into()).bytes(short(reason))
            }
            FromInit::Ended {
                status,
                scratch_full,
                io,
            } => w
                .u64(6)
                .u64(signed(*status))
                .u64((*scratch_full).into())
                .io(io.as_ref()),
        };
        w.0
    }

    pub fn decode(bytes: &[u8]) -> Option<FromInit> {
        let mut r = Reader(bytes);
        Some(match r.u64()? {
            0 => FromInit::Born { pid: r.i32()? },
            1 => FromInit::Prepared,
            2 => FromInit::Started {
                before: Before {
                    used: r.counted()?,
                    io: r.io()?,
                },
            },
            3 => FromInit::NotExecuted {
                errno: r.i32()?,
                stage: ExecStage::from_number(r.u8()?)?,
            },
            4 => FromInit::Failed(Failure {
                step: Step::from_number(r.u8()?)?,
                source: io::Error::from_raw_os_error(r.i32()?),
                detail: r.text()?,
            }),
            5 => FromInit::BadStream {
                stream: r.u8()?,
                reason: r.text()?,
            },
            6 => FromInit::Ended {
                status: r.i32()?,
                scratch_full: r.u64()? != 0,
                io: r.io()?,
            },
            _ => return None,
        })
    }
}

impl ExecStage {
    pub fn from_number(number: u8) -> Option<ExecStage> {
        [
            ExecStage::WorkingDirectory,
            ExecStage::Exec,
            ExecStage::Other,
        ]
        .get(usize::from(number))
        .copied()
    }
}

impl Order {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.list(&self.argv, |s| s.as_bytes())
            .list(&self.env, |s| s.as_bytes())
            .bytes(self.cwd.as_bytes())
            .list(&self.replaced, |p| p.as_os_str().as_bytes())
            .list(&self.placed, |p| p.as_os_str().as_bytes());
        for stream in self.streams {
            w.u64(stream.into());
        }
        w.0
    }

    pub fn decode(bytes: &[u8]) -> Option<Order> {
        let mut r = Reader(bytes);
        let path = |b: &[u8]| Some(PathBuf::from(OsString::from_vec(b.to_vec())));
        Some(Order {
            argv: r.list(|b| CString::new(b).ok())?,
            env: r.list(|b| CString::new(b).ok())?,
            cwd: CString::new(r.bytes()?).ok()?,
            replaced: r.list(path)?,
            placed: r.list(path)?,
            streams: [r.u64()? != 0, r.u64()? != 0, r.u64()? != 0],
        })
    }
}

/// A C string of an OS string; `None` if it holds a NUL.
pub(super) fn c_string(text: &OsStr) -> Option<CString> {
    CString::new(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_survives_the_way() {
        let order = Order {
            argv: vec![c"a".into(), c"".into(), c"\xff\xfe".into()],
            env: vec![c"K=V".into()],
            cwd: c"/somewhere".into(),
            streams: [true, false, true],
            replaced: vec!["/data".into()],
            placed: vec!["/data/a".into(), "/b".into()],
        };
        assert_eq!(Order::decode(&order.encode()), Some(order));
    }

    #[test]
    fn messages_survive_the_way() {
        let failure = FromInit::Failed(Failure::new(
            Step::Sys,
            "/sys",
            io::Error::from_raw_os_error(libc::EPERM),
        ));
        for message in [
            FromInit::Born { pid: 77 },
            FromInit::Prepared,
            FromInit::Started {
                before: Before {
                    io: Some(TaskIo {
                        read_chars: 9,
                        ..TaskIo::default()
                    }),
                    ..Before::default()
                },
            },
            FromInit::NotExecuted {
                errno: 2,
                stage: ExecStage::Exec,
            },
            failure,
            FromInit::BadStream {
                stream: 1,
                reason: "because".into(),
            },
            FromInit::Ended {
                status: -1,
                scratch_full: true,
                io: None,
            },
        ] {
            let again = FromInit::decode(&message.encode()).expect("decodes");
            assert_eq!(format!("{again:?}"), format!("{message:?}"));
        }
    }

    #[test]
    fn rubbish_is_no_message() {
        assert!(FromInit::decode(&[1, 2, 3]).is_none());
        assert!(FromInit::decode(&[0xff; 64]).is_none());
        assert!(Order::decode(&[0xff; 64]).is_none());
    }

    #[test]
    fn counters_of_a_process() {
        let text = "rchar: 323934931\nwchar: 323929600\nsyscr: 632687\nsyscw: 632675\n\
                    read_bytes: 7\nwrite_bytes: 323932160\ncancelled_write_bytes: 0\n";
        let io = TaskIo::parse(text).expect("parses");
        assert_eq!(io.read_chars, 323_934_931);
        assert_eq!(io.read_bytes, 7);
        assert_eq!(io.write_bytes, 323_932_160);
        assert!(TaskIo::parse("rchar: 1\n").is_none());
    }
}
