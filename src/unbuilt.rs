//! What the network file may say, but this version does not do yet: refused by name, never ignored.

use crate::config::model::{Entrance, ExitRef, FirewallChoice, Name, Network, Portal};
use crate::error::Error;

/// Everything that concerns the site `own` and is not built yet.
pub fn refusals(network: &Network, own: &str) -> Vec<Error> {
    let site = &network.sites[own];
    let mut refused = Vec::new();
    if network.subnet6.is_some() {
        refused.push("`subnet6`: IPv6 through portals".to_owned());
    }
    if site.firewall == FirewallChoice::Iptables {
        refused.push(format!("site `{own}`: the iptables firewall"));
    }
    refused.extend(site.providers.keys().map(|name| format!("exit `{name}`: a provider's file as an exit")));
    refused.extend(site.portals.iter().flat_map(portal));
    let phones = network.phones.iter().filter(|(_, phone)| phone.at == own);
    refused.extend(phones.map(|(name, _)| format!("phone `{name}`: hosting phones")));
    refused
        .into_iter()
        .map(|what| Error::wrong(format!("{what} is not built yet; take it out of the file")))
        .collect()
}

fn portal(portal: &Portal) -> Vec<Name> {
    let mut refused = Vec::new();
    let mut refuse = |what: &str| refused.push(format!("portal `{}`: {what}", portal.name));
    match portal.entrance {
        Entrance::Vlan { .. } => refuse("a VLAN as the entrance"),
        Entrance::Wifi(_) => refuse("a Wi-Fi as the entrance"),
        Entrance::Mac(_) => refuse("devices by `mac` as the entrance"),
        Entrance::Interface(_) | Entrance::From(_) | Entrance::Own => {}
    }
    if portal.exits.len() > 1 {
        refuse("a list of exits (failing over)");
    } else if let Some(ExitRef::Provider(_)) = portal.exits.first() {
        refuse("a provider's file as the exit");
    }
    if !portal.ports.is_empty() {
        refuse("choosing by `ports`");
    }
    if portal.dhcp == Some(true) {
        refuse("`dhcp`");
    }
    if !portal.dns.is_empty() {
        refuse("`dns`");
    }
    refused
}
