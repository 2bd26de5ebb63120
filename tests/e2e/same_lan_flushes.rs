//! Flushes by other programs at two homes with the same network: no packet gets into the wrong home, and
//! every connection is translated afterwards.
//!
//! `PORTALS_TEST_FLUSHES` is the number of flushes (default 40).

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{
    Capture, DemoSite, HOME, HOME_ROUTER, NYC, Namespace, PARIS, Packet, Plot, ProbeClient, World,
};

use crate::Scenario;
use crate::concurrently::concurrently;
use crate::faults::{FLUSH_NFTABLES, Random, times};
use crate::same_lan::{network, other, reach_each_other, seen};
use crate::words::{filter_reverse_paths, same, seconds, settled, shell, start, succeeds, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "connections that began without the translation begin anew",
        plots: &[NYC, PARIS],
        run: |world| untranslated(world, ""),
    },
    Scenario {
        name: "connections that began without the translation of iptables begin anew",
        plots: &[NYC, PARIS],
        run: |world| untranslated(world, "firewall = \"iptables\"\n"),
    },
    Scenario {
        name: "flushes lead no packet into the wrong home",
        plots: &[NYC, PARIS],
        run: |world| flushes(world, ""),
    },
    Scenario {
        name: "flushes of iptables lead no packet into the wrong home",
        plots: &[NYC, PARIS],
        run: |world| flushes(world, "firewall = \"iptables\"\n"),
    },
];

/// A UDP flow that keeps its ports. It gets an answer if the other end has no program at that port, and says
/// so by ICMP.
struct Flow(UdpSocket);

impl Flow {
    fn open(host: &Namespace, to: Ipv4Addr) -> Result<Self> {
        host.run(|| {
            let socket = UdpSocket::bind((HOME, 0)).context(|| "cannot open a flow".to_owned())?;
            let doing = || format!("cannot send to {to}");
            socket.connect((to, 4501)).context(doing)?;
            socket.set_read_timeout(Some(seconds(0.2))).context(doing)?;
            Ok(Self(socket))
        })
    }

    /// Sends a datagram, which may be lost.
    fn send(&self) {
        let _ = self.0.send(b"flow");
    }

    /// Sends a datagram, and reports whether the other end has answered this one or an earlier one.
    fn is_answered(&self) -> bool {
        let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
        self.0.send(b"flow").is_err_and(refused) || self.0.recv(&mut [0; 8]).is_err_and(refused)
    }
}

/// Checks that a flow whose first packets were not translated, because another program removes the rules
/// again and again, is translated as soon as it has stopped.
fn untranslated(world: &mut World, more: &str) -> Result<()> {
    let network = network(world, more);
    for plot in [NYC, PARIS] {
        filter_reverse_paths(&world.site(plot).router, false)?;
    }
    start(world, &network)?;
    reach_each_other(world)?;
    let home = world.site(NYC).home.clone().expect("this plot has one");
    for plot in [NYC, PARIS] {
        let forget = forget(world, plot)?;
        let again = format!(
            "end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do
                 {forget} 2>/dev/null || true; sleep 0.01
             done"
        );
        let router = world.site(plot).router.clone();
        let (forgotten, flows) = concurrently(
            || shell(&router, &again),
            |is_over| {
                let mut flows = Vec::new();
                while !is_over() {
                    flows.push(Flow::open(&home, seen(PARIS, HOME))?);
                    flows.iter().for_each(Flow::send);
                    std::thread::sleep(seconds(0.05));
                }
                Ok(flows)
            },
        );
        forgotten?;
        let mut flows: Vec<Flow> = Result::<_>::from(flows)?;
        settled(world.site(plot))?;
        within(seconds(10.0), &format!("flows go on after flushes at {}", plot.name), || {
            // The kernel limits the rate of ICMP errors, so not every datagram has its answer.
            flows.retain(|flow| !flow.is_answered());
            same("flows without an answer", flows.len(), 0)
        })?;
    }
    Ok(())
}

