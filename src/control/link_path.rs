//! Path of a link, for people.

use crate::base::net::IfName;
use crate::config::model::Name;

/// Path of a link, or the search for one.
#[derive(Debug, PartialEq, Eq)]
pub struct LinkPathStatus {
    /// Name of the site at the other end.
    pub peer: Name,
    /// Interface of the link's tunnel.
    pub interface: IfName,
    /// Path in use; none while the link is down.
    pub path: Option<LinkPath>,
    /// Ways that have been tried while the link is down, each in a sentence, and the way out.
    pub tried: Vec<String>,
    /// Outcome of the port mapping at this site's router, in a sentence; empty if there is none.
    pub port_mapping: String,
}

/// Path of a link's packets, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPath {
    /// Kind of the path.
    pub kind: PathKind,
    /// Name of the site that relays, or whose router maps a port; otherwise empty.
    pub by: Name,
}

/// Kind of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// Path through the internet.
    Direct,
    /// Path through the internet to a port that a router maps.
    Mapped,
    /// Path inside one home, or inside one carrier's network.
    Local,
    /// Path through a helper.
    Relayed,
}

impl PathKind {
    /// List of the kinds.
    pub(super) const ALL: [Self; 4] = [Self::Direct, Self::Mapped, Self::Local, Self::Relayed];

    /// Returns the word in `portals status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Mapped => "mapped",
            Self::Local => "local",
            Self::Relayed => "relayed",
        }
    }
}

impl LinkPath {
    /// Returns the path in words for people at the site `own`.
    pub fn words(&self, own: &str) -> String {
        match self.kind {
            PathKind::Mapped if self.by == own => "direct (mapped by your router)".to_owned(),
            PathKind::Mapped => format!("direct (mapped by the router of {})", self.by),
            PathKind::Relayed => format!("relayed by {}", self.by),
            kind => kind.as_str().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_words() {
        for (kind, by, words) in [
            (PathKind::Direct, "", "direct"),
            (PathKind::Local, "", "local"),
            (PathKind::Mapped, "nyc", "direct (mapped by your router)"),
            (PathKind::Mapped, "mike", "direct (mapped by the router of mike)"),
            (PathKind::Relayed, "oslo", "relayed by oslo"),
        ] {
            assert_eq!(LinkPath { kind, by: by.to_owned() }.words("nyc"), words);
        }
    }
}
