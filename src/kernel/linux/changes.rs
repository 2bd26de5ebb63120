//! Changes of the real kernel: one function for each type of batch.

use std::thread;

use nix::errno::Errno;

use super::Linux;
use crate::base::error::{Error, Result};
use crate::base::list::ToList as _;
use crate::base::net::IfName;
use crate::kernel::batch::Batch;
use crate::kernel::netlink::{Socket, protocols};
use crate::kernel::requests::{add_links, change_routing, remove_links};
use crate::kernel::wireguard::WireGuard;
use crate::kernel::{builtin, link, step_errors, sysctl};
use crate::state::step::{FirewallStep, NamedLink, TunnelChange};
use crate::state::tunnel_delta::delta;

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
            Batch::Firewall(steps) => Ok(steps.iter().map(|step| self.change_firewall(step)).collect()),
            Batch::Sysctls(changes) => {
                Ok(changes.iter().map(|change| sysctl::write(&change.key, &change.to)).collect())
            }
        }
    }

    /// Sets the alias of new interfaces. The kernel ignores an alias at creation, and a foreign interface
    /// that already has the name must not get our alias.
    fn finish_links(&mut self, new: &[&NamedLink], made: Vec<Result<()>>) -> Vec<Result<()>> {
        let made_links = new.iter().zip(&made).filter(|(_, made)| made.is_ok());
        let requests = made_links.map(|(new, _)| link::finish(&new.name, &new.link));
        let mut verdicts = self.route.batch(requests.collect()).into_iter();
        let finish = |(new, made): (&&NamedLink, Result<()>)| {
            made?;
            let verdict = verdicts.next().expect("there is a verdict on each request");
            verdict
                .map_err(|refused| step_errors::not_added(new, refused))
                .inspect_err(|_| self.unmake(&new.name))
        };
        new.iter().zip(made).map(finish).collect()
    }

    /// Removes an interface that could not be finished.
    fn unmake(&mut self, name: &IfName) {
        drop(self.devices.remove(name));
        self.route.batch(vec![link::remove(name)]);
    }

    fn make_devices(&mut self, new: &[&NamedLink]) -> Result<Vec<Result<()>>> {
        let existing = link::list(&mut self.route)?;
        let make = |new: &&NamedLink| {
            if existing.contains_key(&new.name) {
                return Err(step_errors::not_added(new, Errno::EEXIST.into()));
            }
            // If another program deleted the interface, its device still holds the port and the control
            // socket.
            drop(self.devices.remove(&new.name));
            self.devices.insert(new.name.clone(), builtin::Device::create(&new.name)?);
            Ok(())
        };
        Ok(new.iter().map(make).list())
    }

    fn remove_links(&mut self, old: &[&NamedLink]) -> Result<Vec<Result<()>>> {
        for link in old {
            drop(self.devices.remove(&link.name));
        }
        let parts: Vec<&[&NamedLink]> = old.chunks(old.len().div_ceil(REMOVERS)).collect();
        if let [all] = parts[..] {
            return Ok(remove_links(&mut self.route, all));
        }
        let sockets: Vec<Socket> =
            parts.iter().map(|_| Socket::open(protocols::NETLINK_ROUTE)).collect::<Result<_>>()?;
        Ok(thread::scope(|scope| {
            let remove = |(part, mut socket)| scope.spawn(move || remove_links(&mut socket, part));
            let removers: Vec<_> = parts.into_iter().zip(sockets).map(remove).collect();
            let mut results = Vec::new();
            for remover in removers {
                results.extend(remover.join().expect("a remover does not panic"));
            }
            results
        }))
    }

    /// Changes tunnels: those of the kernel in one batch, those of the built-in WireGuard one by one.
    fn change_tunnels(&mut self, changes: &[&TunnelChange]) -> Result<Vec<Result<()>>> {
        let is_built_in = |change: &TunnelChange| self.devices.contains_key(&change.name);
        let in_kernel: Vec<_> = changes.iter().copied().filter(|change| !is_built_in(change)).collect();
        let verdicts = if in_kernel.is_empty() {
            Vec::new()
        } else {
            change_in_kernel(self.kernel_wireguard()?, &in_kernel)
        };
        let mut verdicts = verdicts.into_iter();
        let change = |change: &&TunnelChange| match self.devices.get_mut(&change.name) {
            Some(device) => device.change(&change.from, &change.to),
            None => verdicts.next().expect("there is a verdict on each change"),
        };
        Ok(changes.iter().map(change).collect())
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
    let deltas: Vec<_> =
        changes.iter().map(|change| (&change.name, delta(&change.from, &change.to))).collect();
    let results = wireguard.change(&deltas);
    let failed = changes.iter().zip(&results).filter(|(_, result)| result.is_err());
    let back: Vec<_> = failed.map(|(change, _)| (&change.name, delta(&change.to, &change.from))).collect();
    wireguard.change(&back);
    results
}
