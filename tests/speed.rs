//! How long 64 tunnels take. Run as root: `cargo test --release --test speed -- --ignored --nocapture`.

mod namespace;

use std::time::Instant;

use namespace::inside;
use wg_portals::diff::Step;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::{Kernel, Outcome};
use wg_portals::net::{Family, IfName, Priority, PublicKey, Secret, Table};
use wg_portals::state::{
    Backend, LAST_METRIC, Link, LinkKind, Peer, Route, Rule, RuleAction, Scope, Selector, Target, Tunnel,
};

const TUNNELS: u8 = 64;

#[test]
#[ignore = "it measures, and proves nothing"]
fn sixty_four_tunnels() {
    inside(|| {
        let mut kernel = Linux::open().unwrap();
        let backend = if kernel.has_wireguard() { Backend::Kernel } else { Backend::BuiltIn };
        let link = Link { kind: LinkKind::WireGuard(backend), mtu: 1280, alias: "portals:test".to_owned() };
        let phase = |kernel: &mut Linux, what: &str, steps: &dyn Fn(u8) -> Vec<Step>| {
            let steps: Vec<Step> = (0..TUNNELS).flat_map(steps).collect();
            let begun = Instant::now();
            let outcomes = kernel.apply(&steps);
            println!("{what}: {:.1?} for {}", begun.elapsed(), steps.len());
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done)), "{outcomes:?}");
        };
        phase(&mut kernel, "interfaces", &|n| vec![Step::AddLink(name(n), link.clone())]);
        phase(&mut kernel, "WireGuard settings", &|n| vec![settings(n)]);
        phase(&mut kernel, "up", &|n| vec![Step::BringUp(name(n))]);
        phase(&mut kernel, "addresses, routes and rules", &routing);
        for _ in 0..3 {
            let begun = Instant::now();
            kernel.observe(&Scope::default()).unwrap();
            println!("observed: {:.1?}", begun.elapsed());
        }
        phase(&mut kernel, "removed", &|n| vec![Step::RemoveLink(name(n), link.clone())]);
    });
}

fn name(n: u8) -> IfName {
    format!("to-{n}").parse().unwrap()
}

fn settings(n: u8) -> Step {
    let peer = Peer {
        preshared_key: None,
        endpoint: None,
        keepalive: 0,
        allowed_ips: [Family::V4, Family::V6].map(Family::everything).into(),
        alive: false,
    };
    let to = Tunnel {
        private_key: Some(Secret::new([8; 32])),
        port: 52000 + u16::from(n),
        fwmark: 1 << 28,
        peers: [(PublicKey([n + 1; 32]), peer)].into(),
    };
    Step::ChangeTunnel { name: name(n), from: Tunnel::default(), to }
}

/// What a portal needs: an address, a default route and what catches behind it in both families, and their rules.
fn routing(n: u8) -> Vec<Step> {
    let table = Table(7700 + u32::from(n));
    let mut steps = vec![Step::AddAddress(name(n), format!("10.77.{n}.1/32").parse().unwrap())];
    for family in [Family::V4, Family::V6] {
        let route = |target, metric| {
            Step::AddRoute(Route { table, destination: family.everything(), target, metric })
        };
        steps.push(route(Target::Device { interface: name(n), source: None }, 0));
        steps.push(route(Target::Unreachable, LAST_METRIC));
        let selector = Selector { incoming: Some(name(n)), ..Selector::default() };
        let (priority, action) = (Priority(112), RuleAction::Lookup(table));
        steps.push(Step::AddRule(Rule { priority, family, selector, action }));
    }
    steps
}
