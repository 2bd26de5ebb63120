//! Foreign firewalls on the routers: portals find their way through, and leave them as they were.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, Namespace, PARIS, SERVER, World};
use wg_portals::kernel::nftables::Nftables;

use crate::Scenario;
use crate::snapshot::Snapshot;
use crate::ways::each_other;
use crate::words::{
    no_leak, plots, same, seconds, seen_as, send_one_by_one, settled, shell, start, succeeds, unreachable,
};

/// Scenarios with legacy iptables, which every kernel of the lab has.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "portals work through drop policies of legacy iptables",
        plots: &[NYC, PARIS],
        run: |world| through(world, &POLICIES),
    },
    Scenario {
        name: "portals work through the zones of EdgeOS, and ahead of its load balancing",
        plots: &[NYC, PARIS],
        run: |world| balanced(world, &EDGEOS),
    },
    Scenario {
        name: "portals work through UniFi's chains, without a default route in main",
        plots: &[NYC, PARIS],
        run: |world| without_default(world, &UNIFI),
    },
];

/// Scenarios that need nftables.
pub(crate) const WITH_NFTABLES: &[Scenario] = &[
    Scenario {
        name: "portals work through the firewall of OpenWrt",
        plots: &[NYC, PARIS],
        run: |world| through(world, &FW4),
    },
    Scenario {
        name: "portals work through the firewall of Docker",
        plots: &[NYC, PARIS],
        run: |world| through(world, &DOCKER),
    },
    Scenario {
        name: "portals work ahead of load balancing, through nftables",
        plots: &[NYC, PARIS],
        run: |world| balanced(world, &FW4),
    },
    Scenario {
        name: "portals work without a default route in main, through nftables",
        plots: &[NYC, PARIS],
        run: |world| without_default(world, &FW4),
    },
    // Checks the choice of portals' firewall while other programs change theirs.
    Scenario {
        name: "a portal stays in the chosen firewall, through others' flushes, until down",
        plots: &[NYC, PARIS],
        run: standing,
    },
];

/// Scenarios that need the firewall programs, in the folder that `PORTALS_TEST_FIREWALLS` names.
pub(crate) const WITH_PROGRAMS: &[Scenario] = &[
    Scenario {
        name: "portals work through the firewall of ufw",
        plots: &[NYC, PARIS],
        run: |world| through(world, &UFW),
    },
    Scenario {
        name: "portals work through the firewall of firewalld",
        plots: &[NYC, PARIS],
        run: |world| through(world, &FIREWALLD),
    },
];

/// Rule that changes nothing, but shows that this host filters with legacy iptables.
const LEGACY: &str = "iptables-legacy -A INPUT -i lo -j ACCEPT; ip6tables-legacy -A INPUT -i lo -j ACCEPT";

/// Removes all rules and chains of legacy iptables, portals' own included.
const FLUSH: &str = "for program in iptables-legacy ip6tables-legacy; do
    for table in filter mangle nat; do $program -t $table -F; $program -t $table -X; done
done";

/// A firewall that refuses unknown traffic.
struct Filter {
    /// Script that sets it up, and again, as a reload does.
    load: &'static str,
    /// Firewall that portals itself must use with it.
    ours: &'static str,
    /// Set if it refuses access from outside to the router itself.
    guards_the_host: bool,
}

const FW4: Filter = Filter {
    load: concat!("nft -f - <<'END'\n", include_str!("fw4.nft"), "END"),
    ours: "nftables",
    guards_the_host: true,
};
const DOCKER: Filter = Filter {
    load: concat!("iptables-nft-restore <<'END'\n", include_str!("docker.rules"), "END"),
    ours: "nftables",
    guards_the_host: false,
};
const POLICIES: Filter = Filter {
    load: concat!("iptables-legacy-restore <<'END'\n", include_str!("policies.rules"), "END"),
    ours: "iptables",
    guards_the_host: true,
};
const EDGEOS: Filter = Filter {
    load: concat!("iptables-legacy-restore <<'END'\n", include_str!("edgeos.rules"), "END"),
    ours: "iptables",
    guards_the_host: true,
};
const UNIFI: Filter = Filter {
    load: concat!("iptables-legacy-restore <<'END'\n", include_str!("unifi.rules"), "END"),
    ours: "iptables",
    guards_the_host: true,
};
const UFW: Filter = Filter { load: include_str!("ufw.sh"), ours: "nftables", guards_the_host: true };
const FIREWALLD: Filter =
    Filter { load: include_str!("firewalld.sh"), ours: "nftables", guards_the_host: true };