/// Script that removes the rules of portals' firewall at a site.
fn forget(world: &mut World, plot: Plot) -> Result<&'static str> {
    let status = succeeds(world.site(plot), &["status", "--json"])?;
    Ok(if status.contains(r#""firewall":"nftables""#) {
        "nft delete table inet portals"
    } else {
        IPTABLES[0]
    })
}

/// Flushes of all rules of portals in iptables, in each of the two flavours that is here.
const IPTABLES: [&str; 1] = ["for p in iptables-legacy iptables-nft; do for t in filter mangle nat; do \
     $p -t $t -F 2>/dev/null || true; done; done; \
     iptables -t nat -A POSTROUTING -s 192.168.1.0/24 -o uplink -j MASQUERADE"];

/// Flushes of a part of these rules.
const IPTABLES_IN_PART: [&str; 5] = [
    "for p in iptables-legacy iptables-nft; do for c in PREROUTING POSTROUTING; do \
     $p -t nat -F PORTALS_$c 2>/dev/null || true; done; done",
    "for p in iptables-legacy iptables-nft; do for c in PREROUTING POSTROUTING; do \
     $p -t nat -D $c -j PORTALS_$c 2>/dev/null || true; done; done",
    "for p in iptables-legacy iptables-nft; do $p -t mangle -F PREROUTING 2>/dev/null || true; done",
    "for p in iptables-legacy iptables-nft; do $p -t mangle -F 2>/dev/null || true; done",
    "for p in iptables-legacy iptables-nft; do $p -F FORWARD 2>/dev/null || true; done",
];

/// Flushes of all rules of portals in nftables.
const NFTABLES: [&str; 2] = ["nft delete table inet portals", FLUSH_NFTABLES];

/// Flushes of a part of these rules.
const NFTABLES_IN_PART: [&str; 4] = [
    "nft flush chain inet portals prerouting; nft flush chain inet portals postrouting",
    "nft flush chain inet portals marks; nft flush chain inet portals leaving",
    "nft flush chain inet portals forward",
    "nft flush set inet portals hidden",
];

/// Flushes that have nothing to do with the firewall.
const ELSEWHERE: [&str; 6] = [
    "ip route flush table all protocol 77",
    "ip route flush table main protocol 77",
    "ip rule flush; ip rule add priority 32766 lookup main; ip rule add priority 32767 lookup default",
    "ip link delete $(ls /sys/class/net | grep ^to-)",
    "ip link set $(ls /sys/class/net | grep ^to-) down",
    "conntrack -F 2>/dev/null || true",
];

/// Interfaces where packets would get to the wrong computers.
struct Watched(Vec<(Plot, Capture, Capture)>);

impl Watched {
    fn start(world: &mut World) -> Result<Self> {
        let mut watched = Vec::new();
        for plot in [NYC, PARIS] {
            let router = &world.site(plot).router;
            watched.push((plot, Capture::start(router, "lan0")?, Capture::start(router, "uplink")?));
        }
        Ok(Self(watched))
    }

    /// Ends the captures. Returns the number of packets that reached a home from the other one, and all
    /// packets that are at a wrong place.
    fn stop(self) -> Result<(usize, Vec<(&'static str, Packet)>)> {
        let (mut number, mut astray) = (0, Vec::new());
        for (plot, lan, uplink) in self.0 {
            let from_there = |packet: &Packet| is_in(packet.source, [10, 78, other(plot).id]);
            let of_routers = [HOME_ROUTER, NYC.tunnel(), PARIS.tunnel()].map(IpAddr::from);
            let is_right = |packet: &Packet| {
                packet.source.is_ipv6()
                    || is_in(packet.destination, [192, 168, 1])
                        && (from_there(packet) || of_routers.contains(&packet.source))
            };
            let packets = lan.stop()?;
            number += packets.iter().filter(|packet| from_there(packet)).count();
            astray.extend(packets.into_iter().filter(|packet| !is_right(packet)).map(|it| (plot.name, it)));
            let private = |address: IpAddr| {
                [[10, 78, 1], [10, 78, 2], [192, 168, 1], [10, 77, 1], [10, 77, 2]]
                    .into_iter()
                    .any(|network| is_in(address, network))
            };
            let packets = uplink.stop()?.into_iter();
            let packets = packets.filter(|packet| private(packet.source) || private(packet.destination));
            astray.extend(packets.map(|packet| ("uplink", packet)));
        }
        Ok((number, astray))
    }
}

fn is_in(address: IpAddr, network: [u8; 3]) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets()[..3] == network)
}

