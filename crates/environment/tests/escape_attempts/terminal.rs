//! The terminal, whose shell would run what is typed into it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::{Attempt, Plain, Scene, check};

/// Types a character as if the user had.
pub fn inject() -> Attempt {
    let scene = || {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .map_err(|e| format!("no terminals here: {e}"))?;
        grantpt(&master)
            .and_then(|()| unlockpt(&master))
            .map_err(|e| e.to_string())?;
        let name = ptsname(&master, Vec::new()).map_err(|e| e.to_string())?;
        let name = name.to_str().expect("a name of text").to_string();
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
                .open(&name)
                .expect("the terminal opens")
        };
        let mut ours = open();
        // Each character at once, not a line at a time.
        let mut modes = tcgetattr(&ours).expect("its modes");
        modes.make_raw();
        tcsetattr(&ours, OptionalActions::Now, &modes).expect("sets");
        let theirs = open();
        let mut scene = Scene::new(&[&name], move |_| {
            let _keep = &master;
            matches!(ours.read(&mut [0; 8]), Ok(1..))
        });
        scene.input = Some(theirs.into());
        scene.controlling = true;
        Ok(scene)
    };
    let act = |a: &[String]| {
        let inject =
            |fd: i32| check(unsafe { libc::ioctl(fd, libc::TIOCSTI, c"!".as_ptr()) }.into());
        let by_name = |path: &str| -> io::Result<()> {
            let file = File::options().read(true).write(true).open(path)?;
            inject(file.as_raw_fd())
        };
        inject(0)
            .or_else(|_| by_name("/dev/tty"))
            .or_else(|_| by_name(&a[0]))
    };
    Attempt {
        scene,
        act,
        plain: Plain::AsRoot,
    }
}
