//! Rules as `iptables-save` prints them and `iptables-restore` takes them.

use std::fmt::{Display, Write as _};
use std::net::{IpAddr, SocketAddr};

use super::{CHAIN_PREFIX, IptablesRule, IptablesRuleset, IptablesTable, IptablesTarget, TableContent};
use crate::base::net::{Cidr, Family, IfName, Mark};
use crate::firewall::{Action, Condition, Devices, Interfaces, Networks};

/// Puts conditions into the order in which every version of `iptables-save` prints them. A line has few
/// conditions, and the standard library's sort would be more code.
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
        Condition::Family(_) | Condition::InterfacePair(_) | Condition::Place(..) | Condition::Way(..) => 12,
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
        IptablesTarget::Goto(chain) => drop(write!(text, " -g {chain}")),
        IptablesTarget::Foreign => {}
    }
    text
}

fn write_condition(text: &mut String, condition: &Condition) {
    let (option, value): (&str, &dyn Display) = match condition {
        Condition::Source(Networks::One(network)) => (" -s ", network),
        Condition::NotSource(Networks::One(network)) => (" ! -s ", network),
        Condition::Destination(Networks::One(network)) => (" -d ", network),
        Condition::NotDestination(Networks::One(network)) => (" ! -d ", network),
        Condition::Incoming(Interfaces::One(name)) => (" -i ", name),
        Condition::NotIncoming(Interfaces::One(name)) => (" ! -i ", name),
        Condition::Outgoing(Interfaces::One(name)) => (" -o ", name),
        Condition::NotOutgoing(Interfaces::One(name)) => (" ! -o ", name),
        Condition::Device(Devices::One(mac)) => (" -m mac --mac-source ", mac),
        Condition::Icmp(Family::V4) => (" -p icmp", &""),
        Condition::Icmp(Family::V6) => (" -p ipv6-icmp", &""),
        Condition::TcpSyn => (" -p tcp -m tcp --tcp-flags SYN,RST SYN", &""),
        Condition::Established => (" -m conntrack --ctstate RELATED,ESTABLISHED", &""),
        Condition::Redirected => (" -m conntrack --ctstate DNAT", &""),
        Condition::FromOriginator => (" -m conntrack --ctdir ORIGINAL", &""),
        Condition::FromResponder => (" -m conntrack --ctdir REPLY", &""),
        Condition::UdpPort(first, last) => return write_ports(text, "udp", *first, *last),
        Condition::TcpPort(first, last) => return write_ports(text, "tcp", *first, *last),
        Condition::UdpBetween(from, to) => {
            let _ = write!(text, " -p udp -m udp --sport {from} --dport {to}");
            return;
        }
        Condition::Marked(mark) => return write_mark(text, "mark", *mark),
        Condition::NotMarked(mark) => return write_mark(text, "mark !", *mark),
        Condition::ConnectionMarked(mark) => return write_mark(text, "connmark", *mark),
        Condition::ConnectionNotMarked(mark) => return write_mark(text, "connmark !", *mark),
        // The compiler of rules has resolved these.
        Condition::Family(_) | Condition::InterfacePair(_) => return,
        _ => unreachable!("no line looks at a set"),
    };
    let _ = write!(text, "{option}{value}");
}

fn write_ports(text: &mut String, protocol: &str, first: u16, last: u16) {
    let _ = write!(text, " -p {protocol} -m {protocol} --dport {first}");
    if first != last {
        let _ = write!(text, ":{last}");
    }
}

fn write_mark(text: &mut String, module: &str, Mark { value, mask }: Mark) {
    let _ = write!(text, " -m {module} --mark {value:#x}");
    // No version of iptables prints a mask of all bits.
    if mask != u32::MAX {
        let _ = write!(text, "/{mask:#x}");
    }
}

