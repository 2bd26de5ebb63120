//! Probes through an exit: echoes to the other end, or to a host behind it, or bytes received from a
//! provider.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::health::{ExitState, Health, interval};
use crate::base::error::Result;
use crate::base::moment::after;
use crate::base::net::{Family, IfName};
use crate::config::model::{FailoverDelays, Name};
use crate::kernel::Kernel;
use crate::kernel::echo::EchoPath;
use crate::kernel::sockets::EchoSocket;
use crate::site::{Exit, Site};

/// Shortest silence of a provider that means anything: two lost keepalives.
const PROVIDERS_SILENCE: Duration = Duration::from_secs(25);

/// Probe through an exit, and the health that its answers show.
#[derive(Debug)]
pub(super) struct ProbedExit {
    pub(super) path: ProbePath,
    /// Time of the next probe.
    next: Instant,
    /// Bytes received so far, where received bytes count as the answer.
    received: Option<u64>,
    /// Socket for echoes; none if the interface or its address does not exist.
    echo: Option<Box<dyn EchoSocket>>,
    pub(super) health: Health,
}

/// Path of a probe through an exit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProbePath {
    /// Name of the exit.
    pub(super) exit: Name,
    /// Path of the echoes.
    pub(super) echo: EchoPath,
    /// Set if the probe goes to a host on the internet behind the other end, not to the other end itself.
    pub(super) is_beyond: bool,
    /// Set for a provider's tunnel. A provider need not answer an echo, but its WireGuard answers every
    /// packet within 10 s, with a keepalive if nothing else (KEEPALIVE_TIMEOUT in WireGuard's paper, § 6.5):
    /// so received bytes count as the answer.
    is_provider: bool,
}

impl ProbePath {
    /// Returns the times for the health of the exit.
    pub(super) fn times(&self, times: FailoverDelays) -> FailoverDelays {
        let mut times = times;
        if self.is_provider && times.down_after < PROVIDERS_SILENCE {
            times.down_after = PROVIDERS_SILENCE;
        }
        times
    }
}

impl ProbedExit {
    /// Begins the probes on a path, of which the first is due now.
    pub(super) fn new(path: ProbePath, times: FailoverDelays) -> Self {
        let health = Health::new(path.times(times), false);
        Self { path, next: Instant::now(), received: None, echo: None, health }
    }

    /// Returns the descriptor that has input when an answer has come.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.echo.as_ref().map(|echo| echo.descriptor())
    }

    /// Returns the time of the next probe, or of the verdict about silence if that is earlier.
    pub(super) fn deadline(&self) -> Instant {
        self.health.verdict_due().map_or(self.next, |due| due.min(self.next))
    }

    /// Takes answers, judges silence, and sends a probe if one is due. Reports whether the exit has just gone
    /// down.
    pub(super) fn turn(&mut self, kernel: &mut dyn Kernel, now: Instant) -> bool {
        let before = self.health.state();
        let is_due = self.next <= now;
        if is_due {
            self.count(kernel, now);
        }
        self.take_answers(now);
        let has_gone_down = before != ExitState::Down && self.health.state() == ExitState::Down;
        if is_due {
            self.send(kernel, now);
        }
        has_gone_down
    }

    /// Counts received bytes as an answer, if a provider has sent any since the last probe.
    fn count(&mut self, kernel: &mut dyn Kernel, now: Instant) {
        if self.path.is_provider {
            let received = received(kernel, &self.path.echo.interface).ok();
            if self.received.is_some_and(|before| received.is_some_and(|received| received > before)) {
                self.health.answered(now);
            }
            self.received = received;
        }
    }

    fn take_answers(&mut self, now: Instant) {
        if self.echo.as_mut().is_some_and(|echo| !echo.answers().is_empty()) {
            self.health.answered(now);
        }
        self.health.judge(now);
    }

    /// Sends a probe. A probe that cannot be sent counts as unanswered.
    fn send(&mut self, kernel: &mut dyn Kernel, now: Instant) {
        if self.echo.is_none() {
            self.echo = kernel.echo_socket(&self.path.echo).ok();
        }
        // If sending fails, the interface may have been made anew: the next probe goes through a new socket.
        if self.echo.as_mut().is_some_and(|echo| echo.ask().is_err()) {
            self.echo = None;
        }
        self.health.asked(now);
        self.next = after(now, interval(self.health.times()));
    }
}

/// Returns the bytes received through a tunnel, from all of its peers.
fn received(kernel: &mut dyn Kernel, interface: &IfName) -> Result<u64> {
    let reading = kernel.own_tunnel(interface)?.unwrap_or_default();
    Ok(reading.peers.values().map(|peer| peer.received).sum())
}

/// Returns the path of echoes to the far end of an exit, if it has a tunnel.
pub fn far_end(site: &Site, exit: &Exit) -> Option<EchoPath> {
    let mut paths = paths(site, exit);
    (!paths.is_empty()).then(|| paths.swap_remove(0).echo)
}

/// Returns the paths of the probes through an exit, if it has a tunnel: to its other end, and to hosts on the
/// internet behind it. The source of probes through a chain leads them through the whole chain, and the
/// answers back.
pub(super) fn paths(site: &Site, exit: &Exit) -> Vec<ProbePath> {
    let mut paths = Vec::new();
    let mut add = |exit: &Name, interface: &IfName, from, to, mark, is_beyond| {
        let echo = EchoPath { interface: interface.clone(), from, to, mark };
        paths.push(ProbePath { exit: exit.clone(), echo, is_beyond, is_provider: false });
    };
    if let Some(chain) = site.chain(exit) {
        for (to, is_beyond) in [(Some(chain.farthest), false), (chain.beyond, true)] {
            if let Some(to) = to
                && let Some(from) = chain.address(Family::of(to))
            {
                add(&chain.name, &chain.interface, from, to, None, is_beyond);
            }
        }
    } else if let Exit::Tunnel { name, interface, .. } = exit
        && let Some(tunnel) = site.tunnels.get(interface)
        && let Some(peer) = tunnel.peers.get(name)
    {
        let from = |to| site.address_in(tunnel, to);
        add(name, interface, from(peer.address), peer.address, None, false);
        for probe in &site.agent.probes {
            if probe.interface == *interface {
                let mark = Some(probe.mark).filter(|_| probe.target.is_ipv6());
                add(name, interface, from(probe.target), probe.target, mark, true);
            }
        }
        paths[0].is_provider = tunnel.provider.is_some();
    }
    paths
}
