//! Checks of entrances: traffic enters at most one portal, and portals' own links are no entrances.

use super::super::draft::{NetworkDraft, PortalDraft, SiteDraft};
use super::super::fault::{At, Findings};
use super::super::model::EntranceConfig;
use crate::base::net::{Cidr, Family, IfName};
use crate::wifi::further_interface;

/// Interface that linked sites and phones share.
const SHARED_TUNNEL: &str = "portals0";

/// Interface on which this router reaches itself.
const LOOPBACK: &str = "lo";

/// Refuses the uplink, a tunnel and the loopback interface as entrances.
pub(super) fn taken(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        if let Some(uplink) = site.uplink.as_ref().filter(|uplink| is_made(site, &uplink.value)) {
            let message =
                format_args!("`uplink` cannot be `{}`: portals creates this interface itself", uplink.value);
            found.add(&uplink.span, message, "write the interface of the default route, such as `\"eth0\"`");
        }
        for entrance in site.portals.iter().filter_map(|portal| portal.entrance.as_ref()) {
            let key = entrance.value.key();
            if let Some(name) = interface(&entrance.value).filter(|name| is_made(site, name)) {
                let message =
                    format_args!("`{key}` cannot be `{name}`: portals creates this interface itself");
                found.add(&entrance.span, message, OF_DEVICES);
            }
            if interface(&entrance.value).is_some_and(|name| name.as_str() == LOOPBACK) {
                let message = format_args!("`{key}` cannot be `{LOOPBACK}`: it has no devices");
                let help = format_args!("{OF_DEVICES}, or `self = true` for this router's own traffic");
                found.add(&entrance.span, message, help);
            }
            if let Some(name) = all_of(&entrance.value).filter(|name| is_uplink(site, name)) {
                let message =
                    format_args!("`{key}` cannot be `{name}`: it is the `uplink` of {}", site.name.value);
                found.add(&entrance.span, message, OF_DEVICES);
            }
        }
    }
}

const OF_DEVICES: &str = "write the interface to which the devices are connected";

fn is_made(site: &SiteDraft, name: &IfName) -> bool {
    let providers = site.providers.iter().map(|provider| &provider.name);
    let mut exits = site.exits.iter().chain(providers);
    let mut portals = site.portals.iter();
    let is_wifi = |portal: &PortalDraft| {
        portal.entrance.as_ref().is_some_and(|entrance| matches!(entrance.value, EntranceConfig::Wifi(_)))
    };
    name.as_str() == SHARED_TUNNEL
        || portals.any(|portal| is_wifi(portal) && further_interface(&portal.name.value) == *name)
        || name.as_str().strip_prefix("to-").is_some_and(|to| exits.any(|exit| exit.value == to))
}

fn is_uplink(site: &SiteDraft, name: &IfName) -> bool {
    site.uplink.as_ref().is_some_and(|uplink| uplink.value == *name)
}

/// Returns the interface that an entrance names.
fn interface(entrance: &EntranceConfig) -> Option<&IfName> {
    match entrance {
        EntranceConfig::Vlan { parent, .. } => Some(parent),
        entrance => all_of(entrance),
    }
}

/// Returns the interface whose traffic enters as a whole.
fn all_of(entrance: &EntranceConfig) -> Option<&IfName> {
    match entrance {
        EntranceConfig::Interface(name) => Some(name),
        EntranceConfig::Wifi(wifi) => Some(&wifi.interface),
        EntranceConfig::Vlan { .. }
        | EntranceConfig::From(_)
        | EntranceConfig::Mac(_)
        | EntranceConfig::Own => None,
    }
}

/// Refuses `ntp` at portals for devices: only this router's own traffic includes questions to time servers.
pub(super) fn asking_for_the_time(draft: &NetworkDraft, found: &mut Findings) {
    for portal in draft.portals() {
        let (Some(ntp), Some(entrance)) = (&portal.ntp, &portal.entrance) else { continue };
        if entrance.value != EntranceConfig::Own {
            let message =
                format_args!("`ntp` is for this router's own traffic, not for `{}`", entrance.value.key());
            found.add(&ntp.span, message, "remove it, or move it to the portal with `self = true`");
        }
    }
}

/// Refuses traffic that enters two portals.
pub(super) fn shared(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let portals: Vec<(&PortalDraft, &At<EntranceConfig>)> =
            site.portals.iter().filter_map(|portal| Some((portal, portal.entrance.as_ref()?))).collect();
        for (index, (_, entrance)) in portals.iter().enumerate() {
            for (first, other) in &portals[..index] {
                if let Some(message) = common(&other.value, &entrance.value, &first.name.value) {
                    found.add(&entrance.span, message, "let it enter only one of the two portals");
                }
            }
        }
    }
}

/// Returns a message if the same traffic enters by both `a`, of portal `first`, and `b`, which comes later in
/// the file.
fn common(a: &EntranceConfig, b: &EntranceConfig, first: &str) -> Option<String> {
    let enters = |traffic: &str| Some(format!("{traffic} already enters portal {first}"));
    match (a, b) {
        (EntranceConfig::Vlan { parent, id }, EntranceConfig::Vlan { .. }) if a == b => {
            enters(&format!("VLAN {id} of `{parent}`"))
        }
        (EntranceConfig::From(a), EntranceConfig::From(b)) => {
            let overlap =
                |network: &Cidr| Some((*network, *a.iter().find(|other| other.overlaps(*network))?));
            let (network, other) = b.iter().find_map(overlap)?;
            Some(format!("`from` {network} overlaps {other} of portal {first}"))
        }
        (EntranceConfig::Mac(a), EntranceConfig::Mac(b)) => {
            let twice = b.iter().find(|mac| a.contains(mac))?;
            enters(&twice.to_string())
        }
        // One card can offer several Wi-Fi networks: see `wifi`.
        (EntranceConfig::Wifi(_), EntranceConfig::Wifi(_)) => None,
        (EntranceConfig::Own, EntranceConfig::Own) => enters("this router's own traffic"),
        (a, b) => {
            all_of(a).filter(|name| all_of(b) == Some(name)).and_then(|name| enters(&format!("`{name}`")))
        }
    }
}

/// Refuses `except` where it contradicts `to`, or leaves no destination.
pub(super) fn destinations(draft: &NetworkDraft, found: &mut Findings) {
    for portal in draft.portals() {
        for except in &portal.except {
            if portal.to.iter().any(|to| to.value == except.value) {
                let message = format_args!("{} is in both `to` and `except`", except.value);
                found.add(&except.span, message, "remove it from one of the two");
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
        found.add(
            &last.span,
            "`except` leaves no destination",
            "remove the networks that the portal must reach",
        );
    }
}
