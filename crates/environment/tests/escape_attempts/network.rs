//! The network, the host's and the world's.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::ipc::socket;
use super::{Attempt, Plain, Scene, check};

pub fn loopback_tcp() -> Attempt {
    let scene = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        listener.set_nonblocking(true).expect("sets");
        let address = listener.local_addr().expect("an address").to_string();
        Ok(Scene::new(&[&address], move |_| listener.accept().is_ok()))
    };
    let act = |a: &[String]| {
        let address = a[0].parse().expect("an address");
        TcpStream::connect_timeout(&address, Duration::from_secs(5)).map(drop)
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

pub fn loopback_udp() -> Attempt {
    let scene = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
        socket.set_nonblocking(true).expect("sets");
        let address = socket.local_addr().expect("an address").to_string();
        Ok(Scene::new(&[&address], move |tried| {
            tried.soon(|| socket.recv(&mut [0; 8]).is_ok())
        }))
    };
    let act = |a: &[String]| {
        UdpSocket::bind("127.0.0.1:0")?
            .send_to(b"x", &a[0])
            .map(drop)
    };
    Attempt {
        scene,
        act,
        plain: Plain::Works,
    }
}

/// An address for documentation: choosing a route to it sends nothing.
pub fn outside() -> Attempt {
    Attempt {
        scene: Scene::outcome,
        act: |_| UdpSocket::bind("0.0.0.0:0")?.connect("192.0.2.1:9"),
        plain: Plain::Perhaps,
    }
}

pub fn raw_socket() -> Attempt {
    Attempt {
        scene: Scene::outcome,
        act: |_| socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).map(drop),
        plain: Plain::AsRoot,
    }
}

pub fn packet_socket() -> Attempt {
    Attempt {
        scene: Scene::outcome,
        act: |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0x0300).map(drop),
        plain: Plain::Perhaps,
    }
}

/// Such sockets know no network namespaces.
pub fn vsock() -> Attempt {
    Attempt {
        scene: Scene::outcome,
        act: |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).map(drop),
        plain: Plain::Perhaps,
    }
}

/// Such sockets load modules into the kernel.
pub fn crypto_socket() -> Attempt {
    Attempt {
        scene: Scene::outcome,
        act: |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0).map(drop),
        plain: Plain::Perhaps,
    }
}

/// Gives the loopback interface the size of packets that it has.
pub fn interface() -> Attempt {
    let act = |_: &[String]| {
        let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        let fd = socket.as_raw_fd();
        check(unsafe { libc::ioctl(fd, libc::SIOCGIFMTU, &mut request) }.into())?;
        check(unsafe { libc::ioctl(fd, libc::SIOCSIFMTU, &request) }.into())
    };
    Attempt {
        scene: Scene::outcome,
        act,
        plain: Plain::AsRoot,
    }
}
