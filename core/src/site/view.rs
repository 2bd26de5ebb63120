//! View of one site, derived from the network file and the host's facts, or the errors that prevent it.

use super::host_view::chosen_uplink;
use super::ids::site_address;
use super::links::{self, tunnels};
use super::portals::portals;
use super::{
    AgentSettings, Guard, HomeNames, HostView, Inputs, KernelSettings, NtpBypass, Portal, Site, SiteTunnel,
    chains, conflicts, exchange, ipv6, marks, nat, notes, providers,
};
use crate::base::error::{Error, Errors};
use crate::base::net::{Cidr, IfName, PublicKey};
use crate::base::sorted::SortedMap;
use crate::config::model::{self, Name, Network};
use crate::site::access_point::decide;
use crate::site::facts::{Facts, Uplink};

/// Returns the name of the site with that public key.
///
/// # Errors
/// If no site has the key.
pub fn own_name(network: &Network, public_key: PublicKey) -> Result<&Name, Error> {
    network.sites.iter().find(|(_, site)| site.public_key == public_key).map(|(name, _)| name).ok_or_else(
        || {
            Error::wrong(format!(
                "no site of network `{}` has the public key of this router, {public_key}: write the key into \
                 this router's [site.…]",
                network.name
            ))
        },
    )
}

/// Returns the view of the site that `inputs.public_key` belongs to.
///
/// # Errors
/// All reasons at once why the host cannot be that site.
pub fn view(network: &Network, inputs: &Inputs) -> Result<Site, Errors> {
    let name = own_name(network, inputs.public_key)?;
    let entry = &network.sites[name];
    let facts = inputs.facts;
    let uplink = chosen_uplink(entry, facts);

    let ipv6 = ipv6::of_site(network, entry, facts);
    let subnets: Vec<Cidr> =
        [Some(network.subnet), ipv6.map(|ipv6| ipv6.subnet)].into_iter().flatten().collect();
    let mut errors = Vec::new();
    let mut tunnels = tunnels(network, name, &inputs.known());
    providers::add_tunnels(&mut tunnels, entry, inputs, &mut errors);
    if ipv6.is_none() {
        ipv6::strip(&mut tunnels);
    }
    let wifi =
        decide(&entry.portals, &facts.interfaces, &facts.radios, inputs.passphrases, facts.package_manager);
    let portals = portals(network, name, &tunnels, facts, &wifi, ipv6);
    let chains = chains::chains(network, name, ipv6.is_some());
    let probes = marks::probes(&portals, &chains, &tunnels, network.probe);
    shared_networks(&mut errors, network, &tunnels, &portals, facts);
    errors.extend(marks::are_too_few(&entry.portals, &probes));
    conflicts::networks_shown_that_are_local(&mut errors, network, name, facts);
    conflicts_of_entrances(&mut errors, &portals, uplink.as_ref(), facts);
    let guard = guard_for(entry, &portals, uplink.as_ref(), facts, errors)?;
    let mut notes = notes::all(entry, &portals, uplink.as_ref(), &tunnels, inputs);
    notes.extend(ipv6::note(network, entry, facts));
    if entry.fastpath && !guard.fastpath {
        notes.push(NO_FASTPATH.to_owned());
    }
    if ipv6.is_some() {
        ipv6::notes_on_portals(&mut notes, &portals, facts);
    }
    notes.extend(wifi.notes.iter().cloned());

    Ok(Site {
        network: network.name.clone(),
        name: name.clone(),
        address: site_address(network, entry.id),
        subnet: network.subnet,
        ipv6,
        lan: entry.lan.clone(),
        far_lans: links::lans_of_peers(network, name),
        translated_elsewhere: links::translated_by_peers(network, name),
        names: HomeNames::new(network, name),
        mtu: network.mtu,
        private_key: inputs.private_key.clone(),
        host: HostView::new(&subnets, facts, uplink),
        guard,
        kernel: KernelSettings::new(entry, &portals, facts),
        wifi,
        agent: AgentSettings::new(network, entry, inputs, probes),
        ntp: way_of_ntp(entry, facts),
        nat: nat::SiteNat::new(network, name, (&tunnels, ipv6.is_some()), &inputs.known()),
        exchange: exchange::ExchangePart::new(network, name),
        relays: chains::relays(network, name, ipv6.is_some()),
        chains,
        tunnels,
        portals,
        notes,
    })
}

const NO_FASTPATH: &str = "`fastpath = true` has no effect: it needs nftables as the firewall, and Linux \
                           5.14 or newer with module nft_flow_offload (OpenWrt: `kmod-nft-offload`)";

/// Chooses the firewall. Returns its errors together with `errors`, the other reasons why the host cannot be
/// the site.
fn guard_for(
    entry: &model::SiteConfig,
    portals: &[Portal],
    uplink: Option<&Uplink>,
    facts: &Facts,
    mut errors: Vec<Error>,
) -> Result<Guard, Errors> {
    let guard = Guard::choose(entry, facts).map_err(|error| errors.push(error)).ok();
    if let Some(guard) = &guard {
        conflicts::names_iptables_cannot_take(&mut errors, guard.firewall, portals, uplink);
    }
    Ok(Errors::check(errors, guard)?.expect("an error otherwise"))
}

fn shared_networks(
    errors: &mut Vec<Error>,
    network: &Network,
    tunnels: &SortedMap<IfName, SiteTunnel>,
    portals: &[Portal],
    facts: &Facts,
) {
    conflicts::shared_networks_that_are_local(errors, network, tunnels, facts);
    conflicts::networks_in_the_subnet(errors, portals, ("subnet", network.subnet), facts);
    if let Some(subnet6) = network.subnet6 {
        conflicts::networks_in_the_subnet(errors, portals, ("subnet6", subnet6.network), facts);
    }
}

fn conflicts_of_entrances(
    errors: &mut Vec<Error>,
    portals: &[Portal],
    uplink: Option<&Uplink>,
    facts: &Facts,
) {
    conflicts::entrances_that_hold_the_uplink(errors, portals, uplink);
    conflicts::ports_of_the_uplink(errors, portals, facts);
    conflicts::interfaces_of_two_portals(errors, portals);
}

fn way_of_ntp(entry: &model::SiteConfig, facts: &Facts) -> Option<NtpBypass> {
    let way = if facts.rules_know_ports { NtpBypass::Rule } else { NtpBypass::Mark };
    entry.portals.iter().any(model::PortalConfig::has_open_time).then_some(way)
}
