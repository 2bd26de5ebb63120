//! Other programs' policy rules.

use std::fmt::{self, Display, Formatter};

use crate::base::net::{Priority, Table};

/// Somebody else's rule that has all IPv4 traffic look for its way in one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatchAll {
    /// Its priority.
    pub priority: Priority,
    /// The table that it looks in.
    pub table: Table,
}

impl Display for CatchAll {
    /// Written as `ip rule` does.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: from all lookup ", self.priority.0)?;
        if self.table == Table::MAIN { f.write_str("main") } else { write!(f, "{}", self.table.0) }
    }
}
