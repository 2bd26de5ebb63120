//! Firewall in the form of iptables: our own chains, `PORTALS_*`, each reached by one jump at the top of a
//! built-in chain.
//!
//! The whole module is pure: [`compile()`] makes these chains from the typed rules, [`text`] writes and reads
//! their lines, and [`dump`] finds them in the output of `iptables-save`, where it also tells whether other
//! programs' rules refuse unknown packets.

mod compile;
pub mod counters;
pub mod dump;
mod spelling;
pub mod text;

pub use compile::compile;

use crate::base::net::Family;
use crate::base::sorted::SortedMap;
use crate::firewall::{Action, Chain, Condition};

/// Prefix of the names of our chains.
pub const CHAIN_PREFIX: &str = "PORTALS_";

/// Set of iptables programs. `iptables` itself may be of either flavour; where a distribution has both, the
/// other two names tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IptablesProgram {
    /// Programs named `iptables`, of either flavour.
    Plain,
    /// Programs named `iptables-legacy`, which talk to the kernel's iptables.
    Legacy,
    /// Programs named `iptables-nft`, which write nftables.
    Nft,
}

impl IptablesProgram {
    /// Sets of programs that may exist.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Legacy, Self::Nft];

    /// Returns the name of a family's program with the ending `what`: `iptables-legacy-restore`.
    pub fn name(self, family: Family, what: &str) -> String {
        let stem = match family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let flavour = match self {
            Self::Plain => "",
            Self::Legacy => "-legacy",
            Self::Nft => "-nft",
        };
        [stem, flavour, what].concat()
    }
}

/// Table of iptables that has chains of ours, in the order in which a restore makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IptablesTable {
    /// Packets that may pass.
    Filter,
    /// TCP segment sizes, and marks.
    Mangle,
    /// Addresses and ports.
    Nat,
}

impl IptablesTable {
    /// Tables in order.
    pub const ALL: [Self; 3] = [Self::Filter, Self::Mangle, Self::Nat];

    /// Name of the table in iptables' language.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
        }
    }

    /// Returns the table of a chain of the typed firewall.
    fn of(chain: Chain) -> Self {
        match chain {
            Chain::Forward | Chain::Input | Chain::Output => Self::Filter,
            Chain::Marks | Chain::OwnMarks | Chain::Leaving => Self::Mangle,
            Chain::RelayedTo | Chain::RelayedFrom | Chain::Prerouting | Chain::Postrouting => Self::Nat,
        }
    }
}

/// Returns the built-in chain that a chain of the typed firewall hangs on: `FORWARD`.
pub fn built_in(chain: Chain) -> String {
    chain.hook().hook.to_ascii_uppercase()
}

/// Content of ours in the iptables of one set of programs, by family and table. Tables without such content
/// are left out.
pub type IptablesRuleset = SortedMap<(Family, IptablesTable), TableContent>;

/// Content of ours in one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableContent {
    /// Chains of ours with their rules.
    pub chains: SortedMap<String, Vec<IptablesRule>>,
    /// Positions of the jumps to our chain in each built-in chain, counted from 1. One jump, at the top, is
    /// desired.
    pub jumps: SortedMap<String, Vec<usize>>,
}

/// Rule of one of our chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IptablesRule {
    /// Conditions in the order in which `iptables-save` prints them. None looks at a set or at the family.
    pub conditions: Vec<Condition>,
    /// Target of the packets that meet all conditions.
    pub target: IptablesTarget,
}

/// Target of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IptablesTarget {
    /// The packet ends here with this action.
    Do(Action),
    /// The rest of the chain is skipped.
    Return,
    /// The packet goes through another chain of ours first.
    Jump(String),
    /// The packet goes on in another chain of ours, and returns to the chain before this one.
    Goto(String),
    /// A target that we never write, which shows a change by another program. Only observed rules have it.
    Foreign,
}
