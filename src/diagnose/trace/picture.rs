//! The picture of a flow: one line a station, and a sentence at the end. Pure.

use nix::errno::Errno;

use super::evidence::{Evidence, Packets};
use super::faults::{Ending, FAULTS, filled, owner};
use super::way::{FORWARD, HOOKS, INPUT, OUTPUT, POSTROUTING, PREROUTING};
use crate::base::duration::duration;
use crate::cli::style::Style;
use crate::firewall::xtables::counters::MetRule;
use crate::kernel::inject;
use crate::kernel::nftables::trace::EventKind;

/// Ending of a flow with its details, and another way out than that of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) ending: Ending,
    pub(super) details: Vec<String>,
    way_out: Option<String>,
}

impl Conclusion {
    fn new(ending: Ending, details: &[&str]) -> Self {
        Self { ending, details: details.iter().map(|text| (*text).to_owned()).collect(), way_out: None }
    }

    /// Reports whether the flow works, as far as this router is concerned.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.ending, Ending::Works | Ending::Here | Ending::Untested)
    }

    /// Returns the sentence, and the way out.
    pub(super) fn words(&self) -> (String, String) {
        let fault = &FAULTS[self.ending as usize];
        let way_out = self.way_out.clone().unwrap_or_else(|| filled(fault.way_out, &self.details));
        (filled(fault.words, &self.details), way_out)
    }
}

/// Draws the picture: its text, and the conclusion.
pub(super) fn draw(evidence: &Evidence, style: Style) -> (String, Conclusion) {
    let conclusion = conclude(evidence);
    let mut picture = Picture { text: String::new(), style, ending: conclusion.ending };
    picture.head(evidence);
    picture.stations(evidence);
    let (sentence, way_out) = conclusion.words();
    let sentence = if conclusion.is_good() { style.good(&sentence) } else { style.bad(&sentence) };
    picture.push(&["\n", &sentence, "\n"]);
    if !way_out.is_empty() {
        picture.push(&["→ ", &way_out, "\n"]);
    }
    (picture.text, conclusion)
}

/// Finds the place where the flow ends.
fn conclude(evidence: &Evidence) -> Conclusion {
    let to = evidence.flow.to.to_string();
    let device = evidence.flow.device.as_ref();
    let (from, interface) = device
        .map_or((String::new(), "lo"), |device| (device.address.to_string(), device.interface.as_str()));
    if !evidence.is_up {
        return Conclusion::new(Ending::Down, &[interface]);
    }
    if evidence.packets == Packets::Live && evidence.forth.events.is_empty() && evidence.is_traced {
        return Conclusion::new(Ending::NotSeen, &[&from, &to]);
    }
    if let Some(stop) = dropped(evidence) {
        return stop;
    }
    if !evidence.forth.is_over()
        && let Some(stop) = not_routed(evidence, &from, interface)
    {
        return stop;
    }
    if evidence.packets == Packets::Own && evidence.is_traced && evidence.forth.events.is_empty() {
        return Conclusion::new(Ending::NotEntered, &[interface]);
    }
    if let Some(hook) = lost(evidence) {
        return in_iptables(evidence, hook)
            .unwrap_or_else(|| Conclusion::new(Ending::Unknown, &[HOOKS[hook]]));
    }
    if evidence.route.as_ref().is_ok_and(|route| route.is_local) || evidence.forth.has_arrived() {
        return Conclusion::new(Ending::Here, &[&evidence.destination().to_string()]);
    }
    let out = evidence.outgoing();
    if let Packets::None(why) = &evidence.packets {
        return Conclusion::new(Ending::Untested, &[&out, why]);
    }
    if evidence.back.drop().is_some() {
        return in_chain(evidence, 1, Ending::Answer);
    }
    if let Some(elsewhere) = evidence.seen[2].as_deref().filter(|name| *name != interface) {
        return Conclusion::new(Ending::Astray, &[&from, elsewhere, interface]);
    }
    if evidence.has_answer() {
        return Conclusion::new(Ending::Works, &[&out]);
    }
    match &evidence.tunnel {
        Some(tunnel) if !tunnel.is_up => {
            let age = tunnel.age.map_or_else(
                || "it has had no handshake".to_owned(),
                |age| ["its last handshake was ", &duration(age), " ago"].concat(),
            );
            Conclusion::new(Ending::NoHandshake, &[&tunnel.peer, &age])
        }
        _ => Conclusion::new(Ending::NoAnswer, &[&out]),
    }
}

