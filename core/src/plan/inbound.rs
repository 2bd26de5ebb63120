//! Connections that a port forwarding brings in via the uplink to a device behind a portal: their answers
//! return via the uplink, and do not go into the tunnel.
//!
//! Such a connection gets a connection mark when it comes in, addressed to this host; a neighbour of the
//! uplink that only routes packets to a device gets none. Packets of the device in that connection, in the
//! direction of answers, get the mark too, and it leads them along the host's own routes. The firewall checks
//! the connection and the direction, so a mark from elsewhere opens nothing. Only TCP and UDP are marked: an
//! ICMP error belongs to a connection too, but may go to any host. Strict `rp_filter` looks up the way from
//! the device back to the uplink; `src_valid_mark` on the uplink makes it include the mark.

use crate::base::net::{Cidr, Family, IfName, Mac};
use crate::base::sorted::SortedSet;
use crate::firewall::{
    Action::{Accept, SetConnectionMark, SetMark},
    Condition::{self, ConnectionMarked, Device, FromOriginator, FromResponder, Marked, TcpPort, UdpPort},
    Devices, Set, SetName,
};
use crate::plan::priorities::{END, MARKED};
use crate::plan::sets::{
    Rules, Sets, add, add_interfaces, add_members, add_set, coming, coming_in, disjoint, from_in, leaving,
    leaving_in, of_family, to_in,
};
use crate::site::{Entrance, Portal, ReplyPath, Site};
use crate::state::{INBOUND, Rule, RuleAction, Selector};

/// Set of interfaces with devices behind them that answer via the uplink.
const INTERFACES: &str = "inbound";
/// Set of addresses of devices on an existing LAN that answer via the uplink.
const SOURCES: &str = "inbound-from";
/// Set of hardware addresses of devices on an existing LAN that answer via the uplink.
const DEVICES: &str = "inbound-mac";
/// Set of addresses of the uplink, to which inbound connections come.
const ASKED: &str = "inbound-to";

/// Returns the interface whose reverse-path check must include the mark: the uplink, if devices answer via
/// the uplink.
pub(super) fn checked(site: &Site) -> Option<&IfName> {
    site.uplink_interface().filter(|_| !senders(site).is_empty())
}

/// Adds the policy rule that leads answers along the host's own routes.
pub(super) fn rules(rules: &mut Vec<Rule>, site: &Site) {
    if checked(site).is_some() {
        let selector = Selector { mark: Some(INBOUND), ..Selector::default() };
        rules.push(Rule { priority: MARKED, family: Family::V4, selector, action: RuleAction::Goto(END) });
    }
}

/// Adds the rules that mark incoming connections and their answers.
pub(super) fn marks(rules: &mut Rules, site: &Site) {
    let Some(uplink) = checked(site).filter(|_| !asked(site).is_empty()) else { return };
    for port in any_port() {
        let asked = to_in(Family::V4, ASKED);
        add(rules, [coming(uplink), asked, FromOriginator, port], SetMark(INBOUND));
    }
    add(rules, [coming(uplink), Marked(INBOUND)], SetConnectionMark(INBOUND));
    for sender in senders(site) {
        for port in any_port() {
            let answer = [sender.clone(), ConnectionMarked(INBOUND), FromResponder, port];
            add(rules, answer, SetMark(INBOUND));
        }
    }
}

/// Adds the rules that let inbound connections in to a portal's own LAN, and their answers out.
pub(super) fn forward(rules: &mut Rules, site: &Site) {
    let Some(uplink) = checked(site) else { return };
    if !interfaces(site).is_empty() {
        let way = [coming(uplink), leaving_in(INTERFACES), ConnectionMarked(INBOUND)];
        add(rules, way, Accept);
    }
    for sender in senders(site) {
        for port in any_port() {
            let answer = [sender.clone(), leaving(uplink), ConnectionMarked(INBOUND), FromResponder, port];
            add(rules, answer, Accept);
        }
    }
}

/// Adds the sets that the rules of this file look into.
pub(super) fn sets(sets: &mut Sets, site: &Site) {
    add_interfaces(sets, INTERFACES, interfaces(site));
    add_set(sets, SetName(DEVICES.to_owned()), Set::Devices(devices(site)));
    for (name, networks) in [(SOURCES, sources(site)), (ASKED, asked(site))] {
        add_members(sets, of_family(Family::V4, name), Family::V4, networks);
    }
}

/// Returns conditions on all of TCP and all of UDP. The ranges start at 1, because iptables does not print a
/// range of all ports.
fn any_port() -> [Condition; 2] {
    [TcpPort(1, u16::MAX), UdpPort(1, u16::MAX)]
}

/// Returns the conditions on traffic of devices that answer via the uplink, one for each kind of entrance.
fn senders(site: &Site) -> Vec<Condition> {
    let mut senders = Vec::new();
    if !interfaces(site).is_empty() {
        senders.push(coming_in(INTERFACES));
    }
    if !sources(site).is_empty() {
        senders.push(from_in(Family::V4, SOURCES));
    }
    if !devices(site).is_empty() {
        senders.push(Device(Devices::In(SetName(DEVICES.to_owned()))));
    }
    senders
}

fn answering(site: &Site) -> impl Iterator<Item = &Portal> {
    site.portals.iter().filter(|portal| portal.answers == ReplyPath::ByUplink)
}

fn interfaces(site: &Site) -> SortedSet<IfName> {
    answering(site).filter_map(Portal::entrance_interface).cloned().collect()
}

fn sources(site: &Site) -> SortedSet<Cidr> {
    let mut all: Vec<Cidr> = Vec::new();
    for portal in answering(site) {
        if let Entrance::From(sources) = &portal.entrance {
            all.extend(sources);
        }
    }
    disjoint(Family::V4, &all)
}

fn devices(site: &Site) -> SortedSet<Mac> {
    let mut all = SortedSet::new();
    for portal in answering(site) {
        if let Entrance::Mac { devices, .. } = &portal.entrance {
            all.extend(devices.iter().copied());
        }
    }
    all
}

fn asked(site: &Site) -> SortedSet<Cidr> {
    let mut addresses = Vec::new();
    for address in site.host.uplink.iter().flat_map(|uplink| &uplink.addresses) {
        addresses.push(Cidr::host(address.address));
    }
    disjoint(Family::V4, &addresses)
}
