//! Port that is mapped, or is to be.

use std::time::{Duration, Instant};

use crate::base::moment::after;
use crate::nat::mapping::{Mapping, MappingState, Nonce};

/// Wait before a router is asked again that has refused, did not answer, or has a private address itself.
pub(super) const LONG_WAIT: Duration = Duration::from_hours(1);

/// Wait before a router is asked again whose mappings led nowhere, because of a second NAT.
const DOUBT_WAIT: Duration = Duration::from_hours(24);

/// Port, and its mapping.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) port: u16,
    pub(super) nonce: Nonce,
    pub(super) is_wanted: bool,
    /// Mapping that the router holds.
    pub(super) mapping: Option<Mapping>,
    /// Time at which the mapping ends; none if an earlier process has made it.
    pub(super) end: Option<Instant>,
    /// Set if the mapping has to be given back.
    pub(super) is_leaving: bool,
    /// Time of the next question.
    pub(super) due: Option<Instant>,
    pub(super) state: MappingState,
}

impl Entry {
    pub(super) fn new(port: u16, nonce: Nonce) -> Self {
        Self {
            port,
            nonce,
            is_wanted: false,
            mapping: None,
            end: None,
            is_leaving: false,
            due: None,
            state: MappingState::Asked,
        }
    }

    /// Takes the mapping from use: it is given back, if the router holds it.
    pub(super) fn leave(&mut self, now: Instant) {
        self.is_leaving = self.mapping.is_some();
        self.due = Some(if self.is_leaving { now } else { after(now, self.long_wait()) });
    }

    /// Forgets the mapping.
    pub(super) fn lose(&mut self) {
        (self.mapping, self.end) = (None, None);
    }

    pub(super) fn ask_at(&mut self, due: Instant) {
        (self.is_leaving, self.due) = (false, Some(due));
    }

    fn long_wait(&self) -> Duration {
        match self.state {
            MappingState::SecondNat(_, Some(_)) => DOUBT_WAIT,
            _ => LONG_WAIT,
        }
    }
}
