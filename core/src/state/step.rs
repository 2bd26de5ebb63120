//! Steps: changes of a machine, sorted by the part of the kernel that carries them out.

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
    /// Returns the step that undoes this step. Each part is cloned into its place: a clone of the whole step,
    /// whose parts then move, takes twice the code.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self {
            Self::AddLink(link) => Self::RemoveLink(link.clone()),
            Self::RemoveLink(link) => Self::AddLink(link.clone()),
            Self::ChangeTunnel(TunnelChange { name, from, to }) => {
                Self::ChangeTunnel(TunnelChange { name: name.clone(), from: to.clone(), to: from.clone() })
            }
            Self::Routing(step) => Self::Routing(step.inverse()),
            Self::Firewall(step) => Self::Firewall(step.inverse()),
            Self::SetSysctl(SysctlChange { key, from, to }) => {
                Self::SetSysctl(SysctlChange { key: key.clone(), from: to.clone(), to: from.clone() })
            }
        }
    }
}

impl RoutingStep {
    fn inverse(&self) -> Self {
        match self {
            Self::ChangeLink { name, from, to } => {
                Self::ChangeLink { name: name.clone(), from: to.clone(), to: from.clone() }
            }
            Self::AddAddress(name, address) => Self::RemoveAddress(name.clone(), *address),
            Self::RemoveAddress(name, address) => Self::AddAddress(name.clone(), *address),
            Self::BringUp(name) => Self::BringDown(name.clone()),
            Self::BringDown(name) => Self::BringUp(name.clone()),
            Self::AddRoute(route) => Self::RemoveRoute(route.clone()),
            Self::RemoveRoute(route) => Self::AddRoute(route.clone()),
            Self::AddRule(rule) => Self::RemoveRule(rule.clone()),
            Self::RemoveRule(rule) => Self::AddRule(rule.clone()),
        }
    }
}

impl FirewallStep {
    fn inverse(&self) -> Self {
        match self {
            Self::ClosePorts { from, to } => Self::ClosePorts { from: to.clone(), to: from.clone() },
            Self::ChangeFirewall { from, to } => Self::ChangeFirewall { from: to.clone(), to: from.clone() },
            Self::ChangeIptables { program, from, to } => {
                Self::ChangeIptables { program: *program, from: to.clone(), to: from.clone() }
            }
            Self::ChangePinholes { chain, from, to } => {
                Self::ChangePinholes { chain: chain.clone(), from: to.clone(), to: from.clone() }
            }
        }
    }
}
