//! Hook: the user's program that runs when a portal moves to another exit.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::source::{Source, Task, Turn};
use crate::base::error::{Context as _, Result};
use crate::base::moment::after;
use crate::system::child::Child;
use crate::system::command::Command;
use crate::system::disk;

/// Longest run of a call; then the agent kills it.
const LIMIT: Duration = Duration::from_secs(30);

/// Most calls that wait for a running one. Further calls push out the oldest.
const QUEUE: usize = 64;

/// Environment variables of a call.
pub(super) type HookVariables = Vec<(&'static str, String)>;

/// Calls of the hook, one at a time.
#[derive(Debug, Default)]
pub(super) struct Hook {
    /// Calls that have not begun, the oldest first.
    waiting: Vec<(PathBuf, HookVariables)>,
    /// Running call, and the time at which it is killed.
    running: Option<(Child, Instant)>,
}

impl Hook {
    /// Queues a call, which begins when all earlier calls have ended.
    pub(super) fn tell(&mut self, program: PathBuf, facts: HookVariables) {
        if self.waiting.len() == QUEUE {
            log::warn!("the hook {} is too slow: the oldest waiting call is dropped", program.display());
            self.waiting.remove(0);
        }
        self.waiting.push((program, facts));
    }

    /// Collects or kills the running call, and begins the next one. Never waits.
    fn look_after_calls(&mut self, now: Instant) {
        if let Some((child, until)) = &mut self.running {
            match child.try_wait() {
                Ok(None) if now < *until => return,
                Ok(None) => {
                    log::warn!("the hook has not ended within {} s: killed", LIMIT.as_secs());
                    // The hook ends at once, and SIGCHLD wakes the agent.
                    let _ = child.kill();
                    *until = after(now, LIMIT);
                    return;
                }
                Ok(Some(status)) if !status.success() => log::warn!("the hook failed: {status}"),
                Ok(Some(_)) => {}
                Err(error) => log::warn!("cannot tell how the hook ended: {error}"),
            }
            self.running = None;
        }
        while !self.waiting.is_empty() {
            let (program, facts) = self.waiting.remove(0);
            match start(&program, &facts) {
                Ok(child) => {
                    self.running = Some((child, after(now, LIMIT)));
                    return;
                }
                Err(error) => log::warn!("{error}"),
            }
        }
    }
}

impl Source for Hook {
    fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|(_, until)| *until)
    }

    fn turn(&mut self, turn: Turn) -> Result<Task> {
        self.look_after_calls(turn.now);
        Ok(Task::Nothing)
    }
}

fn start(program: &PathBuf, facts: &[(&'static str, String)]) -> Result<Child> {
    let context = || format!("cannot run the hook {}", program.display());
    disk::check_program(program).context(|| format!("the hook {} is not run", program.display()))?;
    let mut command = Command::new(program);
    for (name, value) in facts {
        command.env(name, value);
    }
    command.spawn().context(context)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread::sleep;

    use nix::unistd::Pid;

    use super::*;

    /// Program that never ends by itself.
    const ENDLESS: &str = "/usr/bin/yes";

    #[test]
    fn calls_come_one_by_one_and_one_that_takes_too_long_is_killed() {
        let mut hook = Hook::default();
        let now = Instant::now();
        hook.tell(ENDLESS.into(), HookVariables::new());
        hook.tell(ENDLESS.into(), HookVariables::new());
        hook.look_after_calls(now);
        let first = pid(&hook);
        assert_eq!(hook.deadline(), Some(now + LIMIT));
        hook.look_after_calls(now + LIMIT / 2);
        assert_eq!(pid(&hook), first);
        hook.look_after_calls(now + LIMIT);
        while pid(&hook) == first {
            sleep(Duration::from_millis(10));
            hook.look_after_calls(now + LIMIT);
        }
        assert!(hook.waiting.is_empty(), "the second call has begun");
        hook.look_after_calls(now + 3 * LIMIT);
        while hook.running.is_some() {
            sleep(Duration::from_millis(10));
            hook.look_after_calls(now + 3 * LIMIT);
        }
        assert_eq!(hook.deadline(), None);
    }

    #[test]
    fn a_program_that_others_can_write_is_not_run() {
        let program = std::env::temp_dir().join(format!("portals-hook-{}", std::process::id()));
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o757)).unwrap();
        let refusal = start(&program, &HookVariables::new()).unwrap_err().to_string();
        assert!(refusal.contains("chmod o-w"), "{refusal}");
        fs::set_permissions(&program, Permissions::from_mode(0o775)).unwrap();
        let refusal = start(&program, &HookVariables::new()).unwrap_err().to_string();
        assert!(refusal.contains("chmod g-w"), "{refusal}");
        fs::remove_file(program).unwrap();
    }

    fn pid(hook: &Hook) -> Option<Pid> {
        hook.running.as_ref().map(|(child, _)| child.pid())
    }
}
