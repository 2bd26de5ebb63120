//! Shells at the hosts of a small world, and waiting for events there.

use std::fmt::Debug;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::Namespace;

/// Seconds, multiplied by `PORTALS_TEST_SLOWNESS`.
pub(crate) fn seconds(seconds: f64) -> Duration {
    let slowness = std::env::var("PORTALS_TEST_SLOWNESS").ok().and_then(|factor| factor.parse().ok());
    Duration::from_secs_f64(seconds * slowness.unwrap_or(1.0))
}

/// Time limit for an expected success on a busy machine. Scenarios with a stricter limit set it themselves.
fn soon() -> Duration {
    seconds(20.0)
}

/// A program that runs at a host. The kernel kills the program when the calling thread ends for any reason.
pub(crate) fn spawn_at(host: &Namespace, command: &mut Command) -> io::Result<Child> {
    let enter = host.entry();
    let enter = move || enter().map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes system calls only: no allocation, no lock.
    unsafe { command.pre_exec(enter) }.spawn()
}

/// Output of a shell script that must succeed.
pub(crate) fn shell(host: &Namespace, script: &str) -> Result<String> {
    let mut command = Command::new("sh");
    command.args(["-e", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn_at(host, &mut command)
        .and_then(Child::wait_with_output)
        .context(|| "cannot run a shell".to_owned())?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::failed(format!("{}: {words}\nthe script was: {script}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Checks that both values are equal; `what` names them in the error.
#[expect(clippy::needless_pass_by_value, reason = "a dozen callers read better")]
pub(crate) fn same<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(Error::failed(format!("{what}: {got:?}, but expected {wanted:?}")))
}

/// Repeats an attempt until it succeeds within the usual time; the error gives the last reason.
pub(crate) fn eventually(what: &str, attempt: impl FnMut() -> Result<()>) -> Result<()> {
    within(soon(), what, attempt)
}

/// Repeats an attempt until it succeeds within `time`; the error gives the last reason.
pub(crate) fn within(time: Duration, what: &str, mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + time;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(Error::failed(format!("not in time: {what}")).because(error));
            }
            Err(_) => thread::sleep(seconds(0.1)),
        }
    }
}
