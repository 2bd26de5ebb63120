//! The user's program that is told when a portal moves to another exit.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::base::error::{Context as _, Result};
use crate::system::child::unblocked;
use crate::system::disk;

/// How long a call may take; then it is killed.
const LIMIT: Duration = Duration::from_secs(30);

/// So many calls may wait for one that takes long; the oldest of more are dropped.
const QUEUE: usize = 64;

/// What a call is told, in its environment.
pub(super) type Facts = Vec<(&'static str, String)>;

/// Calls of the program, one at a time.
#[derive(Debug, Default)]
pub(super) struct Hook {
    /// The oldest comes first.
    waiting: Vec<(PathBuf, Facts)>,
    running: Option<(Child, Instant)>,
}

impl Hook {
    /// Has the program told, as soon as it has nothing else to do.
    pub(super) fn tell(&mut self, program: PathBuf, facts: Facts) {
        if self.waiting.len() == QUEUE {
            log::warn!("{} is too slow: it is not told of everything", program.display());
            self.waiting.remove(0);
        }
        self.waiting.push((program, facts));
    }

    /// When a call will have taken too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|(_, until)| *until)
    }

    /// Looks after the call that runs, and begins the next: never waits.
    pub(super) fn turn(&mut self, now: Instant) {
        if let Some((child, until)) = &mut self.running {
            match child.try_wait() {
                Ok(None) if now < *until => return,
                Ok(None) => {
                    log::warn!("the hook has not ended for {} s: killed", LIMIT.as_secs());
                    // It ends at once, which a signal tells.
                    let _ = child.kill();
                    *until = now + LIMIT;
                    return;
                }
                Ok(Some(status)) if !status.success() => log::warn!("the hook failed: {status}"),
                Ok(Some(_)) => {}
                Err(error) => log::warn!("the hook is lost: {error}"),
            }
            self.running = None;
        }
        while !self.waiting.is_empty() {
            let (program, facts) = self.waiting.remove(0);
            match start(&program, facts) {
                Ok(child) => {
                    self.running = Some((child, now + LIMIT));
                    return;
                }
                Err(error) => log::warn!("{error}"),
            }
        }
    }
}

fn start(program: &PathBuf, facts: Facts) -> Result<Child> {
    let doing = || format!("cannot run the hook {}", program.display());
    disk::check_program(program).doing(|| format!("the hook {} is not run", program.display()))?;
    let mut command = Command::new(program);
    command.envs(facts).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    unblocked(&mut command).spawn().doing(doing)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::thread::sleep;

    use super::*;

    /// A program that never ends by itself.
    const ENDLESS: &str = "/usr/bin/yes";

    #[test]
    fn calls_come_one_by_one_and_one_that_takes_too_long_is_killed() {
        let mut hook = Hook::default();
        let now = Instant::now();
        hook.tell(ENDLESS.into(), Facts::new());
        hook.tell(ENDLESS.into(), Facts::new());
        hook.turn(now);
        let first = pid(&hook);
        assert_eq!(hook.deadline(), Some(now + LIMIT));
        hook.turn(now + LIMIT / 2);
        assert_eq!(pid(&hook), first);
        hook.turn(now + LIMIT);
        while pid(&hook) == first {
            sleep(Duration::from_millis(10));
            hook.turn(now + LIMIT);
        }
        assert!(hook.waiting.is_empty(), "the second call has begun");
        hook.turn(now + 3 * LIMIT);
        while hook.running.is_some() {
            sleep(Duration::from_millis(10));
            hook.turn(now + 3 * LIMIT);
        }
        assert_eq!(hook.deadline(), None);
    }

    #[test]
    fn a_program_that_others_can_write_is_not_run() {
        let program = std::env::temp_dir().join(format!("portals-hook-{}", std::process::id()));
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o757)).unwrap();
        let refusal = start(&program, Facts::new()).unwrap_err().to_string();
        assert!(refusal.contains("chmod o-w"), "{refusal}");
        fs::set_permissions(&program, Permissions::from_mode(0o775)).unwrap();
        let refusal = start(&program, Facts::new()).unwrap_err().to_string();
        assert!(refusal.contains("chmod g-w"), "{refusal}");
        fs::remove_file(program).unwrap();
    }

    fn pid(hook: &Hook) -> Option<u32> {
        hook.running.as_ref().map(|(child, _)| child.id())
    }
}
