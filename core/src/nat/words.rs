//! Words about a link that is down: the ways that have been tried, and the way out.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

use super::are_of_one_ip;
use super::search::{HelperReport, RelayReport, SearchReport};
use crate::base::duration::duration;
use crate::base::sorted::SortedMap;

/// Age of a search from which on its outcome says something: most links are up before.
const EARLY: Duration = Duration::from_secs(5);

/// Age at which an answer or the peer's last question no longer counts: questions are at most 30 s apart.
const STALE: Duration = Duration::from_secs(90);

/// Largest number of helpers with a sentence each.
const MOST_HELPERS: usize = 4;

/// Names for the words about a link.
#[derive(Debug, Clone, Copy)]
pub struct LinkNames<'a> {
    /// Name of the site at the other end.
    pub peer: &'a str,
    /// Names of the helpers by id, including those whose address is unknown.
    pub helpers: &'a SortedMap<u8, String>,
}

/// Returns sentences about a link that is down; none if it is up or nobody has been asked. With
/// `has_second_nat`, another NAT is in front of this site's router.
pub fn sentences(report: &SearchReport, names: LinkNames, has_second_nat: bool) -> Vec<String> {
    if !report.is_searching || report.helpers.iter().all(|helper| helper.questions == 0) {
        return Vec::new();
    }
    let mut words = Words { report, names, has_second_nat, sentences: Vec::new() };
    words.helpers();
    words.endpoint();
    if report.age >= EARLY || report.refused.is_some() {
        words.outcome();
    }
    words.sentences
}

struct Words<'a> {
    report: &'a SearchReport,
    names: LinkNames<'a>,
    has_second_nat: bool,
    sentences: Vec<String>,
}

impl<'a> Words<'a> {
    fn say(&mut self, sentence: String) {
        self.sentences.push(sentence);
    }

    fn name(&self, id: u8) -> &str {
        self.names.helpers.get(&id).map_or("?", String::as_str)
    }

    /// Returns helpers that answer at present.
    fn answering(&self) -> impl Iterator<Item = &'a HelperReport> + use<'a> {
        self.report.helpers.iter().filter(|helper| answers(helper))
    }

