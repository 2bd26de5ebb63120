//! Firewall as a person would write it for the `nft` program.

use std::fmt::{self, Display, Formatter, Write as _};
use std::net::{IpAddr, SocketAddr};

use crate::base::net::{Cidr, Family, IfName, Mark, netmask};
use crate::base::sorted::SortedSet;
use crate::firewall::edit::{FirewallEdit, edits};
use crate::firewall::{
    Action, Chain, Condition, Devices, FLOWTABLE, Firewall, FirewallRule, ForeignChain, Interfaces,
    MarksAtInterfaces, Networks, NetworksAtInterfaces, PINHOLE_COMMENT, PORTS_PRIORITY, Pairing, Set, TABLE,
};

/// Returns the script for `nft -f -` that leads from one firewall to another in one transaction; `None` means
/// no table. The script for equal firewalls is empty.
pub fn to_text(from: Option<&Firewall>, to: Option<&Firewall>) -> String {
    let in_place = from.is_some_and(|from| !from.is_empty());
    let edits = edits(from, to);
    let whole = to.filter(|_| !in_place && !edits.is_empty());
    let mut text = String::new();
    for edit in &edits {
        let is_written = match whole {
            Some(_) => *edit == FirewallEdit::DeleteTable,
            None => *edit != FirewallEdit::AddTable,
        };
        if is_written {
            let _ = writeln!(text, "{}", NftText(edit));
        }
    }
    if let Some(whole) = whole {
        let _ = write!(text, "{}", NftText(whole));
    }
    text
}

/// Returns the script for `nft -f -` that closes these ports and no others; `None` means no table for closed
/// ports. `is` tells whether that table exists now.
pub fn ports(is: bool, to: Option<&SortedSet<IfName>>) -> String {
    let mut text = if is { format!("delete table netdev {TABLE}\n") } else { String::new() };
    let Some(ports) = to else { return text };
    let _ = writeln!(text, "table netdev {TABLE} {{");
    for (number, port) in ports.iter().enumerate() {
        let (number, port) = (number + 1, NftText(port));
        let hook = format!("type filter hook ingress device {port} priority {PORTS_PRIORITY}; policy drop;");
        let _ = writeln!(text, "\tchain port-{number} {{ {hook} }}");
    }
    text + "}\n"
}

/// Returns the script for `nft -f -` that puts these rules at the top of another program's chain.
pub fn pinholes(chain: &ForeignChain, rules: &[Option<FirewallRule>]) -> String {
    // `insert` puts a rule in front of all others, so the last rule comes first.
    let insert = |rule| format!("insert rule {chain} {} comment \"{PINHOLE_COMMENT}\"\n", NftText(rule));
    rules.iter().rev().flatten().map(insert).collect()
}

/// Returns a rule in nft's language.
pub fn rule(rule: &FirewallRule) -> String {
    NftText(rule).to_string()
}

/// Writer of its content in nft's language.
struct NftText<'a, T>(&'a T);

impl Display for NftText<'_, Firewall> {
    /// Writes the whole table as a block.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "table inet {TABLE} {{")?;
        for (name, set) in &self.0.sets {
            writeln!(f, "\tset {name} {{")?;
            writeln!(f, "\t\t{}\n\t\telements = {{ {} }}", set_type(set), NftText(set))?;
            writeln!(f, "\t}}")?;
        }
        if let Some(devices) = &self.0.flows {
            writeln!(f, "\tflowtable {FLOWTABLE} {{\n\t\t{}\n\t}}", Flows(devices))?;
        }
        for (chain, rules) in &self.0.chains {
            writeln!(f, "\tchain {} {{\n\t\t{}", chain.name(), NftText(chain))?;
            rules.iter().try_for_each(|rule| writeln!(f, "\t\t{}", NftText(rule)))?;
            writeln!(f, "\t}}")?;
        }
        writeln!(f, "}}")
    }
}

