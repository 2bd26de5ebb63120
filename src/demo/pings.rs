//! Pings through a tunnel: they show when a link works, and how many packets it loses.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::namespace::Namespace;
use super::plot::Plot;
use super::world::DemoSite;
use crate::base::error::{Context as _, Error, Result};
use crate::kernel::echo::{Echo, EchoPath};

/// Time between two pings.
const PAUSE: Duration = Duration::from_millis(20);

/// Pings from the router of a site to another site, through the tunnel to that site.
#[derive(Debug)]
pub struct Pings {
    host: Namespace,
    path: EchoPath,
    /// Socket; none while the tunnel does not exist.
    socket: Option<Echo>,
}

impl Pings {
    /// Begins with the pings through the tunnel from a site to one of its exits.
    pub fn begin(site: &DemoSite, exit: Plot) -> Self {
        let path = EchoPath {
            interface: format!("to-{}", exit.name).parse().expect("names of sites are short"),
            from: site.plot.tunnel().into(),
            to: exit.tunnel().into(),
            mark: None,
        };
        Self { host: site.router.clone(), path, socket: None }
    }

    /// Sends a ping, and returns its number; `None` if the tunnel does not exist.
    pub fn send(&mut self) -> Option<u16> {
        if self.socket.is_none() {
            let open = || Echo::open(&self.path).context(|| "cannot ping".to_owned());
            self.socket = self.host.run(open).ok();
        }
        let number = self.socket.as_mut()?.ask_in(0).ok();
        // The tunnel may have been made anew.
        self.socket = self.socket.take().filter(|_| number.is_some());
        number
    }

    /// Returns the numbers of the pings that were answered since the last call.
    pub fn answers(&mut self) -> Vec<u16> {
        self.socket.as_mut().map(Echo::answers).unwrap_or_default()
    }

    /// Pings until an answer comes, and returns the time that this took.
    pub fn until_answered(&mut self, limit: Duration) -> Result<Duration> {
        Self::until_all_answered(std::slice::from_mut(self), limit)
    }

    /// Pings several ways at once until each has an answer, and returns the time that this took.
    pub fn until_all_answered(ways: &mut [Self], limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        let mut silent: Vec<_> = ways.iter_mut().collect();
        while !silent.is_empty() {
            if start.elapsed() > limit {
                return Err(Error::failed(format!("no answer to a ping after {} s", limit.as_secs())));
            }
            for pings in &mut silent {
                pings.send();
            }
            sleep(PAUSE);
            silent.retain_mut(|pings| pings.answers().is_empty());
        }
        Ok(start.elapsed())
    }
}
