//! The picture of a flow: the lines of each station, and a sentence at the end. Pure.

use std::fmt::Write as _;

use super::conclude::{Conclusion, LastWords, lost};
use super::evidence::{Evidence, Packets};
use super::faults::Ending;
use super::way::{FORWARD, HOOKS, INPUT, OUTPUT, POSTROUTING, PREROUTING};
use crate::base::duration::duration;
use crate::base::text::printable_line;
use crate::cli::style::Style;
use crate::kernel::inject;
use crate::kernel::nftables::trace::EventKind;

/// Draws the picture, without its last sentence.
pub(super) fn draw(evidence: &Evidence, conclusion: &Conclusion, style: Style) -> String {
    let mut picture = Picture { text: String::new(), style, ending: conclusion.ending, station: None };
    picture.head(evidence);
    picture.stations(evidence, conclusion.cause);
    picture.text
}

impl LastWords {
    /// Writes the last sentence under a picture, and the way out.
    pub(super) fn write(&self, text: &mut String, style: Style) {
        let sentence = printable_line(&self.sentence);
        let sentence = if self.is_good { style.good(&sentence) } else { style.bad(&sentence) };
        let arrow = if self.way_out.is_empty() { "" } else { "→ " };
        for part in ["\n", &sentence, "\n", arrow, &printable_line(&self.way_out)] {
            text.push_str(part);
        }
        if !arrow.is_empty() {
            text.push('\n');
        }
    }
}

/// Mark of a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Passed,
    Stops,
    Told,
}

/// Returns the mark of a station at which the flow stops, or not.
fn mark(stops: bool) -> Mark {
    if stops { Mark::Stops } else { Mark::Passed }
}

struct Picture {
    text: String,
    style: Style,
    ending: Ending,
    /// Station whose first line is still to come.
    station: Option<(Mark, &'static str)>,
}

impl Picture {
    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
    }

    /// Begins a station. It appears with its first line.
    fn begin(&mut self, mark: Mark, name: &'static str) {
        self.station = Some((mark, name));
    }

    /// Writes a line of a station; further lines are indented.
    fn line(&mut self, parts: &[&str]) {
        let width = match self.station.take() {
            None => 17,
            Some((mark, name)) => {
                let sign = match mark {
                    Mark::Passed => self.style.good("✓"),
                    Mark::Stops => self.style.bad("✗"),
                    Mark::Told => self.style.faint("·"),
                };
                self.push(&["  ", &sign, " ", name]);
                13 - name.len().min(13)
            }
        };
        for _ in 0..width {
            self.text.push(' ');
        }
        let line = printable_line(&parts.concat());
        self.push(&[&line, "\n"]);
    }

    /// Writes the flow, and the origin of the packets.
    fn head(&mut self, evidence: &Evidence) {
        let flow = &evidence.flow;
        let (from, on, interface) = match &flow.device {
            Some(device) => (device.address.to_string(), " on ", device.interface.as_str()),
            None => ("this router".to_owned(), "", ""),
        };
        let protocol = match flow.protocol {
            inject::TCP => " tcp/",
            inject::UDP => " udp/",
            _ => " icmp",
        };
        let port = flow.port.map(|port| port.to_string()).unwrap_or_default();
        let title = [&from, on, interface, " → ", &flow.to.to_string(), protocol, &port].concat();
        let packets = match &evidence.packets {
            Packets::Own if flow.device.is_some() => {
                "a packet of portals, which came in as if the device had sent it"
            }
            Packets::Own => "a packet of this router",
            Packets::Live => "a packet of the device",
            Packets::None(why) => why,
        };
        let title = self.style.strong(&title);
        let lookup = "; rules and rp_filter: the kernel's answer to a lookup\n\n";
        self.push(&[&title, "\nseen: ", packets, lookup]);
    }

    fn stations(&mut self, evidence: &Evidence, cause: &str) {
        self.entrance(evidence);
        if self.ending == Ending::Down || self.ending == Ending::NotSeen {
            return;
        }
        self.hook(evidence, if evidence.flow.device.is_some() { PREROUTING } else { OUTPUT });
        self.connection(evidence);
        if evidence.forth.drop() == Some(PREROUTING) {
            return;
        }
        self.routing(evidence);
        for hook in [INPUT, FORWARD, POSTROUTING] {
            self.hook(evidence, hook);
        }
        if matches!(self.ending, Ending::Vanished | Ending::NotSent) {
            self.begin(Mark::Stops, "kernel");
            let by = if cause.is_empty() { "" } else { ": " };
            self.line(&["dropped it", by, cause]);
            return;
        }
        self.tunnel(evidence);
        self.answer(evidence);
    }