impl Display for NftText<'_, FirewallEdit<'_>> {
    /// Writes one command.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            FirewallEdit::AddTable => write!(f, "add table inet {TABLE}"),
            FirewallEdit::DeleteTable => write!(f, "delete table inet {TABLE}"),
            FirewallEdit::FlushChain(chain) => write!(f, "flush chain inet {TABLE} {}", chain.name()),
            FirewallEdit::DeleteChain(chain) => write!(f, "delete chain inet {TABLE} {}", chain.name()),
            FirewallEdit::DeleteSet(name) => write!(f, "delete set inet {TABLE} {name}"),
            FirewallEdit::DeleteFlowtable => write!(f, "delete flowtable inet {TABLE} {FLOWTABLE}"),
            FirewallEdit::AddFlowtable(devices) => {
                write!(f, "add flowtable inet {TABLE} {FLOWTABLE} {{ {} }}", Flows(devices))
            }
            FirewallEdit::AddSet(name, set) => {
                let (kind, elements) = (set_type(set), NftText(*set));
                write!(f, "add set inet {TABLE} {name} {{ {kind}; elements = {{ {elements} }}; }}")
            }
            FirewallEdit::DeleteElements(name, set) => {
                write!(f, "delete element inet {TABLE} {name} {{ {} }}", NftText(set))
            }
            FirewallEdit::AddElements(name, set) => {
                write!(f, "add element inet {TABLE} {name} {{ {} }}", NftText(set))
            }
            FirewallEdit::AddChain(chain) => {
                write!(f, "add chain inet {TABLE} {} {{ {} }}", chain.name(), NftText(chain))
            }
            FirewallEdit::AddRule(chain, _, rule) => {
                write!(f, "add rule inet {TABLE} {} {}", chain.name(), NftText(*rule))
            }
        }
    }
}

/// Writer of a flowtable with these devices.
struct Flows<'a>(&'a SortedSet<IfName>);

impl Display for Flows<'_> {
    /// Writes the hook and the devices.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("hook ingress priority 0;")?;
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str(" devices = { ")?;
        separated(f, ", ", self.0.iter().map(NftText))?;
        f.write_str(" };")
    }
}

impl Display for NftText<'_, Chain> {
    /// Writes the hook and the policy of the chain.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hook = self.0.hook();
        write!(f, "type {} hook {} priority {}; policy accept;", hook.kind, hook.hook, hook.priority)
    }
}

fn set_type(set: &Set) -> &'static str {
    match set {
        Set::Interfaces(_) => "type ifname",
        Set::Devices(_) => "type ether_addr",
        Set::InterfacePairs(_) => "type ifname . ifname",
        Set::NetworksAtInterfaces(Family::V4, _) => "type ifname . ipv4_addr",
        Set::NetworksAtInterfaces(Family::V6, _) => "type ifname . ipv6_addr",
        Set::MarksAtInterfaces(_) => "type ifname . mark",
        Set::Networks(Family::V4, false, _) => "type ipv4_addr",
        Set::Networks(Family::V6, false, _) => "type ipv6_addr",
        Set::Networks(Family::V4, true, _) => "type ipv4_addr; flags interval",
        Set::Networks(Family::V6, true, _) => "type ipv6_addr; flags interval",
    }
}

impl Display for NftText<'_, Set> {
    /// Writes the elements, separated by commas.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Set::Interfaces(names) => separated(f, ", ", names.iter().map(NftText)),
            Set::Devices(devices) => separated(f, ", ", devices.iter()),
            Set::InterfacePairs(paths) => separated(f, ", ", paths.iter().map(NftText)),
            Set::NetworksAtInterfaces(_, places) => separated(f, ", ", places.iter().map(NftText)),
            Set::MarksAtInterfaces(pairs) => separated(f, ", ", pairs.iter().map(NftText)),
            Set::Networks(.., networks) => separated(f, ", ", networks.iter().map(NftText)),
        }
    }
}

