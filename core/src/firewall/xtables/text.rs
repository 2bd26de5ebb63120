//! Rules as `iptables-save` prints them and `iptables-restore` takes them.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use super::{CHAIN_PREFIX, IptablesRule, IptablesRuleset, IptablesTable, IptablesTarget, TableContent};
use crate::base::net::{Cidr, Family, IfName, Mark};
use crate::firewall::{Action, Condition, Devices, Interfaces, Networks};

/// Puts conditions into the order in which every version of `iptables-save` prints them. There are few of them
/// in a line; a sort of the standard library is larger.
pub(super) fn put_in_order(conditions: &mut [Condition]) {
    for end in 1..conditions.len() {
        let mut at = end;
        while at > 0 && rank(&conditions[at - 1]) > rank(&conditions[at]) {
            conditions.swap(at - 1, at);
            at -= 1;
        }
    }
}

fn rank(condition: &Condition) -> u8 {
    match condition {
        Condition::Source(_) | Condition::NotSource(_) => 0,
        Condition::Destination(_) | Condition::NotDestination(_) => 1,
        Condition::Incoming(_) | Condition::NotIncoming(_) => 2,
        Condition::Outgoing(_) | Condition::NotOutgoing(_) => 3,
        Condition::Icmp(_)
        | Condition::UdpPort(..)
        | Condition::UdpBetween(..)
        | Condition::TcpPort(..)
        | Condition::TcpSyn => 4,
        Condition::Established | Condition::Redirected => 5,
        Condition::FromOriginator | Condition::FromResponder => 6,
        Condition::Device(_) => 7,
        Condition::Marked(_) => 8,
        Condition::NotMarked(_) => 9,
        Condition::ConnectionMarked(_) => 10,
        Condition::ConnectionNotMarked(_) => 11,
        Condition::Family(_)
        | Condition::InterfacePair(_)
        | Condition::NotFrom(_)
        | Condition::NotTo(_)
        | Condition::NotReturning(_)
        | Condition::Departing(_) => 12,
    }
}

/// Returns the script for `iptables-restore --noflush` that leads from one ruleset to another, for one
/// family. Equal rulesets need an empty script. Each table changes in one step, and the host's own chains and
/// rules stay as they are.
pub fn script(from: &IptablesRuleset, to: &IptablesRuleset, family: Family) -> String {
    let nothing = TableContent::default();
    let mut script = String::new();
    for table in IptablesTable::ALL {
        let [from, to] = [from, to].map(|ruleset| ruleset.get(&(family, table)).unwrap_or(&nothing));
        if from != to {
            let _ = writeln!(script, "*{}", table.name());
            edit(from, to, family, &mut script);
            script.push_str("COMMIT\n");
        }
    }
    script
}

fn edit(from: &TableContent, to: &TableContent, family: Family, script: &mut String) {
    let changed: Vec<_> =
        to.chains.iter().filter(|(name, lines)| from.chains.get(*name) != Some(lines)).collect();
    for (name, _) in &changed {
        // This line makes the chain, or empties it.
        let _ = writeln!(script, ":{name} - [0:0]");
    }
    for (name, lines) in changed {
        for line in lines {
            let _ = writeln!(script, "-A {name}{}", text(line, family));
        }
    }
    for (chain, positions) in &from.jumps {
        if to.jumps.get(chain) != Some(positions) {
            for _ in positions {
                let _ = writeln!(script, "-D {chain} -j {CHAIN_PREFIX}{chain}");
            }
        }
    }
    for (chain, positions) in &to.jumps {
        if from.jumps.get(chain) != Some(positions) {
            let _ = writeln!(script, "-I {chain} 1 -j {CHAIN_PREFIX}{chain}");
        }
    }
    // Old chains are emptied first, because they may still jump to each other.
    let old: Vec<&String> = from.chains.keys().filter(|name| !to.chains.contains_key(*name)).collect();
    for verb in ["-F", "-X"] {
        for name in &old {
            let _ = writeln!(script, "{verb} {name}");
        }
    }
}

