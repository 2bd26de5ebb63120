//! `portals test`: each line, for a portal that works and for one that does not.

use std::net::UdpSocket;
use std::thread;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{NYC, OSLO, PARIS, SERVER, World};

use crate::Scenario;
use crate::filters::swallow_large_packets;
use crate::words::{portal, same, seconds, seen_as, settled, shell, start, succeeds};

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

fn gone(world: &mut World) -> Result<()> {
    begin(world)?;
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
