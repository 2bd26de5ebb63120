//! The firewall in iptables' form: chains of our own, `PORTALS_*`, hooked in by one jump each at the top of the built-in ones.
//!
//! Pure: [`compile`] makes it of the typed rules, [`text`] writes and reads its lines, [`dump`] finds it in what `iptables-save`
//! prints, where it also tells whether somebody else's rules refuse what they do not know.

mod compile;
pub mod dump;
pub mod text;

pub use compile::compile;

use crate::base::net::Family;
use crate::base::sorted::SortedMap;
use crate::firewall::{Action, Chain, Condition};

/// What every chain of ours begins with.
pub const CHAIN_PREFIX: &str = "PORTALS_";

/// A set of iptables programs. `iptables` itself may be of either flavour; where a distribution has both, the other two names
/// tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// `iptables`
    Plain,
    /// `iptables-legacy`
    Legacy,
    /// `iptables-nft`
    Nft,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Legacy, Self::Nft];

    /// The program for a family that does `what`: `iptables-legacy-restore`.
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

/// A table of iptables that we have chains in, in the order in which a restore makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// What may pass.
    Filter,
    /// TCP segment sizes, and marks.
    Mangle,
    /// Addresses and ports.
    Nat,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Filter, Self::Mangle, Self::Nat];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
        }
    }

    /// The table that a chain of the typed firewall is in.
    fn of(chain: Chain) -> Self {
        match chain {
            Chain::Forward | Chain::Input | Chain::Output => Self::Filter,
            Chain::Mss | Chain::Marks | Chain::OwnMarks | Chain::Leaving => Self::Mangle,
            Chain::Prerouting | Chain::Postrouting => Self::Nat,
        }
    }
}

/// The built-in chain that a chain of the typed firewall hangs on: `FORWARD`.
pub fn built_in(chain: Chain) -> String {
    chain.hook().hook.to_ascii_uppercase()
}

/// All that is ours in the iptables of one program, by family and table; tables with nothing of ours are left out.
pub type Ruleset = SortedMap<(Family, Table), Content>;

/// What is ours in one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Chains of ours with their rules.
    pub chains: SortedMap<String, Vec<Line>>,
    /// By built-in chain: where the jumps to ours stand in it, counted from 1. Wanted is one, at the top.
    pub jumps: SortedMap<String, Vec<usize>>,
}

/// One rule of a chain of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// In the order in which `iptables-save` prints them; none looks at a set, none asks for a family.
    pub conditions: Vec<Condition>,
    /// What happens to what meets them all.
    pub target: Target,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// It ends here.
    Do(Action),
    /// The rest of the chain is skipped.
    Return,
    /// Another chain of ours is asked first.
    Jump(String),
    /// Something that we never write: another hand was here. Observed only.
    Foreign,
}
