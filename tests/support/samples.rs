//! Rules and sets of every kind, with their listing by `nft`.

use std::net::IpAddr;

use wg_portals::base::net::{Cidr, Family, IfName, Mac, Mark};
use wg_portals::base::sorted::{SortedMap, SortedSet};
use wg_portals::firewall::{
    Action, Condition, Devices, FirewallRule, Interfaces, MarksAtInterfaces, Networks, NetworksAtInterfaces,
    Pairing, Set, SetName,
};

const MARK: Mark = Mark { value: 0x8100_0000, mask: 0x8f00_0000 };
const DEVICE: Mac = Mac([0xaa, 0xbb, 0xcc, 0, 0xe, 0xf]);

/// An interface of this name.
pub(crate) fn interface(name: &str) -> IfName {
    name.parse().unwrap()
}

/// Rules with one condition or one action each, of every kind, with their listings by `nft`.
pub(crate) fn one_rule_of_each_sort() -> Vec<(FirewallRule, &'static str)> {
    let one = |name: &str| Interfaces::One(interface(name));
    let many = || Interfaces::In(SetName("inside".into()));
    let network = |text: &str| Networks::One(text.parse().unwrap());
    let set4 = || Networks::In(Family::V4, SetName("lans".into()));
    let set6 = || Networks::In(Family::V6, SetName("lans6".into()));
    let family = Family::V4;
    let places = |length| NetworksAtInterfaces { family, set: SetName("places".into()), length };
    let family = Family::V6;
    let places6 = |length| NetworksAtInterfaces { family, set: SetName("places6".into()), length };
    let ways = || MarksAtInterfaces { set: SetName("ways".into()), mask: 0xef00_0000 };
    let accept =
        |condition, text| (FirewallRule { conditions: vec![condition], action: Action::Accept }, text);
    let act = |action, text| (FirewallRule { conditions: vec![], action }, text);
    vec![
        accept(Condition::Family(Family::V4), "meta nfproto ipv4 accept"),
        accept(Condition::Family(Family::V6), "meta nfproto ipv6 accept"),
        accept(Condition::Incoming(one("eth1")), "iifname \"eth1\" accept"),
        accept(Condition::Incoming(many()), "iifname @inside accept"),
        accept(Condition::Outgoing(one("eth1")), "oifname \"eth1\" accept"),
        accept(Condition::Outgoing(many()), "oifname @inside accept"),
        accept(Condition::NotOutgoing(one("eth1")), "oifname != \"eth1\" accept"),
        accept(Condition::NotOutgoing(many()), "oifname != @inside accept"),
        accept(Condition::InterfacePair(SetName("paths".into())), "iifname . oifname @paths accept"),
        accept(Condition::NotIncoming(one("eth1")), "iifname != \"eth1\" accept"),
        accept(Condition::NotIncoming(many()), "iifname != @inside accept"),
        accept(
            Condition::Place(Pairing::STRAY, places(26)),
            "iifname . ip saddr & 255.255.255.192 != @places accept",
        ),
        accept(
            Condition::Place(Pairing::STRAY, places(24)),
            "iifname . ip saddr & 255.255.255.0 != @places accept",
        ),
        accept(Condition::Place(Pairing::STRANGE, places(32)), "iifname . ip daddr != @places accept"),
        accept(Condition::Place(Pairing::FAMILIAR, places(32)), "iifname . ip daddr @places accept"),
        accept(
            Condition::Place(Pairing::STRAY, places6(64)),
            "iifname . ip6 saddr & ffff:ffff:ffff:ffff:: != @places6 accept",
        ),
        accept(Condition::Place(Pairing::STRANGE, places6(128)), "iifname . ip6 daddr != @places6 accept"),
        accept(Condition::Way(Pairing::STRAY, ways()), "iifname . ct mark & 0xef000000 != @ways accept"),
        accept(Condition::Way(Pairing::COMING, ways()), "iifname . ct mark & 0xef000000 @ways accept"),
        accept(
            Condition::Place(Pairing::COMING, places(26)),
            "iifname . ip saddr & 255.255.255.192 @places accept",
        ),
        accept(Condition::Place(Pairing::LEAVING, places(32)), "oifname . ip saddr @places accept"),
        accept(
            Condition::Place(Pairing::LEAVING, places(24)),
            "oifname . ip saddr & 255.255.255.0 @places accept",
        ),
        accept(Condition::Place(Pairing::LEAVING, places6(128)), "oifname . ip6 saddr @places6 accept"),
        accept(
            Condition::Source(Networks::In(Family::V4, SetName("hosts".into()))),
            "ip saddr @hosts accept",
        ),
        accept(Condition::Way(Pairing::LEAVING, ways()), "oifname . ct mark & 0xef000000 @ways accept"),
        accept(Condition::Source(network("10.0.0.0/8")), "ip saddr 10.0.0.0/8 accept"),
        accept(Condition::Source(network("10.77.1.64/26")), "ip saddr 10.77.1.64/26 accept"),
        accept(Condition::Source(network("10.77.1.1/32")), "ip saddr 10.77.1.1 accept"),
        accept(Condition::Source(network("0.0.0.0/0")), "ip saddr 0.0.0.0/0 accept"),
        accept(Condition::Source(set4()), "ip saddr @lans accept"),
        accept(Condition::Source(network("fd77::/48")), "ip6 saddr fd77::/48 accept"),
        accept(Condition::Source(network("fd77::1/128")), "ip6 saddr fd77::1 accept"),
        accept(Condition::Source(set6()), "ip6 saddr @lans6 accept"),
        accept(Condition::NotSource(network("10.77.0.0/16")), "ip saddr != 10.77.0.0/16 accept"),
        accept(Condition::NotSource(set6()), "ip6 saddr != @lans6 accept"),
        accept(Condition::Destination(network("10.77.0.0/17")), "ip daddr 10.77.0.0/17 accept"),
        accept(Condition::Destination(network("fd77::/57")), "ip6 daddr fd77::/57 accept"),
        accept(Condition::Destination(set4()), "ip daddr @lans accept"),
        accept(Condition::NotDestination(network("fd77::/48")), "ip6 daddr != fd77::/48 accept"),
        accept(Condition::NotDestination(set4()), "ip daddr != @lans accept"),
        accept(Condition::Established, "ct state established,related accept"),
        accept(Condition::Redirected, "ct status dnat accept"),
        accept(Condition::FromOriginator, "ct direction original accept"),
        accept(Condition::FromResponder, "ct direction reply accept"),
        accept(Condition::ConnectionNotMarked(MARK), "ct mark & 0x8f000000 != 0x81000000 accept"),
        accept(
            Condition::NotMarked(Mark { value: 0x4d00, mask: 0xff00 }),
            "meta mark & 0x0000ff00 != 0x00004d00 accept",
        ),
        accept(Condition::Marked(MARK), "meta mark & 0x8f000000 == 0x81000000 accept"),
        accept(Condition::ConnectionMarked(MARK), "ct mark & 0x8f000000 == 0x81000000 accept"),
        accept(Condition::Device(Devices::One(DEVICE)), "ether saddr aa:bb:cc:00:0e:0f accept"),
        accept(Condition::Device(Devices::In(SetName("devices".into()))), "ether saddr @devices accept"),
        accept(Condition::Icmp(Family::V4), "meta l4proto icmp accept"),
        accept(Condition::Icmp(Family::V6), "meta l4proto ipv6-icmp accept"),
        accept(Condition::UdpPort(67, 68), "udp dport 67-68 accept"),
        accept(Condition::UdpPort(53, 53), "udp dport 53 accept"),
        accept(Condition::UdpBetween(40001, 52079), "udp sport 40001 udp dport 52079 accept"),
        accept(Condition::TcpPort(443, 443), "tcp dport 443 accept"),
        accept(Condition::TcpPort(8000, 8080), "tcp dport 8000-8080 accept"),
        accept(Condition::TcpSyn, "tcp flags syn / syn,rst accept"),
        act(Action::Accept, "accept"),
        act(Action::Drop, "drop"),
        act(Action::Reject, "reject with icmpx admin-prohibited"),
        act(Action::SetMark(MARK), "meta mark set meta mark & 0xf1ffffff | 0x81000000"),
        act(Action::SetConnectionMark(MARK), "ct mark set ct mark & 0xf1ffffff | 0x81000000"),
        act(Action::ClampMss(1240), "tcp option maxseg size set 1240"),
    ]
}

