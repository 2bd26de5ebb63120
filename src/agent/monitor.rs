//! Netlink monitor: tells of changes that other programs make in the kernel.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use super::signals::Signals;
use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::after;
use crate::kernel::Kernel;
use crate::kernel::sockets::ChangeMonitor;
use crate::system::wait::wait_for_input;

/// Silence that ends a burst: other programs change things in bursts.
const QUIET: Duration = Duration::from_millis(50);

/// Longest wait for the end of a burst, from its first change on.
const BURST_LIMIT: Duration = Duration::from_millis(400);

/// Subscription to the kernel's notifications.
pub(super) struct Monitor(Box<dyn ChangeMonitor>);

impl Monitor {
    /// Subscribes: from now on no change is missed.
    pub(super) fn open(kernel: &mut dyn Kernel) -> Result<Self> {
        kernel.change_monitor().map(Self)
    }

    /// Waits until no change has come in for a while, so that the agent repairs a firmware's burst of changes
    /// once. A signal ends the wait early.
    pub(super) fn calm_down(&mut self, signals: &Signals) -> Result<()> {
        let end = after(Instant::now(), BURST_LIMIT);
        loop {
            self.0.forget();
            let mut descriptors = vec![signals.as_fd()];
            self.0.descriptors(&mut descriptors);
            let inputs = wait_for_input(&descriptors, Some(after(Instant::now(), QUIET)))?;
            let (has_signal, has_news) = (inputs[0], inputs[1..].contains(&true));
            if has_signal || !has_news || Instant::now() >= end {
                return Ok(());
            }
        }
    }

    /// Returns the process that made the last change which was not the agent's own, as far as the kernel
    /// tells.
    pub(super) fn take_culprit(&mut self) -> Option<String> {
        self.0.take_culprit()
    }

    /// Forgets the notifications so far.
    pub(super) fn forget(&mut self) {
        self.0.forget();
    }
}

impl Source for Monitor {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        self.0.descriptors(all);
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        Ok(if turn.has_input { Task::MeetBurst } else { Task::Nothing })
    }
}
