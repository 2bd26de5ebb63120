//! WireGuard, of the kernel where it has one, and the built-in one: three sites in separate network
//! namespaces, on one link. Needs root, or `unshare -Urnm`.

mod namespace;
#[path = "support/tunnels.rs"]
mod tunnels;

use std::io::{Read as _, Write as _};
use std::num::{NonZeroU16, NonZeroU32};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use namespace::{inside, ip};
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::gettid;
use tunnels::{MIDDLE, OTHERS, apply, interface, public_key, site, steps};
use wg_portals::base::error::Error;
use wg_portals::base::net::IfName;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::wireguard::Reading;
use wg_portals::kernel::{Kernel, Outcome, builtin};
use wg_portals::state::step::{NamedLink, RoutingStep, Step, TunnelChange};
use wg_portals::state::{Link, Scope, State, Tunnel, WireGuardBackend};

#[test]
fn traffic_passes_through_the_built_in_wireguard_and_a_peer_that_changes_leaves_the_other_alone() {
    let (before, after) = traffic_passes(WireGuardBackend::BuiltIn);
    // The peer that changes must handshake again.
    assert!(!after.tunnel.peers[&public_key(13)].alive);
    assert_untouched(&before, &after, 12);
}

#[test]
fn traffic_passes_through_the_kernels_wireguard_and_a_peer_that_changes_keeps_its_session() {
    if !kernel_has_wireguard() {
        return;
    }
    let (before, after) = traffic_passes(WireGuardBackend::Kernel);
    assert_untouched(&before, &after, 12);
    assert_untouched(&before, &after, 13);
}

/// Builds three sites, lets traffic pass, changes the peer 13, lets traffic pass, and removes everything;
/// returns the state before and after the change.
fn traffic_passes(backend: WireGuardBackend) -> (Reading, Reading) {
    let others = OTHERS.map(|number| Site::start(number, site(number, &[MIDDLE], backend)));
    let threads: Vec<i32> = others.iter().map(|site| site.thread.recv().unwrap()).collect();
    inside(move || {
        wire(&threads);
        for site in &others {
            site.wired.send(()).unwrap();
        }
        let mut kernel = Linux::open().unwrap();
        let wanted = site(MIDDLE, &OTHERS, backend);
        apply(&mut kernel, &steps(&wanted));
        for site in &others {
            site.thread.recv().map(drop).unwrap();
        }
        for other in OTHERS {
            ping(other);
        }
        assert_eq!(without_life(kernel.observe(&wanted.scope()).unwrap()), wanted);
        let before = read(&mut kernel, &wanted);
        assert!(before.tunnel.peers.values().all(|peer| peer.alive), "{before:?}");
        if backend == WireGuardBackend::BuiltIn {
            let seen = builtin::read_foreign(&interface(MIDDLE), SystemTime::now()).unwrap();
            assert_eq!(seen.tunnel, before.tunnel);
        }

        let mut changed = before.tunnel.clone();
        changed.peers.get_mut(&public_key(13)).unwrap().keepalive = NonZeroU16::new(7);
        apply(&mut kernel, &[change(&before.tunnel, &changed)]);
        let after = read(&mut kernel, &wanted);
        assert_eq!(after.tunnel.peers[&public_key(13)].keepalive, NonZeroU16::new(7));
        for other in OTHERS {
            ping(other);
        }

        apply(
            &mut kernel,
            &wanted
                .links
                .into_iter()
                .map(|(name, link)| Step::RemoveLink(NamedLink { name, link }))
                .collect::<Vec<_>>(),
        );
        assert_eq!(kernel.observe(&Scope::default()).unwrap(), State::default());
        for site in others {
            drop(site.wired);
            site.life.join().unwrap();
        }
        (before, after)
    })
}

/// Asserts that the session with a peer continued: it has the same age, and nothing was sent.
fn assert_untouched(before: &Reading, after: &Reading, peer: u8) {
    let (before, after) = (&before.peers[&public_key(peer)], &after.peers[&public_key(peer)]);
    assert_eq!((before.received, before.sent), (after.received, after.sent));
    assert_same_time(before.handshake.unwrap(), after.handshake.unwrap());
}

/// Asserts that two times of a handshake are the same. The built-in WireGuard computes the time from the age
/// each time.
fn assert_same_time(one: SystemTime, other: SystemTime) {
    let apart = one.duration_since(other).unwrap_or_else(|error| error.duration());
    assert!(apart < Duration::from_millis(50), "{apart:?}");
}

