//! The real kernel: observed by dumps, changed in batches.

mod changes;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::libc;

use crate::base::error::{Error, Result};
use crate::base::net::IfName;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::firewall::xtables::{IptablesProgram, IptablesRuleset};
use crate::kernel::address::AddressEntry;
use crate::kernel::batch::Batch;
use crate::kernel::conntrack::{self, ConnectionFilter};
use crate::kernel::datagram::{BoundSocket, RawSockets};
use crate::kernel::echo::{Echo, EchoPath};
use crate::kernel::iptables::{FamilyTables, Iptables, entries, legacy};
use crate::kernel::link::Links;
use crate::kernel::neighbour::NeighbourSocket;
use crate::kernel::netlink::{Socket, protocols};
use crate::kernel::netlink_monitor::NetlinkMonitor;
use crate::kernel::nftables::{Nftables, Survey};
use crate::kernel::nl80211::Wireless;
use crate::kernel::route::RoutedPacket;
use crate::kernel::sockets::{ChangeMonitor, EchoSocket, HelperSocket, NeighbourMonitor, TunnelPackets};
use crate::kernel::wireguard::{Reading, WireGuard};
use crate::kernel::{Kernel, Outcome, address, builtin, constant, link, route, rule, sysctl};
use crate::state::step::{Step, TunnelChange};
use crate::state::{Link, Scope, State, TUNNEL_MARK, Tunnel, WireGuardBackend};
use crate::system::logging as log;
use crate::wifi::card::Station;
use changes::change_in_kernel;

/// Kernel of this machine, in the network namespace of the thread that opened it.
pub struct Linux {
    route: Socket,
    wireguard: Option<WireGuard>,
    nftables: Option<Nftables>,
    iptables: Option<Iptables>,
    /// Room for the entries of a table of legacy iptables.
    entries: Vec<u8>,
    /// Tables of legacy iptables as its program showed them, and their digest at that time.
    saved: Option<(u64, Rc<Vec<FamilyTables>>)>,
    /// Interfaces of the built-in WireGuard that this process runs.
    devices: builtin::Devices,
}

impl Linux {
    /// Opens the sockets to the kernel. Changes nothing, but may load the kernel's WireGuard module.
    pub fn open() -> Result<Self> {
        Ok(Self {
            route: Socket::open(protocols::NETLINK_ROUTE)?,
            wireguard: WireGuard::find()?,
            nftables: Nftables::find()?,
            iptables: None,
            entries: Vec::new(),
            saved: None,
            devices: builtin::Devices::default(),
        })
    }

    /// Tells whether this kernel has WireGuard, as of the last time that portals looked for it.
    pub fn has_wireguard(&self) -> bool {
        self.wireguard.is_some()
    }

    /// Tells whether this kernel has nftables.
    pub fn has_nftables(&self) -> bool {
        self.nftables.is_some()
    }

