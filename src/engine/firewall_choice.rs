//! The firewall that guards this machine's portals, remembered from one call to the next. Once chosen it
//! stays, whatever others do with their own: a firewall that changes its language halfway through a flush of
//! others' guards less than either.

use std::path::Path;

use crate::base::error::{Context as _, Result};
use crate::base::net::Family;
use crate::firewall::Backend;
use crate::firewall::xtables::Program;
use crate::system::disk::{self, Source, unreadable};

/// The file of it, in the folder of run-time files: a reboot clears the kernel and this.
const FILE: &str = "firewall";

/// The one that guards, if one does. A word that means nothing is none.
pub fn remembered(folder: &Path) -> Result<Option<Backend>> {
    let path = folder.join(FILE);
    let word = disk::read_if_there(&path, Source::Ours).map_err(|error| unreadable(&path, error))?;
    Ok(word.and_then(|word| backends().into_iter().find(|backend| name(*backend) == word.trim_end())))
}

/// Has it known to whoever looks later; `None` = none guards any more.
pub fn remember(folder: &Path, backend: Option<Backend>) -> Result<()> {
    if remembered(folder)? == backend {
        return Ok(());
    }
    let path = folder.join(FILE);
    let doing = || format!("cannot write {}", path.display());
    match backend {
        Some(backend) => disk::replace(&path, format!("{}\n", name(backend)).as_bytes(), 0o600).doing(doing),
        None => disk::remove(&path).doing(doing),
    }
}

fn backends() -> Vec<Backend> {
    [Backend::Nftables].into_iter().chain(Program::ALL.map(Backend::Iptables)).collect()
}

/// A word of its own for each program.
fn name(backend: Backend) -> String {
    match backend {
        Backend::Nftables => backend.as_str().to_owned(),
        Backend::Iptables(program) => program.name(Family::V4, ""),
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
        remember(&folder, Some(Backend::Nftables)).unwrap();
        remember(&folder, None).unwrap();
        assert!(!folder.join(FILE).exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
