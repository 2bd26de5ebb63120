//! Drops of packets for which no rule is responsible: the kernel's reasons, and its counters.

mod counters;
mod reasons;

use crate::base::net::Family;
use counters::{COUNTERS, Counts};
use reasons::Reasons;

/// Watch over the packets that this process sends: the drops that come with each of them.
pub struct DropWatch {
    family: Family,
    /// Interface by which the packets come in.
    incoming: String,
    reasons: Option<Reasons>,
    before: Counts,
    /// Names of the drops that came with each packet; `None` before the first packet.
    names: Option<Vec<String>>,
}

impl DropWatch {
    /// Begins to watch over packets of a family, which come in on an interface.
    pub fn begin(family: Family, incoming: &str) -> Self {
        let incoming = incoming.to_owned();
        Self { family, incoming, reasons: Reasons::open(), before: Counts::default(), names: None }
    }

    /// Prepares for the next packet.
    pub fn before(&mut self) {
        self.before = counters::read(self.family, &self.incoming);
        if let Some(reasons) = &mut self.reasons {
            reasons.take(self.family);
        }
    }

    /// Looks for the drops that came with the packet. Keeps only those that came with all packets before.
    pub fn after(&mut self) {
        let mut names = match &mut self.reasons {
            Some(reasons) => reasons.take(self.family),
            None => Vec::new(),
        };
        let after = counters::read(self.family, &self.incoming);
        for (index, name) in COUNTERS.into_iter().enumerate() {
            if after[index] > self.before[index] {
                names.push(name.to_owned());
            }
        }
        if let Some(before) = &self.names {
            names.retain(|name| before.contains(name));
        }
        self.names = Some(names);
    }

    /// Returns the names of the drops that came with each packet: reasons of the kernel (`SKB_DROP_REASON_*`,
    /// without these words) in order, then counters that grew.
    pub fn names(self) -> Vec<String> {
        self.names.unwrap_or_default()
    }
}
