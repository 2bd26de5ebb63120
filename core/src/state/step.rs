//! Steps: changes of a machine, sorted by the part of the kernel that carries them out.

use std::mem::swap;

use crate::base::net::{IfName, InterfaceAddress};
use crate::base::sorted::SortedSet;
use crate::firewall::xtables::{IptablesProgram, IptablesRuleset};
use crate::firewall::{Firewall, ForeignChain, PinholeChain};
use crate::state::{Link, Route, Rule, Tunnel};

/// Change of the machine. A step holds all data that its [inverse](Step::inverse) needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes an interface with its MTU and alias. The interface is down; a tunnel has no key yet.
    AddLink(NamedLink),
    /// Removes an interface.
    RemoveLink(NamedLink),
    /// Changes WireGuard settings.
    ChangeTunnel(TunnelChange),
    /// Changes an interface that exists, an address, a route or a policy rule.
    Routing(RoutingStep),
    /// Changes a firewall.
    Firewall(FirewallStep),
    /// Writes a kernel setting.
    SetSysctl(SysctlChange),
}

/// An interface of ours, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLink {
    /// Name of the interface.
    pub name: IfName,
    /// Kind, MTU and alias of the interface.
    pub link: Link,
}

/// A change of the WireGuard settings of an interface. Only the difference is sent to WireGuard, so that the
/// peers that stay keep their sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelChange {
    /// Name of the interface.
    pub name: IfName,
    /// Former settings; [`Tunnel::default`] for an interface that was just made.
    pub from: Tunnel,
    /// New settings; [`Tunnel::default`] for an interface that is about to be removed.
    pub to: Tunnel,
}

/// A change of an interface that exists, of an address, a route or a policy rule: one request to rtnetlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutingStep {
    /// Changes the MTU or the alias of an interface; the kind stays.
    ChangeLink {
        /// Name of the interface.
        name: IfName,
        /// Former MTU and alias.
        from: Link,
        /// New MTU and alias.
        to: Link,
    },
    /// Adds an address to an interface.
    AddAddress(IfName, InterfaceAddress),
    /// Removes an address from an interface.
    RemoveAddress(IfName, InterfaceAddress),
    /// Sets an interface up.
    BringUp(IfName),
    /// Sets an interface down.
    BringDown(IfName),
    /// Adds a route.
    AddRoute(Route),
    /// Removes a route.
    RemoveRoute(Route),
    /// Adds a policy rule.
    AddRule(Rule),
    /// Removes a policy rule.
    RemoveRule(Rule),
}

/// A change of a firewall, in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirewallStep {
    /// Changes the set of closed ports: packets that come in through these interfaces are dropped. `None`
    /// means that the table for closed ports does not exist.
    ClosePorts {
        /// Former set.
        from: Option<SortedSet<IfName>>,
        /// New set.
        to: Option<SortedSet<IfName>>,
    },
    /// Changes our nftables table. `None` means that the table does not exist.
    ChangeFirewall {
        /// Former table.
        from: Option<Firewall>,
        /// New table.
        to: Option<Firewall>,
    },
    /// Changes our chains and rules in iptables.
    ChangeIptables {
        /// Program that holds the rules.
        program: IptablesProgram,
        /// Former chains and rules.
        from: IptablesRuleset,
        /// New chains and rules.
        to: IptablesRuleset,
    },
    /// Changes our rules at the top of a foreign nftables chain.
    ChangePinholes {
        /// Chain that holds the rules.
        chain: ForeignChain,
        /// Former rules.
        from: PinholeChain,
        /// New rules.
        to: PinholeChain,
    },
}

/// A change of a kernel setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysctlChange {
    /// Path below `/proc/sys`.
    pub key: String,
    /// Former value; the new value if the setting belongs to an interface that is being made.
    pub from: String,
    /// New value.
    pub to: String,
}

impl Step {
    /// Returns the step that undoes this step.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut step = self.clone();
        match &mut step {
            Self::ChangeTunnel(TunnelChange { from, to, .. }) => swap(from, to),
            Self::SetSysctl(SysctlChange { from, to, .. }) => swap(from, to),
            Self::Firewall(step) => step.turn(),
            Self::AddLink(_) | Self::RemoveLink(_) | Self::Routing(_) => {}
        }
        match step {
            Self::AddLink(link) => Self::RemoveLink(link),
            Self::RemoveLink(link) => Self::AddLink(link),
            Self::Routing(step) => Self::Routing(step.inverse()),
            turned => turned,
        }
    }
}

impl RoutingStep {
    fn inverse(self) -> Self {
        match self {
            Self::ChangeLink { name, from, to } => Self::ChangeLink { name, from: to, to: from },
            Self::AddAddress(name, address) => Self::RemoveAddress(name, address),
            Self::RemoveAddress(name, address) => Self::AddAddress(name, address),
            Self::BringUp(name) => Self::BringDown(name),
            Self::BringDown(name) => Self::BringUp(name),
            Self::AddRoute(route) => Self::RemoveRoute(route),
            Self::RemoveRoute(route) => Self::AddRoute(route),
            Self::AddRule(rule) => Self::RemoveRule(rule),
            Self::RemoveRule(rule) => Self::AddRule(rule),
        }
    }
}

impl FirewallStep {
    /// Makes the step its inverse.
    fn turn(&mut self) {
        match self {
            Self::ClosePorts { from, to } => swap(from, to),
            Self::ChangeFirewall { from, to } => swap(from, to),
            Self::ChangeIptables { from, to, .. } => swap(from, to),
            Self::ChangePinholes { from, to, .. } => swap(from, to),
        }
    }
}
