//! Rules that translate networks.

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
