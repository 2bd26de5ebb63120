//! The steps that lead from one state to another, in an order that never opens a way meant to be closed.

use crate::firewall::Firewall;
use crate::net::{IfName, InterfaceAddress};
use crate::state::{Link, Route, Rule, Tunnel};

/// One change of the machine. It holds all that is needed to take it back: see [`Step::inverse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes an interface, with MTU and alias, down and (WireGuard) without a key.
    AddLink(IfName, Link),
    /// Removes an interface.
    RemoveLink(IfName, Link),
    /// Changes MTU or alias; the kind is the same on both sides.
    ChangeLink {
        /// Its name.
        name: IfName,
        /// What it was.
        from: Link,
        /// What it becomes.
        to: Link,
    },
    /// Changes WireGuard settings: only what differs is sent, so that other peers keep their sessions.
    ChangeTunnel {
        /// The interface.
        name: IfName,
        /// What it was; [`Tunnel::default`] for an interface that was just made.
        from: Tunnel,
        /// What it becomes; [`Tunnel::default`] for an interface that is about to be removed.
        to: Tunnel,
    },
    /// Gives an interface an address.
    AddAddress(IfName, InterfaceAddress),
    /// Takes an address away.
    RemoveAddress(IfName, InterfaceAddress),
    /// Sets an interface up.
    BringUp(IfName),
    /// Sets an interface down.
    BringDown(IfName),
    /// Adds a route.
    AddRoute(Route),
    /// Removes a route.
    RemoveRoute(Route),
    /// Adds a rule.
    AddRule(Rule),
    /// Removes a rule.
    RemoveRule(Rule),
    /// Changes the firewall in one transaction; `None` = no table.
    ChangeFirewall {
        /// What it was.
        from: Option<Firewall>,
        /// What it becomes.
        to: Option<Firewall>,
    },
    /// Writes a kernel setting.
    SetSysctl {
        /// Path below `/proc/sys`.
        key: String,
        /// What it was.
        from: String,
        /// What it becomes.
        to: String,
    },
}
