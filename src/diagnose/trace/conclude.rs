//! The place where a flow ends, and the reason, from all evidence. Pure.

use nix::errno::Errno;

use super::evidence::{Evidence, MetInHook, Packets};
use super::faults::{Ending, FAULTS, filled, owner};
use super::way::{FORWARD, HOOKS};
use crate::base::duration::duration;

/// Ending of a flow with its details, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conclusion {
    pub(super) ending: Ending,
    pub(super) details: Vec<String>,
    way_out: &'static str,
}

impl Conclusion {
    fn new(ending: Ending, details: &[&str]) -> Self {
        let details = details.iter().map(|text| (*text).to_owned()).collect();
        Self { ending, details, way_out: FAULTS[ending as usize].way_out }
    }

    /// Reports whether the flow works, as far as this router is concerned.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.ending, Ending::Works | Ending::Here | Ending::Untested)
    }

    /// Returns the sentence, and the way out.
    pub(super) fn words(&self) -> (String, String) {
        let words = FAULTS[self.ending as usize].words;
        (filled(words, &self.details), filled(self.way_out, &self.details))
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
    let is_seen = evidence.connection.is_some() || refusing(evidence, 0, None).is_some();
    if evidence.packets == Packets::Live && evidence.forth.events.is_empty() && !is_seen {
        return Conclusion::new(Ending::NotSeen, &[&from, &to]);
    }
    if let Some(hook) = evidence.forth.drop()
        && let Some(stop) = by_chain(evidence, Ending::Chain, refusing(evidence, 0, Some(hook)))
    {
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
        return by_chain(evidence, Ending::Chain, refusing(evidence, 0, Some(hook)))
            .unwrap_or_else(|| Conclusion::new(Ending::Unknown, &[HOOKS[hook]]));
    }
    if evidence.route.as_ref().is_ok_and(|route| route.is_local) || evidence.forth.has_arrived() {
        return Conclusion::new(Ending::Here, &[&evidence.destination().to_string()]);
    }
    let out = evidence.outgoing();
    if let Packets::None(why) = &evidence.packets {
        return Conclusion::new(Ending::Untested, &[out, why]);
    }
    if let Some(stop) = by_chain(evidence, Ending::Answer, refusing(evidence, 1, None)) {
        return stop;
    }
    let elsewhere = &evidence.seen[2];
    if !elsewhere.is_empty() && elsewhere != interface {
        return Conclusion::new(Ending::Astray, &[&from, elsewhere, interface]);
    }
    if evidence.has_answer() {
        return Conclusion::new(Ending::Works, &[out]);
    }
    match &evidence.tunnel {
        Some(tunnel) if !tunnel.is_up => {
            let age = tunnel.age.map_or_else(
                || "it has had no handshake".to_owned(),
                |age| ["its last handshake was ", &duration(age), " ago"].concat(),
            );
            Conclusion::new(Ending::NoHandshake, &[&tunnel.peer, &age])
        }
        _ => Conclusion::new(Ending::NoAnswer, &[out]),
    }
}

/// Returns the hook in which the packet vanished without a report of a chain.
pub(super) fn lost(evidence: &Evidence) -> Option<usize> {
    if evidence.is_traced {
        return evidence.forth.lost_in();
    }
    // The kernel remembers a connection when its first packet leaves.
    let is_lost = !matches!(evidence.packets, Packets::None(_)) && evidence.connection.is_none();
    is_lost.then(|| refusing(evidence, 0, None).map_or(FORWARD, |met| met.hook))
}

/// Returns the first rule that refused the packet, or the answer; in this hook, if one is given.
fn refusing<'a>(evidence: &'a Evidence, way: usize, hook: Option<usize>) -> Option<&'a MetInHook> {
    let is_it = |met: &&MetInHook| met.refuses && hook.is_none_or(|hook| met.hook == hook);
    evidence.met[way].iter().find(is_it)
}

/// Concludes from the rule that dropped a packet.
fn by_chain(evidence: &Evidence, ending: Ending, met: Option<&MetInHook>) -> Option<Conclusion> {
    let met = met?;
    let (owner, way_out) = owner(&met.place, met.is_pinhole);
    let incoming = evidence.flow.device.as_ref().map_or("lo", |device| device.interface.as_str());
    let details = [&met.place, owner, &met.rule, incoming, evidence.outgoing()];
    Some(Conclusion { way_out, ..Conclusion::new(ending, &details) })
}

/// Concludes from the kernel's refusal of a route.
fn not_routed(evidence: &Evidence, from: &str, interface: &str) -> Option<Conclusion> {
    let errno = *evidence.route.as_ref().err()?;
    let to = evidence.destination().to_string();
    let rule = evidence.rules.last().map_or("a route", String::as_str);
    if let Some(setting) = evidence.not_forwarding.filter(|_| errno == Errno::EHOSTUNREACH) {
        return Some(Conclusion::new(Ending::NoForwarding, &[setting]));
    }
    let reverse = &evidence.reverse;
    let is_elsewhere = !reverse.is_empty() && reverse != interface && evidence.rp_filter != 0;
    Some(match (&evidence.portal, errno) {
        (_, Errno::EINVAL | Errno::EXDEV) if is_elsewhere => {
            Conclusion::new(Ending::ReversePath, &[from, interface, reverse])
        }
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
