//! The place where a flow ends, and the reason, from all evidence. Pure.

use nix::errno::Errno;

use super::evidence::{Evidence, Packets};
use super::faults::{Ending, FAULTS, filled, owner};
use super::way::{FORWARD, HOOKS};
use crate::base::duration::duration;
use crate::firewall::xtables::counters::MetRule;

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

/// Finds the place where the flow ends.
pub(super) fn conclude(evidence: &Evidence) -> Conclusion {
    let to = evidence.flow.to.to_string();
    let device = evidence.flow.device.as_ref();
    let (from, interface) = device
        .map_or((String::new(), "lo"), |device| (device.address.to_string(), device.interface.as_str()));
    if !evidence.is_up {
        return Conclusion::new(Ending::Down, &[interface]);
    }
    let is_counted = evidence.counted.iter().any(|(_, met)| met.last().is_some_and(|met| met.refuses));
    let is_seen = evidence.connection.is_some() || is_counted && !evidence.is_traced;
    if evidence.packets == Packets::Live && evidence.forth.events.is_empty() && !is_seen {
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
pub(super) fn lost(evidence: &Evidence) -> Option<usize> {
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
