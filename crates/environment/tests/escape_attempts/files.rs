//! Files, descriptors and devices.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::{Attempt, Plain, Scene, alone, c, check, found, inheritable, value};
use crate::isolation_help::{is_root, open_dir, text, unique};

const CONTENT: &str = "the host's content";
const ESCAPED: &str = "escaped";

/// A directory with one file, gone with the value.
struct Place {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = open_dir();
        let file = dir.path().join("file");
        fs::write(&file, CONTENT).expect("writes");
        Place { dir, file }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn changed(&self) -> bool {
        fs::read_to_string(&self.file).ok().as_deref() != Some(CONTENT)
    }
}

/// A file; reached when its content is another, or it is gone.
fn content() -> Result<Scene, String> {
    let place = Place::new();
    let file = text(&place.file).to_string();
    Ok(Scene::new(&[&file], move |_| place.changed()))
}

/// A file; reached when some trait of it is another.
fn metadata<T: PartialEq + 'static>(of: fn(&fs::Metadata) -> T) -> Result<Scene, String> {
    let place = Place::new();
    let file = text(&place.file).to_string();
    let before = of(&fs::metadata(&file).expect("metadata"));
    Ok(Scene::new(&[&file], move |_| {
        let place = &place;
        of(&fs::metadata(&place.file).expect("metadata")) != before
    }))
}

/// A directory; reached when it has other entries.
fn entries() -> Result<Scene, String> {
    let place = Place::new();
    fs::create_dir(place.path("empty")).expect("makes");
    let dir = text(place.dir.path()).to_string();
    Ok(Scene::new(&[&dir], move |_| {
        let names: Vec<_> = fs::read_dir(place.dir.path())
            .expect("lists")
            .map(|e| e.expect("an entry").file_name())
            .collect();
        names.len() != 2 || !names.contains(&"empty".into())
    }))
}

fn attempt(
    scene: fn() -> Result<Scene, String>,
    act: fn(&[String]) -> io::Result<()>,
    plain: Plain,
) -> Attempt {
    Attempt { scene, act, plain }
}

pub fn overwrite() -> Attempt {
    attempt(content, |a| fs::write(&a[0], ESCAPED), Plain::Works)
}

pub fn append() -> Attempt {
    let act = |a: &[String]| {
        OpenOptions::new()
            .append(true)
            .open(&a[0])?
            .write_all(ESCAPED.as_bytes())
    };
    attempt(content, act, Plain::Works)
}

pub fn truncate() -> Attempt {
    let act = |a: &[String]| check(unsafe { libc::truncate(c(&a[0]).as_ptr(), 3) }.into());
    attempt(content, act, Plain::Works)
}

pub fn memory_map() -> Attempt {
    let act = |a: &[String]| {
        let file = OpenOptions::new().read(true).write(true).open(&a[0])?;
        unsafe {
            let at = libc::mmap(
                std::ptr::null_mut(),
                1,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            );
            if at == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            *at.cast::<u8>() = b'!';
            check(libc::msync(at, 1, libc::MS_SYNC).into())
        }
    };
    attempt(content, act, Plain::Works)
}

pub fn rename() -> Attempt {
    let act = |a: &[String]| fs::rename(&a[0], format!("{}.moved", a[0]));
    attempt(content, act, Plain::Works)
}

pub fn unlink() -> Attempt {
    attempt(content, |a| fs::remove_file(&a[0]), Plain::Works)
}

pub fn mode() -> Attempt {
    let act = |a: &[String]| fs::set_permissions(&a[0], Permissions::from_mode(0o777));
    attempt(|| metadata(MetadataExt::mode), act, Plain::Works)
}

pub fn owner() -> Attempt {
    let act = |a: &[String]| chown(&a[0], Some(12345), Some(12345));
    attempt(|| metadata(MetadataExt::uid), act, Plain::AsRoot)
}

pub fn times() -> Attempt {
    let act = |a: &[String]| {
        let file = OpenOptions::new().write(true).open(&a[0])?;
        file.set_modified(std::time::UNIX_EPOCH)
    };
    attempt(|| metadata(MetadataExt::mtime), act, Plain::Works)
}

