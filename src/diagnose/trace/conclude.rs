//! The place where a flow ends, and the reason, from all evidence. Pure.

use std::mem;

use nix::errno::Errno;

use super::causes::cause;
use super::evidence::{Evidence, MetInHook, Packets, Refuser};
use super::faults::{DETAILS, Ending, FAULTS, filled, owner};
use super::way::{FORWARD, HOOKS, INPUT, OUTPUT};
use crate::base::duration::duration;

/// Ending of a flow in words.
#[derive(Debug)]
pub(super) struct Conclusion<'a> {
    pub(super) ending: Ending,
    /// Kernel's name for the cause of a drop; may be empty.
    pub(super) cause: &'a str,
    pub(super) words: LastWords,
}

/// Words under a picture.
#[derive(Debug)]
pub(super) struct LastWords {
    /// Place and reason.
    pub(super) sentence: String,
    /// Way out; may be empty.
    pub(super) way_out: String,
    /// Set if the flow works, as far as this router is concerned.
    pub(super) is_good: bool,
}

/// Finds the place where the flow ends, and puts it into words.
pub(super) fn conclude<'a>(evidence: &'a Evidence<'_>) -> Conclusion<'a> {
    let (mut ending, met) = ending(evidence);
    let cause = cause(evidence, ending);
    if cause.is_some() && ending == Ending::NoAnswer {
        ending = Ending::NotSent;
    }
    let (place, rule, is_pinhole) =
        met.map_or(("", "", false), |met| (&met.place, &met.rule, met.is_pinhole));
    let owner = owner(place, is_pinhole);
    let fault = &FAULTS[ending as usize];
    let device = evidence.flow.device.as_ref();
    let from = device.map(|device| device.address.to_string()).unwrap_or_default();
    let to = evidence.flow.to.to_string();
    let destination = evidence.destination().to_string();
    let (portal, exit, obstacle) = match &evidence.portal {
        Some(portal) => (portal.name, portal.exit.as_str(), portal.obstacle.as_deref()),
        None => ("", "", None),
    };
    let (peer, age) = match &evidence.tunnel {
        Some(tunnel) => (tunnel.peer, tunnel.age),
        None => ("", None),
    };
    let age = match age {
        Some(age) => ["its last handshake was ", &duration(age), " ago"].concat(),
        None => "it has had no handshake".to_owned(),
    };
    let why = match &evidence.packets {
        Packets::None(why) => why,
        _ => "",
    };
    let hook = lost(evidence).or_else(|| evidence.forth.last_hook());
    let (mut incoming, mut outgoing) = (interface(evidence), evidence.outgoing());
    if ending == Ending::Answer {
        // The way out is about the answer.
        mem::swap(&mut incoming, &mut outgoing);
    }
    // In the order of the names in the table.
    let details: [&str; DETAILS.len()] = [
        &from,
        &to,
        &destination,
        incoming,
        outgoing,
        why,
        &evidence.not_forwarding,
        portal,
        exit,
        obstacle.unwrap_or_default(),
        if evidence.refusal.is_empty() { "a rule or a route" } else { &evidence.refusal },
        evidence.reverse,
        place,
        owner.name,
        rule,
        hook.map_or("", |hook| HOOKS[hook]),
        peer,
        &age,
        evidence.onward(),
    ];
    let mut way_out = fault.way_out;
    if let Some(met) = met {
        let is_tunneled = evidence.is_tunnel || evidence.tunnel.is_some();
        way_out = owner.way_out(met.hook, device.is_some() && evidence.entered().is_some(), is_tunneled);
    }
    let mut sentence = filled(fault.words, &details);
    let mut name = "";
    if let Some((cause_name, cause)) = cause {
        name = cause_name;
        let words = filled(cause.words, &details);
        for part in [" The kernel dropped a packet each time: ", &words, " (", name, ")."] {
            sentence.push_str(part);
        }
        if !cause.way_out.is_empty() {
            way_out = cause.way_out;
        }
    }
    let is_good = matches!(ending, Ending::Works | Ending::Here | Ending::Untested);
    let words = LastWords { sentence, way_out: filled(way_out, &details), is_good };
    Conclusion { ending, cause: name, words }
}

/// Returns the interface that the packet came in on.
fn interface<'a>(evidence: &'a Evidence) -> &'a str {
    evidence.flow.device.as_ref().map_or("lo", |device| device.interface.as_str())
}