/// Returns the hook in which the packet vanished without a report of a chain.
fn lost(evidence: &Evidence) -> Option<usize> {
    if evidence.is_traced {
        return evidence.forth.lost_in();
    }
    // The kernel remembers a connection when its first packet leaves.
    let is_lost = !matches!(evidence.packets, Packets::None(_)) && evidence.connection.is_none();
    let refuses =
        |(hook, met): &(usize, Vec<MetRule>)| met.last().is_some_and(|met| met.refuses).then_some(*hook);
    is_lost.then(|| evidence.counted.iter().find_map(refuses).unwrap_or(FORWARD))
}

/// Concludes from the report of a chain that dropped the packet.
fn dropped(evidence: &Evidence) -> Option<Conclusion> {
    evidence.forth.drop().map(|_| in_chain(evidence, 0, Ending::Chain))
}

fn in_chain(evidence: &Evidence, way: usize, ending: Ending) -> Conclusion {
    let (place, rule, is_pinhole) = evidence.rules_of[way].last().cloned().unwrap_or_default();
    by_chain(evidence, ending, &place, &rule, is_pinhole)
}

fn by_chain(evidence: &Evidence, ending: Ending, place: &str, rule: &str, is_pinhole: bool) -> Conclusion {
    let (owner, way_out) = owner(place, is_pinhole);
    let incoming = evidence.flow.device.as_ref().map_or("lo", |device| device.interface.as_str());
    let details = [incoming.to_owned(), evidence.outgoing()];
    let mut conclusion = Conclusion::new(ending, &[place, owner, rule]);
    conclusion.way_out = Some(filled(way_out, &details));
    conclusion
}

/// Concludes from the counters of iptables.
fn in_iptables(evidence: &Evidence, hook: usize) -> Option<Conclusion> {
    for (of, met) in &evidence.counted {
        if let Some(last) = met.last().filter(|last| *of == hook && last.refuses) {
            let place = [&last.table, " ", &last.chain].map(|part: &str| part).concat();
            return Some(by_chain(evidence, Ending::Chain, &place, &last.rule, false));
        }
    }
    None
}

/// Concludes from the kernel's refusal of a route.
fn not_routed(evidence: &Evidence, from: &str, interface: &str) -> Option<Conclusion> {
    let errno = *evidence.route.as_ref().err()?;
    let to = evidence.destination().to_string();
    let rule = evidence.rules.last().map_or("a route", String::as_str);
    if let Some(setting) = evidence.not_forwarding.filter(|_| errno == Errno::EHOSTUNREACH) {
        return Some(Conclusion::new(Ending::NoForwarding, &[setting]));
    }
    let is_elsewhere = |reverse: &String| reverse != interface;
    if let Some(reverse) = evidence.reverse.as_ref().filter(|reverse| is_elsewhere(reverse))
        && matches!(errno, Errno::EINVAL | Errno::EXDEV)
        && evidence.rp_filter != 0
    {
        return Some(Conclusion::new(Ending::ReversePath, &[from, interface, reverse]));
    }
    Some(match (&evidence.portal, errno) {
        (_, Errno::EINVAL | Errno::EXDEV) => Conclusion::new(Ending::Impossible, &[from, &to, interface]),
        (Some(portal), _) if evidence.is_ours => match &portal.obstacle {
            Some(obstacle) => Conclusion::new(Ending::Blocked, &[&portal.name, obstacle]),
            None => Conclusion::new(Ending::Closed, &[&portal.name, &portal.exit]),
        },
        (_, Errno::ENETUNREACH) if !rule.ends_with(" unreachable") => {
            Conclusion::new(Ending::NoRoute, &[&to])
        }
        _ => Conclusion::new(Ending::Refused, &[&["`", rule, "`"].concat()]),
    })
}

/// Mark of a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Station {
    Passed,
    Stops,
    Told,
}

struct Picture {
    text: String,
    style: Style,
    ending: Ending,
}

