//! Legacy iptables tells nobody when a table changes: its shape is looked at about once a second, where it is in use.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::kernel::iptables::legacy::{self, Shape};

/// How often to look: repairs shall come within a second.
const PERIOD: Duration = Duration::from_millis(800);

/// The tables as they were when they were last dealt with, if there are any.
#[derive(Default)]
pub(super) struct Tables(Option<(Vec<Shape>, Instant)>);

impl Tables {
    /// All tables have been looked through since they had the shape `before`. If they have changed meanwhile, be it by us, they will be
    /// looked through once more: nobody else's change of that moment is lost.
    pub(super) fn follow(&mut self, before: Vec<Shape>, now: Instant) -> Result<()> {
        let any = !legacy::shape()?.is_empty();
        self.0 = any.then_some((before, now + PERIOD));
        Ok(())
    }

    /// When to look next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.as_ref().map(|(_, due)| *due)
    }

    /// Looks, if it is time; whether somebody has changed them.
    pub(super) fn turn(&mut self, now: Instant) -> Result<bool> {
        let Some((before, due)) = &mut self.0 else { return Ok(false) };
        if *due > now {
            return Ok(false);
        }
        *due = now + PERIOD;
        Ok(legacy::shape()? != *before)
    }
}