/// Returns the text of a line after `-A CHAIN`, beginning with a space.
fn text(line: &IptablesRule, family: Family) -> String {
    let mut text = String::new();
    for condition in &line.conditions {
        write_condition(&mut text, condition);
    }
    match &line.target {
        IptablesTarget::Do(action) => write_action(&mut text, *action, family),
        IptablesTarget::Return => text.push_str(" -j RETURN"),
        IptablesTarget::Jump(chain) => drop(write!(text, " -j {chain}")),
        IptablesTarget::Foreign => {}
    }
    text
}

fn write_condition(text: &mut String, condition: &Condition) {
    let _ = match condition {
        Condition::Source(Networks::One(network)) => write!(text, " -s {network}"),
        Condition::NotSource(Networks::One(network)) => write!(text, " ! -s {network}"),
        Condition::Destination(Networks::One(network)) => write!(text, " -d {network}"),
        Condition::NotDestination(Networks::One(network)) => write!(text, " ! -d {network}"),
        Condition::Incoming(Interfaces::One(name)) => write!(text, " -i {name}"),
        Condition::NotIncoming(Interfaces::One(name)) => write!(text, " ! -i {name}"),
        Condition::Outgoing(Interfaces::One(name)) => write!(text, " -o {name}"),
        Condition::NotOutgoing(Interfaces::One(name)) => write!(text, " ! -o {name}"),
        Condition::Icmp(Family::V4) => write!(text, " -p icmp"),
        Condition::Icmp(Family::V6) => write!(text, " -p ipv6-icmp"),
        Condition::UdpPort(first, last) => write_ports(text, "udp", *first, *last),
        Condition::UdpBetween(from, to) => write!(text, " -p udp -m udp --sport {from} --dport {to}"),
        Condition::TcpPort(first, last) => write_ports(text, "tcp", *first, *last),
        Condition::TcpSyn => write!(text, " -p tcp -m tcp --tcp-flags SYN,RST SYN"),
        Condition::Established => write!(text, " -m conntrack --ctstate RELATED,ESTABLISHED"),
        Condition::Redirected => write!(text, " -m conntrack --ctstate DNAT"),
        Condition::FromOriginator => write!(text, " -m conntrack --ctdir ORIGINAL"),
        Condition::FromResponder => write!(text, " -m conntrack --ctdir REPLY"),
        Condition::Device(Devices::One(mac)) => write!(text, " -m mac --mac-source {mac}"),
        Condition::Marked(mark) => write_mark(text, "mark", *mark),
        Condition::NotMarked(mark) => write_mark(text, "mark !", *mark),
        Condition::ConnectionMarked(mark) => write_mark(text, "connmark", *mark),
        Condition::ConnectionNotMarked(mark) => write_mark(text, "connmark !", *mark),
        // The compiler of rules has resolved these.
        Condition::Family(_) | Condition::InterfacePair(_) => Ok(()),
        _ => unreachable!("no line looks at a set"),
    };
}

fn write_ports(text: &mut String, protocol: &str, first: u16, last: u16) -> fmt::Result {
    write!(text, " -p {protocol} -m {protocol} --dport {first}")?;
    if first == last { Ok(()) } else { write!(text, ":{last}") }
}

fn write_mark(text: &mut String, module: &str, Mark { value, mask }: Mark) -> fmt::Result {
    write!(text, " -m {module} --mark {value:#x}")?;
    // No version of iptables prints a mask of all bits.
    if mask == u32::MAX { Ok(()) } else { write!(text, "/{mask:#x}") }
}

fn write_action(text: &mut String, action: Action, family: Family) {
    let _ = match (action, family) {
        (Action::Accept, _) => write!(text, " -j ACCEPT"),
        (Action::Drop, _) => write!(text, " -j DROP"),
        (Action::Reject, Family::V4) => write!(text, " -j REJECT --reject-with {REJECT_V4}"),
        (Action::Reject, Family::V6) => write!(text, " -j REJECT --reject-with {REJECT_V6}"),
        (Action::Masquerade, _) => write!(text, " -j MASQUERADE"),
        (Action::SourceNat(address), _) => write!(text, " -j SNAT --to-source {address}"),
        (Action::SourceNatTo(address), _) => write!(text, " -j SNAT --to-source {address}"),
        (Action::SourcePrefix(network) | Action::DestinationPrefix(network), _) => {
            write!(text, " -j NETMAP --to {network}")
        }
        (Action::Redirect(port), _) => write!(text, " -j REDIRECT --to-ports {port}"),
        (Action::DestinationNat(address), _) => write!(text, " -j DNAT --to-destination {address}"),
        (Action::DestinationNatTo(address), _) => write!(text, " -j DNAT --to-destination {address}"),
        (Action::SetMark(Mark { value, mask }), _) => {
            write!(text, " -j MARK --set-xmark {value:#x}/{mask:#x}")
        }
        (Action::SetConnectionMark(Mark { value, mask }), _) => {
            write!(text, " -j CONNMARK --set-xmark {value:#x}/{mask:#x}")
        }
        (Action::ClampMss(bytes), _) => write!(text, " -j TCPMSS --set-mss {bytes}"),
    };
}

