//! Pairs of homes of every kind: how soon they meet, and which way their packets take.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, Nat, OSLO, PARIS, World};

use super::homes::{Home, Rules, build_together};
use super::meeting::{Way, goes, guests_leave, meet, meet_in};
use crate::Scenario;
use crate::filters::filter_with_legacy;

/// Declares scenarios: name, both homes, and the way of the link.
macro_rules! pairs {
    ($($name:literal: $one:expr, $other:expr => $way:expr;)*) => {
        &[$(Scenario {
            name: $name,
            plots: &[OSLO],
            run: |world| pair(world, $name, [$one, $other], $way),
        }),*]
    };
}

/// Pairs for the kernels of the lab: one is direct, and one is relayed.
pub(crate) const IN_THE_LAB: &[Scenario] = pairs! {
    "homes meet: port-restricted, port-restricted": Home::PortRestricted, Home::PortRestricted => Way::Direct;
    "homes meet: symmetric, symmetric": Home::Symmetric, Home::Symmetric => Way::Relayed;
};

pub(crate) const SCENARIOS: &[Scenario] = pairs! {
    "homes meet: public, port-restricted": Home::Public, Home::PortRestricted => Way::Direct;
    "homes meet: full cone, full cone": Home::FullCone, Home::FullCone => Way::Direct;
    "homes meet: full cone, port-restricted": Home::FullCone, Home::PortRestricted => Way::Direct;
    "homes meet: full cone, symmetric": Home::FullCone, Home::Symmetric => Way::Direct;
    "homes meet: answering, answering": Home::Answering, Home::Answering => Way::Direct;
    "homes meet: answering, port-restricted": Home::Answering, Home::PortRestricted => Way::Direct;
    "homes meet: port-restricted, symmetric": Home::PortRestricted, Home::Symmetric => Way::Relayed;
    "homes meet: answering, symmetric": Home::Answering, Home::Symmetric => Way::Relayed;
    "homes meet: carrier, port-restricted": Home::Carrier, Home::PortRestricted => Way::Direct;
    "homes meet: carrier, carrier": Home::Carrier, Home::Carrier => Way::Direct;
    "homes meet: symmetric carrier, symmetric": Home::SymmetricCarrier, Home::Symmetric => Way::Relayed;
    "homes meet: blocked, port-restricted": Home::Blocked, Home::PortRestricted => Way::Relayed;
    "homes meet: blocked, symmetric": Home::Blocked, Home::Symmetric => Way::Relayed;
    "homes meet: own NAT, port-restricted": Home::Own(Rules::Usual), Home::PortRestricted => Way::Direct;
    "homes meet: own NAT, symmetric": Home::Own(Rules::Usual), Home::Symmetric => Way::Direct;
    "homes meet: own NAT with legacy iptables, port-restricted":
        Home::Own(Rules::Legacy), Home::PortRestricted => Way::Direct;
    "homes meet: own NAT with legacy iptables, symmetric":
        Home::Own(Rules::Legacy), Home::Symmetric => Way::Direct;
    "homes meet: own symmetric NAT, port-restricted":
        Home::OwnSymmetric(Rules::Usual), Home::PortRestricted => Way::Relayed;
    "homes meet: own symmetric NAT, symmetric":
        Home::OwnSymmetric(Rules::Usual), Home::Symmetric => Way::Relayed;
    "homes meet: own NAT behind a carrier, port-restricted":
        Home::OwnBehindCarrier(Rules::Usual), Home::PortRestricted => Way::Direct;
    "homes meet: own NAT behind a carrier, symmetric":
        Home::OwnBehindCarrier(Rules::Legacy), Home::Symmetric => Way::Relayed;
};

/// Pairs whose relay writes rules for legacy iptables.
pub(crate) const WITH_LEGACY_RELAY: &[Scenario] = &[Scenario {
    name: "homes meet: symmetric, symmetric, by legacy iptables",
    plots: &[OSLO],
    run: |world| {
        filter_with_legacy(&world.site(OSLO).router)?;
        pair(world, "symmetric, symmetric, by legacy iptables", [Home::Symmetric; 2], Way::Relayed)
    },
}];

/// Pairs that need bridges.
pub(crate) const WITH_BRIDGES: &[Scenario] = &[
    Scenario {
        name: "homes meet: behind the same port-restricted router",
        plots: &[OSLO],
        run: |world| together(world, "behind the same port-restricted router", Nat::PortRestricted),
    },
    Scenario {
        name: "homes meet: behind the same symmetric router",
        plots: &[OSLO],
        run: |world| together(world, "behind the same symmetric router", Nat::Symmetric),
    },
];

fn pair(world: &mut World, name: &str, homes: [Home; 2], way: Way) -> Result<()> {
    let (built, took) = meet(world, homes)?;
    let plots = built.map(|built| built.plot);
    goes(world, plots, way)?;
    guests_leave(world, plots, [NYC, PARIS])?;
    report(name, took, way);
    Ok(())
}

fn together(world: &mut World, name: &str, nat: Nat) -> Result<()> {
    let built = build_together(world, [NYC, PARIS], nat)?;
    let took = meet_in(world, &built, "")?;
    let plots = built.map(|built| built.plot);
    goes(world, plots, Way::Local)?;
    guests_leave(world, plots, [NYC, NYC])?;
    report(name, took, Way::Local);
    Ok(())
}

/// Prints a line for `scripts/bench nat`.
fn report(name: &str, took: std::time::Duration, way: Way) {
    let (_, pair) = name.rsplit_once(": ").unwrap_or(("", name));
    let way = way.words();
    println!("nat    {:.2} s  {way}  {pair}", took.as_secs_f64());
}
