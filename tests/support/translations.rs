//! Rules that translate networks, and both ends of relayed packets.

use std::net::SocketAddr;

use wg_portals::base::net::Cidr;
use wg_portals::firewall::{Action, Chain, Condition, Firewall, FirewallRule, Networks};

/// A firewall that translates networks of both families and of several lengths, and its listing by `nft`.
pub(crate) fn of_networks() -> (Firewall, &'static str) {
    let network = |text: &str| text.parse::<Cidr>().unwrap();
    let rule = |condition: fn(Networks) -> Condition, of: &str, action: fn(Cidr) -> Action, to: &str| {
        let conditions = vec![condition(Networks::One(network(of)))];
        FirewallRule { conditions, action: action(network(to)) }
    };
    let to = |seen_as, here| rule(Condition::Destination, seen_as, Action::DestinationPrefix, here);
    let from = |here, seen_as| rule(Condition::Source, here, Action::SourcePrefix, seen_as);
    let prerouting = vec![
        to("10.78.1.0/24", "192.168.1.0/24"),
        to("10.78.4.128/27", "10.9.8.32/27"),
        to("fd78::/48", "fd01:2:3::/48"),
    ];
    let postrouting = vec![
        from("192.168.1.0/24", "10.78.1.0/24"),
        from("172.16.0.0/12", "10.80.0.0/12"),
        from("fd01:2::/61", "fd78:2::/61"),
    ];
    let chains = [(Chain::Prerouting, prerouting), (Chain::Postrouting, postrouting)].into();
    (Firewall { chains, ..Firewall::default() }, LISTING)
}

const LISTING: &str = "table inet portals {
\tchain prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tip daddr 10.78.1.0/24 dnat ip prefix to 192.168.1.0/24
\t\tip daddr 10.78.4.128/27 dnat ip prefix to 10.9.8.32/27
\t\tip6 daddr fd78::/48 dnat ip6 prefix to fd01:2:3::/48
\t}

\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 192.168.1.0/24 snat ip prefix to 10.78.1.0/24
\t\tip saddr 172.16.0.0/12 snat ip prefix to 10.80.0.0/12
\t\tip6 saddr fd01:2::/61 snat ip6 prefix to fd78:2::/61
\t}
}
";

/// A firewall that relays packets of both families, and its listing by `nft`.
pub(crate) fn of_relayed_packets() -> (Firewall, &'static str) {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let between = |from: &str, to: &str| {
        let (from, to) = (address(from), address(to));
        vec![
            Condition::Source(Networks::One(Cidr::host(from.ip()))),
            Condition::UdpBetween(from.port(), to.port()),
            Condition::Destination(Networks::One(Cidr::host(to.ip()))),
        ]
    };
    let to = |from: &str, here: &str, far: &str| FirewallRule {
        conditions: between(from, here),
        action: Action::DestinationNatTo(address(far)),
    };
    let from = |from: &str, far: &str, here: &str| FirewallRule {
        conditions: [vec![Condition::Redirected], between(from, far)].concat(),
        action: Action::SourceNatTo(address(here)),
    };
    let relayed_to = vec![
        to("198.51.100.1:1", "203.0.113.9:52079", "198.51.100.2:65535"),
        to("[2001:db8::1]:51822", "[2001:db8:3::9]:443", "[2001:db8::2]:51821"),
    ];
    let relayed_from = vec![
        from("198.51.100.1:1", "198.51.100.2:65535", "203.0.113.9:52079"),
        from("[2001:db8::1]:51822", "[2001:db8::2]:51821", "[2001:db8:3::9]:443"),
    ];
    let chains = [(Chain::RelayedTo, relayed_to), (Chain::RelayedFrom, relayed_from)].into();
    (Firewall { chains, ..Firewall::default() }, RELAYED)
}

const RELAYED: &str = "table inet portals {
\tchain relayed-to {
\t\ttype nat hook prerouting priority dstnat - 10; policy accept;
\t\tip saddr 198.51.100.1 udp sport 1 udp dport 52079 ip daddr 203.0.113.9 dnat ip to 198.51.100.2:65535
\t\tip6 saddr 2001:db8::1 udp sport 51822 udp dport 443 ip6 daddr 2001:db8:3::9 dnat ip6 to \
     [2001:db8::2]:51821
\t}

\tchain relayed-from {
\t\ttype nat hook postrouting priority srcnat - 10; policy accept;
\t\tct status dnat ip saddr 198.51.100.1 udp sport 1 udp dport 65535 ip daddr 198.51.100.2 snat ip to \
     203.0.113.9:52079
\t\tct status dnat ip6 saddr 2001:db8::1 udp sport 51822 udp dport 51821 ip6 daddr 2001:db8::2 snat ip6 to \
     [2001:db8:3::9]:443
\t}
}
";
