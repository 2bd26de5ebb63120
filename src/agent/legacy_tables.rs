//! Watch over the tables of legacy iptables. Legacy iptables notifies no program when a table changes, so the
//! agent compares the tables' shape about once a second, where they are in use.

use std::time::{Duration, Instant};

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::after;
use crate::kernel::Kernel;
use crate::kernel::iptables::legacy::Shape;
use crate::system::logging as log;

/// Time between two looks: the agent must repair within a second.
const PERIOD: Duration = Duration::from_millis(800);

/// Tables of legacy iptables, if there are any.
#[derive(Default)]
pub(super) struct LegacyTables {
    /// Shape of the tables when the host was last observed.
    observed: Vec<Shape>,
    watch: Option<TableWatch>,
}

struct TableWatch {
    /// Shape of the tables when all of them were found to be right; none if that shape is not known.
    good: Option<Vec<Shape>>,
    /// Time of the next look.
    due: Instant,
}

impl LegacyTables {
    /// Notes the shape before the host is observed.
    pub(super) fn begin(&mut self, kernel: &mut dyn Kernel) -> Result<()> {
        self.observed = kernel.legacy_tables()?;
        Ok(())
    }

    /// Notes the shape after the host was observed; `found_good` says that nothing had to be changed.
    /// Otherwise, or if the tables have changed since [`Self::begin`], even by the agent itself, the tables
    /// are due for another observation whatever their shape is then: two changes of another program can
    /// restore the shape that the first one found.
    pub(super) fn follow(&mut self, kernel: &mut dyn Kernel, found_good: bool, now: Instant) -> Result<()> {
        let shape = kernel.legacy_tables()?;
        self.watch = (!shape.is_empty()).then(|| TableWatch {
            good: Some(shape).filter(|shape| found_good && *shape == self.observed),
            due: after(now, PERIOD),
        });
        Ok(())
    }

    /// Compares the shape if a look is due. Reports whether the tables may have changed.
    fn may_have_changed(&mut self, kernel: &mut dyn Kernel, now: Instant) -> Result<bool> {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.due <= now) else { return Ok(false) };
        watch.due = after(now, PERIOD);
        Ok(Some(kernel.legacy_tables()?) != watch.good)
    }
}

impl Source for LegacyTables {
    fn deadline(&self) -> Option<Instant> {
        self.watch.as_ref().map(|watch| watch.due)
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        Ok(match self.may_have_changed(turn.kernel, turn.now) {
            Ok(true) => Task::Repair,
            Ok(false) => Task::Nothing,
            Err(error) => {
                log::error!("{error}");
                Task::Nothing
            }
        })
    }
}
