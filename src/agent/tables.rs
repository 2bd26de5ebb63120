//! Legacy iptables tells nobody when a table changes: its shape is looked at about once a second, where it is in use.

use std::time::{Duration, Instant};

use crate::base::error::Result;
use crate::kernel::iptables::legacy::{self, Shape};

/// How often to look: repairs shall come within a second.
const PERIOD: Duration = Duration::from_millis(800);

/// The tables of legacy iptables, if there are any.
#[derive(Default)]
pub(super) struct Tables {
    /// Their shape when the host was last looked at.
    begun: Vec<Shape>,
    watch: Option<Watch>,
}

struct Watch {
    /// Their shape when all was found to be as it should be; none if that is not known.
    good: Option<Vec<Shape>>,
    /// When to look next.
    due: Instant,
}

impl Tables {
    /// The host is about to be looked at.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.begun = legacy::shape()?;
        Ok(())
    }

    /// All tables have been looked through since [`Self::begin`], and `found_good`. If not, or if they have changed meanwhile, be it by
    /// us, they will be looked through once more, whatever their shape is then: what others have done twice leaves the shape that
    /// it had after the first time.
    pub(super) fn follow(&mut self, found_good: bool, now: Instant) -> Result<()> {
        let after = legacy::shape()?;
        self.watch = (!after.is_empty()).then(|| Watch {
            good: Some(after).filter(|after| found_good && *after == self.begun),
            due: now + PERIOD,
        });
        Ok(())
    }

    /// When to look next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.watch.as_ref().map(|watch| watch.due)
    }

    /// Looks, if it is time; whether they are to be looked through.
    pub(super) fn turn(&mut self, now: Instant) -> Result<bool> {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.due <= now) else { return Ok(false) };
        watch.due = now + PERIOD;
        Ok(Some(legacy::shape()?) != watch.good)
    }
}
