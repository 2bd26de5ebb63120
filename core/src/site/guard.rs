//! Firewall that guards the portals of a site.

use crate::base::error::Error;
use crate::base::package_manager::PackageManager;
use crate::base::sorted::SortedSet;
use crate::config::model::{FirewallChoice, SharedNetwork, SiteConfig};
use crate::firewall::xtables::IptablesProgram;
use crate::firewall::{Chain, FirewallBackend, RestrictiveRules};
use crate::site::facts::{Facts, HostFirewalls};

/// Firewall that guards the portals of a site.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Firewall in use.
    pub firewall: FirewallBackend,
    /// Reason for the choice of the firewall, to follow "because".
    pub reason: &'static str,
    /// Rules of other programs that refuse unknown traffic, with their chains.
    pub barriers: SortedSet<(RestrictiveRules, Chain)>,
    /// Set if a flowtable forwards the packets of known connections.
    pub fastpath: bool,
}

impl Guard {
    /// Chooses the firewall, by the file's setting and the host's facts.
    ///
    /// # Errors
    /// If the host has no firewall, if the firewall lacks something, or if it would end the address
    /// translation of other programs.
    pub(super) fn choose(entry: &SiteConfig, facts: &Facts) -> Result<Self, Error> {
        let (firewall, reason) = choose(entry.firewall, &facts.filters, facts.package_manager)?;
        can_translate(&entry.lan, firewall, &facts.filters, facts.package_manager)?;
        let fastpath = entry.fastpath && firewall == FirewallBackend::Nftables && facts.filters.flowtables;
        Ok(Self { firewall, reason, barriers: facts.filters.barriers.clone(), fastpath })
    }
}

/// Refuses a firewall that lacks a feature at a site that shares a network under another one: there, unlike
/// at other sites, every packet from a linked site needs address translation.
fn can_translate(
    lans: &[SharedNetwork],
    firewall: FirewallBackend,
    filters: &HostFirewalls,
    manager: PackageManager,
) -> Result<(), Error> {
    let translated = lans.iter().find(|lan| lan.seen_as.is_some());
    match translated {
        Some(lan) if firewall == FirewallBackend::Nftables && !nftables_can(filters) => {
            Err(Error::failed(format!(
                "`lan = [\"{lan}\"]` needs a firewall that translates networks: this kernel's nftables has \
             no {}, and the program iptables is missing: {}",
                filters.nftables_lacks.join(" and no "),
                manager.how_to_install("iptables")
            )))
        }
        _ => Ok(()),
    }
}

/// Returns the firewall that already guards, if it may stay; otherwise the firewall that the file demands, or
/// that the host uses. Also returns the reason, to follow "because".
fn choose(
    choice: FirewallChoice,
    filters: &HostFirewalls,
    manager: PackageManager,
) -> Result<(FirewallBackend, &'static str), Error> {
    let chosen = choose_among(choice, filters, manager)?;
    match &filters.displaced {
        Some(chain)
            if chosen.0 == FirewallBackend::Iptables(IptablesProgram::Legacy) && !filters.legacy_in_use =>
        {
            Err(Error::failed(format!(
                "this kernel translates addresses with nftables or with legacy iptables, but not with both, \
                 and another program does so in the nftables chain {chain}: install the iptables that writes \
                 nftables (iptables-nft), let that program use iptables, or use Linux 4.18 or newer"
            )))
        }
        _ => Ok(chosen),
    }
}

fn choose_among(
    choice: FirewallChoice,
    filters: &HostFirewalls,
    manager: PackageManager,
) -> Result<(FirewallBackend, &'static str), Error> {
    let anew = choose_anew(choice, filters, manager);
    let is_same = |former: &FirewallBackend| anew.as_ref().is_ok_and(|(backend, _)| backend == former);
    match filters.former.filter(|former| may_stay(*former, choice, filters)) {
        Some(former) if !is_same(&former) => Ok((former, FORMER)),
        _ => anew,
    }
}

/// Reports whether the file allows the firewall that already guards, and the host still has it.
fn may_stay(former: FirewallBackend, choice: FirewallChoice, filters: &HostFirewalls) -> bool {
    match former {
        FirewallBackend::Nftables => choice != FirewallChoice::Iptables && nftables_can(filters),
        FirewallBackend::Iptables(program) => {
            let is_here = filters.legacy == Some(program) || filters.nft == Some(program);
            choice != FirewallChoice::Nftables && is_here && !lacks(program, filters)
        }
    }
}

