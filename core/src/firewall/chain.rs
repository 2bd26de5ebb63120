//! The hooks that we are at.

/// Our base chains. What each is hooked to is fixed: see [`Chain::hook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// What this host passes on.
    Forward,
    /// What is addressed to this host.
    Input,
    /// What this host sends itself.
    Output,
    /// TCP segment sizes of what is passed on.
    Mss,
    /// Ports of what comes in for this host.
    Prerouting,
    /// Source addresses of what leaves.
    Postrouting,
    /// Marks of what comes in.
    Marks,
    /// Marks of what this host sends itself; what gets one is routed once more.
    OwnMarks,
    /// What leaves, by the way that it takes in the end.
    Leaving,
}

/// Where a base chain is hooked in, in netfilter's words. Policy is always `accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// `filter`, `nat` or `route`.
    pub kind: &'static str,
    /// `prerouting`, `forward`, `input`, `output`, `postrouting`.
    pub hook: &'static str,
    /// NF_INET_* number of the hook (linux/netfilter.h).
    pub number: u32,
    /// Lower comes first.
    pub priority: i32,
}

impl Chain {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Forward,
        Self::Input,
        Self::Output,
        Self::Mss,
        Self::Prerouting,
        Self::Postrouting,
        Self::Marks,
        Self::OwnMarks,
        Self::Leaving,
    ];

    /// The chain's name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Input => "input",
            Self::Output => "output",
            Self::Mss => "mss",
            Self::Prerouting => "prerouting",
            Self::Postrouting => "postrouting",
            Self::Marks => "marks",
            Self::OwnMarks => "own-marks",
            Self::Leaving => "leaving",
        }
    }

    /// Where it is hooked in.
    pub fn hook(self) -> Hook {
        let (kind, hook, number, priority) = match self {
            Self::Forward => ("filter", "forward", 2, 0),
            Self::Input => ("filter", "input", 1, 0),
            Self::Output => ("filter", "output", 3, 0),
            Self::Mss => ("filter", "forward", 2, -150),
            Self::Prerouting => ("nat", "prerouting", 0, -100),
            Self::Postrouting => ("nat", "postrouting", 4, 100),
            // Where connections are known (-200), and addresses are not translated yet (-100).
            Self::Marks => ("filter", "prerouting", 0, -150),
            Self::OwnMarks => ("route", "output", 3, -150),
            Self::Leaving => ("filter", "postrouting", 4, -150),
        };
        Hook { kind, hook, number, priority }
    }
}
