//! Policy rules of other programs.

use std::fmt::{self, Display, Formatter};

use crate::base::net::{Priority, Table};

/// A rule of another program that sends all IPv4 traffic to one routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatchAll {
    /// Priority of the rule.
    pub priority: Priority,
    /// Routing table that the rule looks in.
    pub table: Table,
}

impl Display for CatchAll {
    /// Writes the rule like `ip rule`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: from all lookup ", self.priority.0)?;
        if self.table == Table::MAIN { f.write_str("main") } else { write!(f, "{}", self.table.0) }
    }
}
