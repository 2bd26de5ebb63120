//! Links that the real kernel relays, by the rules of both firewalls. Needs root, or `unshare -Urnm`.

mod namespace;
#[expect(dead_code, reason = "the golden cases need more of it")]
mod support;

use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use namespace::{inside, ip};
use nix::sched::{CloneFlags, setns};
use wg_portals::base::net::Family;
use wg_portals::firewall::xtables::{IptablesProgram, IptablesRuleset};
use wg_portals::firewall::{Chain, ForeignChain, PinholeChain, RestrictiveRules, TableFamily};
use wg_portals::kernel::Kernel as _;
use wg_portals::kernel::conntrack::ConnectionFilter;
use wg_portals::kernel::iptables::Iptables;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::nftables::Nftables;
use wg_portals::nat::helper::{RelaySide, RelayedLink};
use wg_portals::plan::{plan, relayed_links};
use wg_portals::site::Site;
use wg_portals::site::facts::HostFirewalls;
use wg_portals::state::State;

/// Addresses of the two sides and of the relay, for one family. Each side has its own network to the relay.
struct Addresses {
    sides: [&'static str; 2],
    relay: [&'static str; 2],
}

const ADDRESSES: [Addresses; 2] = [
    Addresses { sides: ["192.0.2.1", "198.51.100.1"], relay: ["192.0.2.3", "198.51.100.3"] },
    Addresses { sides: ["2001:db8:1::1", "2001:db8:2::1"], relay: ["2001:db8:1::3", "2001:db8:2::3"] },
];

/// Ports from which the sides send, and ports of the relay that they send to.
const PORTS: [u16; 2] = [40001, 51821];
const RELAY_PORTS: [u16; 2] = [52079, 443];

/// Time limit on a packet that comes, and on one that must not come.
const SOON: Duration = Duration::from_secs(30);
const NEVER: Duration = Duration::from_millis(200);

/// Packets of a question and of a tunnel.
const SHORT: &[u8] = b"question";
const LONG: &[u8] = &[4; 600];

/// Firewall of another program, which refuses unknown packets, masquerades, and redirects long ones.
const OTHERS: &str = "table inet others {
    chain forward { type filter hook forward priority filter; policy drop; }
    chain input { type filter hook input priority filter; policy drop; meta l4proto ipv6-icmp accept; }
    chain dstnat { type nat hook prerouting priority dstnat; udp length > 500 redirect to :9; }
    chain srcnat { type nat hook postrouting priority srcnat; masquerade; }
}";

#[test]
fn nftables_relays_a_link_and_nothing_else() {
    inside(|| relays(&Rules::Nftables));
}

#[test]
fn both_flavours_of_iptables_relay_a_link_and_nothing_else() {
    for program in [IptablesProgram::Legacy, IptablesProgram::Nft] {
        inside(move || relays(&Rules::Iptables(program)));
    }
}

/// Firewall that holds our rules.
enum Rules {
    Nftables,
    Iptables(IptablesProgram),
}

impl Rules {
    /// Loads the rules of a plan, and returns the rules as they read back.
    fn load(&self, from: &State, to: &State) -> State {
        let mut have = State::default();
        match self {
            Self::Nftables => {
                let mut nftables = Nftables::find().unwrap().unwrap();
                nftables.change(from.firewall.as_ref(), to.firewall.as_ref()).unwrap();
                have.firewall = nftables.read().unwrap();
                for chain in [foreign("forward"), foreign("input")] {
                    let none = PinholeChain::default();
                    nftables.open(&chain, to.pinholes.get(&chain).unwrap_or(&none)).unwrap();
                }
                have.pinholes = nftables.survey().unwrap().pinholes;
            }
            Self::Iptables(program) => {
                let none = IptablesRuleset::new();
                let [from, to] = [from, to].map(|state| state.iptables.get(program).unwrap_or(&none));
                Iptables::find().change(*program, from, to).unwrap();
                let read = Iptables::find().read(*program).unwrap();
                if !read.is_empty() {
                    have.iptables.insert(*program, read);
                }
            }
        }
        assert_eq!((&have.firewall, &have.iptables), (&to.firewall, &to.iptables));
        assert_eq!(have.pinholes, to.pinholes);
        have
    }