impl Display for NftText<'_, FirewallRule> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for condition in &self.0.conditions {
            write!(f, "{} ", NftText(condition))?;
        }
        NftText(&self.0.action).fmt(f)
    }
}

impl Display for NftText<'_, Condition> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Condition::Family(Family::V4) => f.write_str("meta nfproto ipv4"),
            Condition::Family(Family::V6) => f.write_str("meta nfproto ipv6"),
            Condition::Incoming(interfaces) => write_interfaces(f, "iifname ", interfaces),
            Condition::NotIncoming(interfaces) => write_interfaces(f, "iifname != ", interfaces),
            Condition::Place(pairing, places) => write_place(f, *pairing, places),
            Condition::Way(pairing, MarksAtInterfaces { set, mask }) => {
                let [interface, _, negation] = pair_words(*pairing);
                write!(f, "{interface} . ct mark & {mask:#x} {negation}@{set}")
            }
            Condition::Outgoing(interfaces) => write_interfaces(f, "oifname ", interfaces),
            Condition::NotOutgoing(interfaces) => write_interfaces(f, "oifname != ", interfaces),
            Condition::InterfacePair(set) => write!(f, "iifname . oifname @{set}"),
            Condition::Source(networks) => write_networks(f, "saddr", networks),
            Condition::NotSource(networks) => write_networks(f, "saddr !=", networks),
            Condition::Destination(networks) => write_networks(f, "daddr", networks),
            Condition::NotDestination(networks) => write_networks(f, "daddr !=", networks),
            Condition::Established => f.write_str("ct state established,related"),
            Condition::Redirected => f.write_str("ct status dnat"),
            Condition::FromOriginator => f.write_str("ct direction original"),
            Condition::FromResponder => f.write_str("ct direction reply"),
            Condition::Device(Devices::One(mac)) => write!(f, "ether saddr {mac}"),
            Condition::Device(Devices::In(set)) => write!(f, "ether saddr @{set}"),
            Condition::Marked(mark) => write_mark(f, "meta", "==", *mark),
            Condition::NotMarked(mark) => write_mark(f, "meta", "!=", *mark),
            Condition::ConnectionMarked(mark) => write_mark(f, "ct", "==", *mark),
            Condition::ConnectionNotMarked(mark) => write_mark(f, "ct", "!=", *mark),
            Condition::Icmp(Family::V4) => f.write_str("meta l4proto icmp"),
            Condition::Icmp(Family::V6) => f.write_str("meta l4proto icmpv6"),
            Condition::UdpPort(first, last) => write_ports(f, "udp", *first, *last),
            Condition::UdpBetween(from, to) => write!(f, "udp sport {from} udp dport {to}"),
            Condition::TcpPort(first, last) => write_ports(f, "tcp", *first, *last),
            Condition::TcpSyn => f.write_str("tcp flags & (syn | rst) == syn"),
        }
    }
}

fn write_interfaces(f: &mut Formatter<'_>, words: &str, interfaces: &Interfaces) -> fmt::Result {
    f.write_str(words)?;
    NftText(interfaces).fmt(f)
}

fn write_networks(f: &mut Formatter<'_>, words: &str, networks: &Networks) -> fmt::Result {
    write!(f, "{} {words} {}", protocol(networks.family()), NftText(networks))
}

/// Writes the mask behind the address. A single address needs no mask.
fn write_place(f: &mut Formatter<'_>, pairing: Pairing, places: &NetworksAtInterfaces) -> fmt::Result {
    let NetworksAtInterfaces { family, set, length } = places;
    let [interface, address, negation] = pair_words(pairing);
    write!(f, "{interface} . {} {address}", protocol(*family))?;
    if *length < family.bits() {
        write!(f, " & {}", netmask(*family, *length))?;
    }
    write!(f, " {negation}@{set}")
}

/// Returns the words for an interface, an address and a negation.
fn pair_words(Pairing { outgoing, destination, negated }: Pairing) -> [&'static str; 3] {
    [
        if outgoing { "oifname" } else { "iifname" },
        if destination { "daddr" } else { "saddr" },
        if negated { "!= " } else { "" },
    ]
}

