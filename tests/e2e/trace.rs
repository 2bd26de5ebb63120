//! `portals trace`: each fault is made for real, and the trace names it at the first try.

use std::net::IpAddr;
use std::process::{Child, Command, Stdio};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{DemoSite, HOME, NETWORK_FILE, NYC, OTHER_HOME, PARIS, SERVER, SERVER6, World};

use crate::devices::{BY_MAC, move_in};
use crate::doctor::{host, names, setting};
use crate::filters::{everywhere_legacy, has_nftables};
use crate::snapshot::Snapshot;
use crate::troubles::Trouble;
use crate::troubles::trace::kernel::{OF_KERNEL, OF_TRACEPOINT};
use crate::troubles::trace::{
    OF_FLOWS, OF_GUESTS, OF_IPTABLES, OF_IPV6, OF_IPV6_STOPPED, OF_NFTABLES, OF_STOPPED, SILENT,
};
use crate::ways::{each_other, only_nyc};
use crate::words::{eventually, same, seconds, seen_as, settled, shell, spawn_at, start};
use crate::{Scenario, program};

/// Scenarios about the abilities of a kernel.
pub(crate) const IN_THE_LAB: &[Scenario] = &[
    Scenario { name: "a trace shows the whole way of a flow that works", plots: &[NYC, PARIS], run: works },
    Scenario { name: "a trace names each fault", plots: &[NYC, PARIS], run: faults },
    Scenario { name: "a trace names the kernel's drops", plots: &[NYC, PARIS], run: dropped },
    Scenario { name: "nothing of a killed trace stays", plots: &[NYC, PARIS], run: killed },
];

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a trace names the tunnel that does not answer", plots: &[NYC, PARIS], run: cut_off },
    Scenario { name: "a trace tells a translated destination", plots: &[NYC, PARIS], run: translated },
    Scenario { name: "a trace of IPv6", plots: &[NYC, PARIS], run: ipv6 },
    Scenario { name: "a trace of a device outside all portals", plots: &[NYC, PARIS], run: outside },
    Scenario { name: "a trace of a marked device", plots: &[NYC, PARIS], run: marked },
    Scenario { name: "a trace of the router's own traffic", plots: &[NYC, PARIS], run: own },
    Scenario { name: "a trace waits for packets of the device", plots: &[NYC, PARIS], run: live },
    Scenario { name: "a trace tells which portal takes a flow", plots: &[NYC, PARIS], run: which_portal },
    Scenario { name: "two traces at once", plots: &[NYC, PARIS], run: at_once },
    Scenario { name: "a trace refuses words without a meaning", plots: &[NYC], run: wrong_words },
];

pub(crate) const DEVICE: &str = "from = [\"192.168.1.50\"]";

/// Runs a trace, and checks its exit status and the parts that its picture must have.
pub(crate) fn traced(site: &DemoSite, arguments: &[&str], status: i32, parts: &[&str]) -> Result<()> {
    let output = site.portals(&[&["trace"], arguments].concat())?;
    let picture =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if std::env::var_os("PORTALS_TEST_SHOW").is_some() {
        println!("--- portals trace {}\n{picture}", arguments.join(" "));
    }
    same(&format!("status of the trace\n{picture}"), output.status.code(), Some(status))?;
    for part in parts {
        same(&format!("{part} in\n{picture}"), picture.contains(part), true)?;
    }
    Ok(())
}

fn works(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    let before = Snapshot::of(&site.router)?.unnumbered();
    let (server, guest) = (SERVER.to_string(), NYC.guest().to_string());
    let parts =
        ["portal0, portal way → paris", "iif portal0 lookup 7702", "tunnel       paris at", "It works"];
    traced(site, &["way", "→", &server], 0, &parts)?;
    let parts = ["tcp/80", "It works: the packet left by to-paris"];
    traced(site, &[&guest, &format!("{server}:80")], 0, &parts)?;
    traced(site, &["way", &format!("{server}:7"), "--udp"], 1, &["udp/7", "no answer came"])?;
    before.same_as(&Snapshot::of(&site.router)?.unnumbered())?;
    each(world, OF_GUESTS)
}

fn translated(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(DEVICE)))?;
    let site = world.site(NYC);
    seen_as(site.home(seconds(3.0)), SERVER, PARIS.address)?;
    let other = PARIS.own_server();
    let script = if everywhere_legacy() {
        format!("iptables-legacy -t nat -A PREROUTING -s {HOME} -d {SERVER} -j DNAT --to-destination {other}")
    } else {
        format!(
            "nft 'add table ip mine; add chain ip mine redirects \
             {{ type nat hook prerouting priority -101; }}; \
             add rule ip mine redirects ip saddr {HOME} ip daddr {SERVER} dnat to {other}'"
        )
    };
    shell(&site.router, &script)?;
    traced(site, &["way", &SERVER.to_string()], 0, &[&format!("translated to {other}"), "It works"])
}