pub fn attribute() -> Attempt {
    const NAME: &str = "user.foreshadow";
    let scene = || {
        let place = Place::new();
        let file = text(&place.file).to_string();
        Ok(Scene::new(&[&file], move |_| {
            let place = &place;
            let path = c(text(&place.file));
            let found =
                unsafe { libc::getxattr(path.as_ptr(), c(NAME).as_ptr(), std::ptr::null_mut(), 0) };
            found >= 0
        }))
    };
    let act = |a: &[String]| {
        let (path, name) = (c(&a[0]), c(NAME));
        let v = ESCAPED.as_ptr().cast();
        check(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), v, ESCAPED.len(), 0) }.into())
    };
    attempt(scene, act, Plain::Perhaps)
}

/// The no-dump flag, which does nothing.
pub fn flags() -> Attempt {
    const NO_DUMP: libc::c_long = 0x40;
    fn of(path: &str) -> io::Result<libc::c_long> {
        let file = File::open(path)?;
        let mut flags: libc::c_long = 0;
        check(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &mut flags) }.into())?;
        Ok(flags)
    }
    let scene = || {
        let place = Place::new();
        let file = text(&place.file).to_string();
        Ok(Scene::new(&[&file], move |_| {
            let place = &place;
            of(text(&place.file)).is_ok_and(|flags| flags & NO_DUMP != 0)
        }))
    };
    let act = |a: &[String]| {
        let flags = of(&a[0])? | NO_DUMP;
        let file = File::open(&a[0])?;
        check(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &flags) }.into())
    };
    attempt(scene, act, Plain::Perhaps)
}

pub fn create() -> Attempt {
    let act = |a: &[String]| fs::write(format!("{}/new", a[0]), ESCAPED);
    attempt(entries, act, Plain::Works)
}

pub fn make_directory() -> Attempt {
    let act = |a: &[String]| fs::create_dir(format!("{}/new", a[0]));
    attempt(entries, act, Plain::Works)
}

pub fn remove_directory() -> Attempt {
    let act = |a: &[String]| fs::remove_dir(format!("{}/empty", a[0]));
    attempt(entries, act, Plain::Works)
}

pub fn symbolic_link() -> Attempt {
    let scene = || {
        let place = Place::new();
        let link = place.path("link");
        symlink(&place.file, &link).expect("links");
        Ok(Scene::new(&[text(&link)], move |_| place.changed()))
    };
    attempt(scene, |a| fs::write(&a[0], ESCAPED), Plain::Works)
}

pub fn hard_link() -> Attempt {
    let act = |a: &[String]| {
        let link = format!("{}.link", a[0]);
        fs::hard_link(&a[0], &link)?;
        fs::write(link, ESCAPED)
    };
    attempt(content, act, Plain::Works)
}

pub fn root_of_first() -> Attempt {
    let act = |a: &[String]| fs::write(format!("/proc/1/root{}", a[0]), ESCAPED);
    attempt(content, act, Plain::Perhaps)
}

pub fn root_of_process() -> Attempt {
    let scene = || {
        let place = Place::new();
        let path = format!("/proc/{}/root{}", std::process::id(), text(&place.file));
        Ok(Scene::new(&[&path], move |_| place.changed()))
    };
    attempt(scene, |a| fs::write(&a[0], ESCAPED), Plain::Works)
}

/// The classical way out of a chroot: keep a directory outside of it open.
pub fn leave_chroot() -> Attempt {
    let act = |a: &[String]| {
        alone(|| {
            let outside = File::open("/")?;
            let inner = format!("{}.cage", a[0]);
            fs::create_dir(&inner)?;
            check(unsafe { libc::chroot(c(&inner).as_ptr()) }.into())?;
            check(unsafe { libc::fchdir(outside.as_raw_fd()) }.into())?;
            for _ in 0..64 {
                std::env::set_current_dir("..")?;
            }
            check(unsafe { libc::chroot(c(".").as_ptr()) }.into())?;
            fs::write(&a[0], ESCAPED)
        })
    };
    attempt(content, act, Plain::AsRoot)
}

/// A handle names a file of a file system whatever is mounted where.
pub fn by_handle() -> Attempt {
    #[repr(C)]
    struct Handle {
        size: u32,
        kind: i32,
        bytes: [u8; 128],
    }
    let act = |a: &[String]| {
        let mut handle = Handle {
            size: 128,
            kind: 0,
            bytes: [0; 128],
        };
        let (path, mut mount) = (c(&a[0]), 0);
        check(unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                libc::AT_FDCWD,
                path.as_ptr(),
                &mut handle,
                &mut mount,
                0,
            )
        })?;
        let dir = File::open(Path::new(&a[0]).parent().expect("a parent"))?;
        let fd = value(unsafe {
            libc::syscall(
                libc::SYS_open_by_handle_at,
                dir.as_raw_fd(),
                &handle,
                libc::O_RDWR,
            )
        })?;
        let mut file = unsafe { File::from_raw_fd(i32::try_from(fd).expect("a descriptor")) };
        file.write_all(ESCAPED.as_bytes())
    };
    attempt(content, act, Plain::AsRoot)
}