/// Sets that those rules use.
pub(crate) fn sets() -> SortedMap<SetName, Set> {
    let networks =
        |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<SortedSet<Cidr>>();
    let places = |first: &str| {
        let first: IpAddr = first.parse().unwrap();
        Set::NetworksAtInterfaces(Family::of(first), [(interface("eth1"), first)].into())
    };
    let lans = networks(&["10.0.0.0/8", "11.0.0.0/8", "192.168.1.50/32", "255.0.0.0/8"]);
    let lans6 = networks(&["fd77::/48", "ff00::/8"]);
    [
        ("inside", Set::Interfaces([interface("eth1"), interface("to-paris")].into())),
        ("devices", Set::Devices([DEVICE].into())),
        ("paths", Set::InterfacePairs([(interface("eth1"), interface("to-paris"))].into())),
        ("places", places("10.77.1.64")),
        ("places6", places("fd77:1:2:101::")),
        ("ways", Set::MarksAtInterfaces([(interface("to-paris"), 0x2300_0000)].into())),
        ("hosts", Set::Networks(Family::V4, false, networks(&["0.0.0.0/32", "192.168.1.50/32"]))),
        ("lans", Set::Networks(Family::V4, true, lans)),
        ("lans6", Set::Networks(Family::V6, true, lans6)),
    ]
    .map(|(name, set)| (SetName(name.into()), set))
    .into()
}
