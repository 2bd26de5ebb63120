//! Changes of the real kernel: one function for each type of batch.

use std::sync::{Arc, Mutex};

use nix::errno::Errno;

use super::Linux;
use crate::base::error::{Error, Result};
use crate::base::net::IfName;
use crate::kernel::batch::Batch;
use crate::kernel::netlink::{Socket, protocols};
use crate::kernel::requests::{add_links, change_routing, judge_removal, removals, remove_links};
use crate::kernel::wireguard::WireGuard;
use crate::kernel::{link, step_errors, sysctl};
use crate::state::step::{FirewallStep, NamedLink, TunnelChange};
use crate::state::tunnel_delta::delta;
use crate::system::threads::spawn;

/// Number of sockets that remove interfaces at the same time. Each removal waits 70 to 80 ms for RCU, doing
/// nothing.
const REMOVERS: usize = 16;

impl Linux {
    /// Carries out the steps of a batch, and returns one result for each step.
    ///
    /// # Errors
    /// If no step was tried.
    pub(super) fn carry_out(&mut self, batch: &Batch) -> Result<Vec<Result<()>>> {
        match batch {
            Batch::NewLinks(new) => {
                let links = link::list(&mut self.route)?;
                let made = add_links(&mut self.route, new, &links);
                Ok(self.finish_links(new, made))
            }
            Batch::NewDevices(new) => {
                let made = self.make_devices(new)?;
                Ok(self.finish_links(new, made))
            }
            Batch::OldLinks(old) => self.remove_links(old),
            Batch::Tunnels(changes) => self.change_tunnels(changes),
            Batch::Routing(steps) => {
                let links = link::list(&mut self.route)?;
                Ok(change_routing(&mut self.route, steps, &links))
            }
            Batch::Firewall(steps) => {
                let mut results = Vec::new();
                for step in steps {
                    results.push(self.change_firewall(step));
                }
                Ok(results)
            }
            Batch::Sysctls(changes) => {
                let mut results = Vec::new();
                for change in changes {
                    results.push(sysctl::write(&change.key, &change.to));
                }
                Ok(results)
            }
        }
    }

    /// Sets the alias of new interfaces. The kernel ignores an alias at creation, and a foreign interface
    /// that already has the name must not get our alias.
    fn finish_links(&mut self, new: &[&NamedLink], mut made: Vec<Result<()>>) -> Vec<Result<()>> {
        let mut requests = Vec::new();
        for (new, made) in new.iter().zip(&made) {
            if made.is_ok() {
                requests.push(link::finish(&new.name, &new.link));
            }
        }
        let mut verdicts = self.route.batch(requests).into_iter();
        for (new, made) in new.iter().zip(&mut made) {
            if made.is_ok()
                && let Some(Err(refused)) = verdicts.next()
            {
                *made = Err(step_errors::not_added(new, refused));
                self.unmake(&new.name);
            }
        }
        made
    }

    /// Removes an interface that could not be finished.
    fn unmake(&mut self, name: &IfName) {
        self.devices.remove(name);
        self.route.batch(vec![link::remove(name)]);
    }

    fn make_devices(&mut self, new: &[&NamedLink]) -> Result<Vec<Result<()>>> {
        let existing = link::list(&mut self.route)?;
        let make = |new: &&NamedLink| {
            if existing.contains_key(&new.name) {
                return Err(step_errors::not_added(new, Errno::EEXIST.into()));
            }
            // If another program deleted the interface, its device may still hold the port.
            self.devices.remove(&new.name);
            self.devices.create(&new.name)
        };
        Ok(new.iter().map(make).collect())
    }

    fn remove_links(&mut self, old: &[&NamedLink]) -> Result<Vec<Result<()>>> {
        for link in old {
            self.devices.remove(&link.name);
        }
        if old.len() == 1 {
            return Ok(remove_links(&mut self.route, old));
        }
        let parts = old.chunks(old.len().div_ceil(REMOVERS));
        let mut sockets = Vec::new();
        for _ in parts.clone() {
            sockets.push(Socket::open(protocols::NETLINK_ROUTE)?);
        }
        let mut removers = Vec::new();
        for (part, mut socket) in parts.zip(sockets) {
            let verdicts = Arc::new(Mutex::new(Vec::new()));
            let (requests, place) = (removals(part), Arc::clone(&verdicts));
            let remove = move || *place.lock().expect("nobody panics") = socket.batch(requests);
            removers.push((spawn(Box::new(remove)), verdicts));
        }
        let mut all = Vec::new();
        for (remover, verdicts) in removers {
            remover.join().expect("a remover does not panic");
            all.append(&mut verdicts.lock().expect("nobody panics"));
        }
        Ok(judge_removal(old, all))
    }

    /// Changes tunnels: those of the kernel in one batch, those of the built-in WireGuard one by one.
    fn change_tunnels(&mut self, changes: &[&TunnelChange]) -> Result<Vec<Result<()>>> {
        let mut in_kernel = Vec::new();
        for change in changes {
            if !self.devices.contains(&change.name) {
                in_kernel.push(*change);
            }
        }
        let verdicts = if in_kernel.is_empty() {
            Vec::new()
        } else {
            change_in_kernel(self.kernel_wireguard()?, &in_kernel)
        };
        let mut verdicts = verdicts.into_iter();
        let mut results = Vec::new();
        for change in changes {
            results.push(match self.devices.change(&change.name, &change.from, &change.to) {
                Some(verdict) => verdict,
                None => verdicts.next().expect("there is a verdict on each change"),
            });
        }
        Ok(results)
    }

    fn change_firewall(&mut self, step: &FirewallStep) -> Result<()> {
        let nftables = self.nftables.as_mut().ok_or_else(|| Error::failed("this kernel has no nftables"));
        match step {
            FirewallStep::ClosePorts { to, .. } => nftables?.close_ports(to.as_ref()),
            FirewallStep::ChangeFirewall { from, to } => nftables?.change(from.as_ref(), to.as_ref()),
            FirewallStep::ChangePinholes { chain, to, .. } => nftables?.open(chain, to),
            FirewallStep::ChangeIptables { program, from, to } => self.iptables().change(*program, from, to),
        }
    }
}

/// Changes tunnels of the kernel. A change can fail half-way, for example at a port that is taken; then the
/// finished half is undone.
pub(super) fn change_in_kernel(wireguard: &mut WireGuard, changes: &[&TunnelChange]) -> Vec<Result<()>> {
    let mut deltas = Vec::new();
    for change in changes {
        deltas.push((&change.name, delta(&change.from, &change.to)));
    }
    let results = wireguard.change(&deltas);
    deltas.clear();
    for (change, result) in changes.iter().zip(&results) {
        if result.is_err() {
            deltas.push((&change.name, delta(&change.to, &change.from)));
        }
    }
    wireguard.change(&deltas);
    results
}