/// Nobody answers for the interface any more, not even those who asked before, and it is made again.
#[test]
fn an_interface_that_others_delete_is_made_again_during_a_request() {
    inside(|| {
        let mut kernel = Linux::open().unwrap();
        let wanted = site(MIDDLE, &OTHERS, WireGuardBackend::BuiltIn);
        apply(&mut kernel, &steps(&wanted));
        let path = format!("/var/run/wireguard/{}.sock", interface(MIDDLE));
        let mut visitor = UnixStream::connect(&path).unwrap();
        ip(&format!("link delete {}", interface(MIDDLE)));
        while UnixStream::connect(&path).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = visitor.write_all(b"get=1\n\n");
        assert!(!matches!(visitor.read(&mut [0]), Ok(1)), "no tunnel is left to answer for");
        apply(&mut kernel, &steps(&wanted));
        assert_eq!(without_life(kernel.observe(&wanted.scope()).unwrap()), wanted);
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_and_changes_nothing() {
    for backend in [WireGuardBackend::BuiltIn, WireGuardBackend::Kernel] {
        if backend == WireGuardBackend::BuiltIn || kernel_has_wireguard() {
            inside(move || port_is_taken(backend));
        }
    }
}

/// Reports whether the kernel gave this number as the reason: its words end the error.
fn is_caused_by(error: &Error, errno: Errno) -> bool {
    error.to_string().ends_with(errno.desc())
}

fn port_is_taken(backend: WireGuardBackend) {
    let taken = std::net::UdpSocket::bind("0.0.0.0:51999").unwrap();
    let mut kernel = Linux::open().unwrap();
    let wanted = site(MIDDLE, &OTHERS, backend);
    apply(&mut kernel, &steps(&wanted));
    let before = read(&mut kernel, &wanted).tunnel;
    let to = Tunnel { port: NonZeroU16::new(51999), fwmark: NonZeroU32::new(5), ..before.clone() };
    let outcomes = kernel.apply(&[change(&before, &to)]);
    let [Outcome::Failed(error)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(is_caused_by(error, Errno::EADDRINUSE), "{error}");
    assert_eq!(read(&mut kernel, &wanted).tunnel, before);
    drop(taken);
}

#[test]
fn the_kernels_wireguard_reports_a_taken_port_at_the_second_interface() {
    if !kernel_has_wireguard() {
        return;
    }
    inside(|| {
        let mut kernel = Linux::open().unwrap();
        apply(&mut kernel, &steps(&site(MIDDLE, &OTHERS, WireGuardBackend::Kernel)));
        let outcomes = kernel.apply(&steps(&site(12, &[MIDDLE], WireGuardBackend::Kernel)));
        let failed = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Failed(error) => Some(error),
            _ => None,
        });
        assert!(is_caused_by(failed.unwrap(), Errno::EADDRINUSE));
    });
}

/// An interface whose creation was interrupted is recognised again, and can be finished or removed.
#[test]
fn an_unfinished_interface_is_recognised() {
    if !kernel_has_wireguard() {
        return;
    }
    inside(|| {
        ip("link add to-paris group 1886351988 type wireguard");
        let mut kernel = Linux::open().unwrap();
        let observed = kernel.observe(&Scope::default()).unwrap();
        let from = observed.links[&"to-paris".parse::<IfName>().unwrap()].clone();
        assert_eq!(from.alias, "");
        let to = Link { mtu: 1280, alias: "portals:test".to_owned(), ..from.clone() };
        let name: IfName = "to-paris".parse().unwrap();
        apply(
            &mut kernel,
            &[Step::Routing(RoutingStep::ChangeLink { name: name.clone(), from, to: to.clone() })],
        );
        assert_eq!(kernel.observe(&Scope::default()).unwrap().links, [(name, to)].into());
        assert!(ip("link show group default").contains("to-paris"));
    });
}

/// The agent gets signals through a file descriptor, which needs an unchanged signal mask.
#[test]
fn the_built_in_wireguard_leaves_signals_alone() {
    inside(|| {
        let before = SigSet::thread_get_mask().unwrap();
        let mut kernel = Linux::open().unwrap();
        apply(&mut kernel, &steps(&site(MIDDLE, &OTHERS, WireGuardBackend::BuiltIn)));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    });
}

/// A site behind NAT must keep dialling, because its peers cannot dial it.
#[test]
fn the_built_in_wireguard_does_not_give_up() {
    let mut silent = site(12, &[MIDDLE], WireGuardBackend::BuiltIn);
    for peer in silent.tunnels.values_mut().flat_map(|tunnel| tunnel.peers.values_mut()) {
        (peer.endpoint, peer.keepalive) = (None, None);
    }
    let other = Site::start(12, silent);
    let thread = other.thread.recv().unwrap();
    inside(move || {
        let mut kernel = Linux::open().unwrap();
        let wanted = site(MIDDLE, &[12], WireGuardBackend::BuiltIn);
        wire(&[]);
        apply(&mut kernel, &steps(&wanted));
        // Data starts the handshake attempts; WireGuard gives up after 90 s (REKEY_ATTEMPT_TIME).
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.send_to(b"?", "10.99.0.12:9").unwrap();
        std::thread::sleep(Duration::from_secs(100));
        ip(&format!("link add port0 type veth peer name wan netns {thread}"));
        ip("link set port0 master wan up");
        other.wired.send(()).unwrap();
        other.thread.recv().unwrap();
        std::thread::sleep(Duration::from_mins(1));
        assert!(read(&mut kernel, &wanted).tunnel.peers[&public_key(12)].alive);
        drop(other.wired);
        other.life.join().unwrap();
    });
}

/// A phone that is first heard long after its site began to listen: no time of its session may count from
/// then.
#[test]
fn the_built_in_wireguard_keeps_the_session_of_a_peer_that_comes_late() {
    let other = Site::start(12, site(12, &[MIDDLE], WireGuardBackend::BuiltIn));
    let thread = other.thread.recv().unwrap();
    inside(move || {
        let mut kernel = Linux::open().unwrap();
        let mut wanted = site(MIDDLE, &[12], WireGuardBackend::BuiltIn);
        for peer in wanted.tunnels.values_mut().flat_map(|tunnel| tunnel.peers.values_mut()) {
            (peer.endpoint, peer.keepalive) = (None, None);
        }
        wire(&[thread]);
        apply(&mut kernel, &steps(&wanted));
        // A session ends after 180 s (REJECT_AFTER_TIME).
        thread::sleep(Duration::from_secs(185));
        other.wired.send(()).unwrap();
        other.thread.recv().unwrap();
        let mut handshake = || read(&mut kernel, &wanted).peers[&public_key(12)].handshake;
        // The other site begins with its first keepalive, after 25 s.
        let began = (0..1200).find_map(|_| {
            thread::sleep(Duration::from_millis(50));
            handshake()
        });
        thread::sleep(Duration::from_secs(4));
        assert_same_time(began.unwrap(), handshake().unwrap());
        drop(other.wired);
        other.life.join().unwrap();
    });
}

fn kernel_has_wireguard() -> bool {
    let found = inside(|| Linux::open().unwrap().has_wireguard());
    if !found {
        eprintln!("skipped: this kernel has no WireGuard");
    }
    found
}

#[test]
fn a_foreign_interface_is_not_taken_over() {
    inside(|| {
        ip("tuntap add dev tun-11 mode tun multi_queue");
        let mut kernel = Linux::open().unwrap();
        let outcomes = kernel.apply(&steps(&site(MIDDLE, &OTHERS, WireGuardBackend::BuiltIn)));
        let Outcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert!(is_caused_by(error, Errno::EEXIST), "{error}");
        assert!(!ip("link show tun-11").contains("alias"));
        assert_eq!(kernel.observe(&Scope::default()).unwrap(), State::default());
    });
}

/// A site that lives in a separate thread and namespace until `wired` is dropped.
struct Site {
    life: JoinHandle<()>,
    /// Sends its namespace, and a second message when it is ready.
    thread: Receiver<i32>,
    wired: Sender<()>,
}

impl Site {
    fn start(number: u8, state: State) -> Self {
        let (tell, thread) = mpsc::channel();
        let (wired, wait) = mpsc::channel();
        let life = thread::spawn(move || {
            inside(move || {
                tell.send(gettid().as_raw()).unwrap();
                wait.recv().unwrap();
                ip(&format!("address add 192.0.2.{number}/24 dev wan"));
                ip("link set wan up");
                let mut kernel = Linux::open().unwrap();
                apply(&mut kernel, &steps(&state));
                tell.send(gettid().as_raw()).unwrap();
                let _ = wait.recv();
            });
        });
        Self { life, thread, wired }
    }
}

/// A bridge to the namespaces of those threads, with an interface `wan` in each.
fn wire(threads: &[i32]) {
    ip("link add wan type bridge");
    ip(&format!("address add 192.0.2.{MIDDLE}/24 dev wan"));
    ip("link set wan up");
    for (index, thread) in threads.iter().enumerate() {
        ip(&format!("link add port{index} type veth peer name wan netns {thread}"));
        ip(&format!("link set port{index} master wan up"));
    }
}

fn change(from: &Tunnel, to: &Tunnel) -> Step {
    Step::ChangeTunnel(TunnelChange { name: interface(MIDDLE), from: from.clone(), to: to.clone() })
}

fn read(kernel: &mut Linux, wanted: &State) -> Reading {
    let name = interface(MIDDLE);
    kernel.read_tunnel(&name, &wanted.links[&name], SystemTime::now()).unwrap()
}

fn without_life(mut state: State) -> State {
    state
        .tunnels
        .values_mut()
        .flat_map(|tunnel| tunnel.peers.values_mut())
        .for_each(|peer| peer.alive = false);
    state
}

/// Tries until an answer comes: a handshake that was sent before the other site existed is repeated after 5
/// s.
fn ping(other: u8) {
    let target = format!("10.99.0.{other}");
    let arguments = ["-q", "-c1", "-i0.2", "-w20", &target];
    let output = Command::new("ping").args(arguments).output().expect("these tests need `ping`");
    assert!(output.status.success(), "{target} does not answer");
}