fn write_action(text: &mut String, action: Action, family: Family) {
    let (target, value): (&str, &dyn Display) = match &action {
        Action::Accept => ("ACCEPT", &""),
        Action::Drop => ("DROP", &""),
        Action::Reject => ("REJECT --reject-with ", &refusal(family)),
        Action::Masquerade => ("MASQUERADE", &""),
        Action::SourceNat(address) => ("SNAT --to-source ", address),
        Action::SourceNatTo(address) => ("SNAT --to-source ", address),
        Action::SourcePrefix(network) | Action::DestinationPrefix(network) => ("NETMAP --to ", network),
        Action::Redirect(port) => ("REDIRECT --to-ports ", port),
        Action::DestinationNat(address) => ("DNAT --to-destination ", address),
        Action::DestinationNatTo(address) => ("DNAT --to-destination ", address),
        Action::SetMark(mark) => return write_setting(text, "MARK", *mark),
        Action::SetConnectionMark(mark) => return write_setting(text, "CONNMARK", *mark),
        // Iptables has no flowtables. A rule without a target leaves the packet alone.
        Action::Offload => return,
        Action::ClampMss(bytes) => ("TCPMSS --set-mss ", bytes),
    };
    let _ = write!(text, " -j {target}{value}");
}

fn write_setting(text: &mut String, target: &str, Mark { value, mask }: Mark) {
    let _ = write!(text, " -j {target} --set-xmark {value:#x}/{mask:#x}");
}

/// Matches of iptables that our rules use.
const MODULES: [&str; 6] = ["udp", "tcp", "conntrack", "mac", "mark", "connmark"];

/// Conditions without a value of their own, with the option and the word after it.
const CONSTANT: [(&str, &str, Condition); 7] = [
    ("-p", "icmp", Condition::Icmp(Family::V4)),
    ("-p", "ipv6-icmp", Condition::Icmp(Family::V6)),
    ("-p", "icmpv6", Condition::Icmp(Family::V6)),
    ("--ctstate", "RELATED,ESTABLISHED", Condition::Established),
    ("--ctstate", "DNAT", Condition::Redirected),
    ("--ctdir", "ORIGINAL", Condition::FromOriginator),
    ("--ctdir", "REPLY", Condition::FromResponder),
];

/// Targets with an option, and that option.
const OPTIONS: [(&str, &str); 8] = [
    ("REJECT", "--reject-with"),
    ("SNAT", "--to-source"),
    ("NETMAP", "--to"),
    ("REDIRECT", "--to-ports"),
    ("DNAT", "--to-destination"),
    ("TCPMSS", "--set-mss"),
    ("MARK", "--set-xmark"),
    ("CONNMARK", "--set-xmark"),
];

