//! Sites with tunnels between them, and the steps that make them from nothing.

use std::num::{NonZeroU16, NonZeroU32};

use wg_portals::base::net::{IfName, PublicKey, Secret, Table};
use wg_portals::base::sorted::SortedSet;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::{Kernel as _, Outcome};
use wg_portals::state::step::{NamedLink, RoutingStep, Step, TunnelChange};
use wg_portals::state::{Link, LinkKind, Peer, Reach, Route, RouteTarget, State, Tunnel, WireGuardBackend};

/// The middle site and the two sites that it has tunnels to; each number is a key, a host and an interface.
pub(crate) const MIDDLE: u8 = 11;
pub(crate) const OTHERS: [u8; 2] = [12, 13];

const PORT: u16 = 51820;

/// A site with one interface and a tunnel to each of the others on it.
pub(crate) fn site(own: u8, others: &[u8], backend: WireGuardBackend) -> State {
    let peer = |other: u8| Peer {
        preshared_key: Some(Secret::new([own ^ other; 32])),
        endpoint: Some(format!("192.0.2.{other}:{PORT}").parse().unwrap()),
        keepalive: NonZeroU16::new(25),
        allowed_ips: [format!("10.99.0.{other}/32").parse().unwrap()].into(),
        alive: false,
    };
    let tunnel = Tunnel {
        private_key: Some(private_key(own)),
        port: NonZeroU16::new(PORT),
        fwmark: NonZeroU32::new(0x1000_0000),
        peers: others.iter().map(|other| (public_key(*other), peer(*other))).collect(),
    };
    let kind = LinkKind::WireGuard(backend);
    let link = Link { kind, mtu: 1280, alias: "portals:test".to_owned() };
    let route = |other: &u8| Route {
        table: Table::MAIN,
        destination: format!("10.99.0.{other}/32").parse().unwrap(),
        target: RouteTarget::Device { interface: interface(own), source: None, reach: Reach::Link },
        metric: None,
    };
    State {
        links: [(interface(own), link)].into(),
        tunnels: [(interface(own), tunnel)].into(),
        addresses: [(interface(own), format!("10.99.0.{own}/32").parse().unwrap())].into(),
        up: SortedSet::from([interface(own)]),
        routes: others.iter().map(route).collect(),
        ..State::default()
    }
}

/// Steps that make a site from nothing.
pub(crate) fn steps(state: &State) -> Vec<Step> {
    let new = |(name, link): (&IfName, &Link)| NamedLink { name: name.clone(), link: link.clone() };
    let tunnel = |(name, to): (&IfName, &Tunnel)| TunnelChange {
        name: name.clone(),
        from: Tunnel::default(),
        to: to.clone(),
    };
    let addresses = state.addresses.iter().cloned();
    let routing = addresses
        .map(|(name, address)| RoutingStep::AddAddress(name, address))
        .chain(state.up.iter().cloned().map(RoutingStep::BringUp))
        .chain(state.routes.iter().cloned().map(RoutingStep::AddRoute));
    let links = state.links.iter().map(new).map(Step::AddLink);
    let tunnels = state.tunnels.iter().map(tunnel).map(Step::ChangeTunnel);
    links.chain(tunnels).chain(routing.map(Step::Routing)).collect()
}

pub(crate) fn apply(kernel: &mut Linux, steps: &[Step]) {
    for (outcome, step) in kernel.apply(steps).into_iter().zip(steps) {
        assert!(matches!(outcome, Outcome::Done), "{step:?}: {outcome:?}");
    }
}

pub(crate) fn interface(number: u8) -> IfName {
    format!("tun-{number}").parse().unwrap()
}

/// Private key: the number, 32 times, in the form that Curve25519 requires.
fn private_key(number: u8) -> Secret {
    let mut bytes = [number; 32];
    bytes[0] &= 0xf8;
    bytes[31] = bytes[31] & 0x7f | 0x40;
    Secret::new(bytes)
}

/// Public key of [`private_key`], as `wg pubkey` prints it.
pub(crate) fn public_key(number: u8) -> PublicKey {
    let key = match number {
        11 => "c7LYt2qptTZgAyvI9di+46OuTjs6f9Sa3oH3NHo0qmg=",
        12 => "l8OxC01sEzp46l3MHPZCHT+Brjex9ijOFMpvzncw8zM=",
        _ => "sweuhmDvrtTWpl9mQIlokupKHwB1VVxInRMSouFnfCg=",
    };
    key.parse().unwrap()
}
