//! Which firewall guards the portals of a site.

use crate::base::error::Error;
use crate::config::model::FirewallChoice;
use crate::firewall::Backend;
use crate::firewall::xtables::Program;
use crate::site::facts::Filters;

/// The one that guards already, where it may go on; else the one that the file demands, or that this host
/// uses. With the reason, to go behind "because".
///
/// # Errors
/// If there is none, if it lacks something, or if it would end the address translation of others.
pub(super) fn choose(choice: FirewallChoice, filters: &Filters) -> Result<(Backend, &'static str), Error> {
    let chosen = choose_among(choice, filters)?;
    match &filters.displaced {
        Some(chain) if chosen.0 == Backend::Iptables(Program::Legacy) && !filters.legacy_in_use => {
            Err(Error::failed(format!(
                "this kernel translates addresses by nftables or by legacy iptables, but not by both, and the chain {chain} does it for others: \
                 install the iptables that writes nftables (iptables-nft), translate with iptables there, or use Linux 4.18 or newer"
            )))
        }
        _ => Ok(chosen),
    }
}

fn choose_among(choice: FirewallChoice, filters: &Filters) -> Result<(Backend, &'static str), Error> {
    let anew = choose_anew(choice, filters);
    let is_same = |standing: &Backend| anew.as_ref().is_ok_and(|(backend, _)| backend == standing);
    match filters.standing.filter(|standing| may_stay(*standing, choice, filters)) {
        Some(standing) if !is_same(&standing) => Ok((standing, STANDING)),
        _ => anew,
    }
}

/// Tells whether the file allows the firewall that guards already, and the host still has it.
fn may_stay(standing: Backend, choice: FirewallChoice, filters: &Filters) -> bool {
    match standing {
        Backend::Nftables => choice != FirewallChoice::Iptables && nftables_can(filters),
        Backend::Iptables(program) => {
            let is_here = filters.legacy == Some(program) || filters.nft == Some(program);
            choice != FirewallChoice::Nftables && is_here && !lacks(program, filters)
        }
    }
}

fn choose_anew(choice: FirewallChoice, filters: &Filters) -> Result<(Backend, &'static str), Error> {
    match choice {
        FirewallChoice::Nftables if nftables_can(filters) => Ok((Backend::Nftables, DEMANDED)),
        FirewallChoice::Nftables => Err(Error::wrong(format!(
            "`firewall = \"nftables\"`: {}; take the line out, or write `iptables`",
            if filters.nftables {
                format!("this kernel's nftables has no {}", filters.nftables_lacks.join(", and no "))
            } else {
                "this kernel has no nftables".to_owned()
            }
        ))),
        FirewallChoice::Iptables => {
            let program =
                if filters.legacy_in_use || !nftables_can(filters) { filters.legacy } else { filters.nft };
            let program = program.or(filters.legacy).or(filters.nft);
            let advice = || {
                format!(
                    "the program iptables is missing: {}, or take the line out",
                    filters.packages.how_to_install("iptables")
                )
            };
            let program =
                program.ok_or_else(|| Error::wrong(format!("`firewall = \"iptables\"`: {}", advice())))?;
            with_all_it_needs(program, filters).map(|backend| (backend, DEMANDED))
        }
        FirewallChoice::Auto => choose_by_host(filters),
    }
}

fn choose_by_host(filters: &Filters) -> Result<(Backend, &'static str), Error> {
    let can = nftables_can(filters);
    match filters.legacy {
        Some(legacy) if filters.legacy_in_use && !(can && lacks(legacy, filters)) => {
            with_all_it_needs(legacy, filters)
                .map(|backend| (backend, "others filter with legacy iptables here"))
        }
        Some(_) if filters.legacy_in_use && can => {
            Ok((Backend::Nftables, "others filter with legacy iptables here, but that lacks something"))
        }
        _ if can => Ok((Backend::Nftables, "the kernel has it, and nobody filters with legacy iptables")),
        _ if filters.nftables => Ok(beside_nftables(filters)),
        Some(legacy) => {
            with_all_it_needs(legacy, filters).map(|backend| (backend, "this kernel has no nftables"))
        }
        None => Err(Error::failed(format!(
            "this kernel has no nftables, and the program iptables is missing: {}",
            filters.packages.how_to_install("iptables")
        ))),
    }
}

