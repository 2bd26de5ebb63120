//! Restart of a search.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Search, Stage};

impl Search {
    /// Begins anew, because the link does not work any more, or because this host's network has changed.
    ///
    /// If the search has chosen an address, and the link did not come up there, the search keeps its age and
    /// its pace: WireGuard refuses the peer there, and is likely to refuse it again.
    pub fn begin_anew(&mut self, addresses: Vec<SocketAddr>, now: Instant) {
        let mut new = Self::begin(self.link.clone(), addresses, now);
        (new.deaf_until, new.heard) = (self.deaf_until, self.heard);
        if let (Stage::Searching(_), Some((address, _))) = (self.stage, self.chosen) {
            new.refused = Some((address, now));
            (new.began, new.next) = (self.began, self.next);
            (new.in_time, new.early) = (self.in_time, self.early);
        }
        *self = new;
    }
}
