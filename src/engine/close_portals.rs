//! Closing of the portals of a network file when no agent can start: it needs no keys, tunnels or journal.

use std::path::{Path, PathBuf};

use crate::base::error::{Errors, Result};
use crate::base::net::{PublicKey, Secret};
use crate::base::path::folder_of;
use crate::base::sorted::{SortedMap, SortedSet};
use crate::config::model::Network;
use crate::config::model::{EntranceConfig, ExitRef, Name, PortalConfig};
use crate::engine::commit_confirmed::CommitConfirmed;
use crate::engine::host::{Host, HostQuery};
use crate::engine::journal::{FOLDER, Journal};
use crate::engine::network_file;
use crate::engine::own_key;
use crate::kernel::Outcome;
use crate::kernel::linux::Linux;
use crate::plan::plan;
use crate::site::access_point;
use crate::site::access_point::Passphrases;
use crate::site::facts::Facts;
use crate::site::{self, Exit, Inputs, ReplyPath, Site};
use crate::state::State;
use crate::state::diff::diff;
use crate::state::step::Step;

/// Closes the portals of this site in the network file or, if that cannot be used, in the last confirmed
/// file. Returns the path of the file that was used; `None` if neither file has portals of this site to
/// close.
pub fn close_by_file(file: &Path) -> Option<Result<PathBuf, Errors>> {
    let confirmed = CommitConfirmed::of(file).confirmed();
    for copy in [file, &confirmed] {
        let Ok((_, network)) = network_file::load(copy) else { continue };
        let key = own_key::owner(&folder_of(file), &network);
        if own_name(&network, key).is_some() {
            // If `/run` is full or broken, there is no lock, and the portals are closed without one.
            let _lock = Journal::open().and_then(|journal| journal.lock(&mut || ())).ok();
            let kernel = Linux::open().map_err(Errors::from);
            let closed = kernel.and_then(|mut kernel| close(&mut kernel, *network, key, file));
            return Some(closed.map(|()| copy.to_owned()));
        }
    }
    None
}

/// Returns the name of the site with this key, if it has portals to close. Without a key, returns the only
/// site that has such portals.
fn own_name(network: &Network, key: Option<PublicKey>) -> Option<Name> {
    let mut own = None;
    for (name, site) in &network.sites {
        if key.is_none_or(|key| key == site.public_key) && site.portals.iter().any(closes) {
            if own.is_some() {
                return None;
            }
            own = Some(name);
        }
    }
    own.cloned()
}

/// Closes the portals of this site, and goes on past failures. Removes nothing: rules of ours that are in
/// place already close what they must.
fn close(kernel: &mut dyn Host, network: Network, key: Option<PublicKey>, file: &Path) -> Result<(), Errors> {
    let Some(own) = own_name(&network, key) else { return Ok(()) };
    let network = bare(network, &own);
    let entry = &network.sites[&own];
    let links = kernel.links()?;
    let mut facts = kernel.facts(&HostQuery {
        links: &links,
        folder: Path::new(FOLDER),
        uplink: entry.uplink.as_ref(),
        marks: entry.portals.iter().any(PortalConfig::goes_by_marks),
        ipv6: false,
        translates: false,
        fastpath: false,
        cards: &access_point::cards(&entry.portals),
        neighbours: &[],
    })?;
    // An overlap of networks, which makes the file invalid on this host, must not leave the portals open.
    for networks in [&mut facts.local, &mut facts.uplink_networks] {
        networks.retain(|found| !network.subnet.overlaps(*found));
    }
    let want = closed(&closed_site(&network, &own, &facts, file)?);
    let have = kernel.observe(&want.scope())?;
    let mut failed = Vec::new();
    for step in additions(want, &have) {
        for outcome in kernel.apply(&[step]) {
            if let Outcome::Failed(error) = outcome {
                failed.push(error);
            }
        }
    }
    Errors::check(failed, ())
}

/// Reports whether a portal must be closed. The router's own traffic stays open: remote access and the clock
/// need it.
fn closes(portal: &PortalConfig) -> bool {
    portal.entrance != EntranceConfig::Own && portal.exits.first() != Some(&ExitRef::Direct)
}