/// A file for reading on standard input is a path to that file.
pub fn reopen_input() -> Attempt {
    let scene = || {
        let place = Place::new();
        let input = File::open(&place.file).expect("opens");
        let mut scene = Scene::new(&[], move |_| place.changed());
        scene.input = Some(input.into());
        Ok(scene)
    };
    let act = |_: &[String]| {
        // Both ways; the second needs no name.
        fs::write("/proc/self/fd/0", ESCAPED)
            .or_else(|_| check(unsafe { libc::fchmod(0, 0o777) }.into()))
    };
    attempt(scene, act, Plain::Works)
}

pub fn move_input() -> Attempt {
    let scene = || {
        let place = Place::new();
        let input = File::open(&place.file).expect("opens");
        let mut ours = input.try_clone().expect("a second descriptor");
        let mut scene = Scene::new(&[], move |_| {
            let _keep = &place;
            ours.stream_position().expect("a position") != 0
        });
        scene.input = Some(input.into());
        Ok(scene)
    };
    let act = |_: &[String]| {
        let mut byte = [0];
        check(unsafe { libc::read(0, byte.as_mut_ptr().cast(), 1) } as libc::c_long)
    };
    attempt(scene, act, Plain::Works)
}

pub fn inherited_file() -> Attempt {
    let scene = || {
        let place = Place::new();
        let file = OpenOptions::new().append(true).open(&place.file);
        let fd = inheritable(&file.expect("opens"));
        let number = fd.as_raw_fd().to_string();
        Ok(Scene::new(&[&number], move |_| {
            let _keep = &fd;
            place.changed()
        }))
    };
    let act = |a: &[String]| {
        let fd: i32 = a[0].parse().expect("a number");
        check(unsafe { libc::write(fd, ESCAPED.as_ptr().cast(), 7) } as libc::c_long)
    };
    attempt(scene, act, Plain::Works)
}

pub fn inherited_directory() -> Attempt {
    let scene = || {
        let place = Place::new();
        let fd = inheritable(&File::open(place.dir.path()).expect("opens"));
        let number = fd.as_raw_fd().to_string();
        Ok(Scene::new(&[&number], move |_| {
            let _keep = &fd;
            place.changed()
        }))
    };
    let act = |a: &[String]| {
        let fd: i32 = a[0].parse().expect("a number");
        check(unsafe { libc::unlinkat(fd, c("file").as_ptr(), 0) }.into())
    };
    attempt(scene, act, Plain::Works)
}

/// A lock that the shadow meets, or could hold against the host.
pub fn lock() -> Attempt {
    let scene = || {
        let place = Place::new();
        let ours = File::open(&place.file).expect("opens");
        let locked = unsafe { libc::flock(ours.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        check(locked.into()).expect("locks");
        let file = text(&place.file).to_string();
        Ok(Scene::new(&[&file], move |tried| {
            let _keep = (&place, &ours);
            !tried.acted
        }))
    };
    // Without isolation it meets the host's lock.
    let act = |a: &[String]| {
        let file = File::open(&a[0])?;
        check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }.into())
    };
    attempt(scene, act, Plain::Works)
}

fn make_node(path: &Path, kind: u32, device: libc::dev_t) -> io::Result<()> {
    check(unsafe { libc::mknod(c(text(path)).as_ptr(), kind | 0o600, device) }.into())
}

fn read_zeros(path: &Path) -> io::Result<()> {
    let mut bytes = [1; 4];
    File::open(path)?.read_exact(&mut bytes)?;
    found(bytes == [0; 4])
}

/// `/dev/zero`, made anew: harmless, but so would no other be.
pub fn make_device() -> Attempt {
    let act = |a: &[String]| {
        let path = Path::new(&a[0]).with_file_name("node");
        make_node(&path, libc::S_IFCHR, libc::makedev(1, 5))?;
        read_zeros(&path)
    };
    let scene = || {
        let place = Place::new();
        let file = text(&place.file).to_string();
        Ok(Scene::new(&[&file], move |tried| {
            let _keep = &place;
            tried.acted
        }))
    };
    attempt(scene, act, Plain::AsRoot)
}