/// Matches of iptables that our rules use.
const MODULES: [&str; 6] = ["udp", "tcp", "conntrack", "mac", "mark", "connmark"];

const REJECT_V4: &str = "icmp-admin-prohibited";
const REJECT_V6: &str = "icmp6-adm-prohibited";

/// Reads a rule of one of our chains from the words after `-A CHAIN`. A rule in words that we would not write
/// gets the target [`IptablesTarget::Foreign`].
pub(super) fn parse(chain: &str, words: &[String], family: Family) -> IptablesRule {
    Words { rest: words, chain, family, protocol: None, module: "" }
        .line()
        .unwrap_or(IptablesRule { conditions: Vec::new(), target: IptablesTarget::Foreign })
}

struct Words<'a> {
    rest: &'a [String],
    chain: &'a str,
    family: Family,
    /// Protocol that the line has named, and that no condition has used yet.
    protocol: Option<&'a str>,
    /// Match that the next options belong to.
    module: &'a str,
}

impl<'a> Words<'a> {
    fn line(mut self) -> Option<IptablesRule> {
        let mut conditions = Vec::new();
        while let Some(option) = self.next() {
            if option == "-j" {
                let target = self.target().filter(|_| self.protocol.is_none())?;
                put_in_order(&mut conditions);
                return Some(IptablesRule { conditions, target });
            }
            self.condition(option, &mut conditions)?;
        }
        None
    }

    /// Reads the condition of one option, if it has one: some words only lead to the next option.
    fn condition(&mut self, option: &str, conditions: &mut Vec<Condition>) -> Option<()> {
        let negated = option == "!";
        let option = if negated { self.next()? } else { option };
        let value = self.next()?;
        let condition = match (option, negated) {
            ("-m", false) => {
                self.module = value;
                return MODULES.contains(&value).then_some(());
            }
            ("-p", false) if value == "udp" || value == "tcp" => {
                self.protocol = Some(value);
                return Some(());
            }
            ("-p", false) if value == "icmp" => Condition::Icmp(Family::V4),
            ("-p", false) if value == "ipv6-icmp" || value == "icmpv6" => Condition::Icmp(Family::V6),
            ("-s" | "-d" | "-i" | "-o", negated) => place(option, negated, value)?,
            ("--dport", false) => {
                let port = match self.protocol.take()? {
                    "udp" => Condition::UdpPort,
                    _ => Condition::TcpPort,
                };
                let (first, last) = value.split_once(':').unwrap_or((value, value));
                port(first.parse().ok()?, last.parse().ok()?)
            }
            ("--sport", false) if self.protocol.take() == Some("udp") && self.next()? == "--dport" => {
                Condition::UdpBetween(value.parse().ok()?, self.next()?.parse().ok()?)
            }
            ("--mac-source", false) => Condition::Device(Devices::One(value.parse().ok()?)),
            ("--tcp-flags", false)
                if self.protocol.take() == Some("tcp") && value == "SYN,RST" && self.next()? == "SYN" =>
            {
                Condition::TcpSyn
            }
            ("--ctstate", false) if value == "RELATED,ESTABLISHED" => Condition::Established,
            ("--ctstate", false) if value == "DNAT" => Condition::Redirected,
            ("--ctdir", false) if value == "ORIGINAL" => Condition::FromOriginator,
            ("--ctdir", false) if value == "REPLY" => Condition::FromResponder,
            ("--mark", negated) => match (self.module, negated) {
                ("mark", false) => Condition::Marked(mark(value)?),
                ("mark", true) => Condition::NotMarked(mark(value)?),
                ("connmark", false) => Condition::ConnectionMarked(mark(value)?),
                ("connmark", true) => Condition::ConnectionNotMarked(mark(value)?),
                _ => return None,
            },
            _ => return None,
        };
        conditions.push(condition);
        Some(())
    }

