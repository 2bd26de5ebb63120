//! The picture of a flow: the lines of each station, and a sentence at the end. Pure.

use super::conclude::{Conclusion, conclude, lost};
use super::evidence::{Evidence, MetInHook, Packets};
use super::faults::Ending;
use super::way::{FORWARD, HOOKS, INPUT, OUTPUT, POSTROUTING, PREROUTING};
use crate::base::duration::duration;
use crate::cli::style::Style;
use crate::kernel::inject;
use crate::kernel::nftables::trace::EventKind;

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
        for met in evidence.met[0].iter().filter(|met| met.hook == hook) {
            lines.push(line_of(met));
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
        let reverse = evidence.reverse.as_str();
        let Some(device) = evidence.flow.device.as_ref().filter(|_| !reverse.is_empty()) else { return };
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
        let line = [tunnel.peer.as_str(), &endpoint, ", ", &age].concat();
        self.station(mark, "tunnel", &[line]);
    }

    fn answer(&mut self, evidence: &Evidence) {
        if !evidence.has_answer() {
            return;
        }
        let mut lines = Vec::new();
        let mut line = "came back".to_owned();
        for (words, interface) in [(" by ", &evidence.seen[1]), (", went on by ", &evidence.seen[2])] {
            if !interface.is_empty() {
                line.push_str(words);
                line.push_str(interface);
            }
        }
        lines.push(line);
        for met in &evidence.met[1] {
            lines.push(line_of(met));
        }
        let stops = matches!(self.ending, Ending::Answer | Ending::Astray);
        self.station(if stops { Station::Stops } else { Station::Passed }, "answer", &lines);
    }
}

fn line_of(met: &MetInHook) -> String {
    [met.place.as_str(), ": ", &met.rule].concat()
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
