//! `portals test`: each line, for a portal that works and for one that does not.

use std::net::UdpSocket;
use std::thread;

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{NYC, OSLO, PARIS, SERVER, World};

use crate::Scenario;
use crate::filters::{has_nftables, swallow_large_packets};
use crate::words::{portal, same, seconds, seen_as, send_one_by_one, settled, shell, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "portals test tells the way, the delay and the packet size of a portal",
        plots: &[NYC, PARIS],
        run: good,
    },
    Scenario {
        name: "portals test asks a third site for the address, and resolvers through the exit",
        plots: &[NYC, PARIS, OSLO],
        run: asked,
    },
    Scenario { name: "portals test finds a leak", plots: &[NYC, PARIS], run: leak },
    Scenario { name: "portals test finds broken IPv6", plots: &[NYC, PARIS], run: ipv6 },
    Scenario { name: "portals test finds a path that loses packets", plots: &[NYC, PARIS], run: lossy },
    Scenario {
        name: "portals test measures each direction, and both together if the agent there is old",
        plots: &[NYC, PARIS],
        run: speed,
    },
    Scenario {
        name: "portals test finds a path that swallows large packets",
        plots: &[NYC, PARIS],
        run: narrow,
    },
    Scenario { name: "portals test finds an exit that is gone", plots: &[NYC, PARIS], run: gone },
    Scenario {
        name: "portals test cuts the link, and the agent puts it back",
        plots: &[NYC, PARIS],
        run: cut,
    },
];

/// Checks the output and the exit status of the test of nyc's portal.
fn tells(world: &mut World, options: &[&str], status: i32, lines: &[&str]) -> Result<()> {
    let arguments = [&["test", "way"], options].concat();
    let output = world.site(NYC).portals(&arguments)?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    for line in lines {
        same(&format!("`{line}` in {told}{complaint}"), told.contains(line), true)?;
    }
    same(&format!("status of test, which tells {told}{complaint}"), output.status.code(), Some(status))
}

/// Starts a network in which nyc's guests leave at Paris, and waits for the link.
fn begin(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris""#),
        _ => String::new(),
    });
    start(world, &network)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
}

fn good(world: &mut World) -> Result<()> {
    begin(world)?;
    let lines = [
        "✓ way: A device's packets leave by to-paris.\n",
        "✓ delay: paris answers after ",
        "; 0 of 10 packets were lost.\n",
        "✓ MTU: Packets of 1280 bytes pass.\n✓ speed: ",
        " Mbit/s to paris, and ",
        " Mbit/s from there.\n",
        "- address: ",
        "- DNS: This machine answers no queries of the portal's devices.\n",
        "✓ IPv6: A device's packets are refused.\n",
    ];
    tells(world, &[], 0, &lines)?;
    let json = r#"{"portal":"way","exit":"paris","findings":[{"check":"way","verdict":"ok","#;
    tells(world, &["--json"], 0, &[json])?;
    let unknown = world.site(NYC).portals(&["test", "no-way"])?;
    let words = String::from_utf8_lossy(&unknown.stderr).into_owned();
    same(&words, words.contains("this site has no portal `no-way`; it has: way"), true)?;
    same("status of the test of no portal", unknown.status.code(), Some(2))
}

/// Resolver that answers each query with the same bytes and the flag of an answer.
fn resolve(world: &World) -> Result<()> {
    let bind = || UdpSocket::bind((SERVER, 53)).context(|| "cannot be a resolver".to_owned());
    let socket = world.server.run(bind)?;
    thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut message) {
            message[2] |= 0x80;
            let _ = socket.send_to(&message[..length], client);
        }
    });
    Ok(())
}

fn asked(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => format!(
            "exits = [\"paris\"]\nlinks = [\"oslo\"]\n\n[site.nyc.portal.way]\nexit = \"paris\"\n\
             interface = \"portal0\"\ndns = [\"{SERVER}\"]\n"
        ),
        _ => String::new(),
    });
    // Guests of an exit reach public addresses alone.
    let public = "45.33.32.1";
    shell(&world.internet, &format!("ip route add {public} via {}", OSLO.address))?;
    shell(&world.site(OSLO).router, &format!("ip address add {public}/32 dev uplink"))?;
    let network =
        network.replace(&format!("endpoint = \"{}\"", OSLO.address), &format!("endpoint = \"{public}\""));
    start(world, &network)?;
    let dns = format!("✗ DNS: Through paris: {SERVER} (no answer); 10.77.1.65 (no answer).\n");
    let address = format!("✓ address: oslo sees {}.\n", PARIS.address);
    tells(world, &[], 1, &[&address, &dns])?;
    resolve(world)?;
    let dns = format!("✓ DNS: Through paris: {SERVER} (");
    tells(world, &[], 0, &[&address, &dns, " ms); 10.77.1.65 ("])?;
    // Without dnsmasq, the resolver beyond still answers.
    world.site(NYC).stop_agent()?;
    if succeeds(world.site(NYC), &["status", "--json"])?.contains(r#""wireguard":"kernel""#) {
        tells(world, &[], 1, &["✗ DNS: ", " ms); 10.77.1.65 (no answer).\n"])?;
    }
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    // Paris reaches no third site any more.
    shell(&world.internet, &format!("ip route replace unreachable {public}"))?;
    tells(world, &[], 1, &["✗ address: No answer came through paris from the helper of oslo.\n"])
}

fn leak(world: &mut World) -> Result<()> {
    begin(world)?;
    world.site(NYC).kill_agent();
    shell(
        &world.site(NYC).router,
        "ip rule add iif portal0 lookup main priority 50; ip -6 rule add iif portal0 lookup main priority 50",
    )?;
    tells(world, &[], 1, &["✗ way: A device's packets leave by uplink.\n"])
}

