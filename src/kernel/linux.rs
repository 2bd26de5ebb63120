//! The real kernel: observes by dumps, carries out steps in batches.

use std::thread;
use std::time::SystemTime;

use log::{debug, warn};
use nix::errno::Errno;

use super::batch::Batch;
use super::iptables::{Iptables, legacy};
use super::link::{HostLink, Links};
use super::netlink::{Socket, protocols};
use super::nftables::{Nftables, Survey};
use super::requests::{judge, send};
use super::wireguard::{Reading, WireGuard};
use super::{Kernel, Outcome, address, builtin, link, route, rule, sysctl};
use crate::base::error::{Error, Result};
use crate::base::net::{IfName, InterfaceAddress};
use crate::base::sorted::SortedMap;
use crate::firewall::xtables::{Program, Ruleset};
use crate::state::diff::Step;
use crate::state::tunnel_delta::delta;
use crate::state::{Backend, Link, Scope, State, Tunnel};

/// Interfaces are removed by that many sockets at once: each removal waits 70 to 80 ms for RCU, doing nothing.
const REMOVERS: usize = 16;

/// The kernel of this machine, in the network namespace of the thread that opened it.
pub struct Linux {
    route: Socket,
    wireguard: Option<WireGuard>,
    nftables: Option<Nftables>,
    iptables: Option<Iptables>,
    /// Interfaces of the built-in WireGuard that this process runs.
    devices: SortedMap<IfName, builtin::Device>,
}

impl Linux {
    /// Opens the ways to the kernel. Changes nothing, but may load the kernel's WireGuard module.
    pub fn open() -> Result<Self> {
        Ok(Self {
            route: Socket::open(protocols::NETLINK_ROUTE)?,
            wireguard: WireGuard::find()?,
            nftables: Nftables::find()?,
            iptables: None,
            devices: SortedMap::new(),
        })
    }

    /// Whether this kernel has WireGuard, or had it when it was last looked for.
    pub fn has_wireguard(&self) -> bool {
        self.wireguard.is_some()
    }

    /// Whether this kernel has nftables.
    pub fn has_nftables(&self) -> bool {
        self.nftables.is_some()
    }

    /// Tells whether packets can be dropped as they come in by a port of somebody's bridge.
    pub fn can_close_ports(&mut self) -> bool {
        self.nftables.as_mut().is_some_and(Nftables::can_close_ports)
    }

