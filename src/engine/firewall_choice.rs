//! Memory of the firewall that guards this machine's portals, from one call to the next. Once chosen, the
//! firewall stays, even when other programs change theirs: portals that switch from one firewall to another
//! while another program flushes its rules are guarded worse than by either firewall.

use std::path::Path;

use crate::base::error::{Context as _, Result};
use crate::base::net::Family;
use crate::firewall::FirewallBackend;
use crate::firewall::xtables::IptablesProgram;
use crate::system::disk::{self, FileOrigin, cannot_write};

/// Name of the file in the folder of run-time files: a reboot clears both the kernel and this file.
const FILE: &str = "firewall";

/// Returns the firewall that guards; `None` if none does, or if the file has an unknown word.
pub fn remembered(folder: &Path) -> Result<Option<FirewallBackend>> {
    let path = folder.join(FILE);
    let word = disk::text_if_there(&path, FileOrigin::Ours)?;
    Ok(word.and_then(|word| backends().into_iter().find(|backend| name(*backend) == word.trim_end())))
}

/// Remembers the firewall that guards for later calls; `None` = none guards any more.
pub fn remember(folder: &Path, backend: Option<FirewallBackend>) -> Result<()> {
    if remembered(folder)? == backend {
        return Ok(());
    }
    let path = folder.join(FILE);
    let context = || cannot_write(&path);
    match backend {
        Some(backend) => {
            disk::replace(&path, format!("{}\n", name(backend)).as_bytes(), 0o600).context(context)
        }
        None => disk::remove(&path).context(context),
    }
}

fn backends() -> Vec<FirewallBackend> {
    [FirewallBackend::Nftables]
        .into_iter()
        .chain(IptablesProgram::ALL.map(FirewallBackend::Iptables))
        .collect()
}

/// Returns the word for a firewall in the file, different for each program.
fn name(backend: FirewallBackend) -> String {
    match backend {
        FirewallBackend::Nftables => backend.as_str().to_owned(),
        FirewallBackend::Iptables(program) => program.name(Family::V4, ""),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_is_remembered_until_it_is_forgotten() {
        let folder = std::env::temp_dir().join(format!("portals-choice-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(remembered(&folder).unwrap(), None);
        for backend in backends() {
            remember(&folder, Some(backend)).unwrap();
            assert_eq!(remembered(&folder).unwrap(), Some(backend));
        }
        fs::write(folder.join(FILE), "pf").unwrap();
        assert_eq!(remembered(&folder).unwrap(), None);
        remember(&folder, Some(FirewallBackend::Nftables)).unwrap();
        remember(&folder, None).unwrap();
        assert!(!folder.join(FILE).exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
