//! Report of a search, for people: the path in use, and what has been tried.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::candidates::is_mapping;
use super::places::Use;
use super::{Path, Search, Stage};
use crate::nat::are_of_one_ip;

/// Number of answers after which a helper has told all that it knows: the first one only brings the cookie.
const PROVEN: u32 = 2;

/// Age of the peer's question up to which its address counts as its present one.
const FRESH: Duration = Duration::from_mins(1);

/// Age up to which an address counts at which the link did not come up: rounds are at most 30 s apart, so the
/// next attempt there has failed by then.
const REFUSED: Duration = Duration::from_secs(90);

/// Report of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchReport {
    /// Address in use for the peer, and its path; `None` if no ping has been answered.
    pub chosen: Option<(SocketAddr, Path)>,
    /// Address that has answered a ping lately, and at which the link did not come up.
    pub refused: Option<SocketAddr>,
    /// End of the path whose router maps a port for it, if one does.
    pub mapped: Option<MappedAt>,
    /// Set while the link is down.
    pub is_searching: bool,
    /// Time since the search began.
    pub age: Duration,
    /// Port of the link's tunnel at this site.
    pub port: u16,
    /// Port of the link's tunnel at the peer.
    pub peer_port: u16,
    /// Endpoint of the peer in the network file.
    pub endpoint: Option<SocketAddr>,
    /// Helpers in the order of the link's list.
    pub helpers: Vec<HelperReport>,
    /// Addresses at which the peer has been tried.
    pub candidates: Vec<CandidateReport>,
    /// Set if a ping of the peer has come through.
    pub pinged: bool,
    /// Tells of this site's NAT and the peer's whether they give each destination another port.
    pub symmetric: (bool, bool),
}

/// End of a path whose router maps a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappedAt {
    /// Router of this site.
    Own,
    /// Router of the site at the other end.
    Peer,
}

/// Helper, and what it has told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelperReport {
    /// Id of the site.
    pub id: u8,
    /// First port at which it has been asked.
    pub port: u16,
    /// Second port at which it can be asked.
    pub extra_port: Option<u16>,
    /// Number of questions.
    pub questions: u32,
    /// Time since the last question.
    pub asked: Option<Duration>,
    /// Time since the last answer.
    pub answered: Option<Duration>,
    /// Set if the first port is silent, and the second one answers.
    pub is_extra_only: bool,
    /// Address of this site as the helper sees it.
    pub seen: Option<SocketAddr>,
    /// Set once the helper has told all that it knows of the peer.
    pub has_told: bool,
    /// Address of the peer as the helper sees it, and the time since the peer's last question.
    pub peer: Option<(SocketAddr, Duration)>,
    /// State of the helper's relay.
    pub relay: RelayReport,
}

/// State of a relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RelayReport {
    /// The helper has not told about its relay yet.
    #[default]
    Unknown,
    /// The helper does not relay the link: its file says so, the port would be above 65535, or this site asks
    /// over IPv6 and the network has no `subnet6`.
    Refused,
    /// The helper relays at this port, which has not answered yet.
    Silent(u16),
    /// The helper knows this site's address at this port, and relays once it knows the peer's, too.
    Registered(u16),
}

/// Address at which the peer has been tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CandidateReport {
    /// Address.
    pub address: SocketAddr,
    /// Path to it.
    pub path: Path,
    /// Set if a ping has been answered there.
    pub has_answered: bool,
}

impl Search {
    /// Reports the path in use and what has been tried.
    pub fn report(&self, now: Instant) -> SearchReport {
        let mut candidates = Vec::new();
        for candidate in self.candidates.iter() {
            candidates.push(CandidateReport {
                address: candidate.address,
                path: candidate.path,
                has_answered: candidate.delay.is_some(),
            });
        }
        let (mut helpers, mut seen, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        for helper in &self.link.helpers {
            helpers.push(self.helper_report(helper.id, now));
        }
        for place in &self.places.list {
            seen.extend(place.seen);
            // Addresses of the peer that helpers have seen lately.
            let fresh = place.peer.filter(|(_, heard)| now.saturating_duration_since(*heard) < FRESH);
            peers.extend(fresh.map(|(peer, _)| peer));
        }
        let refused = self.refused.filter(|(_, at)| now.saturating_duration_since(*at) < REFUSED);
        SearchReport {
            chosen: self.chosen,
            refused: refused.map(|(address, _)| address),
            mapped: self.mapped(),
            is_searching: matches!(self.stage, Stage::Searching(_)),
            age: now.duration_since(self.began),
            port: self.link.port,
            peer_port: self.link.peer_port,
            endpoint: self.link.endpoint,
            helpers,
            candidates,
            pinged: self.pinged,
            symmetric: (has_several_ports(&seen), has_several_ports(&peers)),
        }
    }

    /// Returns the end of a direct path whose router maps a port for it.
    fn mapped(&self) -> Option<MappedAt> {
        let (address, _) = self.chosen.filter(|(_, path)| *path == Path::Direct)?;
        let candidate = self.candidates.iter().find(|candidate| candidate.address == address)?;
        let is_own = |seen| is_mapping(seen) && self.addresses.contains(&seen);
        match candidate.seen {
            Some(seen) if is_own(seen) => Some(MappedAt::Own),
            _ => candidate.is_mapped.then_some(MappedAt::Peer),
        }
    }

    fn helper_report(&self, id: u8, now: Instant) -> HelperReport {
        let mut report = HelperReport { id, ..HelperReport::default() };
        let (mut asked, mut answered, mut heard) = (None, None, None);
        let mut is_usual_heard = false;
        for place in self.places.list.iter().filter(|place| place.helper == id) {
            let port = place.address.port();
            report.has_told |= place.answered.0 >= PROVEN;
            report.relay = match report.relay {
                RelayReport::Registered(_) => report.relay,
                _ if place.is_registered => RelayReport::Registered(port),
                RelayReport::Unknown if place.purpose == Use::Relay => RelayReport::Silent(port),
                _ => report.relay,
            };
            match place.purpose {
                Use::Relay => continue,
                Use::Usual if report.port == 0 => report.port = port,
                Use::Extra if report.extra_port.is_none() => report.extra_port = Some(port),
                _ => {}
            }
            report.questions += place.asked.0;
            asked = asked.max(place.asked.1);
            if place.seen.is_some() {
                is_usual_heard |= place.purpose == Use::Usual;
                if place.answered.1 >= answered {
                    (answered, report.seen) = (place.answered.1, place.seen);
                }
            }
            if let Some((peer, at)) = place.peer
                && Some(at) >= heard
            {
                heard = Some(at);
                report.peer = Some((peer, now.saturating_duration_since(at)));
            }
        }
        if report.relay == RelayReport::Unknown && report.has_told {
            report.relay = RelayReport::Refused;
        }
        let since = |time: Option<Instant>| time.map(|time| now.saturating_duration_since(time));
        (report.asked, report.answered) = (since(asked), since(answered));
        report.is_extra_only = report.seen.is_some() && !is_usual_heard;
        report
    }
}

/// Reports whether one IPv4 address occurs with several ports: the addresses are those of one site, as
/// several ports of helpers see it.
fn has_several_ports(seen: &[SocketAddr]) -> bool {
    for (index, one) in seen.iter().enumerate() {
        for other in &seen[index + 1..] {
            if one.is_ipv4() && are_of_one_ip(one, other) && one.port() != other.port() {
                return true;
            }
        }
    }
    false
}
