//! What enters where: never into two portals, and never what portals itself lives on.

use super::super::draft::{Draft, PortalDraft, SiteDraft};
use super::super::fault::{At, Findings};
use super::super::model::Entrance;
use crate::base::net::{Cidr, Family, IfName};
use crate::wifi::further_interface;

/// The interface that linked sites and phones share.
const SHARED_TUNNEL: &str = "portals0";

/// The interface that this router reaches itself by.
const LOOPBACK: &str = "lo";

/// An entrance is neither the uplink nor a tunnel, nor this router itself.
pub(super) fn taken(draft: &Draft, found: &mut Findings) {
    for site in &draft.sites {
        if let Some(uplink) = site.uplink.as_ref().filter(|uplink| is_made(site, &uplink.value)) {
            let message = format!("`uplink` cannot be `{}`: portals makes that one itself", uplink.value);
            found.add(&uplink.span, message, "write the interface of the default route, such as `\"eth0\"`");
        }
        for entrance in site.portals.iter().filter_map(|portal| portal.entrance.as_ref()) {
            let key = entrance.value.key();
            if let Some(name) = interface(&entrance.value).filter(|name| is_made(site, name)) {
                let message = format!("`{key}` cannot be `{name}`: portals makes that one itself");
                found.add(&entrance.span, message, "write the interface that the devices are on");
            }
            if interface(&entrance.value).is_some_and(|name| name.as_str() == LOOPBACK) {
                let message = format!("`{key}` cannot be `{LOOPBACK}`: no devices are on it");
                let help = "write the interface that the devices are on, or `self = true` for this router's own traffic";
                found.add(&entrance.span, message, help);
            }
            if let Some(name) = all_of(&entrance.value).filter(|name| is_uplink(site, name)) {
                let message =
                    format!("`{key}` cannot be `{name}`: it is the `uplink` of {}", site.name.value);
                found.add(&entrance.span, message, "write the interface that the devices are on");
            }
        }
    }
}

fn is_made(site: &SiteDraft, name: &IfName) -> bool {
    let providers = site.providers.iter().map(|provider| &provider.name);
    let mut exits = site.exits.iter().chain(providers);
    let mut portals = site.portals.iter();
    let is_wifi = |portal: &PortalDraft| {
        portal.entrance.as_ref().is_some_and(|entrance| matches!(entrance.value, Entrance::Wifi(_)))
    };
    name.as_str() == SHARED_TUNNEL
        || portals.any(|portal| is_wifi(portal) && further_interface(&portal.name.value) == *name)
        || name.as_str().strip_prefix("to-").is_some_and(|to| exits.any(|exit| exit.value == to))
}

fn is_uplink(site: &SiteDraft, name: &IfName) -> bool {
    site.uplink.as_ref().is_some_and(|uplink| uplink.value == *name)
}

/// The interface that an entrance is written with.
fn interface(entrance: &Entrance) -> Option<&IfName> {
    match entrance {
        Entrance::Vlan { parent, .. } => Some(parent),
        entrance => all_of(entrance),
    }
}

/// The interface that an entrance takes all of.
fn all_of(entrance: &Entrance) -> Option<&IfName> {
    match entrance {
        Entrance::Interface(name) => Some(name),
        Entrance::Wifi(wifi) => Some(&wifi.interface),
        Entrance::Vlan { .. } | Entrance::From(_) | Entrance::Mac(_) | Entrance::Own => None,
    }
}

/// Only this router's own traffic has a time server to ask.
pub(super) fn asking_for_the_time(draft: &Draft, found: &mut Findings) {
    for portal in draft.sites.iter().flat_map(|site| &site.portals) {
        let (Some(ntp), Some(entrance)) = (&portal.ntp, &portal.entrance) else { continue };
        if entrance.value != Entrance::Own {
            let message =
                format!("`ntp` is for what this router itself asks, not for `{}`", entrance.value.key());
            found.add(&ntp.span, message, "take it out, or write it where `self = true` is");
        }
    }
}

/// What enters belongs to one portal.
pub(super) fn shared(draft: &Draft, found: &mut Findings) {
    for site in &draft.sites {
        let portals: Vec<(&PortalDraft, &At<Entrance>)> =
            site.portals.iter().filter_map(|portal| Some((portal, portal.entrance.as_ref()?))).collect();
        for (index, (_, entrance)) in portals.iter().enumerate() {
            for (first, other) in &portals[..index] {
                if let Some(message) = common(&other.value, &entrance.value, &first.name.value) {
                    found.add(&entrance.span, message, "let it enter one of the two portals only");
                }
            }
        }
    }
}

/// That something enters both, where `b` comes second and `a` is of portal `first`.
fn common(a: &Entrance, b: &Entrance, first: &str) -> Option<String> {
    let enters = |what: &str| Some(format!("{what} enters portal {first} already"));
    match (a, b) {
        (Entrance::Vlan { parent, id }, Entrance::Vlan { .. }) if a == b => {
            enters(&format!("VLAN {id} of `{parent}`"))
        }
        (Entrance::From(a), Entrance::From(b)) => {
            let overlap =
                |network: &Cidr| Some((*network, *a.iter().find(|other| other.overlaps(*network))?));
            let (network, other) = b.iter().find_map(overlap)?;
            Some(format!("`from` {network} overlaps {other} of portal {first}"))
        }
        (Entrance::Mac(a), Entrance::Mac(b)) => {
            let twice = b.iter().find(|mac| a.contains(mac))?;
            enters(&twice.to_string())
        }
        // One card can offer several: see `wifi`.
        (Entrance::Wifi(_), Entrance::Wifi(_)) => None,
        (Entrance::Own, Entrance::Own) => enters("this router's own traffic"),
        (a, b) => {
            all_of(a).filter(|name| all_of(b) == Some(name)).and_then(|name| enters(&format!("`{name}`")))
        }
    }
}

/// Of the destinations, some are left.
pub(super) fn destinations(draft: &Draft, found: &mut Findings) {
    for portal in draft.sites.iter().flat_map(|site| &site.portals) {
        for except in &portal.except {
            if portal.to.iter().any(|to| to.value == except.value) {
                let message = format!("{} is in `to` as well as in `except`", except.value);
                found.add(&except.span, message, "take it out of one of the two");
            }
        }
        nothing_left(portal, draft.ipv6, found);
    }
}

fn nothing_left(portal: &PortalDraft, ipv6: bool, found: &mut Findings) {
    let everything = || [Family::V4].into_iter().chain(ipv6.then_some(Family::V6)).map(Family::everything);
    let wanted: Vec<Cidr> = match portal.to.as_slice() {
        [] => everything().collect(),
        to => to.iter().map(|to| to.value).collect(),
    };
    let excepted = |network: &Cidr| portal.except.iter().any(|except| except.value.covers(*network));
    let said_already =
        portal.except.iter().any(|except| wanted.contains(&except.value) && !portal.to.is_empty());
    if let Some(last) = portal.except.last().filter(|_| wanted.iter().all(excepted) && !said_already) {
        found.add(&last.span, "`except` leaves no destination", "take out what the portal is to reach");
    }
}