fn outside(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(DEVICE)))?;
    let parts =
        ["no portal: the traffic goes", "→ table main: uplink", "It works: the packet left by uplink"];
    traced(world.site(NYC), &["192.168.1.60", &SERVER.to_string()], 0, &parts)
}

fn ipv6(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    start(world, &world.network(each_other))?;
    let site = world.site(NYC);
    let server = SERVER6.to_string();
    seen_as(site.guest(seconds(3.0)), SERVER6, PARIS.address6())?;
    let parts = ["portal0, portal way → paris", "→ table 7702: to-paris", "It works: the packet left by"];
    traced(site, &[&NYC.guest6().to_string(), &server], 0, &parts)?;
    traced(site, &["way", &format!("[{server}]:80")], 0, &["tcp/80", "It works"])?;
    traced(site, &[&NYC.home6().to_string(), &server], 0, &["→ table main: uplink", "It works"])?;
    traced(site, &["self", &server], 0, &["this router →", "It works"])?;
    each(world, OF_IPV6)?;
    world.site(NYC).kill_agent();
    each(world, OF_IPV6_STOPPED)
}

fn marked(world: &mut World) -> Result<()> {
    let _neighbour = move_in(world)?;
    start(world, &world.network(only_nyc(BY_MAC)))?;
    let site = world.site(NYC);
    seen_as(site.home(seconds(3.0)), SERVER, PARIS.address)?;
    traced(site, &["way", &SERVER.to_string()], 0, &["fwmark 0x8", "It works: the packet left by to-paris"])
}

fn own(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc("self = true")))?;
    let site = world.site(NYC);
    seen_as(site.router(seconds(3.0)), SERVER, PARIS.address)?;
    traced(
        site,
        &["self", &SERVER.to_string()],
        0,
        &["this router →", "It works: the packet left by to-paris"],
    )?;
    for itself in ["::1", "127.0.0.1", "192.168.1.1"] {
        let arrives = format!("It arrives: {itself} is an address of this router itself.");
        traced(site, &["self", itself], 0, &["→ table local: this router", &arrives])?;
    }
    let itself = NYC.address.to_string();
    traced(site, &["192.168.1.50", &itself], 0, &["It arrives: ", "is an address of this router itself."])
}

fn wrong_words(world: &mut World) -> Result<()> {
    world
        .install(&world.network(|_| "[site.nyc.portal.way]\nexit = \"direct\"\nself = true\n".to_owned()))?;
    let site = world.site(NYC);
    traced(site, &["nobody", "1.1.1.1"], 2, &["`nobody` is no portal of this site"])?;
    traced(site, &["192.168.1.50", "1.1.1.1:0"], 2, &["is no destination"])?;
    traced(site, &["192.168.1.50", "2001:db8::1"], 2, &["not of the same address family"])?;
    traced(site, &["192.168.1.50", "1.1.1.1", "--udp"], 2, &["--udp needs a port"])
}

/// Starts a trace.
pub(crate) fn spawned(site: &DemoSite, arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(program());
    command.arg("trace").args(arguments).args(["--config", NETWORK_FILE]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn_at(&site.router, &mut command).context(|| "cannot start portals".to_owned())
}

/// Commands that succeed while a trace is at work.
pub(crate) const TABLE: &str = "nft list table inet portals-trace";
const DEVICE_OF_TRACE: &str = "ip link show dev portals-trace";

fn live(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(DEVICE)))?;
    let site = world.site(NYC);
    let mut child = spawned(site, &["way", &format!("{SERVER}:80"), "--live"])?;
    eventually("the trace has seen the device", || {
        seen_as(site.home(seconds(3.0)), SERVER, PARIS.address)?;
        let ended = child.try_wait().context(|| "cannot wait".to_owned())?;
        same("the trace has ended", ended.is_some(), true)
    })?;
    let output = child.wait_with_output().map_err(|error| Error::failed("cannot wait").because(error))?;
    let picture = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["seen: a packet of the device", "→ table 7702: to-paris", "It works"] {
        same(&format!("{part} in\n{picture}"), picture.contains(part), true)?;
    }
    Ok(())
}

/// Portals that take a part of the traffic, and one of a device on the LAN of another.
const PARTS: &str = r#"exits = ["paris"]

[site.nyc.portal.way]
interface = "portal0"
dhcp = false
exit = "paris"
to = ["198.18.0.0/15"]

[site.nyc.portal.guest]
from = ["10.77.1.70"]
exit = "paris"
except = ["192.175.48.102"]

[site.nyc.portal.web]
from = ["192.168.1.50"]
exit = "paris"
ports = ["tcp/80"]
"#;

