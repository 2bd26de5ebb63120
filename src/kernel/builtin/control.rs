//! Questions to the library and changes of its settings, over the library's control socket.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use zeroize::Zeroizing;

use crate::base::error::{Context as _, Result};
use crate::base::net::IfName;

/// Time that the library has to answer. If its tun device was deleted, its threads have ended, and it never
/// answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Length of the longest answer in bytes: room for ten thousand peers.
const LONGEST_ANSWER: usize = 8 << 20;

/// Client end of the library's control socket. Each request has one answer, in WireGuard's cross-platform
/// protocol (<https://www.wireguard.com/xplatform/>).
pub(super) struct Control {
    socket: Arc<UnixStream>,
    is_lost: bool,
}

impl Control {
    /// Limits the waits on a socket, and takes it over.
    pub(super) fn new(socket: Arc<UnixStream>) -> io::Result<Self> {
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        socket.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self { socket, is_lost: false })
    }

    /// Reports whether a question failed, after which no other question is answered.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Reads all settings.
    pub(super) fn get(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        self.exchange("get=1\n\n")
    }

    /// Changes settings of the interface `name`.
    pub(super) fn set(&mut self, name: &IfName, settings: &str) -> Result<()> {
        let request = Zeroizing::new(["set=1\n", settings, "\n"].concat());
        let answer =
            self.exchange(&request).context(|| format!("cannot reach the built-in WireGuard of {name}"))?;
        match errno(&answer) {
            Some(0) => Ok(()),
            number => Err(Errno::from_raw(number.unwrap_or(nix::libc::EPROTO)))
                .context(|| format!("cannot change the settings of {name} in the built-in WireGuard")),
        }
    }

    /// Sends a request and waits for its answer. After a failure there is no other attempt: a late answer
    /// would be taken for the answer to another question.
    fn exchange(&mut self, request: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        let answer = self.try_to_exchange(request);
        if answer.is_err() {
            self.is_lost = true;
            let _ = self.socket.shutdown(Shutdown::Both);
        }
        answer
    }

    /// Sends a request and reads its answer, up to an empty line.
    fn try_to_exchange(&self, request: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut socket = &*self.socket;
        socket.write_all(request.as_bytes())?;
        let mut answer = Zeroizing::new(Vec::new());
        let mut piece = Zeroizing::new([0; 4096]);
        while !answer.ends_with(b"\n\n") {
            match socket.read(&mut *piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if answer.len() > LONGEST_ANSWER => return Err(io::ErrorKind::FileTooLarge.into()),
                Ok(length) => answer.extend_from_slice(&piece[..length]),
                // A wait with a time limit ends when the process was stopped and goes on (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }
}

fn errno(answer: &[u8]) -> Option<i32> {
    std::str::from_utf8(answer).ok()?.lines().find_map(|line| line.strip_prefix("errno=")?.parse().ok())
}

/// Waits until other threads have their answers, and locks the control socket.
pub(super) fn lock(control: &Mutex<Control>) -> MutexGuard<'_, Control> {
    control.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use super::*;

    fn asked(answer: impl FnOnce(&mut UnixStream)) -> io::Result<Zeroizing<Vec<u8>>> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut control = Control::new(Arc::new(ours)).unwrap();
        thread::scope(|scope| {
            let question = scope.spawn(move || {
                let answer = control.get();
                assert_eq!(control.is_lost(), answer.is_err());
                answer
            });
            theirs.read_exact(&mut [0; b"get=1\n\n".len()]).unwrap();
            answer(&mut theirs);
            drop(theirs);
            question.join().unwrap()
        })
    }

    /// Environment variable of the process that is stopped, which runs only this test: the other tests
    /// continue.
    const STOPPED: &str = "PORTALS_TEST_STOPPED";

    #[test]
    fn a_process_that_was_stopped_still_gets_its_answer() {
        if std::env::var_os(STOPPED).is_none() {
            let module = module_path!().split_once("::").unwrap().1;
            let name = format!("{module}::a_process_that_was_stopped_still_gets_its_answer");
            let output = Command::new("/proc/self/exe").args(["--exact", &name]).env(STOPPED, "yes").output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        let answer = asked(|library| {
            for _ in 0..5 {
                // Sleeps here and in the shell: a shell that goes on at once may wake a thread that has not
                // gone to sleep.
                thread::sleep(Duration::from_millis(20));
                let stopped = Command::new("sh")
                    .args(["-c", "kill -STOP $PPID; sleep 0.02; kill -CONT $PPID"])
                    .status();
                assert!(stopped.unwrap().success());
            }
            library.write_all(b"errno=0\n\n").unwrap();
        });
        assert_eq!(answer.unwrap().as_slice(), b"errno=0\n\n");
    }

    #[test]
    fn nobody_asks_again_behind_an_answer_that_broke_off() {
        assert!(asked(|library| library.write_all(b"errno=").unwrap()).is_err());
    }
}
