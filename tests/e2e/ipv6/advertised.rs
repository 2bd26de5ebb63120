//! IPv6 addresses and routes that guests learn from their portal's router.

use std::net::{IpAddr, Ipv6Addr};

use wg_portals::base::error::{Error, Result};
use wg_portals::base::net::Cidr;
use wg_portals::demo::{Capture, NYC, Namespace, PARIS, ProbeClient, SERVER6, World};

use crate::Scenario;
use crate::words::{eventually, portal_of, same, seconds, seen_as, seen_going_to, settled, shell, start};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "guests learn IPv6 by advertisements, and unlearn it while their portal is blocked",
    plots: &[NYC, PARIS],
    run: learned,
}];

fn learned(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let guest = world.site(NYC).guest.clone();
    shell(
        &guest,
        "ip -6 route delete default; ip -6 address flush dev eth0 scope global; \
         for setting in accept_ra autoconf; do echo 1 >/proc/sys/net/ipv6/conf/eth0/$setting; done",
    )?;
    let network = world.network(|plot| {
        let portal = portal_of(NYC, r#""paris""#, "interface = \"portal0\"\ndns = [\"192.175.48.10\"]");
        if plot == NYC { portal } else { "exits = [\"nyc\"]\n".to_owned() }
    });
    start(world, &network)?;
    let address = learns(&guest)?;
    let lan: Cidr = "fd77:1:2:101::/64".parse().expect("a network");
    same(&format!("{address} is of the LAN"), lan.contains(address.into()), true)?;
    let mtu = shell(&guest, "cat /proc/sys/net/ipv6/conf/eth0/mtu")?;
    same("the MTU", mtu.trim(), "1280")?;
    seen_as(ProbeClient::new(&guest, seconds(3.0)), SERVER6, PARIS.address6())?;

    // The portal is blocked by a rule in front of its own.
    let router = world.site(NYC).router.clone();
    let capture = Capture::start(&router, "uplink")?;
    shell(&router, "ip rule add priority 50 lookup main")?;
    settled(world.site(NYC))?;
    eventually("the guest has no way to the internet", || same("ways", ways(&guest)?, String::new()))?;
    ProbeClient::new(&guest, seconds(1.0)).knock(NYC.own_server6(), 5)?;
    same("packets that left via the uplink", seen_going_to(capture, NYC.own_server6().into())?, Vec::new())?;
    shell(&router, "ip rule delete priority 50")?;
    settled(world.site(NYC))?;
    learns(&guest)?;
    seen_as(ProbeClient::new(&guest, seconds(3.0)), SERVER6, PARIS.address6())
}

/// Waits until a guest has an address and a default route, and returns the address.
fn learns(guest: &Namespace) -> Result<Ipv6Addr> {
    let mut learned = None;
    eventually("the guest learns its address and the way", || {
        same("ways", ways(guest)?.lines().count(), 1)?;
        let told = shell(guest, "ip -6 -o address show dev eth0 scope global -tentative -deprecated")?;
        let address = told.split_whitespace().skip_while(|word| *word != "inet6").nth(1);
        let address = address.and_then(|text| text.split('/').next()?.parse::<IpAddr>().ok());
        let Some(IpAddr::V6(address)) = address else {
            return Err(Error::failed(format!("no address in {told:?}")));
        };
        learned = Some(address);
        Ok(())
    })?;
    Ok(learned.expect("it was learnt"))
}

/// Default routes of a guest that came by advertisements.
fn ways(guest: &Namespace) -> Result<String> {
    shell(guest, "ip -6 route show default dev eth0 proto ra").map(|routes| routes.trim().to_owned())
}