fn choose_anew(
    choice: FirewallChoice,
    filters: &HostFirewalls,
    manager: PackageManager,
) -> Result<(FirewallBackend, &'static str), Error> {
    match choice {
        FirewallChoice::Nftables => demand_nftables(filters).map(|backend| (backend, DEMANDED)),
        FirewallChoice::Iptables => demand_iptables(filters, manager).map(|backend| (backend, DEMANDED)),
        FirewallChoice::Auto => choose_by_host(filters, manager),
    }
}

fn demand_nftables(filters: &HostFirewalls) -> Result<FirewallBackend, Error> {
    if nftables_can(filters) {
        return Ok(FirewallBackend::Nftables);
    }
    let lack = if filters.nftables {
        format!("this kernel's nftables has no {}", filters.nftables_lacks.join(" and no "))
    } else {
        "this kernel has no nftables".to_owned()
    };
    Err(Error::wrong(format!("`firewall = \"nftables\"`: {lack}; remove the line, or write `iptables`")))
}

fn demand_iptables(filters: &HostFirewalls, manager: PackageManager) -> Result<FirewallBackend, Error> {
    let uses_legacy = filters.legacy_in_use || !nftables_can(filters);
    let preferred = if uses_legacy { filters.legacy } else { filters.nft };
    let program = preferred.or(filters.legacy).or(filters.nft).ok_or_else(|| {
        let advice = manager.how_to_install("iptables");
        Error::wrong(format!(
            "`firewall = \"iptables\"`: the program iptables is missing: {advice}, or remove the line"
        ))
    })?;
    with_all_it_needs(program, filters)
}

fn choose_by_host(
    filters: &HostFirewalls,
    manager: PackageManager,
) -> Result<(FirewallBackend, &'static str), Error> {
    let can = nftables_can(filters);
    match filters.legacy {
        Some(legacy) if filters.legacy_in_use && !(can && lacks(legacy, filters)) => {
            with_all_it_needs(legacy, filters)
                .map(|backend| (backend, "other programs filter with legacy iptables"))
        }
        Some(_) if filters.legacy_in_use && can => Ok((
            FirewallBackend::Nftables,
            "other programs filter with legacy iptables, but it lacks a feature",
        )),
        _ if can => Ok((
            FirewallBackend::Nftables,
            "the kernel has it, and no other program filters with legacy iptables",
        )),
        _ if filters.nftables => Ok(in_place_of_nftables(filters)),
        Some(legacy) => {
            with_all_it_needs(legacy, filters).map(|backend| (backend, "this kernel has no nftables"))
        }
        None => Err(Error::failed(format!(
            "this kernel has no nftables, and the program iptables is missing: {}",
            manager.how_to_install("iptables")
        ))),
    }
}

/// Returns the firewall where the kernel's nftables lacks something, as before Linux 5.2. There, iptables has
/// all that our rules need, also an iptables that writes nftables, because it uses tables of one family each.
/// Without iptables, nftables still works for a site that needs none of the missing features.
fn in_place_of_nftables(filters: &HostFirewalls) -> (FirewallBackend, &'static str) {
    let legacy = filters.legacy.filter(|program| !lacks(*program, filters));
    // The iptables that writes nftables does not end the address translation of others.
    let first = if filters.displaced.is_some() { filters.nft } else { None };
    match first.or(legacy).or(filters.nft) {
        Some(program) => (FirewallBackend::Iptables(program), "this kernel's nftables lacks a feature"),
        None => (
            FirewallBackend::Nftables,
            "the kernel has it, although it lacks a feature, and iptables is missing",
        ),
    }
}

const DEMANDED: &str = "the network file says so";
const FORMER: &str = "chosen before other programs changed their firewalls; `portals down` ends that choice";

/// Reports whether the kernel's nftables has all that our rules need.
fn nftables_can(filters: &HostFirewalls) -> bool {
    filters.nftables && filters.nftables_lacks.is_empty()
}

fn lacks(program: IptablesProgram, filters: &HostFirewalls) -> bool {
    filters.legacy == Some(program) && !filters.legacy_lacks.is_empty()
}

