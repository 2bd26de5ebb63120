//! Checks of sites that help other sites to find each other.

use super::super::draft::{NetworkDraft, SiteDraft};
use super::super::fault::Findings;
use super::super::model::question_port;
use crate::nat::{HELPER_OFFSET, RELAY_OFFSET, RELAY_PORTS};

/// Port of IPsec behind NAT (RFC 3948), which most networks let out.
const NAT_TRAVERSAL: u16 = 4500;

/// Ports of DNS, DHCP and DHCPv6: a router that listens there for its LAN must not be opened to the internet.
const ROUTERS_OWN: [u16; 5] = [53, 67, 68, 546, 547];

/// Reports whether other sites can ask a site, which needs an `endpoint`, and a port for questions that no
/// tunnel has. A site with an unknown key may have misspelt its `endpoint`.
pub(super) fn can_help(site: &SiteDraft) -> bool {
    (site.dialled || site.misspelt) && has_question_port(site)
}

fn has_question_port(site: &SiteDraft) -> bool {
    question_port(site.base_port(), site.providers.len()).is_some()
}

/// Refuses `helper_port` and `relay` at sites that no other site can ask.
pub(super) fn asked_in_vain(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let helper_port = site.helper_port.as_ref().map(|port| ("helper_port", &port.span));
        let relay = site.relay.as_ref().map(|relay| ("relay", &relay.span));
        for (key, span) in [helper_port, relay].into_iter().flatten() {
            let name = &site.name.value;
            if !site.dialled && !site.misspelt {
                let message =
                    format_args!("`{key}` has no effect: {name} has no `endpoint`, so no site can ask it");
                found.add(span, message, "remove it, or add `endpoint = \"<host name or address>\"`");
            } else if !has_question_port(site) {
                let message = format_args!(
                    "`{key}` has no effect: {name} has no free port for questions, which is `port` plus \
                     {HELPER_OFFSET}"
                );
                let help = "remove it, or write `port = 51820` and at most four providers";
                found.add(span, message, help);
            }
        }
    }
}

/// Refuses a `helper_port` that the site uses for something else, now or when the file grows.
pub(super) fn ports(draft: &NetworkDraft, found: &mut Findings) {
    for site in &draft.sites {
        let Some(port) = &site.helper_port else { continue };
        let first = u32::from(site.base_port());
        let last = first + u32::from(RELAY_OFFSET + RELAY_PORTS) - 1;
        let ports = first..=last;
        if ports.contains(&u32::from(port.value)) {
            let message = format_args!(
                "`helper_port` {} is taken: the site keeps the ports {first} to {last} for its tunnels, for \
                 questions and for relayed links",
                port.value
            );
            let free = if ports.contains(&443) { NAT_TRAVERSAL } else { 443 };
            found.add(&port.span, message, format_args!("write `helper_port = {free}`, or another port"));
        } else if ROUTERS_OWN.contains(&port.value) {
            let message = format_args!(
                "`helper_port` {} is a port of DNS or DHCP, for which a router listens itself",
                port.value
            );
            found.add(&port.span, message, "write `helper_port = 443`, or another port");
        }
    }
}