/// The firewall where the kernel's nftables cannot do all, as before Linux 5.2: iptables can, be it one that writes
/// nftables, in tables of one family each. With neither, a site that needs nothing of what is missing still
/// works.
fn beside_nftables(filters: &Filters) -> (Backend, &'static str) {
    let legacy = filters.legacy.filter(|program| !lacks(*program, filters));
    // One that writes nftables ends nothing of others'.
    let first = if filters.displaced.is_some() { filters.nft } else { None };
    match first.or(legacy).or(filters.nft) {
        Some(program) => (Backend::Iptables(program), "this kernel's nftables lacks something"),
        None => (Backend::Nftables, "the kernel has it, though it lacks something, and iptables is missing"),
    }
}

const DEMANDED: &str = "the network file says so";
const STANDING: &str = "chosen before others changed their firewalls; `portals down` ends that choice";

/// Tells whether the kernel's nftables has all that our rules need.
fn nftables_can(filters: &Filters) -> bool {
    filters.nftables && filters.nftables_lacks.is_empty()
}

fn lacks(program: Program, filters: &Filters) -> bool {
    filters.legacy == Some(program) && !filters.legacy_lacks.is_empty()
}

fn with_all_it_needs(program: Program, filters: &Filters) -> Result<Backend, Error> {
    if lacks(program, filters) {
        return Err(Error::failed(format!(
            "the kernel's iptables lacks {}: load the module, or use a kernel that has it",
            filters.legacy_lacks.join(", ")
        )));
    }
    Ok(Backend::Iptables(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(nftables: bool, legacy: bool, legacy_in_use: bool) -> Filters {
        Filters {
            nftables,
            legacy: legacy.then_some(Program::Legacy),
            nft: nftables.then_some(Program::Nft),
            legacy_in_use,
            ..Filters::default()
        }
    }

    fn chosen(choice: FirewallChoice, filters: &Filters) -> Option<Backend> {
        choose(choice, filters).ok().map(|(backend, _)| backend)
    }

    #[test]
    fn what_the_host_uses_is_taken() {
        use Backend::{Iptables, Nftables};
        use FirewallChoice::{Auto, Iptables as ForcedIptables, Nftables as ForcedNftables};
        for (choice, nftables, legacy, in_use, expected) in [
            (Auto, true, true, false, Some(Nftables)),
            (Auto, true, true, true, Some(Iptables(Program::Legacy))),
            (Auto, true, false, false, Some(Nftables)),
            (Auto, false, true, false, Some(Iptables(Program::Legacy))),
            (Auto, false, false, false, None),
            (ForcedNftables, true, true, true, Some(Nftables)),
            (ForcedNftables, false, true, true, None),
            (ForcedIptables, true, true, false, Some(Iptables(Program::Nft))),
            (ForcedIptables, true, true, true, Some(Iptables(Program::Legacy))),
            (ForcedIptables, false, true, false, Some(Iptables(Program::Legacy))),
            (ForcedIptables, false, false, false, None),
        ] {
            assert_eq!(
                chosen(choice, &host(nftables, legacy, in_use)),
                expected,
                "{choice:?} {nftables} {legacy} {in_use}"
            );
        }
    }

    /// Below Linux 5.2 there is no NAT for both families in one table.
    #[test]
    fn iptables_is_taken_where_nftables_cannot_do_all() {
        let old = |legacy, nft: Option<Program>, legacy_lacks: &[&str]| Filters {
            nftables_lacks: vec!["inet NAT chains"],
            nft,
            legacy_lacks: legacy_lacks.iter().map(|lack| (*lack).to_owned()).collect(),
            ..host(true, legacy, false)
        };
        let (nft, legacy) = (Backend::Iptables(Program::Nft), Backend::Iptables(Program::Legacy));
        let both = old(true, Some(Program::Nft), &[]);
        for (filters, expected) in [
            (&both, legacy),
            (&old(true, None, &[]), legacy),
            (&old(true, Some(Program::Nft), &["the target `TCPMSS`"]), nft),
            (&old(false, Some(Program::Nft), &[]), nft),
            // Sites without exits need no NAT.
            (&old(false, None, &[]), Backend::Nftables),
        ] {
            assert_eq!(chosen(FirewallChoice::Auto, filters), Some(expected), "{filters:?}");
        }
        let displaced = |filters: &Filters| Filters {
            displaced: Some("ip nat postrouting".to_owned()),
            ..filters.clone()
        };
        assert_eq!(chosen(FirewallChoice::Auto, &displaced(&both)), Some(nft), "the home keeps its own");
        let refusal =
            choose(FirewallChoice::Auto, &displaced(&old(true, None, &[]))).unwrap_err().to_string();
        assert!(refusal.contains("and the chain ip nat postrouting does it for others"), "{refusal}");
        assert_eq!(
            choose(FirewallChoice::Nftables, &both).unwrap_err().to_string(),
            "`firewall = \"nftables\"`: this kernel's nftables has no inet NAT chains; take the line out, or write `iptables`"
        );
    }

    #[test]
    fn what_guards_stays_until_it_cannot() {
        use FirewallChoice::{Auto, Iptables as ForcedIptables, Nftables as ForcedNftables};
        let (nftables, legacy) = (Backend::Nftables, Backend::Iptables(Program::Legacy));
        let lacks = vec!["the target `TCPMSS` (module xt_TCPMSS or ipt_TCPMSS)".to_owned()];
        for (standing, choice, filters, expected) in [
            // Others flush their legacy iptables, or begin to use it.
            (legacy, Auto, host(true, true, false), legacy),
            (nftables, Auto, host(true, true, true), nftables),
            (legacy, ForcedIptables, host(true, true, false), legacy),
            // Somebody has decided otherwise.
            (legacy, ForcedNftables, host(true, true, false), nftables),
            (nftables, ForcedIptables, host(true, true, true), legacy),
            // The program is gone, or the kernel has changed.
            (legacy, Auto, host(true, false, false), nftables),
            (nftables, Auto, host(false, true, false), legacy),
            (legacy, Auto, Filters { legacy_lacks: lacks, ..host(true, true, true) }, nftables),
        ] {
            let filters = Filters { standing: Some(standing), ..filters };
            assert_eq!(chosen(choice, &filters), Some(expected), "{standing:?} {choice:?} {filters:?}");
        }
        let reason = |in_use| {
            let filters = Filters { standing: Some(legacy), ..host(true, true, in_use) };
            choose(Auto, &filters).unwrap().1
        };
        assert_eq!(reason(true), "others filter with legacy iptables here");
        assert_eq!(reason(false), STANDING);
    }

    #[test]
    fn what_the_kernel_lacks_is_named() {
        let lacks = vec!["the target `TCPMSS` (module xt_TCPMSS or ipt_TCPMSS)".to_owned()];
        let filters = Filters { legacy_lacks: lacks, ..host(false, true, false) };
        assert_eq!(
            choose(FirewallChoice::Auto, &filters).unwrap_err().to_string(),
            "the kernel's iptables lacks the target `TCPMSS` (module xt_TCPMSS or ipt_TCPMSS): load the module, or use a kernel that \
             has it"
        );
        let with_both = Filters { nftables: true, legacy_in_use: true, ..filters.clone() };
        assert_eq!(chosen(FirewallChoice::Auto, &with_both), Some(Backend::Nftables));
        assert_eq!(
            choose(FirewallChoice::Nftables, &filters).unwrap_err().to_string(),
            "`firewall = \"nftables\"`: this kernel has no nftables; take the line out, or write `iptables`"
        );
    }
}