/// Makes a router filter with legacy iptables if `PORTALS_TEST_FIREWALL` is `legacy`.
pub(crate) fn prepare(router: &Namespace) -> Result<()> {
    if everywhere_legacy() { filter_with_legacy(router) } else { Ok(()) }
}

/// Makes a router filter with legacy iptables, so that portals does as well.
pub(crate) fn filter_with_legacy(router: &Namespace) -> Result<()> {
    shell(router, LEGACY).map(drop)
}

/// Reports whether all routers filter with legacy iptables, by choice or because this kernel has nothing
/// else.
pub(crate) fn everywhere_legacy() -> bool {
    std::env::var_os("PORTALS_TEST_FIREWALL").is_some_and(|firewall| firewall == "legacy") || !has_nftables()
}

/// Reports whether this kernel's nftables can guard portals: not before Linux 5.2.
pub(crate) fn has_nftables() -> bool {
    Nftables::find()
        .is_ok_and(|found| found.is_some_and(|mut found| found.lacks(false).is_ok_and(<[_]>::is_empty)))
}

/// Script that removes portals' rules, and with legacy iptables all others as well.
pub(crate) fn forget_rules() -> &'static str {
    if everywhere_legacy() { FLUSH } else { "nft delete table inet portals" }
}

fn on_all(world: &mut World, script: &str) -> Result<()> {
    plots(world).into_iter().try_for_each(|plot| shell(&world.site(plot).router, script).map(drop))
}

/// Checks portals in both directions where both routers refuse unknown traffic, again after the firewall was
/// reloaded, and the firewall itself after `down`.
fn through(world: &mut World, filter: &Filter) -> Result<()> {
    on_all(world, filter.load)?;
    home_still_works(world)?;
    let before = (Snapshot::of(&world.site(NYC).router)?.without_nftables(), rules(world)?);
    start(world, &world.network(each_other))?;
    let status = succeeds(world.site(NYC), &["status", "--json"])?;
    let ours = if everywhere_legacy() { "iptables" } else { filter.ours };
    let firewall = format!("\"firewall\":\"{ours}\"");
    same(&format!("{firewall} in {status}"), status.contains(&firewall), true)?;
    let reason = if ours == "iptables" {
        "(other programs filter with legacy iptables)"
    } else {
        "(the kernel has it"
    };
    let status = succeeds(world.site(NYC), &["status", "--verbose"])?;
    same(&format!("{reason} in {status}"), status.contains(reason), true)?;
    both_ways(world)?;
    home_still_works(world)?;
    if filter.guards_the_host {
        unreachable(world.outsider(seconds(1.0)), NYC.address)?;
    }
    no_leak(
        world,
        NYC,
        |site| &site.guest,
        |world| {
            shell(&world.site(NYC).router, filter.load)?;
            both_ways(world)
        },
    )?;
    settled(world.site(NYC))?;
    let site = world.site(NYC);
    site.stop_agent()?;
    succeeds(site, &["down"])?;
    before.0.same_as(&Snapshot::of(&site.router)?.without_nftables())?;
    same("the rules of others", rules(world)?, before.1)
}

