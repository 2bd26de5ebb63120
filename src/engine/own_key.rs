//! Key of this site. While a new key comes into force, there are two: the site has the one that the network
//! file names.
//!
//! | file | content |
//! |---|---|
//! | `private.key` | the key that is in force for good |
//! | `private.key.next` | the new key, until the network file that names it is in force for good |

use std::path::{Path, PathBuf};

use crate::base::error::{Context as _, Result};
use crate::base::keys::{clamped, public_key};
use crate::base::net::{PublicKey, Secret};
use crate::config::model::Network;
use crate::system::disk::{self, FileOrigin};
use crate::system::key_files::{self, PRIVATE_KEY_FILE};

/// Key of this site in a network.
#[derive(Debug)]
pub struct OwnKey {
    /// Private key.
    pub private: Secret,
    /// Public key.
    pub public: PublicKey,
    /// Set if it is the new key.
    pub is_next: bool,
}

/// Reads the key that belongs to a site of the network; if none does, the key in `private.key`.
pub fn load(folder: &Path, network: &Network) -> Result<OwnKey> {
    let mut own = load_if_there(folder, network)?.ok_or_else(|| key_files::missing(&old_path(folder)))?;
    own.private = clamped(&own.private);
    Ok(own)
}

/// Reads the key as it is in its file, if this machine has one.
pub fn load_if_there(folder: &Path, network: &Network) -> Result<Option<OwnKey>> {
    let Some(private) = key_files::load_if_there(&old_path(folder))? else { return Ok(None) };
    let own = OwnKey { public: public_key(&private), private, is_next: false };
    if !has_site(network, own.public)
        && let Some(private) = key_files::load_if_there(&next_path(folder))?
    {
        let next = OwnKey { public: public_key(&private), private, is_next: true };
        if has_site(network, next.public) {
            return Ok(Some(next));
        }
    }
    Ok(Some(own))
}

/// Returns the public key of the site's key, even if the modes of the files are too open for use; `None` if
/// no key can be read.
pub fn owner(folder: &Path, network: &Network) -> Option<PublicKey> {
    let old = key_files::owner(&old_path(folder));
    if old.is_some_and(|key| has_site(network, key)) {
        return old;
    }
    let next = key_files::owner(&next_path(folder));
    next.filter(|key| has_site(network, *key)).or(old)
}

/// Keeps a new key beside the old one.
pub fn keep_next(folder: &Path, key: &Secret) -> Result<()> {
    key_files::replace(&next_path(folder), key)
}

/// Replaces the old key by the one with the public key `own`, if that is still beside it. Reports whether it
/// was.
pub fn settle(folder: &Path, own: PublicKey) -> Result<bool> {
    let (old, next) = (old_path(folder), next_path(folder));
    if key_files::owner(&next) != Some(own) {
        return Ok(false);
    }
    disk::rename(&next, &old)
        .map(|()| true)
        .context(|| format!("cannot replace {} by the new key in {}", old.display(), next.display()))
}

/// Removes a new key that did not come into force. A key that the network file at `file` names is kept.
pub fn forget_next(folder: &Path, file: &Path) -> Result<()> {
    let next = next_path(folder);
    let Some(key) = key_files::owner(&next) else { return Ok(()) };
    let text = disk::text_or_empty(file, FileOrigin::Ours);
    if text.contains(&key.to_string()) {
        return Ok(());
    }
    disk::remove(&next).context(|| format!("cannot remove {}", next.display()))
}

fn old_path(folder: &Path) -> PathBuf {
    folder.join(PRIVATE_KEY_FILE)
}

fn next_path(folder: &Path) -> PathBuf {
    old_path(folder).with_added_extension("next")
}

fn has_site(network: &Network, key: PublicKey) -> bool {
    network.sites.values().any(|site| site.public_key == key)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::parse;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn text(key: PublicKey) -> String {
        format!(
            "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n[site.nyc]\nid = 1\npublic_key = \
             \"{key}\"\n"
        )
    }

    #[test]
    fn the_key_is_the_one_that_the_network_file_names() {
        let folder = Folder(std::env::temp_dir().join(format!("portals-own-key-{}", std::process::id())));
        fs::create_dir(&folder.0).unwrap();
        let keys = [1, 2, 3].map(|byte| Secret::new([byte; 32]));
        let [old, new, other] = [&keys[0], &keys[1], &keys[2]].map(public_key);
        let network = |key| parse(&text(key)).unwrap();
        assert!(load_if_there(&folder.0, &network(old)).unwrap().is_none());
        assert!(load(&folder.0, &network(old)).unwrap_err().to_string().contains("portals init"));
        key_files::save(&old_path(&folder.0), &keys[0]).unwrap();
        assert!(!settle(&folder.0, new).unwrap(), "there is no new key");
        keep_next(&folder.0, &keys[2]).unwrap();
        assert!(!settle(&folder.0, new).unwrap(), "it is another new key");
        keep_next(&folder.0, &keys[1]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&next_path(&folder.0)), 0o600);
        for (named, found, is_next) in [(old, old, false), (new, new, true), (other, old, false)] {
            let own = load(&folder.0, &network(named)).unwrap();
            assert_eq!((own.public, own.is_next), (found, is_next));
            assert!(public_key(&own.private) == found);
            assert_eq!(owner(&folder.0, &network(named)), Some(found));
        }
        let file = folder.0.join("network.toml");
        fs::write(&file, text(new)).unwrap();
        forget_next(&folder.0, &file).unwrap();
        assert!(next_path(&folder.0).exists(), "the file names it");
        assert!(settle(&folder.0, new).unwrap());
        assert!(!next_path(&folder.0).exists() && mode(&old_path(&folder.0)) == 0o600);
        let own = load(&folder.0, &network(new)).unwrap();
        assert_eq!((own.public, own.is_next), (new, false));

        keep_next(&folder.0, &keys[2]).unwrap();
        forget_next(&folder.0, &file).unwrap();
        assert!(!next_path(&folder.0).exists());
        forget_next(&folder.0, &file).unwrap();
    }
}
