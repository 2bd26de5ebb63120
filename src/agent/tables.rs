//! Legacy iptables tells nobody when a table changes: its shape is looked at once a second, where it is in use.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::kernel::iptables::legacy::{self, Shape};

/// How often to look: repairs shall come within a second.
const PERIOD: Duration = Duration::from_millis(800);

/// The tables as they were left, if some of them are ours.
#[derive(Default)]
pub(super) struct Tables(Option<(Vec<Shape>, Instant)>);

impl Tables {
    /// From now on they are as they should be; nothing is looked at if `in_use` says that none of them is ours.
    pub(super) fn follow(&mut self, in_use: bool, now: Instant) -> Result<()> {
        self.0 = if in_use { Some((legacy::shape()?, now + PERIOD)) } else { None };
        Ok(())
    }

    /// When to look next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().map(|(_, due)| *due)
    }

    /// Looks, if it is time; whether somebody has changed them.
    pub(super) fn turn(&mut self, now: Instant) -> Result<bool> {
        let Some((left, due)) = &mut self.0 else { return Ok(false) };
        if *due > now {
            return Ok(false);
        }
        *due = now + PERIOD;
        Ok(legacy::shape()? != *left)
    }
}