    fn entrance(&mut self, evidence: &Evidence) {
        let device = evidence.flow.device.as_ref();
        let interface = device.map_or("this router", |device| device.interface.as_str());
        self.begin(
            mark(matches!(self.ending, Ending::Down | Ending::NotSeen | Ending::NotEntered)),
            "entrance",
        );
        match &evidence.portal {
            Some(portal) if portal.left_out.is_empty() => {
                self.line(&[interface, ", portal ", portal.name, " → ", &portal.exit]);
            }
            Some(portal) => {
                let of_portal = [", portal ", portal.name, ", which leaves this packet out (`"].concat();
                self.line(&[interface, &of_portal, portal.left_out, "`)"]);
            }
            None if evidence.is_tunnel => self.line(&[interface, ", a tunnel from another site"]),
            None => self.line(&[interface, ", no portal: the traffic goes the way of this router's own"]),
        }
    }

    /// Writes the rules of a hook that the packet met.
    fn hook(&mut self, evidence: &Evidence, hook: usize) {
        let is_drop = evidence.forth.drop() == Some(hook);
        let is_loss = matches!(self.ending, Ending::Chain | Ending::Unknown) && lost(evidence) == Some(hook);
        let stops = is_drop || is_loss;
        let is_reached = evidence.forth.reached(hook);
        self.begin(mark(stops), HOOKS[hook]);
        for met in evidence.met[0].iter().filter(|met| met.hook == hook) {
            self.line(&[&met.place, ": ", &met.rule]);
        }
        if self.station.is_some() && (is_reached || stops) {
            self.line(&[if stops { "dropped" } else { "no rule" }]);
        }
        let value = evidence.forth.mark();
        if matches!(hook, PREROUTING | OUTPUT) && value != 0 && is_reached {
            self.line(&[&format!("mark {value:#x}")]);
        }
        self.station = None;
    }

    fn connection(&mut self, evidence: &Evidence) {
        let Some(connection) = &evidence.connection else { return };
        let mut line = "tracked".to_owned();
        if connection.answering != evidence.flow.to {
            let _ = write!(line, ", translated to {}", connection.answering);
        }
        if evidence.flow.device.as_ref().is_some_and(|device| device.address != connection.answered) {
            let _ = write!(line, ", leaves as {}", connection.answered);
        }
        if connection.mark != 0 {
            let _ = write!(line, ", mark {:#x}", connection.mark);
        }
        self.begin(Mark::Passed, "connection");
        self.line(&[&line]);
    }

    /// Writes the policy rules, the route, and the verdict of the reverse-path filter.
    fn routing(&mut self, evidence: &Evidence) {
        let is_source = matches!(self.ending, Ending::ReversePath | Ending::Impossible);
        let is_refused = evidence.route.is_err() || self.ending == Ending::NoForwarding;
        if !is_source {
            // The packet itself counts more than the lookup.
            let is_over = is_refused && evidence.forth.is_over();
            self.begin(if is_over { Mark::Told } else { mark(is_refused) }, "rules");
            for rule in &evidence.rules {
                self.line(&[rule]);
            }
            match &evidence.route {
                Ok(route) => {
                    let device = if route.is_local { "this router" } else { route.device };
                    let gateway = route.gateway.map(|gateway| gateway.to_string());
                    let via = if gateway.is_some() { " via " } else { "" };
                    let gateway = gateway.unwrap_or_default();
                    self.line(&["→ table ", &route.table.to_string(), ": ", device, via, &gateway]);
                }
                Err(errno) => self.line(&["→ refused: ", errno.desc()]),
            }
        }
        let Some(device) = &evidence.flow.device else { return };
        if !evidence.reverse.is_empty() {
            let mode = ["off", "strict", "loose"][usize::from(evidence.rp_filter.min(2))];
            let is_told = is_refused && !is_source;
            self.begin(if is_told { Mark::Told } else { mark(is_source) }, "rp_filter");
            let device = device.address.to_string();
            self.line(&[mode, ": answers to ", &device, " leave by ", evidence.reverse]);
        }
    }

    fn tunnel(&mut self, evidence: &Evidence) {
        let Some(tunnel) = &evidence.tunnel else { return };
        let mut line = tunnel.peer.to_owned();
        match tunnel.endpoint {
            Some(endpoint) => _ = write!(line, " at {endpoint}"),
            None => line.push_str(tunnel.unknown),
        }
        self.begin(mark(self.ending == Ending::NoHandshake), "tunnel");
        match tunnel.age {
            Some(age) => self.line(&[&line, ", last handshake ", &duration(age), " ago"]),
            None => self.line(&[&line, ", no handshake yet"]),
        }
    }

    fn answer(&mut self, evidence: &Evidence) {
        if !evidence.has_answer() {
            return;
        }
        self.begin(mark(matches!(self.ending, Ending::Answer | Ending::Astray)), "answer");
        let (incoming, outgoing) = (evidence.seen[1], evidence.onward());
        let word = |word: &'static str, interface: &str| if interface.is_empty() { "" } else { word };
        self.line(&[
            "came back",
            word(" by ", incoming),
            incoming,
            word(", went on by ", outgoing),
            outgoing,
        ]);
        for met in &evidence.met[1] {
            self.line(&[&met.place, ": ", &met.rule]);
        }
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
        Some(handle) => [effect, " (rule with handle ", &handle.to_string(), ")"].concat(),
        None => ["policy ", effect].concat(),
    }
}