/// Flushes parts of both sites at random, while computers of both homes and guests send packets. Reverse-path
/// filtering is off: it would hide packets that no rule stops.
fn flushes(world: &mut World, more: &str) -> Result<()> {
    let network = network(world, more);
    for plot in [NYC, PARIS] {
        filter_reverse_paths(&world.site(plot).router, false)?;
    }
    start(world, &network)?;
    reach_each_other(world)?;
    let is_nftables = forget(world, NYC)?.starts_with("nft");
    let (whole, parts): (&[&str], &[&str]) =
        if is_nftables { (&NFTABLES, &NFTABLES_IN_PART) } else { (&IPTABLES, &IPTABLES_IN_PART) };
    let number = times("PORTALS_TEST_FLUSHES", 40) / 2;
    let homes = clients(world, |there| there, |site| site.home.clone().expect("this plot has one"));
    flush_while_sending(world, &[whole, parts, &ELSEWHERE].concat(), number, &homes)?;
    // Without any rule of portals, guests of a site do reach computers at their exit: two parts of the rules
    // keep them away.
    let guests = clients(world, |_| HOME, |site| site.guest.clone());
    flush_while_sending(world, &[parts, &ELSEWHERE].concat(), number, &[homes, guests].concat())
}

/// Checks that no packet of these clients gets to a wrong place during this number of flushes.
fn flush_while_sending(
    world: &mut World,
    scripts: &[&str],
    number: usize,
    clients: &[(Namespace, Ipv4Addr)],
) -> Result<()> {
    let watched = Watched::start(world)?;
    let (failed, sent) = concurrently(|| flush(world, scripts, number), |is_over| send(clients, is_over));
    let (failed, sent) = (failed?, sent?);
    let (arrived, astray) = watched.stop()?;
    println!(
        "       {number} flushes, {failed} of them without effect; {sent} packets sent, {arrived} arrived"
    );
    let first = astray.first();
    same(&format!("packets at wrong places, the first of them {first:?}"), astray.len(), 0)?;
    same("packets arrived", arrived > 0, true)
}

/// Computers of both sites that send, and the addresses that they send to.
fn clients(
    world: &mut World,
    to: fn(Ipv4Addr) -> Ipv4Addr,
    who: fn(&DemoSite) -> Namespace,
) -> Vec<(Namespace, Ipv4Addr)> {
    [NYC, PARIS].map(|plot| (who(world.site(plot)), to(seen(other(plot), HOME)))).into()
}

fn send(clients: &[(Namespace, Ipv4Addr)], is_over: &dyn Fn() -> bool) -> Result<usize> {
    let mut sent = 0;
    while !is_over() {
        for (host, to) in clients {
            sent += ProbeClient::new(host, seconds(1.0)).knock(*to, 1)?;
        }
    }
    Ok(sent)
}

/// Makes this number of flushes, and waits for the repair of each. Returns the number of scripts that failed,
/// because an object was gone already.
fn flush(world: &mut World, scripts: &[&str], number: usize) -> Result<usize> {
    let mut random = Random::new();
    let mut failed = 0;
    for round in 0..number {
        let plot = [NYC, PARIS][random.below(2)];
        let script = scripts[random.below(scripts.len())];
        failed += usize::from(shell(&world.site(plot).router, script).is_err());
        settled(world.site(plot)).context(|| script.to_owned())?;
        if round % 20 == 19 {
            // The other end needs 15 s until it notices that a session is gone.
            within(seconds(40.0), "the homes reach each other again", || reach_each_other(world))
                .context(|| format!("after {script} at {}", plot.name))?;
        }
    }
    within(seconds(40.0), "the homes reach each other in the end", || reach_each_other(world))?;
    if failed == number { Err(Error::failed("every flush failed")) } else { Ok(failed) }
}
