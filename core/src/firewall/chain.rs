//! Base chains of our table, and the hooks that they hang on.

/// Base chain of our table. Each hangs on a fixed hook: see [`Chain::hook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// Packets that this host forwards.
    Forward,
    /// Packets addressed to this host.
    Input,
    /// Packets that this host sends itself.
    Output,
    /// Destinations of relayed packets, before any other program translates them.
    RelayedTo,
    /// Sources of relayed packets, before any other program translates them.
    RelayedFrom,
    /// Destination ports and addresses of incoming packets.
    Prerouting,
    /// Source addresses of leaving packets.
    Postrouting,
    /// Marks of incoming packets.
    Marks,
    /// Marks of packets that this host sends itself; a packet that gets a mark is routed once more.
    OwnMarks,
    /// Leaving packets, after their final route is known.
    Leaving,
}

/// Hook of a base chain, in netfilter's words. The policy is always `accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetfilterHook {
    /// Chain type: `filter`, `nat` or `route`.
    pub kind: &'static str,
    /// Name of the hook: `prerouting`, `forward`, `input`, `output` or `postrouting`.
    pub hook: &'static str,
    /// Number of the hook: NF_INET_* of linux/netfilter.h.
    pub number: u32,
    /// Priority at the hook; a lower number comes first.
    pub priority: i32,
}

impl Chain {
    /// Base chains of our table.
    pub const ALL: [Self; 10] = [
        Self::Forward,
        Self::Input,
        Self::Output,
        Self::RelayedTo,
        Self::RelayedFrom,
        Self::Prerouting,
        Self::Postrouting,
        Self::Marks,
        Self::OwnMarks,
        Self::Leaving,
    ];

    /// Name of the chain in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Input => "input",
            Self::Output => "output",
            Self::RelayedTo => "relayed-to",
            Self::RelayedFrom => "relayed-from",
            Self::Prerouting => "prerouting",
            Self::Postrouting => "postrouting",
            Self::Marks => "marks",
            Self::OwnMarks => "own-marks",
            Self::Leaving => "leaving",
        }
    }

    /// Hook that the chain hangs on.
    pub fn hook(self) -> NetfilterHook {
        let (kind, hook, number, priority) = match self {
            Self::Forward => ("filter", "forward", 2, 0),
            Self::Input => ("filter", "input", 1, 0),
            Self::Output => ("filter", "output", 3, 0),
            Self::RelayedTo => ("nat", "prerouting", 0, -110),
            Self::RelayedFrom => ("nat", "postrouting", 4, 90),
            Self::Prerouting => ("nat", "prerouting", 0, -100),
            Self::Postrouting => ("nat", "postrouting", 4, 100),
            // Connections are known here (-200), and addresses are not translated yet (-100).
            Self::Marks => ("filter", "prerouting", 0, -150),
            Self::OwnMarks => ("route", "output", 3, -150),
            Self::Leaving => ("filter", "postrouting", 4, -150),
        };
        NetfilterHook { kind, hook, number, priority }
    }
}
