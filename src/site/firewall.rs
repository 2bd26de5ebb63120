//! Which firewall guards the portals of a site.

use crate::config::model::FirewallChoice;
use crate::error::Error;
use crate::firewall::Backend;
use crate::host::Filters;
use crate::packages::how_to_install;
use crate::xtables::Program;

/// The one that the file demands, or that this host uses; with the reason, to go behind "because".
pub(super) fn choose(choice: FirewallChoice, filters: &Filters) -> Result<(Backend, &'static str), Error> {
    match choice {
        FirewallChoice::Nftables if filters.nftables => Ok((Backend::Nftables, DEMANDED)),
        FirewallChoice::Nftables => Err(Error::wrong(
            "`firewall = \"nftables\"`: this kernel has no nftables; take the line out, or write `iptables`",
        )),
        FirewallChoice::Iptables => {
            let program =
                if filters.legacy_in_use || !filters.nftables { filters.legacy } else { filters.nft };
            let program = program.or(filters.legacy).or(filters.nft);
            let advice = || {
                format!(
                    "the program iptables is missing: {}, or take the line out",
                    how_to_install("iptables")
                )
            };
            let program =
                program.ok_or_else(|| Error::wrong(format!("`firewall = \"iptables\"`: {}", advice())))?;
            with_all_it_needs(program, filters).map(|backend| (backend, DEMANDED))
        }
        FirewallChoice::Auto => match filters.legacy {
            Some(legacy) if filters.legacy_in_use && !(filters.nftables && lacks(legacy, filters)) => {
                with_all_it_needs(legacy, filters)
                    .map(|backend| (backend, "others filter with legacy iptables here"))
            }
            Some(_) if filters.legacy_in_use && filters.nftables => {
                Ok((Backend::Nftables, "others filter with legacy iptables here, but that lacks something"))
            }
            _ if filters.nftables => {
                Ok((Backend::Nftables, "the kernel has it, and nobody filters with legacy iptables"))
            }
            Some(legacy) => {
                with_all_it_needs(legacy, filters).map(|backend| (backend, "this kernel has no nftables"))
            }
            None => Err(Error::failed(format!(
                "this kernel has no nftables, and the program iptables is missing: {}",
                how_to_install("iptables")
            ))),
        },
    }
}

const DEMANDED: &str = "the network file says so";

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
