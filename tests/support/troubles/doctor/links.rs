//! Faults of links, of the ways between sites, and of programs.

use super::super::{At, Trouble};
use super::FAULT;

/// Faults of links and of programs, each of which takes a world of its own.
pub(crate) const OF_LINKS: &[Trouble] = &[
    NEVER_UP,
    NO_EXIT,
    SILENT_PEER,
    UNRESOLVED,
    UNKNOWN_KEY,
    KEY_OF_THIS_SITE,
    STRANGERS,
    NARROW,
    MOVED,
    SECOND_NAT,
    EDITED_THERE,
    DNSMASQ,
    OLD_DNSMASQ,
    DHCP_PORT,
    DNS_PORT,
    PORT,
    NO_CARD,
    BUILT_IN,
    BRIDGED,
];

pub(crate) const BRIDGED: Trouble = Trouble {
    fault: "Docker filters packets between devices on a portal's bridge",
    words: "! bridges: Devices on br-guest may not reach each other: others filter packets between them.
    Bridged packets pass the rules for routed ones (net.bridge.bridge-nf-call-iptables is 1, which Docker \
            sets).
  → iptables -I DOCKER-USER -i br-guest -o br-guest -j ACCEPT
    Or without Docker: sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0
",
    breaks: "nft add table inet foreign 2>/dev/null && nft add chain inet foreign all \
             '{ type filter hook forward priority 0; policy drop; }' || iptables-legacy -P FORWARD DROP",
    mends: "sysctl -q -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
    ..FAULT
};

pub(crate) const BUILT_IN: Trouble = Trouble {
    fault: "The kernel's WireGuard is not used",
    words: "! WireGuard: The built-in WireGuard is at work, not the kernel's.
    It is slower, and its tunnels exist only while the agent runs.
  → Unset PORTALS_WIREGUARD, which demands it.
",
    ..FAULT
};

pub(crate) const NEVER_UP: Trouble = Trouble {
    fault: "The other site cannot be reached",
    words:
        "✗ links: The link to paris is down: 203.0.113.9:51820 does not answer; there was never a handshake.
    This machine dials, and nothing comes back.
  → At paris: portals doctor (does its agent run? is it the same file?)
    UDP 51820 must reach it: forward that port in the router in front of paris, and let it through firewalls \
            there.
    Both sites must name each other's present key.
",
    ..FAULT
};