fn with_all_it_needs(program: IptablesProgram, filters: &HostFirewalls) -> Result<FirewallBackend, Error> {
    if lacks(program, filters) {
        return Err(Error::failed(format!(
            "the kernel's iptables lacks {}: load the module, or use a kernel that has it",
            filters.legacy_lacks.join(", ")
        )));
    }
    Ok(FirewallBackend::Iptables(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(nftables: bool, legacy: bool, legacy_in_use: bool) -> HostFirewalls {
        HostFirewalls {
            nftables,
            legacy: legacy.then_some(IptablesProgram::Legacy),
            nft: nftables.then_some(IptablesProgram::Nft),
            legacy_in_use,
            ..HostFirewalls::default()
        }
    }

    fn chosen(choice: FirewallChoice, filters: &HostFirewalls) -> Option<FirewallBackend> {
        choose(choice, filters, PackageManager::default()).ok().map(|(backend, _)| backend)
    }

    #[test]
    fn the_firewall_in_use_is_chosen() {
        use FirewallBackend::{Iptables, Nftables};
        use FirewallChoice::{Auto, Iptables as ForcedIptables, Nftables as ForcedNftables};
        for (choice, nftables, legacy, in_use, expected) in [
            (Auto, true, true, false, Some(Nftables)),
            (Auto, true, true, true, Some(Iptables(IptablesProgram::Legacy))),
            (Auto, true, false, false, Some(Nftables)),
            (Auto, false, true, false, Some(Iptables(IptablesProgram::Legacy))),
            (Auto, false, false, false, None),
            (ForcedNftables, true, true, true, Some(Nftables)),
            (ForcedNftables, false, true, true, None),
            (ForcedIptables, true, true, false, Some(Iptables(IptablesProgram::Nft))),
            (ForcedIptables, true, true, true, Some(Iptables(IptablesProgram::Legacy))),
            (ForcedIptables, false, true, false, Some(Iptables(IptablesProgram::Legacy))),
            (ForcedIptables, false, false, false, None),
        ] {
            assert_eq!(
                chosen(choice, &host(nftables, legacy, in_use)),
                expected,
                "{choice:?} {nftables} {legacy} {in_use}"
            );
        }
    }

    // Below Linux 5.2 there is no NAT for both families in one table.
    #[test]
    fn iptables_is_taken_where_nftables_cannot_do_all() {
        let old = |legacy, nft: Option<IptablesProgram>, legacy_lacks: &[&str]| HostFirewalls {
            nftables_lacks: vec!["inet NAT chains"],
            nft,
            legacy_lacks: legacy_lacks.iter().map(|lack| (*lack).to_owned()).collect(),
            ..host(true, legacy, false)
        };
        let (nft, legacy) = (
            FirewallBackend::Iptables(IptablesProgram::Nft),
            FirewallBackend::Iptables(IptablesProgram::Legacy),
        );
        let both = old(true, Some(IptablesProgram::Nft), &[]);
        for (filters, expected) in [
            (&both, legacy),
            (&old(true, None, &[]), legacy),
            (&old(true, Some(IptablesProgram::Nft), &["the target `TCPMSS`"]), nft),
            (&old(false, Some(IptablesProgram::Nft), &[]), nft),
            // Sites without exits need no NAT.
            (&old(false, None, &[]), FirewallBackend::Nftables),
        ] {
            assert_eq!(chosen(FirewallChoice::Auto, filters), Some(expected), "{filters:?}");
        }
        let displaced = |filters: &HostFirewalls| HostFirewalls {
            displaced: Some("ip nat postrouting".to_owned()),
            ..filters.clone()
        };
        assert_eq!(
            chosen(FirewallChoice::Auto, &displaced(&both)),
            Some(nft),
            "the address translation of others stays"
        );
        let refusal =
            choose(FirewallChoice::Auto, &displaced(&old(true, None, &[])), PackageManager::default())
                .unwrap_err()
                .to_string();
        assert!(refusal.contains("in the nftables chain ip nat postrouting"), "{refusal}");
        assert_eq!(
            choose(FirewallChoice::Nftables, &both, PackageManager::default()).unwrap_err().to_string(),
            "`firewall = \"nftables\"`: this kernel's nftables has no inet NAT chains; remove the line, or \
             write `iptables`"
        );
    }

    #[test]
    fn the_guarding_firewall_stays_while_it_can() {
        use FirewallChoice::{Auto, Iptables as ForcedIptables, Nftables as ForcedNftables};
        let (nftables, legacy) =
            (FirewallBackend::Nftables, FirewallBackend::Iptables(IptablesProgram::Legacy));
        let lacks = vec!["the target `TCPMSS` (module xt_TCPMSS or ipt_TCPMSS)".to_owned()];
        for (former, choice, filters, expected) in [
            // Other programs flush their legacy iptables rules, or begin to use legacy iptables.
            (legacy, Auto, host(true, true, false), legacy),
            (nftables, Auto, host(true, true, true), nftables),
            (legacy, ForcedIptables, host(true, true, false), legacy),
            // The file demands another firewall.
            (legacy, ForcedNftables, host(true, true, false), nftables),
            (nftables, ForcedIptables, host(true, true, true), legacy),
            // The program is gone, or the kernel has changed.
            (legacy, Auto, host(true, false, false), nftables),
            (nftables, Auto, host(false, true, false), legacy),
            (legacy, Auto, HostFirewalls { legacy_lacks: lacks, ..host(true, true, true) }, nftables),
        ] {
            let filters = HostFirewalls { former: Some(former), ..filters };
            assert_eq!(chosen(choice, &filters), Some(expected), "{former:?} {choice:?} {filters:?}");
        }
        let reason = |in_use| {
            let filters = HostFirewalls { former: Some(legacy), ..host(true, true, in_use) };
            choose(Auto, &filters, PackageManager::default()).unwrap().1
        };
        assert_eq!(reason(true), "other programs filter with legacy iptables");
        assert_eq!(reason(false), FORMER);
    }

    // Translation of networks needs Linux 5.8 with nftables.
    #[test]
    fn a_site_that_translates_networks_needs_a_firewall_that_can() {
        let lan = |seen_as: Option<&str>| {
            let seen_as = seen_as.map(|text| text.parse().unwrap());
            SharedNetwork { network: "192.168.1.0/24".parse().unwrap(), seen_as }
        };
        let old = |nft| HostFirewalls {
            nftables_lacks: vec!["translation of networks (needs Linux 5.8 or newer, with module nft_nat)"],
            nft,
            ..host(true, false, false)
        };
        let nftables = FirewallBackend::Nftables;
        let check = |lan, backend, filters: &HostFirewalls| {
            can_translate(&[lan], backend, filters, PackageManager::default())
                .map_err(|error| error.to_string())
        };
        let translated = lan(Some("10.78.1.0/24"));
        assert_eq!(check(lan(None), nftables, &old(None)), Ok(()));
        assert_eq!(check(translated, nftables, &host(true, false, false)), Ok(()));
        let iptables = FirewallBackend::Iptables(IptablesProgram::Nft);
        assert_eq!(chosen(FirewallChoice::Auto, &old(Some(IptablesProgram::Nft))), Some(iptables));
        assert_eq!(check(translated, iptables, &old(Some(IptablesProgram::Nft))), Ok(()));
        assert_eq!(chosen(FirewallChoice::Auto, &old(None)), Some(nftables));
        let refusal = check(translated, nftables, &old(None)).unwrap_err();
        let begins = "`lan = [\"192.168.1.0/24 as 10.78.1.0/24\"]` needs a firewall that translates \
                      networks: this kernel's nftables has no translation of networks (needs Linux 5.8 or \
                      newer, with module nft_nat), and the program iptables is missing: ";
        assert!(refusal.starts_with(begins), "{refusal}");
    }

    #[test]
    fn missing_features_are_named() {
        let lacks = vec!["the target `TCPMSS` (module xt_TCPMSS or ipt_TCPMSS)".to_owned()];
        let filters = HostFirewalls { legacy_lacks: lacks, ..host(false, true, false) };
        assert_eq!(
            choose(FirewallChoice::Auto, &filters, PackageManager::default()).unwrap_err().to_string(),
            "the kernel's iptables lacks the target `TCPMSS` (module xt_TCPMSS or ipt_TCPMSS): load the \
             module, or use a kernel that has it"
        );
        let with_both = HostFirewalls { nftables: true, legacy_in_use: true, ..filters.clone() };
        assert_eq!(chosen(FirewallChoice::Auto, &with_both), Some(FirewallBackend::Nftables));
        assert_eq!(
            choose(FirewallChoice::Nftables, &filters, PackageManager::default()).unwrap_err().to_string(),
            "`firewall = \"nftables\"`: this kernel has no nftables; remove the line, or write `iptables`"
        );
    }
}