    /// Sets up the firewall of another program, and adds its chains to the site's barriers.
    fn add_others(&self, site: &mut Site) {
        let chains = [("forward", Chain::Forward), ("input", Chain::Input)];
        match self {
            Self::Nftables => {
                fs::write("/run/others", OTHERS).unwrap();
                run("nft -f /run/others");
                let barriers = chains.map(|(name, chain)| (RestrictiveRules::Nftables(foreign(name)), chain));
                site.guard.barriers = barriers.into();
            }
            Self::Iptables(program) => {
                for family in [Family::V4, Family::V6] {
                    let iptables = program.name(family, "");
                    run(&format!("{iptables} -P FORWARD DROP"));
                    run(&format!("{iptables} -P INPUT DROP"));
                    let icmp = if family == Family::V4 { "icmp" } else { "ipv6-icmp" };
                    run(&format!("{iptables} -A INPUT -p {icmp} -j ACCEPT"));
                    let ports = "-p udp -m length --length 500:1500 -j REDIRECT --to-ports 9";
                    run(&format!("{iptables} -t nat -A PREROUTING {ports}"));
                    run(&format!("{iptables} -t nat -A POSTROUTING -j MASQUERADE"));
                    for (_, chain) in chains {
                        site.guard.barriers.insert((RestrictiveRules::Iptables(*program, family), chain));
                    }
                }
            }
        }
    }
}

fn foreign(name: &str) -> ForeignChain {
    ForeignChain { family: TableFamily::Inet, table: "others".to_owned(), name: name.to_owned() }
}

fn relays(rules: &Rules) {
    connect();
    let mut site = site(rules);
    rules.add_others(&mut site);
    for addresses in &ADDRESSES {
        let links = Links::of(addresses);
        site.nat.relayed.clear();
        let alone = plan(&site);
        rules.load(&State::default(), &alone);
        links.ask_and_answer();

        site.nat.relayed = vec![links.relayed()];
        let relaying = plan(&site);
        let have = rules.load(&alone, &relaying);
        assert_eq!(relayed_links(&site, &have), site.nat.relayed);
        // The answers have made connections of the relay's own, which no rule sees again.
        assert_eq!(forget(&links.relayed()), 2);
        // So does an answer to a question that had waited, which leaves after them.
        links.answer_late();
        assert_eq!(forget(&links.relayed()), 2);
        links.are_relayed();

        rules.load(&relaying, &alone);
        assert_eq!(forget(&links.relayed()), 1);
        links.ask_and_answer();
        forget(&links.relayed());
        rules.load(&alone, &State::default());
    }
}

/// Connects the namespaces of two sides, `one` and `other`, to this one.
fn connect() {
    ip("netns add one");
    ip("netns add other");
    for (index, side) in ["one", "other"].into_iter().enumerate() {
        ip(&format!("link add {side} type veth peer name eth0 netns {side}"));
        ip(&format!("link set {side} up"));
        ip(&format!("-n {side} link set eth0 up"));
        for Addresses { sides, relay } in &ADDRESSES {
            let (length, nodad) = if relay[0].contains(':') { (64, "nodad") } else { (24, "") };
            ip(&format!("address add {}/{length} dev {side} {nodad}", relay[index]));
            ip(&format!("-n {side} address add {}/{length} dev eth0 {nodad}", sides[index]));
            ip(&format!("-n {side} route add default via {}", relay[index]));
        }
    }
    for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        fs::write(Path::new("/proc/sys").join(key), "1").unwrap();
    }
}

/// Public site of a network, on a host with these rules.
fn site(rules: &Rules) -> Site {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/relayed");
    let network = support::network(&fs::read_to_string(case.join("network.toml")).unwrap());
    let (mut facts, resolved) = support::facts("uplink = \"other\"");
    facts.filters = match rules {
        Rules::Nftables => HostFirewalls { nftables: true, ..HostFirewalls::default() },
        Rules::Iptables(program) => HostFirewalls { legacy: Some(*program), ..HostFirewalls::default() },
    };
    support::files(&network, "cloud", None).view(&facts, &resolved).unwrap()
}