impl Picture {
    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
    }

    /// Writes the flow, and the origin of the packets.
    fn head(&mut self, evidence: &Evidence) {
        let flow = &evidence.flow;
        let from = match &flow.device {
            Some(device) => [device.address.to_string().as_str(), " on ", device.interface.as_str()].concat(),
            None => "this router".to_owned(),
        };
        let protocol = match flow.protocol {
            inject::TCP => " tcp",
            inject::UDP => " udp",
            _ => " icmp",
        };
        let port = flow.port.map_or_else(String::new, |port| ["/", &port.to_string()].concat());
        let title = [from.as_str(), " → ", &flow.to.to_string(), protocol, &port].concat();
        let packets = match &evidence.packets {
            Packets::Own if flow.device.is_some() => {
                "a packet of portals, which came in as if the device had sent it"
            }
            Packets::Own => "a packet of this router",
            Packets::Live => "a packet of the device",
            Packets::None(why) => why,
        };
        let title = self.style.strong(&title);
        self.push(&[
            &title,
            "\nseen: ",
            packets,
            "; rules and rp_filter: the kernel's answer to a lookup\n\n",
        ]);
    }

    /// Writes a station. Further lines are indented.
    fn station(&mut self, mark: Station, name: &str, lines: &[String]) {
        let sign = match mark {
            Station::Passed => self.style.good("✓"),
            Station::Stops => self.style.bad("✗"),
            Station::Told => self.style.faint("·"),
        };
        for (index, line) in lines.iter().enumerate() {
            if index == 0 {
                self.push(&["  ", &sign, " ", name, &" ".repeat(13_usize.saturating_sub(name.len()))]);
            } else {
                self.push(&[&" ".repeat(17)]);
            }
            self.push(&[line, "\n"]);
        }
    }

    fn stations(&mut self, evidence: &Evidence) {
        self.entrance(evidence);
        if self.ending == Ending::Down || self.ending == Ending::NotSeen {
            return;
        }
        self.hook(evidence, if evidence.flow.device.is_some() { PREROUTING } else { OUTPUT });
        self.connection(evidence);
        if evidence.forth.drop().is_some_and(|(_, hook)| hook == PREROUTING) {
            return;
        }
        self.routing(evidence);
        for hook in [INPUT, FORWARD, POSTROUTING] {
            self.hook(evidence, hook);
        }
        self.tunnel(evidence);
        self.answer(evidence);
    }

    fn entrance(&mut self, evidence: &Evidence) {
        let interface =
            evidence.flow.device.as_ref().map_or("this router", |device| device.interface.as_str());
        let portal = match &evidence.portal {
            Some(portal) => [", portal ", &portal.name, " → ", &portal.exit].concat(),
            None => ", no portal: the traffic goes the way of this router's own".to_owned(),
        };
        let stops = matches!(self.ending, Ending::Down | Ending::NotSeen | Ending::NotEntered);
        let mark = if stops { Station::Stops } else { Station::Passed };
        self.station(mark, "entrance", &[[interface, &portal].concat()]);
    }

    /// Writes the rules of a hook that the packet met.
    fn hook(&mut self, evidence: &Evidence, hook: usize) {
        let mut lines = Vec::new();
        let telling: Vec<usize> = [PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING]
            .into_iter()
            .flat_map(|of| evidence.forth.telling(of).into_iter().map(move |_| of))
            .collect();
        for (of, (place, rule, _)) in telling.iter().zip(&evidence.rules_of[0]) {
            if *of == hook {
                lines.push([place, ": ", rule].map(|part: &str| part).concat());
            }
        }
        for (_, met) in evidence.counted.iter().filter(|(of, _)| *of == hook) {
            // A policy that accepts says nothing.
            for met in met.iter().filter(|met| met.refuses || !met.rule.starts_with("policy")) {
                lines.push([&met.table, " ", &met.chain, ": ", &met.rule].map(|part: &str| part).concat());
            }
        }
        let is_drop = evidence.forth.drop().is_some_and(|(_, of)| of == hook);
        let stops =
            is_drop || lost(evidence) == Some(hook) && matches!(self.ending, Ending::Chain | Ending::Unknown);
        if lines.is_empty() && (evidence.forth.reached(hook) || stops) {
            lines.push(if stops { "dropped" } else { "no rule" }.to_owned());
        }
        let mark = evidence.forth.mark();
        if matches!(hook, PREROUTING | OUTPUT) && mark != 0 && evidence.forth.reached(hook) {
            lines.push(format!("mark {mark:#x}"));
        }
        self.station(if stops { Station::Stops } else { Station::Passed }, HOOKS[hook], &lines);
    }

    fn connection(&mut self, evidence: &Evidence) {
        let Some(connection) = &evidence.connection else { return };
        let mut line = "tracked".to_owned();
        if connection.answering != evidence.flow.to {
            line = [&line, ", translated to ", &connection.answering.to_string()].concat();
        }
        if evidence.flow.device.as_ref().is_some_and(|device| device.address != connection.answered) {
            line = [&line, ", leaves as ", &connection.answered.to_string()].concat();
        }
        if connection.mark != 0 {
            line = format!("{line}, mark {:#x}", connection.mark);
        }
        self.station(Station::Passed, "connection", &[line]);
    }

    /// Writes the policy rules, the route, and the verdict of the reverse-path filter.
    fn routing(&mut self, evidence: &Evidence) {
        let mut lines = evidence.rules.clone();
        let is_source = matches!(self.ending, Ending::ReversePath | Ending::Impossible);
        match &evidence.route {
            Ok(route) => {
                let gateway = route
                    .gateway
                    .map_or_else(String::new, |gateway| [" via ", &gateway.to_string()].concat());
                let device = if route.is_local { "this router" } else { &route.device };
                lines.push(["→ table ", &route.table, ": ", device, &gateway].concat());
            }
            Err(_) if is_source => lines.clear(),
            Err(errno) => lines.push(["→ refused: ", errno.desc()].concat()),
        }
        let refused = evidence.route.is_err();
        self.station(if refused { Station::Stops } else { Station::Passed }, "rules", &lines);
        let Some((device, reverse)) = evidence.flow.device.as_ref().zip(evidence.reverse.as_ref()) else {
            return;
        };
        let mode = ["off", "strict", "loose"][usize::from(evidence.rp_filter.min(2))];
        let line = [mode, ": answers to ", &device.address.to_string(), " leave by ", reverse].concat();
        let mark = match self.ending {
            Ending::ReversePath | Ending::Impossible => Station::Stops,
            _ if refused => Station::Told,
            _ => Station::Passed,
        };
        self.station(mark, "rp_filter", &[line]);
    }

    fn tunnel(&mut self, evidence: &Evidence) {
        let Some(tunnel) = &evidence.tunnel else { return };
        let endpoint = tunnel
            .endpoint
            .map_or_else(|| ", which has not dialled".to_owned(), |at| [" at ", &at.to_string()].concat());
        let age = match tunnel.age {
            Some(age) => ["last handshake ", &duration(age), " ago"].concat(),
            None => "no handshake yet".to_owned(),
        };
        let mark = if self.ending == Ending::NoHandshake { Station::Stops } else { Station::Passed };
        self.station(
            mark,
            "tunnel",
            &[[&tunnel.peer, &endpoint, ", ", &age].map(|part: &str| part).concat()],
        );
    }

    fn answer(&mut self, evidence: &Evidence) {
        if !evidence.has_answer() {
            return;
        }
        let mut lines = Vec::new();
        if let Some(incoming) = &evidence.seen[1] {
            lines.push(["came in by ", incoming].concat());
        } else {
            lines.push("came back".to_owned());
        }
        if let Some(outgoing) = &evidence.seen[2] {
            lines[0] = [&lines[0], ", went on by ", outgoing].map(|part: &str| part).concat();
        }
        for (place, rule, _) in &evidence.rules_of[1] {
            lines.push([place, ": ", rule].map(|part: &str| part).concat());
        }
        let stops = matches!(self.ending, Ending::Answer | Ending::Astray);
        self.station(if stops { Station::Stops } else { Station::Passed }, "answer", &lines);
    }
}

/// Returns a rule in words: its text, or its effect and its number.
pub(super) fn rule_words(text: Option<String>, kind: &EventKind, handle: Option<u64>) -> String {
    if let Some(text) = text {
        return text;
    }
    let effect = match kind {
        EventKind::Drop => "drop",
        EventKind::Accept => "accept",
        EventKind::Met => "goes on",
        EventKind::Return => "return",
        EventKind::Taken => "handed to a program",
        EventKind::Jump(chain) => return ["jump ", chain].concat(),
    };
    match handle {
        Some(handle) => format!("{effect} (rule with handle {handle})"),
        None => ["policy ", effect].concat(),
    }
}