/// Checks that portals keeps its firewall while other programs stop filtering with legacy iptables, or start
/// again.
fn standing(world: &mut World) -> Result<()> {
    on_all(world, LEGACY)?;
    start(world, &world.network(each_other))?;
    guarded_by(world, "iptables", "other programs filter with legacy iptables")?;
    no_leak(
        world,
        NYC,
        |site| &site.guest,
        |world| {
            shell(&world.site(NYC).router, FLUSH)?;
            settled(world.site(NYC))?;
            both_ways(world)
        },
    )?;
    guarded_by(world, "iptables", "chosen before other programs changed their firewalls")?;
    // A new agent keeps it as well.
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    guarded_by(world, "iptables", "chosen before other programs changed their firewalls")?;
    world.site(NYC).stop_agent()?;
    succeeds(world.site(NYC), &["down"])?;
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    guarded_by(world, "nftables", "no other program filters with legacy iptables")?;
    shell(&world.site(NYC).router, LEGACY)?;
    settled(world.site(NYC))?;
    both_ways(world)?;
    guarded_by(world, "nftables", "chosen before other programs changed their firewalls")
}

/// Firewall in nyc's `status`.
fn guarded_by(world: &mut World, firewall: &str, reason: &str) -> Result<()> {
    let site = world.site(NYC);
    let status = succeeds(site, &["status", "--json"])?;
    same(&status, status.contains(&format!("\"firewall\":\"{firewall}\"")), true)?;
    let status = succeeds(site, &["status", "--verbose"])?;
    same(&format!("{reason} in {status}"), status.contains(reason), true)
}

/// Rules of every firewall at nyc, without counters, and without tables of legacy iptables that have no
/// rules.
fn rules(world: &mut World) -> Result<String> {
    let list = r"
        nft --stateless list ruleset 2>/dev/null || true
        iptables-legacy-save | sed -n '/^-A/p; s/^\(:.* [D-]\).*/\1/p'";
    shell(&world.site(NYC).router, list)
}

fn both_ways(world: &mut World) -> Result<()> {
    for (entry, exit) in [(NYC, PARIS), (PARIS, NYC)] {
        seen_as(world.site(entry).guest(seconds(3.0)), entry.own_server(), exit.address)?;
    }
    Ok(())
}

fn home_still_works(world: &mut World) -> Result<()> {
    for plot in [NYC, PARIS] {
        seen_as(world.site(plot).home(seconds(3.0)), SERVER, plot.address)?;
    }
    Ok(())
}

/// Sets up load balancing as EdgeOS does: traffic with its mark uses table 201, by a rule of priority 201.
fn balanced(world: &mut World, filter: &Filter) -> Result<()> {
    for plot in [NYC, PARIS] {
        let gateway = plot.gateway();
        let script = format!(
            "ip route add default via {gateway} table 201
             ip rule add priority 201 fwmark 0x64800000/0x7f800000 lookup 201"
        );
        shell(&world.site(plot).router, &script)?;
    }
    through(world, filter)
}

/// Sets up routing as UniFi OS does: `main` is looked up at 32000 and has no default route; the tables of the
/// uplinks have one, and are looked up by mark and, last of all, without.
fn without_default(world: &mut World, filter: &Filter) -> Result<()> {
    for plot in [NYC, PARIS] {
        let gateway = plot.gateway();
        let script = format!(
            "ip route add default via {gateway} dev uplink table 201
             ip rule add priority 32000 lookup main
             ip rule add priority 32502 fwmark 0x1a0000/0x7e0000 lookup 201
             ip rule add priority 32766 lookup 201
             ip rule delete priority 32766 lookup main
             ip route delete default table main"
        );
        shell(&world.site(plot).router, &script)?;
    }
    through(world, filter)
}

/// Makes the internet drop packets of more than 1280 bytes, without a word.
pub(crate) fn swallow_large_packets(world: &World) -> Result<()> {
    send_one_by_one(world)?;
    let rules = if has_nftables() {
        "nft add table ip narrow; \
         nft add chain ip narrow forward '{ type filter hook forward priority 0; }'; \
         nft add rule ip narrow forward ip length gt 1280 drop"
    } else {
        "iptables-legacy -A FORWARD -m length --length 1281:65535 -j DROP"
    };
    shell(&world.internet, rules).map(drop)
}