    /// Needs of our rules that the kernel's nftables lacks, in words.
    pub fn nftables_lacks(&mut self) -> Result<Vec<&'static str>> {
        self.nftables.as_mut().map_or_else(|| Ok(Vec::new()), |nftables| Ok(nftables.lacks()?.to_vec()))
    }

    /// What there is to know of others' nftables.
    pub fn survey(&mut self) -> Result<Survey> {
        self.nftables.as_mut().map_or_else(|| Ok(Survey::default()), Nftables::survey)
    }

    /// The programs for iptables; they are looked for once.
    pub fn iptables(&mut self) -> Iptables {
        *self.iptables.get_or_insert_with(Iptables::find)
    }

    /// The tunnels that are ours, of this network or an earlier one.
    pub fn own_tunnels(&mut self) -> Result<SortedMap<IfName, Link>> {
        let links = link::list(&mut self.route)?.into_iter();
        let ours = links.filter_map(|(name, link)| Some((name, link.ours()?)));
        Ok(ours.filter(|(_, link)| link.backend().is_some()).collect())
    }

    /// Takes away interfaces whose WireGuard has stopped answering: they are missing then, and are made
    /// again.
    fn drop_lost_devices(&mut self) {
        self.devices.retain(|name, device| {
            let is_lost = device.is_lost();
            if is_lost {
                warn!("the built-in WireGuard of {name} answers no more: the interface is made again");
            }
            !is_lost
        });
    }

    /// Takes a snapshot of all interfaces.
    pub fn links(&mut self) -> Result<Links> {
        link::list(&mut self.route)
    }

    /// The way to interfaces, addresses, routes and rules.
    pub(crate) fn route(&mut self) -> &mut Socket {
        &mut self.route
    }

    /// Whether this process runs tunnels with the built-in WireGuard.
    pub fn runs_tunnels(&self) -> bool {
        !self.devices.is_empty()
    }

    /// The settings of a tunnel, and what came of its peers; `now` decides who is alive.
    pub fn read_tunnel(&mut self, name: &IfName, link: &Link, now: SystemTime) -> Result<Reading> {
        match (link.backend(), self.devices.get(name)) {
            (Some(Backend::Kernel), _) => self.kernel_wireguard()?.read(name, now),
            (Some(Backend::BuiltIn), Some(device)) => device.read(now),
            (Some(Backend::BuiltIn), None) => builtin::read_foreign(name, now),
            (None, _) => Err(Error::failed(format!("{name} is no tunnel"))),
        }
    }

    /// Changes the settings of one tunnel of ours.
    pub fn change_tunnel(&mut self, name: &IfName, from: &Tunnel, to: &Tunnel) -> Result<()> {
        match self.devices.get_mut(name) {
            Some(device) => device.change(from, to),
            None => change_in_kernel(self.kernel_wireguard()?, &[(name, from, to)]).into_iter().collect(),
        }
    }

    /// Has the built-in WireGuard begin anew with every peer that does not answer: the time that its handshakes tell is that of when a
    /// peer was put in. The kernel's looks at the clock each time.
    pub fn begin_handshakes_anew(&self) {
        for device in self.devices.values() {
            device.begin_anew();
        }
    }

    /// Looks for the kernel's WireGuard once more if there was none: it may have been installed since.
    pub fn look_for_wireguard(&mut self) -> Result<()> {
        if self.wireguard.is_none() {
            self.wireguard = WireGuard::find()?;
        }
        Ok(())
    }

    fn kernel_wireguard(&mut self) -> Result<&mut WireGuard> {
        self.look_for_wireguard()?;
        self.wireguard.as_mut().ok_or_else(|| Error::failed("this kernel has no WireGuard"))
    }

    fn observe_tunnels(&mut self, links: &SortedMap<IfName, Link>) -> Result<SortedMap<IfName, Tunnel>> {
        let now = SystemTime::now();
        let mut tunnels = SortedMap::new();
        for (name, link) in links.iter().filter(|(_, link)| link.backend().is_some()) {
            match self.read_tunnel(name, link, now) {
                Ok(reading) => drop(tunnels.insert(name.clone(), reading.tunnel)),
                // Its process is ending, or hides it from us: what cannot be asked has no settings.
                Err(error) if link.backend() == Some(Backend::BuiltIn) => debug!("{error}"),
                Err(error) => return Err(error),
            }
        }
        Ok(tunnels)
    }

    /// Carries out steps of one batch; an error means that none of them was tried.
    fn carry_out(&mut self, batch: Batch, steps: &[Step]) -> Result<Vec<Result<()>>> {
        match batch {
            Batch::NewLinks => {
                let links = link::list(&mut self.route)?;
                let made = send(&mut self.route, steps, &links);
                Ok(self.finish_links(steps, made))
            }
            Batch::NewDevices => {
                let made = self.make_devices(steps)?;
                Ok(self.finish_links(steps, made))
            }
            Batch::OldLinks => self.remove_links(steps),
            Batch::Tunnels => self.change_tunnels(steps),
            Batch::Routing => {
                let links = link::list(&mut self.route)?;
                Ok(send(&mut self.route, steps, &links))
            }
            Batch::Firewall => steps.iter().map(|step| Ok(self.change_firewall(step))).collect(),
            Batch::Sysctls => Ok(steps.iter().map(set_sysctl).collect()),
        }
    }

    /// Gives interfaces that were made their alias: the kernel ignores one at creation, and an interface of somebody else's that has
    /// the name already must not get ours.
    fn finish_links(&mut self, steps: &[Step], made: Vec<Result<()>>) -> Vec<Result<()>> {
        let finishing = steps.iter().zip(&made).filter(|(_, made)| made.is_ok());
        let requests = finishing.filter_map(|(step, _)| match step {
            Step::AddLink(name, link) => Some(link::finish(name, link)),
            _ => None,
        });
        let mut verdicts = self.route.batch(requests.collect()).into_iter();
        let finish = |(step, made): (&Step, Result<()>)| {
            made?;
            let verdict = verdicts.next().expect("there is a verdict on each request");
            judge(step, verdict).inspect_err(|_| self.unmake(step))
        };
        steps.iter().zip(made).map(finish).collect()
    }

    /// Of an interface that could not be finished, nothing shall remain.
    fn unmake(&mut self, step: &Step) {
        if let Step::AddLink(name, _) = step {
            drop(self.devices.remove(name));
            self.route.batch(vec![link::remove(name)]);
        }
    }

    fn make_devices(&mut self, steps: &[Step]) -> Result<Vec<Result<()>>> {
        let existing = link::list(&mut self.route)?;
        let make = |step: &Step| match step {
            Step::AddLink(name, _) if existing.contains_key(name) => judge(step, Err(Errno::EEXIST.into())),
            Step::AddLink(name, _) => {
                // Of an interface that somebody deleted, the device still holds the port and the control socket.
                drop(self.devices.remove(name));
                self.devices.insert(name.clone(), builtin::Device::create(name)?);
                Ok(())
            }
            _ => Ok(()),
        };
        Ok(steps.iter().map(make).collect())
    }

    fn remove_links(&mut self, steps: &[Step]) -> Result<Vec<Result<()>>> {
        for step in steps {
            if let Step::RemoveLink(name, _) = step {
                drop(self.devices.remove(name));
            }
        }
        let parts: Vec<&[Step]> = steps.chunks(steps.len().div_ceil(REMOVERS)).collect();
        if let [all] = parts[..] {
            return Ok(send(&mut self.route, all, &SortedMap::new()));
        }
        let sockets: Vec<Socket> =
            parts.iter().map(|_| Socket::open(protocols::NETLINK_ROUTE)).collect::<Result<_>>()?;
        Ok(thread::scope(|scope| {
            let remove = |(part, mut socket)| scope.spawn(move || send(&mut socket, part, &SortedMap::new()));
            let removers: Vec<_> = parts.into_iter().zip(sockets).map(remove).collect();
            let results =
                removers.into_iter().map(|remover| remover.join().expect("a remover does not panic"));
            results.flatten().collect()
        }))
    }

    fn change_firewall(&mut self, step: &Step) -> Result<()> {
        let nftables = self.nftables.as_mut().ok_or_else(|| Error::failed("this kernel has no nftables"));
        match step {
            Step::ClosePorts { to, .. } => nftables?.close_ports(to.as_ref()),
            Step::ChangeFirewall { from, to } => nftables?.change(from.as_ref(), to.as_ref()),
            Step::ChangeOpenings { chain, to, .. } => nftables?.open(chain, to),
            Step::ChangeIptables { program, from, to } => self.iptables().change(*program, from, to),
            _ => Ok(()),
        }
    }

    /// Those of `scope`, and those that show that something of ours is there.
    fn observe_iptables(&mut self, scope: &Scope, survey: &Survey) -> Result<SortedMap<Program, Ruleset>> {
        let mut programs = scope.iptables.clone();
        if !legacy::families_in_use()?.is_empty() {
            programs.extend(self.iptables().legacy);
        }
        if survey.has_iptables_chains {
            programs.extend(self.iptables().nft);
        }
        let mut found = SortedMap::new();
        for program in programs {
            let ours = self.iptables().read(program)?;
            if !ours.is_empty() {
                found.insert(program, ours);
            }
        }
        Ok(found)
    }

    /// Those of the kernel go in one batch, those of the built-in WireGuard one by one.
    fn change_tunnels(&mut self, steps: &[Step]) -> Result<Vec<Result<()>>> {
        let changes: Vec<_> = steps.iter().filter_map(tunnel_change).collect();
        let is_built_in = |name: &IfName| self.devices.contains_key(name);
        let in_kernel: Vec<_> = changes.iter().filter(|(name, ..)| !is_built_in(name)).copied().collect();
        let verdicts = if in_kernel.is_empty() {
            Vec::new()
        } else {
            change_in_kernel(self.kernel_wireguard()?, &in_kernel)
        };
        let mut verdicts = verdicts.into_iter();
        let change = |(name, from, to): (&IfName, &Tunnel, &Tunnel)| match self.devices.get_mut(name) {
            Some(device) => device.change(from, to),
            None => verdicts.next().expect("there is a verdict on each change"),
        };
        Ok(changes.into_iter().map(change).collect())
    }
}