pub(crate) const NO_EXIT: Trouble = Trouble {
    fault: "The only exit of a portal is down",
    words: "✗ portals: Portal way is closed: no exit of its list is up (paris).
    Nothing that enters a portal leaves by this machine's own uplink instead.
  → See `links` above. A second exit in the list takes over: exit = [\"…\", \"…\"]
",
    ..FAULT
};

pub(crate) const SILENT_PEER: Trouble = Trouble {
    fault: "A site without an endpoint does not dial",
    words: "✗ links: The link to paris is down: it has no `endpoint`, and it does not dial this machine.
    A site without an `endpoint` has to dial the others.
  → At paris: portals doctor. Or give paris an `endpoint` here.
",
    ..FAULT
};

pub(crate) const UNRESOLVED: Trouble = Trouble {
    fault: "The name of a site that does not dial has no address",
    words: "✗ links: The link to paris is down: the name of its `endpoint` is not resolved.
    This machine cannot dial it, and it does not dial this machine.
  → See `endpoint` above.
",
    ..FAULT
};

pub(crate) const UNKNOWN_KEY: Trouble = Trouble {
    fault: "Another site has a key that this file does not have",
    words: "✗ unknown keys: 203.0.113.9 knocks with a key that is not in the file: ⟨key⟩.
    This machine does not answer unknown keys. It may be a site with a new or a wrong key.
  → If you know the site, write this key into its [site.…], at all sites: portals push --config \
            /run/demo/network.toml
",
    ..FAULT
};

pub(crate) const KEY_OF_THIS_SITE: Trouble = Trouble {
    fault: "Another site has an old key of this site",
    words: "✗ unknown keys: 203.0.113.9 knocks, and means another key than this site's.
    The other site has an old or a wrong `public_key` of this site.
  → Write this site's present key into the file at all sites: portals push --config /run/demo/network.toml
",
    ..FAULT
};

pub(crate) const STRANGERS: Trouble = Trouble {
    fault: "Strangers knock while a link is down",
    words: "! unknown keys: Handshakes with unknown keys come from ⟨number⟩ (⟨addresses⟩).
    This machine does not answer them. Probably they come from a scanner or a removed phone.
  → Nothing. If one of them is a site of yours, run there: portals doctor
",
    ..FAULT
};

pub(crate) const NARROW: Trouble = Trouble {
    fault: "A path swallows large packets",
    words: "✗ path: Packets of 1280 bytes vanish on the way to paris; those of ⟨number⟩ bytes pass.
    Small requests work, and large transfers hang.
  → Write `mtu = ⟨number⟩` or `mtu = \"auto\"` under [network], at all sites.
! path: Outside the tunnel, packets of 1340 bytes to 203.0.113.9 vanish as well.
    A provider on the way drops them, and sends no ICMP error.
",
    at: At::Internet,
    ..FAULT
};

pub(crate) const MOVED: Trouble = Trouble {
    fault: "The address of this site has changed",
    words: "✗ endpoint: paris sees this machine as 198.51.100.2, but its `endpoint` is 198.51.100.77.
    Other sites dial an address that is no longer, or not only, this machine's.
  → Write `endpoint = \"198.51.100.2\"`, or better a name that follows the address.
",
    ..FAULT
};

pub(crate) const SECOND_NAT: Trouble = Trouble {
    fault: "The home router is behind a second NAT",
    words: "! port mapping: UDP port ⟨number⟩: refused by the router (⟨error⟩: it has no public address \
            itself).
    A port that is forwarded in your router alone does not reach it from the internet.
  → If both routers are yours, forward the port in both, or let one of them be a bridge (a modem). If the \
            other NAT is your provider's, ask for a public address.
",
    ..FAULT
};

pub(crate) const EDITED_THERE: Trouble = Trouble {
    fault: "The file of another site was edited there",
    words: "✗ same file: paris has a file that was edited and not signed.
    Sites with different files may disagree about keys, ports and networks.
  → Run at that site: portals push
",
    ..FAULT
};

pub(crate) const DNSMASQ: Trouble = Trouble {
    fault: "dnsmasq is not installed",
    words: "✗ programs: dnsmasq-way does not run: the program dnsmasq is missing
  → Install ⟨package⟩
",
    ..FAULT
};

pub(crate) const OLD_DNSMASQ: Trouble = Trouble {
    fault: "dnsmasq is too old",
    words: "✗ programs: dnsmasq is version 2.62: too old, portals needs 2.63.
    It does not start with settings that it does not know.
  → If there is a newer one: install ⟨package⟩
",
    ..FAULT
};

pub(crate) const DHCP_PORT: Trouble = Trouble {
    fault: "Another DHCP server runs on this machine",
    words: "! ports: UDP 67, for DHCP, is used by dnsmasq (process ⟨number⟩).
    Devices of a portal get no address if that program takes the port on all interfaces.
  → If it is a dnsmasq of your own, write `bind-dynamic` into its configuration, and restart it.
",
    ..FAULT
};

pub(crate) const DNS_PORT: Trouble = Trouble {
    fault: "Another program has the port of a portal's DNS",
    words: "! ports: UDP 5053, to which DNS questions of portals are led, is used by dnsmasq (process \
            ⟨number⟩).
    Devices of a portal get no names if that program takes the port on all interfaces.
  → Give that program another port.
",
    ..FAULT
};

pub(crate) const PORT: Trouble = Trouble {
    fault: "Another program has the port of a tunnel",
    words: "✗ ports: UDP 51822, the port of to-paris, belongs to ⟨program⟩ (process ⟨number⟩).
    The tunnel cannot start without its port.
  → End that program, or write another `port` into this site, at all sites.
",
    ..FAULT
};

pub(crate) const NO_CARD: Trouble = Trouble {
    fault: "A Wi-Fi portal names an interface that is no Wi-Fi card",
    words: "✗ Wi-Fi: portal `way`: portal0 is not a Wi-Fi card; its Wi-Fi stays off. `iw dev` lists the \
            cards of this host
",
    ..FAULT
};