    /// Returns the abilities, in words, that our rules need and the kernel's nftables lacks.
    pub fn nftables_lacks(&mut self, translates: bool) -> Result<Vec<&'static str>> {
        let nftables = self.nftables.as_mut();
        nftables.map_or_else(|| Ok(Vec::new()), |nftables| Ok(nftables.lacks(translates)?.to_vec()))
    }

    /// Reports whether this kernel's nftables has flowtables that end flows of former routes.
    pub fn has_flowtables(&mut self) -> bool {
        self.nftables.as_mut().is_some_and(Nftables::has_flowtables)
    }

    /// Surveys the nftables tables of other programs.
    pub fn survey(&mut self) -> Result<Survey> {
        self.nftables.as_mut().map_or_else(|| Ok(Survey::default()), Nftables::survey)
    }

    /// Returns the programs for iptables. The search for them takes place once.
    pub fn iptables(&mut self) -> Iptables {
        *self.iptables.get_or_insert_with(Iptables::find)
    }

    /// Returns the tables of legacy iptables in use. The program, which belongs to legacy iptables, runs only
    /// if a rule has changed since it ran.
    pub fn legacy_iptables(&mut self, program: IptablesProgram) -> Result<Rc<Vec<FamilyTables>>> {
        let before = self.legacy_tables()?;
        if let Some((digest, tables)) = &self.saved
            && before == Some(*digest)
        {
            return Ok(Rc::clone(tables));
        }
        let mut tables = Vec::new();
        for family in legacy::families_in_use()? {
            tables.push(self.iptables().tables(program, family)?);
        }
        let tables = Rc::new(tables);
        // Unless another program has changed the tables meanwhile.
        let digest = before.filter(|_| self.legacy_tables().is_ok_and(|after| after == before));
        self.saved = digest.map(|digest| (digest, Rc::clone(&tables)));
        Ok(tables)
    }

    /// Returns the interface by which a device's packet would leave that comes in by another interface;
    /// `None` if the kernel would refuse the packet.
    pub fn way_of_device(
        &mut self,
        (from, to): (IpAddr, IpAddr),
        incoming: &IfName,
        links: &Links,
    ) -> Option<IfName> {
        let packet = RoutedPacket {
            from: Some(from),
            to,
            incoming: Some(links.get(incoming)?.index),
            mark: 0,
            protocol: constant::of_8_bits(libc::IPPROTO_TCP),
            ports: None,
        };
        let found = route::ask(&mut self.route, &packet).ok()??.device?;
        name_of(found, links)
    }

    /// Removes what is left of interfaces of the built-in WireGuard that no longer work. They are missing
    /// then, and are made again.
    fn drop_lost_devices(&mut self) {
        for name in self.devices.remove_lost() {
            log::warn!("another program has deleted the interface {name}: it is made again");
        }
    }

    /// Returns the socket for interfaces, addresses, routes and rules.
    pub(crate) fn route(&mut self) -> &mut Socket {
        &mut self.route
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
                Ok(reading) => tunnels.insert(name.clone(), reading.tunnel),
                // The process of the tunnel is ending, or hides the tunnel from us: a tunnel that cannot be
                // asked has no settings.
                Err(error) if link.backend() == Some(WireGuardBackend::BuiltIn) => log::debug!("{error}"),
                Err(error) => return Err(error),
            }
        }
        Ok(tunnels)
    }

    /// Reads our chains from the programs in `scope`, and from each program that shows signs of them.
    fn observe_iptables(
        &mut self,
        scope: &Scope,
        survey: &Survey,
    ) -> Result<SortedMap<IptablesProgram, IptablesRuleset>> {
        let mut programs = scope.iptables.clone();
        if !legacy::families_in_use()?.is_empty() {
            programs.extend(self.iptables().legacy);
        }
        if survey.has_iptables_chains {
            programs.extend(self.iptables().nft);
        }
        let mut found = SortedMap::new();
        for program in programs {
            let ours = if self.iptables().legacy == Some(program) {
                let mut ours = IptablesRuleset::new();
                for tables in &*self.legacy_iptables(program)? {
                    ours.extend(tables.ours.clone());
                }
                ours
            } else {
                self.iptables().read(program)?
            };
            if !ours.is_empty() {
                found.insert(program, ours);
            }
        }
        Ok(found)
    }
}

impl Kernel for Linux {
    fn links(&mut self) -> Result<Links> {
        link::list(&mut self.route)
    }

    fn interface_to(&mut self, address: IpAddr, links: &Links) -> Option<IfName> {
        let found = route::lookup(&mut self.route, address, None, None)?.device?;
        name_of(found, links)
    }

    fn is_outside_tunnels(&mut self, address: IpAddr, links: &Links) -> bool {
        let found = route::lookup(&mut self.route, address, Some(TUNNEL_MARK.value), None);
        let device = found.and_then(|route| route.device);
        let link = links.values().find(|link| Some(link.index) == device);
        link.is_some_and(|link| link.ours().is_none_or(|ours| ours.backend().is_none()))
    }

