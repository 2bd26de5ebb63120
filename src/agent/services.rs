//! Services as an event source: the supervisor restarts a service that has ended, reads its output, and hears
//! the process of the pages.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::services::Supervisor;

impl Source for Supervisor {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        self.descriptors(all);
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        self.turn(turn.now);
        Ok(self.hear(turn.now).map_or(Task::Nothing, Task::AnswerPage))
    }
}
