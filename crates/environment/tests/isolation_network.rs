//! A shadow with a limited network: what it reaches, how fast, and what it does not reach.

mod isolation_help;

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use foreshadow_environment::Exit;
use foreshadow_environment::isolation::{
    IsolationError, NetworkAccess, Sandbox, SandboxOptions, ShadowProcess,
};
use foreshadow_quantity::{Bytes, Rate};
use isolation_help::*;

/// What the actor is to do, and to which address.
const DO: &str = "FORESHADOW_TEST_DO";
const SIZE: usize = 3 << 20;

fn limited(rate: Bytes) -> Result<Sandbox, IsolationError> {
    Sandbox::new(SandboxOptions {
        network: NetworkAccess::Limited(Rate::per_second(rate)),
        ..SandboxOptions::default()
    })
}

/// Whether a limited network can be had here; says so if not.
fn possible(test: &str) -> bool {
    if !can_isolate(test) {
        return false;
    }
    match limited(Bytes::mib(1)) {
        Ok(_) => true,
        Err(error) => {
            assert!(
                matches!(error, IsolationError::NetworkUnavailable { .. }),
                "{error}"
            );
            skip(test, error);
            false
        }
    }
}

/// An address of this machine that is not the loopback's. Choosing a route sends nothing.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Not a test of its own: what runs inside.
#[test]
fn actor() {
    let Ok(order) = std::env::var(DO) else {
        return;
    };
    let (what, address) = order.split_once(' ').expect("an order");
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = match TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
        Ok(stream) => stream,
        Err(error) => return println!("unreachable: {error}"),
    };
    let since = Instant::now();
    match what {
        "fetch" => {
            let read = io::copy(&mut stream, &mut io::sink()).expect("reads");
            println!("done {read} {}", since.elapsed().as_millis());
        }
        "send" => {
            stream.write_all(&vec![7; SIZE]).expect("writes");
            stream.shutdown(std::net::Shutdown::Write).expect("ends");
            // The other end answers when all has arrived.
            stream.read_exact(&mut [0]).expect("an answer");
            println!("done {SIZE} {}", since.elapsed().as_millis());
        }
        _ => println!("connected"),
    }
}

fn start(sandbox: Sandbox, what: &str, address: SocketAddr) -> (ShadowProcess, std::fs::File) {
    let (read, write) = pipe();
    let this = this_program();
    let argv = [text(&this), "--exact", "actor", "--nocapture"];
    let mut program = program(&argv, Path::new("/"), write);
    program
        .env
        .push((DO.into(), format!("{what} {address}").into()));
    (sandbox.start(program).expect("starts"), read)
}

fn run(sandbox: Sandbox, what: &str, address: SocketAddr) -> String {
    let (mut shadow, mut read) = start(sandbox, what, address);
    assert_eq!(shadow.wait().expect("ends").0, Exit::Code(0));
    let mut output = String::new();
    read.read_to_string(&mut output).expect("reads");
    output
}

/// Serves one connection: sends, or takes and answers.
fn serve(address: IpAddr, sends: bool) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).expect("binds");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else {
            return;
        };
        if sends {
            let _ = stream.write_all(&vec![7; SIZE]);
        } else {
            let _ = io::copy(&mut stream, &mut io::sink());
            let _ = stream.write_all(b"!");
        }
    });
    address
}

#[test]
fn it_reaches_outside_no_faster_than_allowed() {
    const TEST: &str = "it_reaches_outside_no_faster_than_allowed";
    if !possible(TEST) {
        return;
    }
    let Some(address) = own_address() else {
        return skip(TEST, "this machine has no network");
    };
    for (what, sends) in [("fetch", true), ("send", false)] {
        let sandbox = limited(Bytes::mib(1)).expect("a sandbox");
        let output = run(sandbox, what, serve(address, sends));
        let figures: Vec<u128> = output
            .lines()
            .find_map(|l| l.rsplit_once("done "))
            .map(|(_, figures)| {
                figures
                    .split(' ')
                    .map(|f| f.parse().expect("a number"))
                    .collect()
            })
            .unwrap_or_else(|| panic!("{what}: {output}"));
        assert_eq!(figures[0], SIZE as u128, "{what}");
        // Three seconds' worth, less what buffers take at once. (A loaded machine is slower.)
        assert!(figures[1] > 1500, "{what} took only {} ms", figures[1]);
    }
}

