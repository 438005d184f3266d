//! Shared memory, queues, semaphores, pipes, sockets by name, keyrings.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

use super::{Attempt, Plain, Scene, c, check, value};
use crate::isolation_help::{open_dir, text, unique};

const CONTENT: &str = "the host's content";
const ESCAPED: &str = "escaped";

/// A path to be removed at the end.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub fn shared_memory_file() -> Attempt {
    let scene = || {
        let file = Removed(PathBuf::from("/dev/shm").join(unique("shm")));
        fs::write(&file.0, CONTENT).map_err(|e| format!("no /dev/shm: {e}"))?;
        let path = text(&file.0).to_string();
        Ok(Scene::new(&[&path], move |_| {
            fs::read_to_string(&file.0).ok().as_deref() != Some(CONTENT)
        }))
    };
    Attempt {
        scene,
        // Also under a name that shared memory would be opened by.
        act: |a| fs::write(&a[0], ESCAPED),
        plain: Plain::Works,
    }
}

/// A key of System V objects that no one else uses.
fn key() -> libc::key_t {
    let text = unique("key");
    let hash = text.bytes().fold(0xcbf2_9ce4u32, |h, b| {
        (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
    });
    (hash | 1).cast_signed() & 0x7fff_ffff
}

fn parse(argument: &str) -> i32 {
    argument.parse().expect("a number")
}

pub fn system_v_memory() -> Attempt {
    struct Segment(i32, *mut u8);
    impl Drop for Segment {
        fn drop(&mut self) {
            unsafe {
                libc::shmdt(self.1.cast());
                libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut());
            }
        }
    }
    fn attach(key: libc::key_t, flags: i32) -> io::Result<Segment> {
        unsafe {
            let id = libc::shmget(key, 4096, flags);
            check(id.into())?;
            let at = libc::shmat(id, std::ptr::null(), 0);
            if at.addr() == usize::MAX {
                return Err(io::Error::last_os_error());
            }
            Ok(Segment(id, at.cast()))
        }
    }
    let scene = || {
        let key = key();
        let segment =
            attach(key, libc::IPC_CREAT | libc::IPC_EXCL | 0o600).map_err(|e| e.to_string())?;
        Ok(Scene::new(&[&key.to_string()], move |_| {
            let segment = &segment;
            unsafe { *segment.1 != 0 }
        }))
    };
    let act = |a: &[String]| {
        let segment = attach(parse(&a[0]), 0)?;
        unsafe { *segment.1 = b'!' };
        // Not to be removed by us.
        std::mem::forget(segment);
        Ok(())
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

pub fn system_v_queue() -> Attempt {
    struct Queue(i32);
    impl Drop for Queue {
        fn drop(&mut self) {
            unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }
    #[repr(C)]
    struct Message {
        kind: libc::c_long,
        byte: u8,
    }
    let scene = || {
        let key = key();
        let id = unsafe { libc::msgget(key, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        check(id.into()).map_err(|e| e.to_string())?;
        let queue = Queue(id);
        Ok(Scene::new(&[&key.to_string()], move |_| {
            let queue = &queue;
            let mut message = Message { kind: 0, byte: 0 };
            let at: *mut Message = &mut message;
            unsafe { libc::msgrcv(queue.0, at.cast(), 1, 0, libc::IPC_NOWAIT) >= 0 }
        }))
    };
    let act = |a: &[String]| {
        let id = unsafe { libc::msgget(parse(&a[0]), 0) };
        check(id.into())?;
        let message = Message { kind: 1, byte: 1 };
        let at: *const Message = &message;
        check(unsafe { libc::msgsnd(id, at.cast(), 1, libc::IPC_NOWAIT) }.into())
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

pub fn system_v_semaphore() -> Attempt {
    struct Semaphore(i32);
    impl Drop for Semaphore {
        fn drop(&mut self) {
            unsafe { libc::semctl(self.0, 0, libc::IPC_RMID) };
        }
    }
    let scene = || {
        let key = key();
        let id = unsafe { libc::semget(key, 1, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        check(id.into()).map_err(|e| e.to_string())?;
        let semaphore = Semaphore(id);
        Ok(Scene::new(&[&key.to_string()], move |_| {
            let semaphore = &semaphore;
            unsafe { libc::semctl(semaphore.0, 0, libc::GETVAL) != 0 }
        }))
    };
    let act = |a: &[String]| {
        let id = unsafe { libc::semget(parse(&a[0]), 1, 0) };
        check(id.into())?;
        let mut raise = libc::sembuf {
            sem_num: 0,
            sem_op: 1,
            sem_flg: 0,
        };
        check(unsafe { libc::semop(id, &mut raise, 1) }.into())
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

pub fn posix_queue() -> Attempt {
    struct Queue(String, libc::mqd_t);
    impl Drop for Queue {
        fn drop(&mut self) {
            unsafe {
                libc::mq_close(self.1);
                libc::mq_unlink(c(&self.0).as_ptr());
            }
        }
    }
    let scene = || {
        let name = format!("/{}", unique("mq"));
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDONLY | libc::O_NONBLOCK;
        let none: *mut libc::mq_attr = std::ptr::null_mut();
        let queue = unsafe { libc::mq_open(c(&name).as_ptr(), flags, 0o600, none) };
        check(queue.into()).map_err(|e| format!("no POSIX queues: {e}"))?;
        let queue = Queue(name.clone(), queue);
        Ok(Scene::new(&[&name], move |_| {
            let queue = &queue;
            let mut message = vec![0u8; 1 << 16];
            let (at, length) = (message.as_mut_ptr().cast(), message.len());
            unsafe { libc::mq_receive(queue.1, at, length, std::ptr::null_mut()) >= 0 }
        }))
    };
    let act = |a: &[String]| {
        let queue = unsafe { libc::mq_open(c(&a[0]).as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK) };
        check(queue.into())?;
        check(unsafe { libc::mq_send(queue, c"x".as_ptr(), 1, 0) }.into())
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

pub fn named_pipe() -> Attempt {
    let scene = || {
        let dir = open_dir();
        let path = dir.path().join("pipe");
        check(unsafe { libc::mkfifo(c(text(&path)).as_ptr(), 0o600) }.into())
            .map_err(|e| e.to_string())?;
        let mut ours = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .expect("opens");
        Ok(Scene::new(&[text(&path)], move |_| {
            let _keep = &dir;
            matches!(ours.read(&mut [0; 8]), Ok(1..))
        }))
    };
    let act = |a: &[String]| {
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&a[0])?
            .write_all(ESCAPED.as_bytes())
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

fn accepted(listener: &UnixListener) -> bool {
    listener.set_nonblocking(true).expect("sets");
    listener.accept().is_ok()
}

pub fn abstract_socket() -> Attempt {
    let scene = || {
        let name = unique("abstract");
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let listener = UnixListener::bind_addr(&address).expect("binds");
        Ok(Scene::new(&[&name], move |_| accepted(&listener)))
    };
    let act =
        |a: &[String]| UnixStream::connect_addr(&SocketAddr::from_abstract_name(&a[0])?).map(drop);
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

pub fn path_socket() -> Attempt {
    let scene = || {
        let dir = open_dir();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("binds");
        Ok(Scene::new(&[text(&path)], move |_| {
            let _keep = &dir;
            accepted(&listener)
        }))
    };
    Attempt {
        scene,
        act: |a| UnixStream::connect(&a[0]).map(drop),
        plain: Plain::Works,
    }
}

pub fn path_datagram() -> Attempt {
    let scene = || {
        let dir = open_dir();
        let path = dir.path().join("socket");
        let socket = UnixDatagram::bind(&path).expect("binds");
        socket.set_nonblocking(true).expect("sets");
        Ok(Scene::new(&[text(&path)], move |_| {
            let _keep = &dir;
            socket.recv(&mut [0; 8]).is_ok()
        }))
    };
    let act = |a: &[String]| {
        UnixDatagram::unbound()?
            .send_to(ESCAPED.as_bytes(), &a[0])
            .map(drop)
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

pub fn run_socket() -> Attempt {
    let scene = || {
        let path = Removed(PathBuf::from("/run").join(unique("socket")));
        let listener =
            UnixListener::bind(&path.0).map_err(|e| format!("no socket in /run: {e}"))?;
        let name = text(&path.0).to_string();
        Ok(Scene::new(&[&name], move |_| {
            let _keep = &path;
            accepted(&listener)
        }))
    };
    Attempt {
        scene,
        act: |a| UnixStream::connect(&a[0]).map(drop),
        plain: Plain::Works,
    }
}

/// Keyrings belong to users, whatever their namespaces.
pub fn keyring() -> Attempt {
    const USER: libc::c_long = -4;
    const SEARCH: libc::c_long = 10;
    const UNLINK: libc::c_long = 9;
    let scene = || {
        let name = unique("key");
        let description = c(&name);
        Ok(Scene::new(&[&name], move |_| unsafe {
            let name = description.as_ptr();
            let key = libc::syscall(libc::SYS_keyctl, SEARCH, USER, c"user".as_ptr(), name, 0);
            if key != -1 {
                libc::syscall(libc::SYS_keyctl, UNLINK, key, USER);
            }
            key != -1
        }))
    };
    let act = |a: &[String]| {
        let name = c(&a[0]);
        check(unsafe {
            libc::syscall(
                libc::SYS_add_key,
                c"user".as_ptr(),
                name.as_ptr(),
                c"x".as_ptr(),
                1,
                USER,
            )
        })
    };
    Attempt {
        scene,
        act,
        plain: Plain::Perhaps,
    }
}

/// A socket of any family, closed again.
pub fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<File> {
    let fd = value(unsafe { libc::socket(family, kind, protocol) }.into())?;
    let fd = i32::try_from(fd).expect("a descriptor");
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}