    fn uplink_addresses(&mut self, uplinks: &[&IfName], links: &Links) -> Result<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for link in uplinks.iter().filter_map(|name| links.get(*name)) {
            addresses.extend(address::list_lasting(&mut self.route, link.index)?);
        }
        Ok(address::for_peers(addresses))
    }

    fn can_close_ports(&mut self) -> bool {
        self.nftables.as_mut().is_some_and(Nftables::can_close_ports)
    }

    fn legacy_tables(&mut self) -> Result<Option<u64>> {
        entries::digest(&mut self.entries)
    }

    fn look_for_wireguard(&mut self) -> Result<()> {
        if self.wireguard.is_none() {
            self.wireguard = WireGuard::find()?;
        }
        Ok(())
    }

    fn own_tunnels(&mut self) -> Result<SortedMap<IfName, Link>> {
        let mut tunnels = SortedMap::new();
        for link in link::list(&mut self.route)?.values() {
            if let Some(ours) = link.ours().filter(|ours| ours.backend().is_some()) {
                tunnels.insert(link.name.clone(), ours);
            }
        }
        Ok(tunnels)
    }

    fn read_tunnel(&mut self, name: &IfName, link: &Link, now: SystemTime) -> Result<Reading> {
        match link.backend() {
            Some(WireGuardBackend::Kernel) => self.kernel_wireguard()?.read(name, now),
            Some(WireGuardBackend::BuiltIn) => {
                self.devices.read(name, now).unwrap_or_else(|| builtin::read_foreign(name, now))
            }
            None => Err(Error::failed(format!("{name} is not a tunnel"))),
        }
    }

    fn change_tunnel(&mut self, name: &IfName, from: &Tunnel, to: &Tunnel) -> Result<()> {
        if let Some(changed) = self.devices.change(name, from, to) {
            return changed;
        }
        let change = TunnelChange { name: name.clone(), from: from.clone(), to: to.clone() };
        change_in_kernel(self.kernel_wireguard()?, &[&change]).into_iter().collect()
    }

    fn runs_tunnels(&self) -> bool {
        !self.devices.is_empty()
    }

    fn begin_handshakes_anew(&self) {
        self.devices.begin_anew();
    }

    fn forget_connections(&mut self, chosen: &ConnectionFilter) -> Result<usize> {
        conntrack::forget(chosen)
    }

    fn stations(&mut self, interfaces: &[&IfName]) -> Result<SortedMap<IfName, Vec<Station>>> {
        let wireless = if interfaces.is_empty() { None } else { Wireless::find()? };
        wireless.map_or_else(
            || Ok(SortedMap::new()),
            |mut wireless| wireless.stations(interfaces.iter().copied()),
        )
    }

    fn change_monitor(&mut self) -> Result<Box<dyn ChangeMonitor>> {
        Ok(Box::new(NetlinkMonitor::open()?))
    }

    fn neighbour_monitor(&mut self) -> Result<Box<dyn NeighbourMonitor>> {
        Ok(Box::new(NeighbourSocket::open()?))
    }

    fn echo_socket(&mut self, path: &EchoPath) -> Result<Box<dyn EchoSocket>, Errno> {
        Ok(Box::new(Echo::open(path)?))
    }

    fn tunnel_packets(&mut self) -> Result<Box<dyn TunnelPackets>, Errno> {
        Ok(Box::new(RawSockets::open()?))
    }

    fn helper_socket(&mut self, port: u16) -> Result<Box<dyn HelperSocket>, Errno> {
        Ok(Box::new(BoundSocket::open(port)?))
    }

    fn observe(&mut self, scope: &Scope) -> Result<State> {
        // The interface of a lost device must be gone before the interfaces are listed.
        self.drop_lost_devices();
        let links = self.links()?;
        self.observe_with(&links, scope)
    }

    fn observe_with(&mut self, host: &Links, scope: &Scope) -> Result<State> {
        self.drop_lost_devices();
        let (mut names, mut links, mut up) = (SortedMap::new(), SortedMap::new(), SortedSet::new());
        for link in host.values() {
            names.insert(link.index, link.name.clone());
            let ours = link.ours();
            if link.up && (ours.is_some() || scope.interfaces.contains(&link.name)) {
                up.insert(link.name.clone());
            }
            if let Some(ours) = ours {
                links.insert(link.name.clone(), ours);
            }
        }
        let mut addresses = SortedSet::new();
        for AddressEntry { index, address, .. } in address::list(&mut self.route)? {
            let Some(name) = names.get(&index) else { continue };
            let (is_ours, entry) = (links.contains_key(name), (name.clone(), address));
            if is_ours && !address::is_link_local(address.address) || scope.addresses.contains(&entry) {
                addresses.insert(entry);
            }
        }
        let survey = self.survey()?;
        Ok(State {
            tunnels: self.observe_tunnels(&links)?,
            addresses,
            up,
            routes: route::list_ours(&mut self.route, &names)?.into_iter().collect(),
            rules: rule::list(&mut self.route)?.into_iter().collect(),
            closed_ports: self.nftables.as_mut().map_or(Ok(None), Nftables::closed_ports)?,
            firewall: self.nftables.as_mut().map_or(Ok(None), Nftables::read)?,
            iptables: self.observe_iptables(scope, &survey)?,
            pinholes: survey.pinholes,
            sysctls: observe_sysctls(scope)?,
            links,
        })
    }

    fn apply(&mut self, steps: &[Step]) -> Vec<Outcome> {
        Batch::carry_out_all(steps, &mut |batch, _| {
            self.carry_out(&batch).unwrap_or_else(|error| vec![Err(error)])
        })
    }
}

/// Returns the name of the interface with this number.
fn name_of(index: u32, links: &Links) -> Option<IfName> {
    links.values().find(|link| link.index == index).map(|link| link.name.clone())
}

/// Reads the settings in `scope` that this kernel has.
fn observe_sysctls(scope: &Scope) -> Result<SortedMap<String, String>> {
    let mut settings = SortedMap::new();
    for key in &scope.sysctls {
        if let Some(value) = sysctl::read(key)? {
            settings.insert(key.clone(), value);
        }
    }
    Ok(settings)
}
