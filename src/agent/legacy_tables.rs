//! Watch over the tables of legacy iptables. The kernel tells no program when a table changes, but the
//! programs that change one take the lock of iptables: after that, and about once a second in any case, the
//! agent reads the tables, where they are in use. Tables with the digest of the last good ones need no
//! repair, and no process to find that out.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::after;
use crate::kernel::Kernel;
use crate::system::logging as log;

/// Time between two looks if no program takes the lock: the agent must repair within a second.
const PERIOD: Duration = Duration::from_millis(800);

/// Time between two looks where there is no lock: before version 1.4.21, iptables has none.
const PERIOD_WITHOUT_LOCK: Duration = Duration::from_millis(250);

/// Time from the lock to the look: other programs change things in bursts.
const QUIET: Duration = Duration::from_millis(50);

/// Longest wait for the end of a burst, from its first change on.
const BURST_LIMIT: Duration = Duration::from_millis(400);

/// Files that programs lock while they change the tables: the second one on OpenWrt.
const LOCKS: [&str; 2] = ["/run/xtables.lock", "/var/run/xtables.lock"];

/// Tables of legacy iptables, if there are any.
#[derive(Default)]
pub(super) struct LegacyTables {
    /// Digest of the tables when the host was last observed.
    observed: Option<u64>,
    watch: Option<TableWatch>,
}

struct TableWatch {
    /// Digest of the tables when all of them were found to be right; none if that digest is not known.
    good: Option<u64>,
    /// Time of the next look.
    due: Instant,
    /// Time by which a burst of changes is looked at, even if it goes on.
    limit: Option<Instant>,
    /// Notifications about the lock, unless the kernel has none.
    locks: Option<Inotify>,
}

impl TableWatch {
    /// Returns the time between two looks, and follows the files of the lock, which a program may have made.
    fn period(&self) -> Duration {
        let mut has_lock = false;
        for lock in LOCKS {
            let locks = self.locks.as_ref();
            has_lock |= locks.is_some_and(|locks| locks.add_watch(lock, AddWatchFlags::IN_CLOSE).is_ok());
        }
        if has_lock { PERIOD } else { PERIOD_WITHOUT_LOCK }
    }

    /// Takes note of programs that have taken the lock.
    fn hear(&mut self, now: Instant) {
        while self.locks.as_ref().is_some_and(|locks| locks.read_events().is_ok()) {}
        let limit = *self.limit.get_or_insert(after(now, BURST_LIMIT).min(self.due));
        self.due = after(now, QUIET).min(limit);
    }
}

impl LegacyTables {
    /// Notes the digest before the host is observed.
    pub(super) fn begin(&mut self, kernel: &mut dyn Kernel) -> Result<()> {
        self.observed = kernel.legacy_tables()?;
        Ok(())
    }

    /// Notes the digest after the host was observed; `found_good` says that nothing had to be changed.
    /// Otherwise, or if the tables have changed since [`Self::begin`], even by the agent itself, the tables
    /// are due for another observation whatever their digest is then: two changes of another program can
    /// restore the tables that the first one found.
    pub(super) fn follow(&mut self, kernel: &mut dyn Kernel, found_good: bool, now: Instant) -> Result<()> {
        let digest = kernel.legacy_tables()?;
        let locks = self.watch.take().map(|watch| watch.locks);
        self.watch = digest.map(|digest| {
            let open = || Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
            let mut watch = TableWatch {
                good: Some(digest).filter(|_| found_good && self.observed == Some(digest)),
                due: now,
                limit: None,
                locks: locks.unwrap_or_else(open),
            };
            watch.due = after(now, watch.period());
            watch
        });
        Ok(())
    }

    /// Compares the digest if a look is due. Reports whether the tables may have changed.
    fn may_have_changed(&mut self, kernel: &mut dyn Kernel, now: Instant) -> Result<bool> {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.due <= now) else { return Ok(false) };
        watch.due = after(now, watch.period());
        watch.limit = None;
        let digest = kernel.legacy_tables()?;
        Ok(watch.good.is_none() || digest != watch.good)
    }
}

impl Source for LegacyTables {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        let locks = self.watch.as_ref().and_then(|watch| watch.locks.as_ref());
        all.extend(locks.map(|locks| locks.as_fd()));
    }

    fn deadline(&self) -> Option<Instant> {
        self.watch.as_ref().map(|watch| watch.due)
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        if turn.has_input
            && let Some(watch) = &mut self.watch
        {
            watch.hear(turn.now);
        }
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