/// A change can fail half-way, at a port that is taken for one: what was done of it is taken back.
fn change_in_kernel(wireguard: &mut WireGuard, changes: &[(&IfName, &Tunnel, &Tunnel)]) -> Vec<Result<()>> {
    let deltas: Vec<_> = changes.iter().map(|(name, from, to)| (*name, delta(from, to))).collect();
    let results = wireguard.change(&deltas);
    let failed = changes.iter().zip(&results).filter(|(_, result)| result.is_err());
    let back: Vec<_> = failed.map(|((name, from, to), _)| (*name, delta(to, from))).collect();
    wireguard.change(&back);
    results
}

impl Kernel for Linux {
    fn observe(&mut self, scope: &Scope) -> Result<State> {
        // The interface of a lost device must be gone before the interfaces are listed.
        self.drop_lost_devices();
        let links = self.links()?;
        self.observe_with(&links, scope)
    }

    fn observe_with(&mut self, host: &Links, scope: &Scope) -> Result<State> {
        self.drop_lost_devices();
        let names: SortedMap<u32, IfName> =
            host.values().map(|link| (link.index, link.name.clone())).collect();
        let links: SortedMap<IfName, Link> =
            host.values().filter_map(|link| Some((link.name.clone(), link.ours()?))).collect();
        let is_our_address = |interface: &IfName, address: InterfaceAddress| {
            (links.contains_key(interface) && !address::is_link_local(address.address))
                || scope.addresses.contains(&(interface.clone(), address))
        };
        let addresses = address::list(&mut self.route)?
            .into_iter()
            .filter_map(|(index, address)| Some((names.get(&index)?.clone(), address)))
            .filter(|(interface, address)| is_our_address(interface, *address));
        let concerns_us =
            |link: &&HostLink| links.contains_key(&link.name) || scope.interfaces.contains(&link.name);
        let survey = self.survey()?;
        Ok(State {
            tunnels: self.observe_tunnels(&links)?,
            addresses: addresses.collect(),
            up: host
                .values()
                .filter(concerns_us)
                .filter(|link| link.up)
                .map(|link| link.name.clone())
                .collect(),
            routes: route::list_ours(&mut self.route, &names)?.into_iter().collect(),
            rules: rule::list(&mut self.route)?.into_iter().collect(),
            closed_ports: self.nftables.as_mut().map_or(Ok(None), Nftables::closed_ports)?,
            firewall: self.nftables.as_mut().map_or(Ok(None), Nftables::read)?,
            iptables: self.observe_iptables(scope, &survey)?,
            openings: survey.openings,
            sysctls: observe_sysctls(scope)?,
            links,
        })
    }

    fn apply(&mut self, steps: &[Step]) -> Vec<Outcome> {
        Batch::carry_out_all(steps, |batch, run| {
            self.carry_out(batch, run).unwrap_or_else(|error| vec![Err(error)])
        })
    }
}

/// Those that this kernel has.
fn observe_sysctls(scope: &Scope) -> Result<SortedMap<String, String>> {
    let read = |key: &String| sysctl::read(key).map(|value| Some((key.clone(), value?))).transpose();
    scope.sysctls.iter().filter_map(read).collect()
}

fn set_sysctl(step: &Step) -> Result<()> {
    match step {
        Step::SetSysctl { key, to, .. } => sysctl::write(key, to),
        _ => Ok(()),
    }
}

fn tunnel_change(step: &Step) -> Option<(&IfName, &Tunnel, &Tunnel)> {
    match step {
        Step::ChangeTunnel { name, from, to } => Some((name, from, to)),
        _ => None,
    }
}
