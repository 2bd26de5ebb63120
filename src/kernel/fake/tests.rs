//! Rules of the fake kernel.

use super::*;
use crate::base::net::{Family, Table};
use crate::kernel::sockets::{HelperPacket, TunnelPacket};
use crate::state::{Reach, RouteTarget, WireGuardBackend};

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn link(text: &str) -> NamedLink {
    let kind = LinkKind::WireGuard(WireGuardBackend::Kernel);
    NamedLink { name: name(text), link: Link { kind, mtu: 1280, alias: "portals:test".to_owned() } }
}

fn up(text: &str) -> Step {
    Step::Routing(RoutingStep::BringUp(name(text)))
}

fn listening(interface: &str) -> Step {
    let to = Tunnel { port: NonZeroU16::new(51820), ..Tunnel::default() };
    Step::ChangeTunnel(TunnelChange { name: name(interface), from: Tunnel::default(), to })
}

fn route(interface: &str) -> Route {
    let target = RouteTarget::Device { interface: name(interface), source: None, reach: Reach::Beyond };
    Route { table: Table(7700), destination: Family::V4.everything(), target, metric: None }
}

/// Applies the steps, and returns the number whose words end the error of each.
fn errors(kernel: &mut FakeKernel, steps: &[Step]) -> Vec<Option<Errno>> {
    let errno = |outcome: Outcome| match outcome {
        Outcome::Failed(error) => {
            let text = error.to_string();
            (1..134).map(Errno::from_raw).find(|errno| text.ends_with(&format!(": {}", errno.desc())))
        }
        Outcome::Done | Outcome::Untried => None,
    };
    kernel.apply(steps).into_iter().map(errno).collect()
}

#[test]
fn the_objects_on_an_interface_are_removed_with_it() {
    let mut kernel = FakeKernel::default();
    let steps = [
        Step::AddLink(link("a")),
        Step::Routing(RoutingStep::AddAddress(name("a"), "10.0.0.1/32".parse().unwrap())),
        up("a"),
        Step::Routing(RoutingStep::AddRoute(route("a"))),
        Step::RemoveLink(link("a")),
    ];
    assert_eq!(errors(&mut kernel, &steps), [None; 5]);
    assert_eq!(kernel.state, State::default());
}

#[test]
fn a_port_is_taken_when_the_second_tunnel_comes_up() {
    let mut kernel = FakeKernel::default();
    let steps = ["a", "b"].map(|text| Step::AddLink(link(text)));
    assert_eq!(errors(&mut kernel, &steps), [None; 2]);
    assert_eq!(errors(&mut kernel, &["a", "b"].map(listening)), [None; 2]);
    assert_eq!(errors(&mut kernel, &["a", "b"].map(up)), [None, Some(Errno::EADDRINUSE)]);
}

#[test]
fn missing_and_duplicate_objects_are_errors() {
    let mut kernel = FakeKernel::with_host([name("eth0")]);
    for (step, errno) in [
        (Step::AddLink(link("eth0")), Errno::EEXIST),
        (Step::Routing(RoutingStep::AddRoute(route("eth0"))), Errno::ENETDOWN),
        (Step::Routing(RoutingStep::AddRoute(route("eth9"))), Errno::ENODEV),
        (Step::Routing(RoutingStep::RemoveRoute(route("eth0"))), Errno::ESRCH),
    ] {
        assert_eq!(errors(&mut kernel, &[step]), [Some(errno)]);
    }
}

#[test]
fn it_fails_where_it_must_and_stops_behind_that_batch() {
    let mut kernel = FakeKernel { fail_at: Some(0), ..FakeKernel::default() };
    let steps = [Step::AddLink(link("a")), Step::AddLink(link("b")), up("b")];
    assert_eq!(errors(&mut kernel, &steps), [Some(Errno::EIO), None, None]);
    assert!(kernel.state.links.contains_key(&name("b")) && kernel.state.up.is_empty());
}

#[test]
fn datagrams_reach_open_sockets_only() {
    let [here, there] = ["192.0.2.1:52075", "192.0.2.12:51820"].map(|text| text.parse().unwrap());
    let mut kernel = FakeKernel::default();
    let at_tunnel = TunnelPacket { port: 51820, from: there, packet: vec![1] };
    let at_helper = HelperPacket { from: there, to: here, packet: vec![2] };
    let world = kernel.datagrams.clone();
    assert!(!world.deliver_to_tunnel(at_tunnel.clone()) && !world.deliver_to_helper(at_helper.clone()));
    let (mut tunnels, mut helper) = (kernel.tunnel_packets().unwrap(), kernel.helper_socket(52075).unwrap());
    assert_eq!(kernel.helper_socket(52075).unwrap_err(), Errno::EADDRINUSE);
    assert_eq!((tunnels.receive(), helper.receive()), (vec![], vec![]));
    assert!(world.deliver_to_tunnel(at_tunnel.clone()) && world.deliver_to_helper(at_helper.clone()));
    assert_eq!((tunnels.receive(), helper.receive()), (vec![at_tunnel.clone()], vec![at_helper.clone()]));
    tunnels.send(51820, there, 3, &[3]).unwrap();
    helper.send(here, there, &[4]).unwrap();
    let sent = SentPacket { port: 51820, to: there, hops: 3, packet: vec![3] };
    assert_eq!(world.take_sent_by_tunnels(), [sent]);
    assert_eq!(world.take_sent_by_helper(), [HelperPacket { from: here, to: there, packet: vec![4] }]);
    drop((tunnels, helper));
    assert!(!world.deliver_to_tunnel(at_tunnel) && !world.deliver_to_helper(at_helper));
    assert_eq!(world.helper_ports(), []);
}
