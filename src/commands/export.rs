//! `portals export`: files of wg-quick for a site that runs no portals.

use std::io::Write as _;
use std::path::Path;

use super::Status;
use crate::cli::Export;
use crate::config::{self, model::Network, suggest::suggest};
use crate::disk::{folder_of, replace};
use crate::error::{Context as _, Error, Errors};
use crate::export::{File, files};
use crate::keys;

/// One file to standard output, or all to a folder.
pub(super) fn run(file: &Path, options: &Export) -> Result<Status, Errors> {
    let (_, network) = config::load(file)?;
    let name = &options.site;
    let Some(entry) = network.sites.get(name) else { return Err(no_such_site(file, &network, name).into()) };
    let folder = folder_of(file);
    let own = keys::load_if_there(&folder.join(keys::PRIVATE_KEY_FILE))?;
    let own = own.filter(|key| options.to.is_some() && keys::public_key(key) == entry.public_key);
    let secret = keys::load_if_there(&folder.join(keys::NETWORK_SECRET_FILE))?;
    let files = files(&network, name, own.as_ref(), secret.as_ref());
    for portal in &entry.portals {
        eprintln!("note: portal `{}` is left out: wg-quick knows nothing like it", portal.name);
    }
    match (&options.to, files.as_slice()) {
        (_, []) => {
            return Err(Error::wrong(format!(
                "site `{name}` has no links, so that there is nothing to export"
            ))
            .into());
        }
        (Some(to), all) => write(to, all)?,
        (None, [one]) if !one.is_secret() => {
            std::io::stdout()
                .write_all(one.to_text().as_bytes())
                .doing(|| "cannot write to standard output".to_owned())?;
        }
        (None, [_]) => {
            return Err(name_a_folder("it holds a pre-shared key, which is for files alone").into());
        }
        (None, several) => {
            return Err(name_a_folder(&format!(
                "site `{name}` has {} interfaces, a file each",
                several.len()
            ))
            .into());
        }
    }
    Ok(Status::Done)
}

fn write(folder: &Path, files: &[File]) -> Result<(), Error> {
    for file in files {
        let path = folder.join(format!("{}.conf", file.interface));
        replace(&path, file.to_text().as_bytes(), 0o600)
            .doing(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

fn name_a_folder(why: &str) -> Error {
    Error::wrong(format!("{why}: name a folder for it with --to FOLDER"))
}

fn no_such_site(file: &Path, network: &Network, name: &str) -> Error {
    let known = suggest(name, network.sites.keys().map(String::as_str));
    Error::wrong(format!("{}: there is no site `{name}`: {known}", file.display()))
}