fn which_portal(world: &mut World) -> Result<()> {
    start(world, &world.network(|plot| if plot == NYC { PARTS } else { r#"exits = ["nyc"]"# }.to_owned()))?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    let closed = format!("{SERVER}:81");
    let (server, web, other) = (SERVER.to_string(), format!("{SERVER}:80"), PARIS.own_server().to_string());
    let guest = NYC.guest().to_string();
    for (from, to, parts) in [
        (guest.as_str(), &server, ["portal guest → paris", "It works: the packet left by to-paris"]),
        (&guest, &other, ["portal0, portal guest, which leaves this packet out (`except`)", "by uplink"]),
        ("10.77.1.80", &server, ["portal0, portal way, which leaves this packet out (`to`)", "by uplink"]),
        ("way", &server, ["portal guest → paris", "by to-paris"]),
        ("192.168.1.50", &web, ["lan0, portal web → paris", "It works: the packet left by to-paris"]),
        ("192.168.1.50", &server, ["lan0, portal web, which leaves this packet out (`ports`)", "by uplink"]),
    ] {
        traced(site, &[from, to], 0, &parts)?;
    }
    let left_out = "lan0, portal web, which leaves this packet out (`ports`)";
    traced(site, &["192.168.1.50", &web, "--udp"], 1, &[left_out, "left by uplink"])?;
    traced(site, &["192.168.1.50", &closed], 0, &[left_out, "by uplink"])
}

fn at_once(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(DEVICE)))?;
    let site = world.site(NYC);
    let arguments = ["way", &SERVER.to_string()];
    let mut child = spawned(site, &["way", "192.0.2.77", "--live"])?;
    eventually("the second trace is refused", || {
        traced(site, &arguments, 1, &["another `portals trace` is at work on this machine"])
    })?;
    same("the first trace has ended", child.try_wait().is_ok_and(|ended| ended.is_some()), false)?;
    child.kill().and_then(|()| child.wait()).map_err(|error| Error::failed("cannot kill").because(error))?;
    traced(site, &arguments, 0, &["It works"])
}

fn killed(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    let before = Snapshot::of(&site.router)?.unnumbered();
    let nowhere = IpAddr::from([192, 0, 2, 77]).to_string();
    let signs: &[&str] = if has_nftables() { &[TABLE, DEVICE_OF_TRACE] } else { &[DEVICE_OF_TRACE] };
    for sign in signs {
        let mut child = spawned(site, &["way", &nowhere])?;
        eventually("the trace is at work", || shell(&site.router, sign).map(drop))?;
        child
            .kill()
            .and_then(|()| child.wait())
            .map_err(|error| Error::failed("cannot kill").because(error))?;
        eventually("nothing of the trace stays", || {
            settled(site)?;
            before.same_as(&Snapshot::of(&site.router)?.unnumbered())
        })?;
    }
    traced(site, &["way", &SERVER.to_string()], 0, &["It works"])
}

/// Makes one fault after the other, each undone before the next, and demands its words.
fn faults(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(DEVICE)))?;
    let site = world.site(NYC);
    seen_as(site.home(seconds(3.0)).from(HOME), SERVER, PARIS.address)?;
    seen_as(site.home(seconds(3.0)).from(OTHER_HOME), SERVER, NYC.address)?;
    each(world, OF_FLOWS)?;
    each(world, if everywhere_legacy() { OF_IPTABLES } else { OF_NFTABLES })?;
    world.site(NYC).kill_agent();
    each(world, OF_STOPPED)
}

pub(crate) fn each(world: &mut World, troubles: &[Trouble]) -> Result<()> {
    for trouble in troubles {
        let host = host(world, trouble.at);
        shell(&host, &[&setting(), trouble.breaks].concat())?;
        let named = names(world.site(NYC), trouble);
        shell(&host, &[&setting(), trouble.mends].concat())?;
        named?;
        println!("named: {}", trouble.fault);
    }
    Ok(())
}

/// Demands the counters of the kernel where no tracepoint can be used, then the reasons of its tracepoint.
fn dropped(world: &mut World) -> Result<()> {
    start(world, &world.network(only_nyc(DEVICE)))?;
    let site = world.site(NYC);
    seen_as(site.home(seconds(3.0)).from(OTHER_HOME), SERVER, NYC.address)?;
    let router = site.router.clone();
    shell(&router, "umount /sys/kernel/tracing 2>/dev/null || true")?;
    let can = |script: &str| {
        let can = shell(&router, script).is_ok();
        if !can {
            println!("skipped: this kernel cannot do `{script}`");
        }
        can
    };
    let has_ipsec = can("ip xfrm policy");
    if has_ipsec && can("cat /proc/net/xfrm_stat") {
        each(world, OF_KERNEL)?;
    }
    if !can(TELLS) {
        return Ok(());
    }
    if has_ipsec {
        each(world, &OF_TRACEPOINT[..1])?;
    }
    if can("tc qdisc add dev uplink root tbf rate 8bit burst 1 limit 1; tc qdisc delete dev uplink root") {
        each(world, &OF_TRACEPOINT[1..])?;
    }
    Ok(())
}

/// Command that succeeds if the kernel tells why it drops a packet.
const TELLS: &str = "mount -t tracefs tracefs /sys/kernel/tracing \
    && grep ' reason;' /sys/kernel/tracing/events/skb/kfree_skb/format";

fn cut_off(world: &mut World) -> Result<()> {
    world.set_cut(NYC, PARIS, true)?;
    start(world, &world.network(only_nyc(DEVICE)))?;
    each(world, SILENT)
}