/// Returns the word for the ICMP message with which iptables refuses packets.
fn refusal(family: Family) -> &'static str {
    match family {
        Family::V4 => "icmp-admin-prohibited",
        Family::V6 => "icmp6-adm-prohibited",
    }
}

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
            if option == "-j" || option == "-g" {
                let target = self.target(option == "-g").filter(|_| self.protocol.is_none())?;
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
        let constant = CONSTANT.iter().find(|(of, word, _)| (*of, *word) == (option, value));
        let condition = match (option, constant) {
            (_, Some((_, _, condition))) if !negated => condition.clone(),
            ("-m", _) if !negated => {
                self.module = value;
                return MODULES.contains(&value).then_some(());
            }
            ("-p", _) if !negated && (value == "udp" || value == "tcp") => {
                self.protocol = Some(value);
                return Some(());
            }
            ("-s" | "-d" | "-i" | "-o", _) => place(option, negated, value)?,
            ("--dport", _) if !negated => {
                let port = match self.protocol.take()? {
                    "udp" => Condition::UdpPort,
                    _ => Condition::TcpPort,
                };
                let (first, last) = value.split_once(':').unwrap_or((value, value));
                port(first.parse().ok()?, last.parse().ok()?)
            }
            ("--sport", _)
                if !negated && self.protocol.take() == Some("udp") && self.next()? == "--dport" =>
            {
                Condition::UdpBetween(value.parse().ok()?, self.next()?.parse().ok()?)
            }
            ("--mac-source", _) if !negated => Condition::Device(Devices::One(value.parse().ok()?)),
            ("--tcp-flags", _)
                if !negated
                    && self.protocol.take() == Some("tcp")
                    && value == "SYN,RST"
                    && self.next()? == "SYN" =>
            {
                Condition::TcpSyn
            }
            ("--mark", _) => {
                let kinds = match self.module {
                    "mark" => [Condition::Marked, Condition::NotMarked],
                    "connmark" => [Condition::ConnectionMarked, Condition::ConnectionNotMarked],
                    _ => return None,
                };
                kinds[usize::from(negated)](mark(value)?)
            }
            _ => return None,
        };
        conditions.push(condition);
        Some(())
    }

    fn target(&mut self, goes: bool) -> Option<IptablesTarget> {
        let target = self.next()?;
        let target = match OPTIONS.iter().find(|(name, _)| *name == target) {
            Some((_, option)) if self.next()? == *option => {
                let value = self.next()?;
                IptablesTarget::Do(self.action(target, value)?)
            }
            Some(_) => return None,
            None => match target {
                "ACCEPT" => IptablesTarget::Do(Action::Accept),
                "DROP" => IptablesTarget::Do(Action::Drop),
                "MASQUERADE" => IptablesTarget::Do(Action::Masquerade),
                "RETURN" => IptablesTarget::Return,
                chain if chain.starts_with(CHAIN_PREFIX) => {
                    let to = if goes { IptablesTarget::Goto } else { IptablesTarget::Jump };
                    to(chain.to_owned())
                }
                _ => return None,
            },
        };
        self.rest.is_empty().then_some(target)
    }

    /// Returns the action of a target with an option that has this value.
    fn action(&self, target: &str, value: &str) -> Option<Action> {
        Some(match target {
            "REJECT" => (value == refusal(self.family)).then_some(Action::Reject)?,
            "SNAT" => translation(value, Action::SourceNat, Action::SourceNatTo)?,
            "DNAT" => translation(value, Action::DestinationNat, Action::DestinationNatTo)?,
            "NETMAP" => {
                let is_of_source = self.chain.contains("POSTROUTING");
                let action = if is_of_source { Action::SourcePrefix } else { Action::DestinationPrefix };
                action(value.parse().ok()?)
            }
            "REDIRECT" => Action::Redirect(value.parse().ok()?),
            "TCPMSS" => Action::ClampMss(value.parse().ok()?),
            "MARK" => Action::SetMark(mark(value)?),
            _ => Action::SetConnectionMark(mark(value)?),
        })
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }
}

/// Reads the translation to an address, with a port or without.
fn translation(text: &str, to: fn(IpAddr) -> Action, to_port: fn(SocketAddr) -> Action) -> Option<Action> {
    text.parse().map(to_port).or_else(|_| text.parse().map(to)).ok()
}

/// Returns the condition on an address (`-s`, `-d`) or an interface (`-i`, `-o`).
fn place(option: &str, negated: bool, value: &str) -> Option<Condition> {
    let of_network =
        |kinds: [fn(Networks) -> Condition; 2]| Some(kinds[usize::from(negated)](network(value)?));
    let of_interface =
        |kinds: [fn(Interfaces) -> Condition; 2]| Some(kinds[usize::from(negated)](interface(value)?));
    match option {
        "-s" => of_network([Condition::Source, Condition::NotSource]),
        "-d" => of_network([Condition::Destination, Condition::NotDestination]),
        "-i" => of_interface([Condition::Incoming, Condition::NotIncoming]),
        "-o" => of_interface([Condition::Outgoing, Condition::NotOutgoing]),
        _ => None,
    }
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
