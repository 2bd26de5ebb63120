//! Foreign firewalls that refuse unknown IPv6: portals find their way through.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, PARIS, World};

use super::{BOTH, GUEST, WAYS, everywhere, leaves_at, leaves_at_home};
use crate::Scenario;
use crate::ways::each_other;
use crate::words::{no_leak_in, same, seconds, settled, shell, start, succeeds, unreachable};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "IPv6 goes through drop policies of legacy ip6tables",
    plots: &[NYC, PARIS],
    run: |world| through(world, POLICIES, "iptables"),
}];

/// Scenarios that need nftables.
pub(crate) const WITH_NFTABLES: &[Scenario] = &[Scenario {
    name: "IPv6 goes through the firewall of OpenWrt",
    plots: &[NYC, PARIS],
    run: |world| through(world, FW4, "nftables"),
}];

const POLICIES: &str = "ip6tables-legacy-restore <<'END'
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -i lan0 -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan0 -o uplink -j ACCEPT
COMMIT
END";

/// The other scenarios' table lacks OpenWrt's rules for ICMPv6.
const FW4: &str = concat!(
    "nft -f - <<'END'\n",
    include_str!("../filters/fw4.nft"),
    "END\nnft insert rule inet fw4 input meta l4proto 58 accept"
);

/// Checks portals in both directions, again after the firewall was loaded again, and the foreign rules after
/// `down`. `ours` is the firewall that portals must use.
fn through(world: &mut World, load: &'static str, ours: &str) -> Result<()> {
    world.add_ipv6()?;
    everywhere(world, |_| load.to_owned())?;
    leaves_at_home(world, NYC)?;
    let before = rules(world)?;
    start(world, &world.network(each_other))?;
    if !crate::filters::everywhere_legacy() {
        let status = succeeds(world.site(NYC), &["status", "--json"])?;
        let firewall = format!("\"firewall\":\"{ours}\"");
        same(&format!("{firewall} in {status}"), status.contains(&firewall), true)?;
    }
    both_ways(world)?;
    leaves_at_home(world, NYC)?;
    unreachable(world.outsider(seconds(1.0)), NYC.address6())?;
    no_leak_in(BOTH, world, NYC, GUEST, |world| {
        shell(&world.site(NYC).router, load)?;
        settled(world.site(NYC))?;
        both_ways(world)
    })?;
    let site = world.site(NYC);
    site.stop_agent()?;
    succeeds(site, &["down"])?;
    same("the rules of others", rules(world)?, before)
}

fn both_ways(world: &mut World) -> Result<()> {
    WAYS.into_iter().try_for_each(|(entry, exit)| leaves_at(world, GUEST, entry, exit))
}

/// Rules of every firewall for IPv6 at nyc, without counters and empty tables.
fn rules(world: &mut World) -> Result<String> {
    let list = r"
        nft --stateless list ruleset 2>/dev/null || true
        ip6tables-legacy-save | sed -n '/^-A/p; s/^\(:.* [D-]\).*/\1/p'";
    shell(&world.site(NYC).router, list)
}
