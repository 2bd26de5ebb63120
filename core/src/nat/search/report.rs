//! Report of a search, for people: the path in use, and what has been tried.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::candidates::is_mapping;
use super::places::{Place, Use};
use super::{Path, Search, Stage};

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayReport {
    /// The helper has not told about its relay yet.
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
        let candidates = self.candidates.iter().map(|candidate| CandidateReport {
            address: candidate.address,
            path: candidate.path,
            has_answered: candidate.delay.is_some(),
        });
        let own = self.places.list.iter().filter_map(|place| place.seen);
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
            helpers: self.link.helpers.iter().map(|helper| self.helper_report(helper.id, now)).collect(),
            candidates: candidates.collect(),
            pinged: self.pinged,
            symmetric: (has_several_ports(own), has_several_ports(self.fresh_peers(now))),
        }
    }

    /// Returns the addresses of the peer that helpers have seen lately.
    fn fresh_peers(&self, now: Instant) -> impl Iterator<Item = SocketAddr> {
        let peers = self.places.list.iter().filter_map(|place| place.peer);
        let is_fresh = move |heard| now.saturating_duration_since(heard) < FRESH;
        peers.filter(move |(_, heard)| is_fresh(*heard)).map(|(peer, _)| peer)
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
        let places: Vec<&Place> = self.places.list.iter().filter(|place| place.helper == id).collect();
        let at = |purpose| places.iter().filter(move |place| place.purpose == purpose);
        let since = |times: &mut dyn Iterator<Item = Option<Instant>>| {
            times.flatten().max().map(|last| now.saturating_duration_since(last))
        };
        let questions = || at(Use::Usual).chain(at(Use::Extra));
        let has_answered = |purpose| at(purpose).any(|place| place.seen.is_some());
        let latest = questions().filter(|place| place.seen.is_some()).max_by_key(|place| place.answered.1);
        let peers = questions().filter_map(|place| place.peer).max_by_key(|(_, heard)| *heard);
        let port = |purpose| at(purpose).next().map(|place| place.address.port());
        let has_told = places.iter().any(|place| place.answered.0 >= PROVEN);
        let registered = places.iter().find(|place| place.is_registered);
        let relay = match (registered, port(Use::Relay)) {
            (Some(place), _) => RelayReport::Registered(place.address.port()),
            (None, Some(port)) => RelayReport::Silent(port),
            (None, None) if has_told => RelayReport::Refused,
            (None, None) => RelayReport::Unknown,
        };
        HelperReport {
            id,
            port: port(Use::Usual).unwrap_or_default(),
            extra_port: port(Use::Extra),
            questions: questions().map(|place| place.asked.0).sum(),
            asked: since(&mut questions().map(|place| place.asked.1)),
            answered: since(&mut questions().map(|place| place.answered.1)),
            is_extra_only: has_answered(Use::Extra) && !has_answered(Use::Usual),
            seen: latest.and_then(|place| place.seen),
            has_told,
            peer: peers.map(|(peer, heard)| (peer, now.saturating_duration_since(heard))),
            relay,
        }
    }
}

/// Reports whether one IPv4 address occurs with several ports: the addresses are those of one site, as
/// several ports of helpers see it.
fn has_several_ports(seen: impl Iterator<Item = SocketAddr>) -> bool {
    let seen: Vec<SocketAddr> = seen.filter(SocketAddr::is_ipv4).collect();
    seen.iter().any(|one| seen.iter().any(|other| one.ip() == other.ip() && one.port() != other.port()))
}