/// Finds the place where the flow ends, with the rule of a chain that dropped the packet or the answer. Never
/// inlined: its results would not stay in registers.
#[inline(never)]
fn ending<'a>(evidence: &'a Evidence) -> (Ending, Option<&'a MetInHook>) {
    let no_reports = evidence.forth.events.is_empty();
    let is_seen = evidence.connection.is_some() || refusing(evidence, 0, None).is_some();
    let refused = evidence.forth.drop().and_then(|hook| refusing(evidence, 0, Some(hook)));
    let by_route = if evidence.forth.is_over() { None } else { not_routed(evidence) };
    let answer = refusing(evidence, 1, None);
    let elsewhere = evidence.onward();
    let ending = if !evidence.is_up {
        Ending::Down
    } else if evidence.packets == Packets::Live && no_reports && !is_seen {
        Ending::NotSeen
    } else if refused.is_some() {
        return (Ending::Chain, refused);
    } else if let Some(ending) = by_route {
        ending
    } else if evidence.packets == Packets::Own && evidence.is_traced && no_reports {
        Ending::NotEntered
    } else if let Some(hook) = lost(evidence) {
        return match refusing(evidence, 0, Some(hook)) {
            // The lookup of IPv6 does not see this setting.
            None if !evidence.is_traced && !evidence.not_forwarding.is_empty() => {
                (Ending::NoForwarding, None)
            }
            None => (Ending::Unknown, None),
            met => (Ending::Chain, met),
        };
    } else if evidence.has_vanished() && !evidence.not_forwarding.is_empty() {
        Ending::NoForwarding
    } else if evidence.has_vanished() {
        Ending::Vanished
    } else if evidence.is_local() || evidence.forth.has_arrived() {
        Ending::Here
    } else if matches!(evidence.packets, Packets::None(_)) {
        Ending::Untested
    } else if !elsewhere.is_empty() && elsewhere != interface(evidence) {
        // A rule that drops such an answer is not at fault.
        Ending::Astray
    } else if answer.is_some() {
        return (Ending::Answer, answer);
    } else if evidence.has_answer() {
        Ending::Works
    } else if evidence.tunnel.as_ref().is_some_and(|tunnel| !tunnel.is_up) {
        Ending::NoHandshake
    } else {
        Ending::NoAnswer
    };
    (ending, None)
}

/// Returns the hook in which the packet vanished without a report of a chain.
pub(super) fn lost(evidence: &Evidence) -> Option<usize> {
    if evidence.is_traced {
        return evidence.forth.lost_in();
    }
    // The kernel remembers a connection when its first packet leaves.
    let is_lost = !matches!(evidence.packets, Packets::None(_)) && evidence.connection.is_none();
    let hook = [OUTPUT, INPUT, FORWARD].into_iter().find(|hook| evidence.comes_to(*hook));
    is_lost.then(|| refusing(evidence, 0, None).map_or(hook.unwrap_or(FORWARD), |met| met.hook))
}

/// Returns the first rule that refused the packet, or the answer; in this hook, if one is given. Never
/// inlined: the search has five callers.
#[inline(never)]
fn refusing<'a>(evidence: &'a Evidence, way: usize, hook: Option<usize>) -> Option<&'a MetInHook> {
    let is_it = |met: &&MetInHook| met.refuses && hook.is_none_or(|hook| met.hook == hook);
    evidence.met[way].iter().find(is_it)
}

/// Concludes from the kernel's refusal of a route.
fn not_routed(evidence: &Evidence) -> Option<Ending> {
    let errno = *evidence.route.as_ref().err()?;
    let reverse = evidence.reverse;
    let is_elsewhere = !reverse.is_empty() && reverse != interface(evidence) && evidence.rp_filter != 0;
    let is_unknown = evidence.refusal.is_empty();
    Some(match (errno, evidence.refuser, evidence.entered()) {
        (Errno::EHOSTUNREACH, ..) if !evidence.not_forwarding.is_empty() => Ending::NoForwarding,
        (_, Refuser::Portal, Some(portal)) if portal.obstacle.is_some() => Ending::Blocked,
        (_, Refuser::Portal, Some(_)) => Ending::Closed,
        (_, Refuser::Portal | Refuser::Link, _) => Ending::Unlinked,
        (Errno::EINVAL | Errno::EXDEV, ..) if is_unknown && is_elsewhere => Ending::ReversePath,
        // The kernel checks no source of IPv6.
        (Errno::EINVAL | Errno::EXDEV, ..) if is_unknown && evidence.flow.to.is_ipv4() => Ending::Impossible,
        (Errno::ENETUNREACH, ..) if is_unknown => Ending::NoRoute,
        _ => Ending::Refused,
    })
}