    fn target(&mut self) -> Option<IptablesTarget> {
        let target = self.next()?;
        let target = match target {
            "ACCEPT" => IptablesTarget::Do(Action::Accept),
            "DROP" => IptablesTarget::Do(Action::Drop),
            "REJECT" => {
                let with = if self.family == Family::V4 { REJECT_V4 } else { REJECT_V6 };
                (self.next()? == "--reject-with" && self.next()? == with)
                    .then_some(IptablesTarget::Do(Action::Reject))?
            }
            "MASQUERADE" => IptablesTarget::Do(Action::Masquerade),
            "SNAT" if self.next()? == "--to-source" => {
                self.translation(Action::SourceNat, Action::SourceNatTo)?
            }
            "NETMAP" if self.next()? == "--to" => {
                let network = self.next()?.parse().ok()?;
                let is_of_source = self.chain.contains("POSTROUTING");
                let action = if is_of_source { Action::SourcePrefix } else { Action::DestinationPrefix };
                IptablesTarget::Do(action(network))
            }
            "REDIRECT" if self.next()? == "--to-ports" => {
                IptablesTarget::Do(Action::Redirect(self.next()?.parse().ok()?))
            }
            "DNAT" if self.next()? == "--to-destination" => {
                self.translation(Action::DestinationNat, Action::DestinationNatTo)?
            }
            "TCPMSS" if self.next()? == "--set-mss" => {
                IptablesTarget::Do(Action::ClampMss(self.next()?.parse().ok()?))
            }
            "MARK" if self.next()? == "--set-xmark" => {
                IptablesTarget::Do(Action::SetMark(mark(self.next()?)?))
            }
            "CONNMARK" if self.next()? == "--set-xmark" => {
                IptablesTarget::Do(Action::SetConnectionMark(mark(self.next()?)?))
            }
            "RETURN" => IptablesTarget::Return,
            chain if chain.starts_with(CHAIN_PREFIX) => IptablesTarget::Jump(chain.to_owned()),
            _ => return None,
        };
        self.rest.is_empty().then_some(target)
    }

    /// Reads the translation to an address, with a port or without.
    fn translation(
        &mut self,
        to: fn(IpAddr) -> Action,
        to_port: fn(SocketAddr) -> Action,
    ) -> Option<IptablesTarget> {
        let text = self.next()?;
        let action = text.parse().map(to_port).or_else(|_| text.parse().map(to));
        Some(IptablesTarget::Do(action.ok()?))
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }
}

/// Returns the condition on an address (`-s`, `-d`) or an interface (`-i`, `-o`).
fn place(option: &str, negated: bool, value: &str) -> Option<Condition> {
    Some(match (option, negated) {
        ("-s", false) => Condition::Source(network(value)?),
        ("-s", true) => Condition::NotSource(network(value)?),
        ("-d", false) => Condition::Destination(network(value)?),
        ("-d", true) => Condition::NotDestination(network(value)?),
        ("-i", false) => Condition::Incoming(interface(value)?),
        ("-i", true) => Condition::NotIncoming(interface(value)?),
        ("-o", false) => Condition::Outgoing(interface(value)?),
        ("-o", true) => Condition::NotOutgoing(interface(value)?),
        _ => return None,
    })
}

/// Reads a network. Every version of iptables writes the prefix length, even for a single address.
fn network(text: &str) -> Option<Networks> {
    text.parse::<Cidr>().ok().map(Networks::One)
}

fn interface(text: &str) -> Option<Interfaces> {
    text.parse::<IfName>().ok().map(Interfaces::One)
}

fn mark(text: &str) -> Option<Mark> {
    let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    Some(Mark { value: hexadecimal(value)?, mask: hexadecimal(mask)? })
}

fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}
