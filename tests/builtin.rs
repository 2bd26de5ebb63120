//! The built-in WireGuard: three sites in network namespaces of their own, on one wire. Needs root, or `unshare -Urnm`.

mod namespace;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use namespace::{inside, ip, thread_id};
use nix::errno::Errno;
use wg_portals::diff::Step;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::wireguard::Reading;
use wg_portals::kernel::{Kernel, Outcome, builtin};
use wg_portals::net::{IfName, PublicKey, Secret, Table};
use wg_portals::state::{Backend, Link, LinkKind, Peer, Route, State, Target, Tunnel};

/// The middle site and the two it has tunnels to; each number is a key, a host and an interface.
const MIDDLE: u8 = 11;
const OTHERS: [u8; 2] = [12, 13];

const PORT: u16 = 51820;

#[test]
fn traffic_passes_and_a_peer_that_changes_leaves_the_other_alone() {
    let others = OTHERS.map(Site::start);
    let threads: Vec<i32> = others.iter().map(|site| site.thread.recv().unwrap()).collect();
    inside(move || {
        wire(&threads);
        others.iter().for_each(|site| site.wired.send(()).unwrap());
        let mut kernel = Linux::open().unwrap();
        let wanted = site(MIDDLE, &OTHERS);
        apply(&mut kernel, &steps(&wanted));
        others.iter().for_each(|site| site.thread.recv().map(drop).unwrap());
        OTHERS.iter().for_each(|other| ping(*other));
        assert_eq!(without_life(kernel.observe(&wanted.scope()).unwrap()), wanted);

        let before = read(&mut kernel);
        assert!(before.tunnel.peers.values().all(|peer| peer.alive), "{before:?}");
        assert_eq!(
            builtin::read_foreign(&interface(MIDDLE), SystemTime::now()).unwrap().tunnel,
            before.tunnel
        );

        let mut changed = before.tunnel.clone();
        changed.peers.get_mut(&public_key(13)).unwrap().keepalive = 7;
        apply(&mut kernel, &[change(&before.tunnel, &changed)]);
        let after = read(&mut kernel);
        assert_eq!(after.peers[&public_key(12)].received, before.peers[&public_key(12)].received);
        assert!(after.tunnel.peers[&public_key(12)].alive && !after.tunnel.peers[&public_key(13)].alive);
        OTHERS.iter().for_each(|other| ping(*other));
        let (was, is) =
            (before.peers[&public_key(12)].handshake, read(&mut kernel).peers[&public_key(12)].handshake);
        let apart = was.unwrap().duration_since(is.unwrap()).unwrap_or_else(|error| error.duration());
        assert!(apart < Duration::from_millis(50), "there was a new handshake: {apart:?}");

        let link = wanted.links[&interface(MIDDLE)].clone();
        apply(&mut kernel, &[Step::RemoveLink(interface(MIDDLE), link)]);
        assert_eq!(kernel.observe(&wanted.scope()).unwrap(), State::default());
        for site in others {
            drop(site.wired);
            site.life.join().unwrap();
        }
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_and_changes_nothing() {
    inside(|| {
        let taken = std::net::UdpSocket::bind("0.0.0.0:51999").unwrap();
        let mut kernel = Linux::open().unwrap();
        let wanted = site(MIDDLE, &OTHERS);
        apply(&mut kernel, &steps(&wanted));
        let before = read(&mut kernel).tunnel;
        let outcomes = kernel.apply(&[change(&before, &Tunnel { port: 51999, ..before.clone() })]);
        let [Outcome::Failed(error)] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert_eq!(error.errno(), Some(Errno::EADDRINUSE));
        assert_eq!(read(&mut kernel).tunnel, before);
        drop(taken);
    });
}

#[test]
fn an_interface_of_somebody_else_is_not_taken_over() {
    inside(|| {
        ip("tuntap add dev tun-11 mode tun multi_queue");
        let mut kernel = Linux::open().unwrap();
        let outcomes = kernel.apply(&steps(&site(MIDDLE, &OTHERS)));
        let Outcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert_eq!(error.errno(), Some(Errno::EEXIST));
        assert!(!ip("link show tun-11").contains("alias"));
        assert_eq!(kernel.observe(&Default::default()).unwrap(), State::default());
    });
}

/// A site that lives in a thread and namespace of its own until `wired` is dropped.
struct Site {
    life: JoinHandle<()>,
    /// Its namespace, and then once more when it is ready.
    thread: Receiver<i32>,
    wired: Sender<()>,
}

impl Site {
    fn start(number: u8) -> Self {
        let (tell, thread) = mpsc::channel();
        let (wired, wait) = mpsc::channel();
        let life = thread::spawn(move || {
            inside(move || {
                tell.send(thread_id()).unwrap();
                wait.recv().unwrap();
                ip(&format!("address add 192.0.2.{number}/24 dev wan"));
                ip("link set wan up");
                let mut kernel = Linux::open().unwrap();
                apply(&mut kernel, &steps(&site(number, &[MIDDLE])));
                tell.send(thread_id()).unwrap();
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

/// A site with one interface and a tunnel to each of the others on it.
fn site(own: u8, others: &[u8]) -> State {
    let peer = |other: u8| Peer {
        preshared_key: Some(Secret::new([own ^ other; 32])),
        endpoint: Some(format!("192.0.2.{other}:{PORT}").parse().unwrap()),
        keepalive: 25,
        allowed_ips: [format!("10.99.0.{other}/32").parse().unwrap()].into(),
        alive: false,
    };
    let tunnel = Tunnel {
        private_key: Some(private_key(own)),
        port: PORT,
        fwmark: 0x1000_0000,
        peers: others.iter().map(|other| (public_key(*other), peer(*other))).collect(),
    };
    let kind = LinkKind::WireGuard(Backend::BuiltIn);
    let link = Link { kind, mtu: 1280, alias: "portals:test".to_owned() };
    let route = |other: &u8| Route {
        table: Table::MAIN,
        destination: format!("10.99.0.{other}/32").parse().unwrap(),
        target: Target::Device { interface: interface(own), source: None },
        metric: 0,
    };
    State {
        links: [(interface(own), link)].into(),
        tunnels: [(interface(own), tunnel)].into(),
        addresses: [(interface(own), format!("10.99.0.{own}/32").parse().unwrap())].into(),
        up: BTreeSet::from([interface(own)]),
        routes: others.iter().map(route).collect(),
        ..State::default()
    }
}

/// What makes a site of nothing.
fn steps(state: &State) -> Vec<Step> {
    let links = state.links.iter().map(|(name, link)| Step::AddLink(name.clone(), link.clone()));
    let tunnels = state.tunnels.iter().map(|(name, tunnel)| Step::ChangeTunnel {
        name: name.clone(),
        from: Tunnel::default(),
        to: tunnel.clone(),
    });
    let addresses = state.addresses.iter().map(|(name, address)| Step::AddAddress(name.clone(), *address));
    let up = state.up.iter().cloned().map(Step::BringUp);
    links
        .chain(tunnels)
        .chain(addresses)
        .chain(up)
        .chain(state.routes.iter().cloned().map(Step::AddRoute))
        .collect()
}

fn apply(kernel: &mut Linux, steps: &[Step]) {
    for (outcome, step) in kernel.apply(steps).into_iter().zip(steps) {
        assert!(matches!(outcome, Outcome::Done), "{step:?}: {outcome:?}");
    }
}

fn change(from: &Tunnel, to: &Tunnel) -> Step {
    Step::ChangeTunnel { name: interface(MIDDLE), from: from.clone(), to: to.clone() }
}

fn read(kernel: &mut Linux) -> Reading {
    let link = &site(MIDDLE, &OTHERS).links[&interface(MIDDLE)];
    kernel.read_tunnel(&interface(MIDDLE), link, SystemTime::now()).unwrap()
}

fn without_life(mut state: State) -> State {
    state
        .tunnels
        .values_mut()
        .flat_map(|tunnel| tunnel.peers.values_mut())
        .for_each(|peer| peer.alive = false);
    state
}

fn ping(other: u8) {
    let target = format!("10.99.0.{other}");
    let status =
        Command::new("ping").args(["-c1", "-W3", "-q", &target]).output().expect("these tests need `ping`");
    assert!(status.status.success(), "{target} does not answer");
}

fn interface(number: u8) -> IfName {
    format!("tun-{number}").parse().unwrap()
}

/// The number, 32 times, in the form that Curve25519 wants.
fn private_key(number: u8) -> Secret {
    let mut bytes = [number; 32];
    bytes[0] &= 248;
    bytes[31] = bytes[31] & 127 | 64;
    Secret::new(bytes)
}

/// What `wg pubkey` says to [`private_key`].
fn public_key(number: u8) -> PublicKey {
    let key = match number {
        11 => "c7LYt2qptTZgAyvI9di+46OuTjs6f9Sa3oH3NHo0qmg=",
        12 => "l8OxC01sEzp46l3MHPZCHT+Brjex9ijOFMpvzncw8zM=",
        _ => "sweuhmDvrtTWpl9mQIlokupKHwB1VVxInRMSouFnfCg=",
    };
    key.parse().unwrap()
}