fn narrow(world: &mut World) -> Result<()> {
    swallow_large_packets(world)?;
    begin(world)?;
    let lines = [
        "✗ MTU: Packets of 1280 bytes vanish, and those of 1216 pass.\n",
        "  → Set `mtu` in [network] to the smaller ",
    ];
    tells(world, &[], 1, &lines)
}

/// IPv6 that leaves by another way, or nowhere although the exit takes it.
fn ipv6(world: &mut World) -> Result<()> {
    world.add_ipv6()?;
    begin(world)?;
    tells(world, &[], 0, &["✓ IPv6: A device's packets leave by to-paris.\n"])?;
    world.site(NYC).kill_agent();
    let router = &world.site(NYC).router;
    shell(router, "ip -6 rule add iif portal0 lookup main priority 50")?;
    let lines =
        ["✗ IPv6: A device's packets leave by uplink.\n", "  → `portals plan` shows what is missing.\n"];
    tells(world, &[], 1, &lines)?;
    shell(
        &world.site(NYC).router,
        "ip -6 rule del priority 50; ip -6 rule add iif portal0 unreachable priority 50",
    )?;
    tells(world, &[], 1, &["✗ IPv6: A device's packets are refused.\n", "    The exit takes them, "])
}

fn lossy(world: &mut World) -> Result<()> {
    begin(world)?;
    // One of four echoes is lost: those whose number is a multiple of 4, or of which three came before.
    let rules = if has_nftables() {
        "nft add table ip lossy; \
         nft add chain ip lossy input '{ type filter hook input priority -200; }'; \
         nft add rule ip lossy input icmp type echo-request @th,62,2 0 drop"
    } else {
        "iptables-legacy -t mangle -A INPUT -p icmp --icmp-type 8 -m length --length 64 \
         -m statistic --mode nth --every 4 --packet 3 -j DROP"
    };
    shell(&world.site(PARIS).router, rules)?;
    let lines = [
        "✗ delay: paris answers after ",
        "; 2 of 10 packets were lost.\n",
        "  → Look at the uplinks of both sites.\n",
    ];
    tells(world, &[], 1, &lines)
}

/// Returns the speed to Paris and from there in Mbit/s.
fn speeds(world: &mut World) -> Result<[f64; 2]> {
    let told = succeeds(world.site(NYC), &["test", "way"])?;
    let line = told.lines().find_map(|line| line.strip_prefix("✓ speed: ")).unwrap_or_default();
    let rates = line.strip_suffix(" Mbit/s from there.").and_then(|line| {
        let (up, down) = line.split_once(" Mbit/s to paris, and ")?;
        Some([up.parse().ok()?, down.parse().ok()?])
    });
    rates.ok_or_else(|| Error::failed(format!("no speeds in {told}")))
}

fn speed(world: &mut World) -> Result<()> {
    begin(world)?;
    send_one_by_one(world)?;
    // Of the long packets to nyc, 100 a second come through: 1 Mbit/s.
    let rule = if has_nftables() {
        "nft add table ip slow; \
         nft add chain ip slow forward '{ type filter hook forward priority 0; }'; \
         nft add rule ip slow forward oifname nyc ip length gt 1000 limit rate over 100/second drop"
    } else {
        "iptables-legacy -A FORWARD -o nyc -m length --length 1000:65535 -m limit --limit 100/s -j ACCEPT; \
         iptables-legacy -A FORWARD -o nyc -m length --length 1000:65535 -j DROP"
    };
    shell(&world.internet, rule)?;
    let [up, down] = speeds(world)?;
    same(&format!("{down} from there is far less than {up}"), down > 0.0 && down * 2.0 < up, true)?;
    // An agent of an older version hears no questions.
    let deaf = if has_nftables() {
        "nft add table ip deaf; nft add chain ip deaf input '{ type filter hook input priority -200; }'; \
         nft add rule ip deaf input udp dport 52075 drop"
    } else {
        "iptables-legacy -t mangle -A INPUT -p udp --dport 52075 -j DROP"
    };
    shell(&world.site(PARIS).router, deaf)?;
    let both = " Mbit/s there, and as much back at the same time. The agent of paris, ";
    tells(world, &[], 0, &[both])
}

fn gone(world: &mut World) -> Result<()> {
    begin(world)?;
    let router = world.site(NYC).router.clone();
    let refuse = "nft 'add table inet mine; add chain inet mine out { type filter hook output priority 0; }
        add rule inet mine out oifname to-paris icmp type echo-request drop' 2>/dev/null ||
        iptables-legacy -A OUTPUT -o to-paris -p icmp -j DROP";
    shell(&router, refuse)?;
    let line =
        "✗ exit: This machine sends no pings to paris out of to-paris: its own firewall refuses them.\n";
    tells(world, &[], 1, &[line])?;
    shell(&router, "nft delete table inet mine || iptables-legacy -D OUTPUT -o to-paris -p icmp -j DROP")?;
    world.set_cut(NYC, PARIS, true)?;
    tells(world, &[], 1, &["✗ exit: paris does not answer.\n", "✓ way: "])
}

fn cut(world: &mut World) -> Result<()> {
    begin(world)?;
    let line = "✓ cut: While the link was down, a device's packets were refused. It is up again.\n";
    tells(world, &["--cut"], 0, &[line])?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    world.site(NYC).stop_agent()?;
    let output = world.site(NYC).portals(&["test", "way", "--cut"])?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    same(&words, (output.status.code(), words.contains("no agent")), (Some(1), true))
}
