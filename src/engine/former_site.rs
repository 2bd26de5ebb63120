//! Site that this machine was before. Keys that two sites have exchanged make each of them the other, with the
//! addresses, portals and exits of the other; nothing else tells.
//!
//! Therefore the site is kept next to the network file, as `network.toml.site`: a line with the name of the
//! network, the id and the name of the site, and its public key.

use std::path::{Path, PathBuf};

use crate::base::error::{Context as _, Result};
use crate::base::net::PublicKey;
use crate::config::model::Network;
use crate::site::own_name;
use crate::system::disk::{self, FileOrigin, cannot_write};

/// Returns a sentence if this machine was another site of the same network until now.
pub(super) fn complaint(file: &Path, network: &Network, own_key: PublicKey) -> Option<String> {
    let path = path(file);
    let former = disk::text_or_empty(&path, FileOrigin::Ours);
    let (own, id) = own(network, own_key)?;
    let mut words = former.trim_end().split(' ');
    let (former_network, former_id, former_name, key) =
        (words.next()?, words.next()?, words.next()?, words.next()?);
    if former_network != network.name || former_id == id {
        return None;
    }
    let file = file.display().to_string();
    let undo = if key == own_key.to_string() {
        [": correct the public keys of both in ", &file].concat()
    } else {
        ": put its own private.key back".to_owned()
    };
    let path = path.display().to_string();
    Some(
        [
            "this key is the key of ",
            own,
            ", and this machine was ",
            former_name,
            " until now",
            &undo,
            "; if this machine is to be ",
            own,
            ", remove ",
            &path,
        ]
        .concat(),
    )
}

/// Keeps the site of this machine, unless it was another one until now. Writes only what has changed.
pub(super) fn remember(file: &Path, network: &Network, own_key: PublicKey) -> Result<()> {
    let Some((own, id)) = own(network, own_key) else { return Ok(()) };
    if complaint(file, network, own_key).is_some() {
        return Ok(());
    }
    let path = path(file);
    let line = [&network.name, " ", &id, " ", own, " ", &own_key.to_string(), "\n"].concat();
    if disk::text_or_empty(&path, FileOrigin::Ours) == line {
        return Ok(());
    }
    disk::replace(&path, line.as_bytes(), 0o600).context(|| cannot_write(&path))
}

fn path(file: &Path) -> PathBuf {
    file.with_added_extension("site")
}

/// Returns the name and the id of this machine's site.
fn own(network: &Network, own_key: PublicKey) -> Option<(&str, String)> {
    let name = own_name(network, own_key).ok()?;
    Some((name, network.sites[name].id.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;

    use super::*;
    use crate::base::keys::public_key;
    use crate::base::net::Secret;
    use crate::engine::load::Files;
    use crate::system::key_files;

    fn complaint(files: &Files) -> Option<String> {
        super::complaint(&files.file, &files.network, files.public_key)
    }

    fn remember(files: &Files) -> Result<()> {
        super::remember(&files.file, &files.network, files.public_key)
    }

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    impl Folder {
        /// Returns the files of a machine with this key, in a network of two sites.
        fn files(&self, key: u8, sites: [(&str, u8, u8); 2]) -> Files {
            let mut text = "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n".to_owned();
            for (name, id, key) in sites {
                let key = public_key(&Secret::new([key; 32]));
                let _ = writeln!(text, "[site.{name}]\nid = {id}\npublic_key = \"{key}\"");
            }
            let file = self.0.join("network.toml");
            fs::write(&file, text).unwrap();
            let path = self.0.join(key_files::PRIVATE_KEY_FILE);
            let _ = fs::remove_file(&path);
            key_files::save(&path, &Secret::new([key; 32])).unwrap();
            Files::read(&file).unwrap_or_else(|errors| panic!("{errors}"))
        }
    }

    #[test]
    fn a_machine_that_becomes_another_site_is_told_so_until_a_person_decides() {
        let folder = Folder(std::env::temp_dir().join(format!("portals-former-site-{}", std::process::id())));
        fs::create_dir_all(&folder.0).unwrap();
        let sites = [("nyc", 1, 1), ("paris", 2, 2)];
        let own = folder.files(1, sites);
        assert_eq!(complaint(&own), None, "nothing is known yet");
        remember(&own).unwrap();
        assert_eq!(complaint(&own), None);

        let begin = "this key is the key of paris, and this machine was nyc until now: ";
        let end =
            format!("; if this machine is to be paris, remove {}/network.toml.site", folder.0.display());
        let other_key = folder.files(2, sites);
        remember(&other_key).unwrap();
        assert_eq!(complaint(&other_key), Some(format!("{begin}put its own private.key back{end}")));
        let swapped = folder.files(1, [("nyc", 1, 2), ("paris", 2, 1)]);
        let correct = format!("correct the public keys of both in {}/network.toml", folder.0.display());
        assert_eq!(complaint(&swapped), Some(format!("{begin}{correct}{end}")));

        fs::remove_file(path(&own.file)).unwrap();
        remember(&swapped).unwrap();
        assert_eq!(complaint(&swapped), None, "it is paris now");
        let renamed = folder.files(3, [("nyc", 1, 2), ("lyon", 2, 3)]);
        assert_eq!(complaint(&renamed), None, "a new name and a new key are no other site");
        remember(&renamed).unwrap();
        assert!(fs::read_to_string(path(&own.file)).unwrap().starts_with("home 2 lyon "));
    }
}
