//! IPv6 of a portal's devices: router advertisements from the real dnsmasq, which end while the exit takes no
//! IPv6.

use std::net::IpAddr;

use wg_portals::base::error::Result;
use wg_portals::demo::{Capture, NYC, Namespace, PARIS, SERVER, SERVER6, World};

use crate::Scenario;
use crate::lans::{Background, DNSMASQ, no_names};
use crate::words::{eventually, portal_of, same, shell, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "devices get IPv6 addresses and names while the exit takes IPv6",
        plots: &[NYC, PARIS],
        run: advertised,
    },
    Scenario {
        name: "the resolver of a portal asks a resolver that has IPv6 only, via its exit",
        plots: &[NYC, PARIS],
        run: asked,
    },
];

/// Name with an address of each family, and its IPv6 address.
const NAME: &str = "both.example";
const ADDRESS6: &str = "2001:db8::80";

/// Beginning of all IPv6 addresses on the LAN of the portal.
const PREFIX: &str = "fd77:1:2:101:";

fn advertised(world: &mut World) -> Result<()> {
    let names = format!(
        "exec {DNSMASQ} --no-resolv --no-hosts --bind-interfaces --listen-address={SERVER} \
         --except-interface=lo --host-record={NAME},{SERVER},{ADDRESS6} --pid-file"
    );
    let _names = Background::start(&world.server, &names)?;
    let (router, guest) = (world.site(NYC).router.clone(), world.site(NYC).guest.clone());
    // This host has no IPv6 via its uplink.
    shell(&router, "ip -6 route delete default 2>/dev/null || true")?;
    let network = world.network(|plot| match plot {
        NYC => {
            portal_of(NYC, r#""paris", "direct""#, &format!("interface = \"portal0\"\ndns = [\"{SERVER}\"]"))
        }
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    start(world, &network.replace("[network]", "[network]\nsubnet6 = \"fd77:1:2::/48\""))?;
    eventually("a device uses IPv6", || uses_ipv6(&guest))?;
    same("the MTU", shell(&guest, "cat /proc/sys/net/ipv6/conf/eth0/mtu")?.trim(), "1280")?;
    eventually("names have IPv6", || same("an IPv6 address", has_address6(&guest, NYC.portal())?, true))?;
    eventually("IPv6 answers", || same("an answer by IPv6", has_address6(&guest, NYC.portal6())?, true))?;

    succeeds(world.site(NYC), &["exit", "way", "direct"])?;
    eventually("the device uses no IPv6", || {
        same("the default route", shell(&guest, "ip -6 route show default")?.trim(), "")?;
        let addresses = shell(&guest, "ip -6 address show dev eth0 scope global")?;
        same(&format!("a deprecated address, in {addresses}"), addresses.contains("deprecated"), true)
    })?;
    if shell(&router, "dnsmasq --help")?.contains("--filter-AAAA") {
        same("an IPv6 address", has_address6(&guest, NYC.portal())?, false)?;
    }

    succeeds(world.site(NYC), &["exit", "way", "paris"])?;
    eventually("a device uses IPv6 again", || uses_ipv6(&guest))?;
    eventually("names have IPv6 again", || same("an IPv6 address", has_address6(&guest, NYC.portal())?, true))
}

fn asked(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    let names = format!(
        "exec {DNSMASQ} --no-resolv --no-hosts --bind-interfaces --listen-address={SERVER6} \
         --except-interface=lo --host-record={NAME},{SERVER},{ADDRESS6} --pid-file"
    );
    let _names = Background::start(&world.server, &names)?;
    let guest = world.site(NYC).guest.clone();
    let network = world.network(|plot| match plot {
        NYC => portal_of(NYC, r#""paris""#, &format!("interface = \"portal0\"\ndns = [\"{SERVER6}\"]")),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    start(world, &network)?;
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    for resolver in [IpAddr::from(NYC.portal()), NYC.portal6().into()] {
        eventually(&format!("{resolver} answers"), || {
            same("an IPv6 address", has_address6(&guest, resolver)?, true)
        })?;
    }
    no_names(capture)
}

/// Checks that a device may use an address from the portal's prefix, and has a default route.
fn uses_ipv6(device: &Namespace) -> Result<()> {
    let addresses = shell(device, "ip -6 address show dev eth0 scope global")?;
    let is_usable = |line: &str| !line.contains("deprecated") && !line.contains("tentative");
    let is_there = addresses.lines().any(|line| line.contains(PREFIX) && is_usable(line));
    same(&format!("an address, in {addresses}"), is_there, true)?;
    let default = shell(device, "ip -6 route show default")?;
    same(&format!("the route, in {default}"), default.starts_with("default via fe80:"), true)
}

/// Reports whether a resolver has the IPv6 address of the name.
fn has_address6(host: &Namespace, resolver: impl Into<IpAddr>) -> Result<bool> {
    let resolver = resolver.into();
    let told = shell(host, &format!("busybox nslookup -type=aaaa {NAME} {resolver} 2>&1 || true"))?;
    Ok(told.contains(ADDRESS6))
}