/// Sockets of the two sides and of the relay, and a stranger's next to each side.
struct Links {
    sides: [UdpSocket; 2],
    strangers: [UdpSocket; 2],
    relay: [UdpSocket; 2],
}

impl Links {
    fn of(addresses: &Addresses) -> Self {
        let at = |address: &str, port| SocketAddr::new(address.parse().unwrap(), port);
        let socket = |index: usize, port| {
            let side = ["one", "other"][index];
            let address = at(addresses.sides[index], port);
            // A socket stays in the namespace in which it was made.
            let made = thread::spawn(move || {
                let namespace = File::open(format!("/run/netns/{side}")).unwrap();
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                UdpSocket::bind(address).unwrap()
            });
            made.join().unwrap()
        };
        Self {
            sides: [0, 1].map(|index| socket(index, PORTS[index])),
            strangers: [0, 1].map(|index| socket(index, PORTS[index] + 1)),
            relay: [0, 1]
                .map(|index| UdpSocket::bind(at(addresses.relay[index], RELAY_PORTS[index])).unwrap()),
        }
    }

    fn relayed(&self) -> RelayedLink {
        let address = |socket: &UdpSocket| socket.local_addr().unwrap();
        let side = |index: usize| RelaySide {
            source: address(&self.sides[index]),
            local: address(&self.relay[index]),
        };
        RelayedLink { sides: [side(0), side(1)] }
    }

    /// Asks the relay from both sides, which makes two connections of the relay.
    fn ask_and_answer(&self) {
        for (side, relay) in self.sides.iter().zip(&self.relay) {
            passes(SHORT, side, relay, (relay, side));
            passes(SHORT, relay, side, (side, relay));
        }
    }

    /// Sends packets from the relay to both sides, which makes two connections that the relay has begun.
    fn answer_late(&self) {
        for (side, relay) in self.sides.iter().zip(&self.relay) {
            passes(SHORT, relay, side, (side, relay));
        }
    }

    fn are_relayed(&self) {
        let [one, other] = &self.sides;
        for _ in 0..3 {
            passes(LONG, one, &self.relay[0], (other, &self.relay[1]));
            passes(LONG, other, &self.relay[1], (one, &self.relay[0]));
        }
        for (stranger, relay) in self.strangers.iter().zip(&self.relay) {
            // The relay may take it for a site whose address has changed.
            passes(SHORT, stranger, relay, (relay, stranger));
            passes(SHORT, relay, stranger, (stranger, relay));
        }
        // Without the relay's address, there is no way between the two sides.
        one.send_to(SHORT, other.local_addr().unwrap()).unwrap();
        for side in &self.sides {
            side.set_read_timeout(Some(NEVER)).unwrap();
            side.recv_from(&mut [0; 2000]).expect_err("nothing else is relayed");
        }
    }
}

/// Sends a packet, and checks that it arrives at the receiver with this source.
fn passes(packet: &[u8], from: &UdpSocket, to: &UdpSocket, (receiver, source): (&UdpSocket, &UdpSocket)) {
    from.send_to(packet, to.local_addr().unwrap()).unwrap();
    receiver.set_read_timeout(Some(SOON)).unwrap();
    let mut buffer = [0; 2000];
    let (length, seen) = receiver
        .recv_from(&mut buffer)
        .unwrap_or_else(|error| panic!("{from:?} to {to:?}, received by {receiver:?}: {error}"));
    assert_eq!((&buffer[..length], seen), (packet, source.local_addr().unwrap()));
}

/// Forgets the connections of both sides, and returns their number.
fn forget(link: &RelayedLink) -> usize {
    let by_path = link.sides.map(|side| (side.source, side.local.port())).into();
    let filter = ConnectionFilter { by_path, ..ConnectionFilter::default() };
    Linux::open().unwrap().forget_connections(&filter).unwrap()
}

fn run(command: &str) {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