fn write_mark(f: &mut Formatter<'_>, of: &str, comparison: &str, mark: Mark) -> fmt::Result {
    write!(f, "{of} mark & {:#x} {comparison} {:#x}", mark.mask, mark.value)
}

fn write_ports(f: &mut Formatter<'_>, protocol: &str, first: u16, last: u16) -> fmt::Result {
    write!(f, "{protocol} dport {first}")?;
    if first == last { Ok(()) } else { write!(f, "-{last}") }
}

fn protocol(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

impl Display for NftText<'_, Action> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Action::Accept => f.write_str("accept"),
            Action::Drop => f.write_str("drop"),
            Action::Reject => f.write_str("reject with icmpx admin-prohibited"),
            Action::Masquerade => f.write_str("masquerade"),
            Action::SourceNat(address) => write!(f, "snat {} to {address}", protocol(Family::of(*address))),
            Action::SourceNatTo(address) => write_address(f, "snat", *address),
            Action::DestinationNatTo(address) => write_address(f, "dnat", *address),
            Action::SourcePrefix(network) => write_prefix(f, "snat", *network),
            Action::DestinationPrefix(network) => write_prefix(f, "dnat", *network),
            Action::Redirect(port) => write!(f, "redirect to :{port}"),
            Action::DestinationNat(address) => {
                write!(f, "dnat {} to {address}", protocol(Family::of(*address)))
            }
            Action::SetMark(mark) => write_setting(f, "meta mark", *mark),
            Action::SetConnectionMark(mark) => write_setting(f, "ct mark", *mark),
            Action::Offload => write!(f, "flow add @{FLOWTABLE}"),
            Action::ClampMss(bytes) => write!(f, "tcp option maxseg size set {bytes}"),
        }
    }
}

fn write_address(f: &mut Formatter<'_>, verb: &str, address: SocketAddr) -> fmt::Result {
    write!(f, "{verb} {} to {address}", protocol(Family::of(address.ip())))
}

fn write_prefix(f: &mut Formatter<'_>, verb: &str, network: Cidr) -> fmt::Result {
    write!(f, "{verb} {} prefix to {network}", protocol(network.family()))
}

fn write_setting(f: &mut Formatter<'_>, what: &str, Mark { value, mask }: Mark) -> fmt::Result {
    write!(f, "{what} set {what} & {:#x} | {value:#x}", !mask)
}

impl Display for NftText<'_, Interfaces> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Interfaces::One(name) => NftText(name).fmt(f),
            Interfaces::In(set) => write!(f, "@{set}"),
        }
    }
}

impl Display for NftText<'_, Networks> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Networks::One(network) => NftText(network).fmt(f),
            Networks::In(_, set) => write!(f, "@{set}"),
        }
    }
}

impl Display for NftText<'_, Cidr> {
    /// Writes a network of one address as that address, as nft does.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.length() == self.0.family().bits() { self.0.address().fmt(f) } else { self.0.fmt(f) }
    }
}

impl Display for NftText<'_, IfName> {
    /// Escapes a star at the end, which would otherwise match any ending.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.as_str().strip_suffix('*') {
            Some(beginning) => write!(f, "\"{beginning}\\*\""),
            None => write!(f, "\"{}\"", self.0),
        }
    }
}

impl Display for NftText<'_, (IfName, IpAddr)> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (interface, address) = self.0;
        write!(f, "{} . {address}", NftText(interface))
    }
}

impl Display for NftText<'_, (IfName, u32)> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (interface, mark) = self.0;
        write!(f, "{} . {mark:#x}", NftText(interface))
    }
}

impl Display for NftText<'_, (IfName, IfName)> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (incoming, outgoing) = self.0;
        write!(f, "{} . {}", NftText(incoming), NftText(outgoing))
    }
}

fn separated<T: Display>(
    f: &mut Formatter<'_>,
    separator: &str,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}