/// Returns the network reduced to the portals of one site that must be closed, so that it refers to no other
/// file.
fn bare(mut network: Network, own: &str) -> Network {
    network.probe = None;
    network.subnet6 = None;
    network.phones = SortedMap::new();
    network.sites.retain(|name, _| name == own);
    for site in network.sites.values_mut() {
        site.exits.clear();
        site.links.clear();
        site.lan.clear();
        site.dns = None;
        site.providers = SortedMap::new();
        site.portals.retain(closes);
        for portal in &mut site.portals {
            portal.exits = vec![ExitRef::Direct];
        }
    }
    network
}

/// Returns the view of a site whose portals lead nowhere.
fn closed_site(network: &Network, own: &str, facts: &Facts, file: &Path) -> Result<Site, Errors> {
    let inputs = Inputs {
        file,
        private_key: &Secret::new([0; 32]),
        public_key: network.sites[own].public_key,
        network_secret: None,
        phone_keys: &SortedMap::new(),
        passphrases: &Passphrases::new(),
        facts,
        providers: &SortedMap::new(),
        resolved: &SortedMap::new(),
    };
    let mut site = site::view(network, &inputs)?;
    site.tunnels = SortedMap::new();
    site.guard.barriers = SortedSet::new();
    for portal in &mut site.portals {
        portal.exit = Exit::Nowhere;
        portal.exits = vec![Exit::Nowhere];
        portal.resolvers.clear();
        portal.answers = ReplyPath::ByExit;
    }
    Ok(site)
}

/// Returns the part of a plan that closes portals. It needs no journal.
fn closed(site: &Site) -> State {
    let State { rules, firewall, iptables, .. } = plan(site);
    State { rules, firewall, iptables, ..State::default() }
}

/// Returns the steps that add to the observed state. A firewall of ours that is in place stays as it is.
fn additions(want: State, have: &State) -> Vec<Step> {
    let mut both = have.clone();
    both.rules.extend(want.rules);
    if both.firewall.is_none() && both.iptables.is_empty() {
        both.firewall = want.firewall;
        both.iptables = want.iptables;
    }
    diff(&both, have)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::site::facts::HostFirewalls;

    const NETWORK: &str = r#"
        [network]
        name = "home"
        subnet = "10.77.0.0/16"
        [site.nyc]
        id = 1
        public_key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
        exits = ["paris", "oslo"]
        [site.nyc.portal.guests]
        exit = "paris"
        interface = "eth1"
        [site.nyc.portal.desk]
        exit = "paris"
        from = ["192.168.1.50"]
        [site.nyc.portal.own]
        exit = "paris"
        self = true
        [site.nyc.portal.plain]
        exit = "direct"
        interface = "eth2"
        [site.paris]
        id = 2
        public_key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
        exits = ["nyc"]
        endpoint = "203.0.113.2"
        [phone.mike]
        id = 1
        at = "nyc"
        exit = "paris"
        public_key = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
        [phone.anna]
        id = 2
        at = "paris"
        exit = "oslo via nyc"
        public_key = "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ="
        [site.oslo]
        id = 3
        public_key = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU="
        endpoint = "203.0.113.3"
        [site.paris.portal.own]
        exit = "nyc"
        self = true
    "#;

    #[test]
    fn all_traffic_that_enters_goes_nowhere_and_the_router_stays_reachable() {
        let network = config::parse(NETWORK).unwrap();
        let own = own_name(&network, None).expect("the only site with such portals");
        assert_eq!(own.as_str(), "nyc");
        assert_eq!(network.phones.len(), 2);
        let filters = HostFirewalls { nftables: true, ..HostFirewalls::default() };
        let facts = Facts { ipv6: true, filters, ..Facts::default() };
        let site = closed_site(&bare(network, &own), &own, &facts, Path::new("network.toml")).unwrap();
        let state = closed(&site);
        let text = state.rules.iter().map(crate::state::words::rule).collect::<Vec<_>>().join("\n");
        assert!(text.contains("from all iif eth1 unreachable"), "{text}");
        assert!(text.contains("from 192.168.1.50/32 unreachable"), "{text}");
        assert!(!text.contains("iif lo") && !text.contains("eth2"), "{text}");
        assert!(state.firewall.is_some() && state.links.is_empty() && state.sysctls.is_empty());

        let steps = additions(state.clone(), &State::default());
        assert_eq!(steps.len(), state.rules.len() + 1);
        assert_eq!(additions(state.clone(), &state), []);
    }

    #[test]
    fn a_key_of_no_site_closes_nothing() {
        let network = config::parse(NETWORK).unwrap();
        assert_eq!(own_name(&network, Some(PublicKey([9; 32]))), None);
    }
}