    /// Tells what each helper has answered.
    fn helpers(&mut self) {
        let (report, names) = (self.report, self.names);
        for helper in self.answering().take(MOST_HELPERS) {
            self.say(self.answer(helper));
        }
        let (mut places, mut questions, mut asked) = (Vec::new(), 0, None);
        for helper in &report.helpers {
            if !answers(helper) {
                places.push(self.ports(helper));
                questions += helper.questions;
            }
            asked = match (asked, helper.asked) {
                (Some(one), Some(other)) => Some(other.min(one)),
                (one, other) => one.or(other),
            };
        }
        if !places.is_empty() {
            let places = places.join(", nor from ");
            let last = ago(asked.unwrap_or_default());
            self.say(format!("no answer from {places} ({questions} questions, the last {last} ago)"));
        }
        let mut unknown = Vec::new();
        for (id, name) in names.helpers {
            if !report.helpers.iter().any(|helper| helper.id == *id) {
                unknown.push(name.as_str());
            }
        }
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            self.say(format!("no address is known of {names}: check `endpoint`, and name resolution here"));
        }
    }

    fn answer(&self, helper: &HelperReport) -> String {
        let mut answer =
            format!("{} answered {} ago", self.name(helper.id), ago(helper.answered.unwrap_or_default()));
        if let Some(port) = helper.extra_port.filter(|_| helper.is_extra_only) {
            let _ = write!(answer, " at UDP {port} alone");
        }
        if let Some(seen) = helper.seen {
            let _ = write!(answer, ", and sees this site as {seen}");
        }
        let peer = self.names.peer;
        let _ = match helper.peer {
            Some((address, age)) => write!(answer, ", and {peer} as {address} {} ago", ago(age)),
            None if helper.has_told => write!(answer, "; {peer} has not asked it lately"),
            None => Ok(()),
        };
        answer
    }

    /// Returns a helper with its ports for questions.
    fn ports(&self, helper: &HelperReport) -> String {
        let extra = helper.extra_port.map_or_else(String::new, |port| format!(" and {port}"));
        format!("{} at UDP {}{extra}", self.name(helper.id), helper.port)
    }

    /// Tells whether the endpoint in the network file answers.
    fn endpoint(&mut self) {
        let Some(endpoint) = self.report.endpoint else { return };
        if self.report.candidates.iter().any(|tried| tried.address == endpoint && !tried.has_answered) {
            let (peer, port) = (self.names.peer, endpoint.port());
            let is_own =
                |helper: &HelperReport| helper.seen.is_some_and(|own| are_of_one_ip(&own, &endpoint));
            if self.answering().any(is_own) {
                return self.say(format!(
                    "the `endpoint` of {peer}, {endpoint}, is the public address of this site itself: \
                     correct it, unless {peer} is in the same home"
                ));
            }
            self.say(format!(
                "no answer from the `endpoint` of {peer}, {endpoint}: correct it, or forward UDP {port} to it"
            ));
        }
    }

    /// Tells what the search has come to, and the way out.
    fn outcome(&mut self) {
        let (report, peer) = (self.report, self.names.peer);
        if let Some(address) = report.refused {
            return self.say(format!(
                "{peer} answers pings at {address}, but there is no handshake: compare the keys at both sites"
            ));
        }
        if report.chosen.is_some() {
            // A handshake is under way.
            return;
        }
        if self.answering().next().is_none() {
            return self.no_helper();
        }
        let is_seen = |helper: &HelperReport| helper.peer.is_some_and(|(_, age)| age < STALE);
        if !report.pinged && !self.answering().any(is_seen) {
            if self.answering().all(|helper| helper.has_told) {
                self.say(format!("{peer} is off, runs no agent, or reaches no helper: look there"));
            }
            return;
        }
        self.say(if report.pinged {
            format!("pings of {peer} come through, but answers do not")
        } else {
            format!("no ping of {peer} came through")
        });
        let (is_symmetric, is_peer_symmetric) = report.symmetric;
        if is_symmetric {
            self.say("the NAT here gives each destination another port".to_owned());
        }
        if is_peer_symmetric {
            self.say(format!("the NAT of {peer} gives each destination another port"));
        }
        self.relays();
        self.forward();
    }

    /// Tells the way out if no helper answers.
    fn no_helper(&mut self) {
        let Some(helper) = self.report.helpers.first() else { return };
        let (name, port) = (self.name(helper.id), helper.port);
        let way_out = match helper.extra_port {
            Some(extra) => format!("{port} or {extra}: forward them to {name}"),
            None => format!("{port}: forward it to {name}, or set `helper_port = 443` there"),
        };
        self.say(format!("this site may be offline, UDP blocked here, or {name} not get UDP {way_out}"));
    }

    /// Tells the state of each helper's relay.
    fn relays(&mut self) {
        let peer = self.names.peer;
        for helper in self.answering().take(MOST_HELPERS) {
            let name = self.name(helper.id);
            let sentence = match helper.relay {
                RelayReport::Unknown => continue,
                RelayReport::Refused => format!(
                    "{name} does not relay: remove `relay = false` there, lower its `port`, or add `subnet6` \
                     for IPv6"
                ),
                RelayReport::Silent(port) => {
                    format!("no answer from the relay of {name}: forward UDP {port} to it")
                }
                RelayReport::Registered(port) => format!(
                    "{name} relays for this site, but nothing of {peer} came that way: \
                     {peer} may not reach UDP {port} of {name}"
                ),
            };
            self.say(sentence);
        }
    }

    /// Tells which port to forward.
    fn forward(&mut self) {
        let SearchReport { port, peer_port, .. } = *self.report;
        let peer = self.names.peer;
        let there = format!("forward UDP {peer_port} to {peer} at its router");
        self.say(if self.has_second_nat {
            format!("the router here is behind another NAT, so forwarding here is no use: {there}")
        } else {
            let is_kept = self.answering().any(|helper| helper.seen.is_some_and(|seen| seen.port() == port));
            let endpoint = if is_kept { "" } else { " and give this site an `endpoint`" };
            format!("forward UDP {port} at your router to this box{endpoint}, or {there}")
        });
    }
}

/// Reports whether a helper answers at present.
fn answers(helper: &HelperReport) -> bool {
    helper.answered.is_some_and(|age| age < STALE)
}

fn ago(age: Duration) -> String {
    duration(age.as_secs())
}