#[test]
fn the_loopback_of_the_host_is_out_of_reach() {
    const TEST: &str = "the_loopback_of_the_host_is_out_of_reach";
    if !possible(TEST) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("an address").port();
    listener.set_nonblocking(true).expect("sets");
    // By the usual name, and by the one that the helper has for the host.
    for address in ["127.0.0.1", "10.0.2.2"] {
        let address = SocketAddr::new(address.parse().expect("an address"), port);
        let output = run(
            limited(Bytes::mib(1)).expect("a sandbox"),
            "connect",
            address,
        );
        // The helper may take a connection before it finds that it leads nowhere.
        assert!(
            output.contains("unreachable") || output.contains("connected"),
            "{output}"
        );
        assert!(listener.accept().is_err(), "{address} leads to the host");
    }
}

#[test]
fn the_helper_ends_with_the_shadow() {
    const TEST: &str = "the_helper_ends_with_the_shadow";
    if !possible(TEST) {
        return;
    }
    let helpers = |init: u32| processes_with(&format!("\0{init}\0tap0")).len();
    let sandbox = limited(Bytes::mib(1)).expect("a sandbox");
    let init = sandbox.init_pid();
    assert_eq!(helpers(init), 1);
    drop(sandbox);
    assert_eq!(helpers(init), 0, "of one that never started");
    let mut shadow = start_sh(limited(Bytes::mib(1)).expect("a sandbox"), "exit 4");
    let init = shadow.init_pid();
    assert_eq!(shadow.wait().expect("ends").0, Exit::Code(4));
    drop(shadow);
    assert_eq!(helpers(init), 0, "of one that ended");
}

/// Not a test of its own: the owner that is killed in the next one.
#[test]
fn owner_to_be_killed() {
    if std::env::var_os("FORESHADOW_TEST_OWNER").is_some() {
        let sandbox = limited(Bytes::mib(1)).expect("a sandbox");
        println!("INIT {}", sandbox.init_pid());
        thread::sleep(Duration::from_secs(1000));
    }
}

#[test]
fn the_helper_ends_with_a_killed_owner() {
    const TEST: &str = "the_helper_ends_with_a_killed_owner";
    if !possible(TEST) {
        return;
    }
    let mut owner = std::process::Command::new(this_program())
        .args(["--exact", "owner_to_be_killed", "--nocapture"])
        .env("FORESHADOW_TEST_OWNER", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the owner starts");
    let mut output = owner.stdout.take().expect("its output");
    let mut said = String::new();
    let mut byte = [0];
    while !(said.contains("INIT ") && said.ends_with('\n')) {
        output.read_exact(&mut byte).expect("it goes on");
        said.push(char::from(byte[0]));
    }
    let (_, init) = said.rsplit_once("INIT ").expect("a pid");
    let init = init.trim().to_string();
    let helpers = || processes_with(&format!("\0{init}\0tap0")).len();
    assert_eq!(helpers(), 1);
    owner.kill().expect("kills");
    owner.wait().expect("reaps");
    assert!(eventually(|| helpers() == 0), "the helper is gone");
}

#[test]
fn no_rate_is_no_network() {
    const TEST: &str = "no_rate_is_no_network";
    if can_isolate(TEST) {
        let error = limited(Bytes::ZERO).map(drop).expect_err("refused");
        assert!(error.to_string().contains("a rate of 0"), "{error}");
    }
}