pub fn use_device() -> Attempt {
    let scene = || {
        if !is_root() {
            return Err("only root can make the device node to be found".into());
        }
        let place = Place::new();
        let node = place.path("node");
        make_node(&node, libc::S_IFCHR, libc::makedev(1, 5)).map_err(|e| e.to_string())?;
        Ok(Scene::new(&[text(&node)], move |tried| {
            let _keep = &place;
            tried.acted
        }))
    };
    attempt(scene, |a| read_zeros(Path::new(&a[0])), Plain::Perhaps)
}

/// Any, by its node, or by one made from the numbers that `/sys` tells. Only opened.
pub fn block_device() -> Attempt {
    let act = |_: &[String]| {
        let opens = |path: &Path| OpenOptions::new().read(true).open(path).is_ok();
        let nodes = fs::read_dir("/dev")?.flatten();
        let by_node = nodes
            .filter(|e| e.file_type().is_ok_and(|t| t.is_block_device()))
            .any(|e| opens(&e.path()));
        let numbers = fs::read_dir("/sys/dev/block")
            .into_iter()
            .flatten()
            .flatten();
        let by_number = || {
            numbers
                .filter_map(|e| {
                    let name = e.file_name().into_string().ok()?;
                    let (major, minor) = name.split_once(':')?;
                    Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?))
                })
                .any(|device| {
                    let path = std::env::temp_dir().join(unique("block"));
                    let opened = make_node(&path, libc::S_IFBLK, device).is_ok() && opens(&path);
                    let _ = fs::remove_file(&path);
                    opened
                })
        };
        found(by_node || by_number())
    };
    attempt(Scene::outcome, act, Plain::Perhaps)
}

/// Devices that lead to the kernel or the whole machine. Only opened.
pub fn machine_device() -> Attempt {
    let act = |_: &[String]| {
        let any = [
            "/dev/kmsg",
            "/dev/mem",
            "/dev/port",
            "/dev/loop-control",
            "/dev/fuse",
            "/dev/kvm",
            "/dev/vsock",
            "/dev/net/tun",
            "/dev/uinput",
            "/dev/console",
            "/dev/tty0",
            "/dev/ttyS0",
            "/dev/rtc0",
            "/dev/cuse",
            "/dev/userfaultfd",
        ]
        .iter()
        .any(|path| {
            OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
                .open(path)
                .is_ok()
        });
        found(any)
    };
    attempt(Scene::outcome, act, Plain::Perhaps)
}

pub fn core_dump() -> Attempt {
    let act = |a: &[String]| {
        std::env::set_current_dir(Path::new(&a[0]))?;
        let all = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        unsafe {
            libc::setrlimit(libc::RLIMIT_CORE, &all);
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            libc::raise(libc::SIGSEGV);
        }
        Err(io::ErrorKind::Unsupported.into())
    };
    attempt(entries, act, Plain::Perhaps)
}

/// Dropping what the host has cached slows the host.
pub fn page_cache() -> Attempt {
    let scene = || {
        let place = Place::new();
        let file = place.path("large");
        let mut writer = File::create(&file).expect("creates");
        writer.write_all(&vec![7; 1 << 20]).expect("writes");
        // Only clean pages can be dropped.
        writer.sync_all().expect("syncs");
        fs::read(&file).expect("reads");
        Ok(Scene::new(&[text(&file)], move |_| {
            let _keep = &place;
            let file = File::open(place.path("large")).expect("opens");
            resident_pages(&file, 1 << 20) < 128
        }))
    };
    let act = |a: &[String]| {
        let file = File::open(&a[0])?;
        let advice = libc::POSIX_FADV_DONTNEED;
        match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, advice) } {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    };
    attempt(scene, act, Plain::Perhaps)
}

fn resident_pages(file: &File, length: usize) -> usize {
    let mut pages = vec![0u8; length / 4096];
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        assert_ne!(at, libc::MAP_FAILED);
        check(libc::mincore(at, length, pages.as_mut_ptr()).into()).expect("mincore");
        libc::munmap(at, length);
    }
    pages.iter().filter(|p| **p & 1 == 1).count()
}
