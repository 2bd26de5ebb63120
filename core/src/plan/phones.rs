//! Phones that leave at another exit than the site they dial: their way there, and what keeps them on it. Those that leave here are
//! guests like those of any peer.

use crate::base::net::{Cidr, Family, IfName};
use crate::firewall::Rule as Filter;
use crate::firewall::{
    Action::{Accept, Reject},
    Condition::{Destination, Incoming, Outgoing, Source},
    Interfaces, Networks,
};
use crate::plan::firewall::{exit_interface, rule};
use crate::plan::routing::{DEVICES, into, skip};
use crate::site::{Exit, Phone, Site};
use crate::state::{Rule, Selector};

/// The policy rules that lead them to their exits, and close behind them.
pub(super) fn rules(site: &Site) -> impl Iterator<Item = Rule> {
    leaving_elsewhere(site).flat_map(|(interface, phone)| {
        let entering = Selector {
            incoming: Some(interface.clone()),
            from: Some(Cidr::host(phone.peer.address)),
            ..Selector::default()
        };
        let shared = shared(site).map(|network| skip(&entering, network));
        shared.chain(into(&[], &entering, DEVICES, phone.exit.table())).collect::<Vec<_>>()
    })
}

/// The same once more, for a moment in which the rules are gone. The source is true: WireGuard vouches for it.
pub(super) fn forward(site: &Site) -> Vec<Filter> {
    let mut filters = Vec::new();
    for (interface, phone) in leaving_elsewhere(site) {
        let entering = [
            Incoming(Interfaces::One(interface.clone())),
            Source(Networks::One(Cidr::host(phone.peer.address))),
        ];
        let shared = shared(site).map(|network| Destination(Networks::One(network)));
        let exit = exit_interface(site, &phone.exit).cloned();
        let exit = exit.map(|exit| Outgoing(Interfaces::One(exit)));
        let open = shared.chain(exit).map(|way| rule(entering.iter().cloned().chain([way]), Accept));
        filters.extend(open);
        filters.push(rule(entering, Reject));
    }
    filters
}

fn leaving_elsewhere(site: &Site) -> impl Iterator<Item = (&IfName, &Phone)> {
    let phones = site.phones().map(|(interface, _, phone)| (interface, phone));
    phones.filter(|(_, phone)| phone.exit != Exit::Direct)
}

/// What the site shares is for its phones, too.
fn shared(site: &Site) -> impl Iterator<Item = Cidr> {
    site.lan.iter().copied().filter(|network| network.family() == Family::V4)
}
