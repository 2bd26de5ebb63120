//! `portals export`: wg-quick files for a site that runs no portals.

use std::path::Path;

use zeroize::Zeroizing;

use super::ExitStatus;
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::path::folder_of;
use crate::cli::ExportCommand;
use crate::cli::output::{self, complain, say};
use crate::config::{model::Network, suggest::suggest};
use crate::engine::{network_file, own_key};
use crate::interop::export::{WgQuickExport, files};
use crate::interop::phone::preshared_keys;
use crate::system::disk::{FileOrigin, cannot_write, make_folder, read_if_there, replace, unreadable};
use crate::system::key_files;

/// Prints a single file on standard output, or writes all files to a folder.
pub(super) fn run(file: &Path, options: &ExportCommand) -> Result<ExitStatus, Errors> {
    let (_, network) = network_file::load(file)?;
    let name = &options.site;
    let Some(entry) = network.sites.get(name) else { return Err(no_such_site(file, &network, name).into()) };
    let folder = folder_of(file);
    let own = own_key::load_if_there(&folder, &network)?;
    let own = own.filter(|key| options.to.is_some() && key.public == entry.public_key);
    let own = own.map(|key| key.private);
    let secret = key_files::load_if_there(&folder.join(key_files::NETWORK_SECRET_FILE))?;
    let files =
        files(&network, name, own.as_ref(), secret.as_ref(), &preshared_keys(&network, name, &folder)?);
    for portal in &entry.portals {
        complain!("note: portal `{}` is left out: wg-quick has no equivalent of a portal", portal.name);
    }
    let refusal = match (&options.to, files.as_slice()) {
        (_, []) => format!("site `{name}` has no links, so there is nothing to export"),
        (Some(to), all) => return Ok(write(to, all)?),
        (None, [one]) if !one.is_secret() => return Ok(print(one)),
        (None, [_]) => {
            "the file holds a pre-shared key, which is never printed: name a folder for it with --to FOLDER"
                .to_owned()
        }
        (None, several) => {
            let number = several.len();
            format!(
                "site `{name}` has {number} interfaces, each with its own file: name a folder for them with \
                 --to FOLDER"
            )
        }
    };
    Err(Error::wrong(refusal).into())
}

fn print(file: &WgQuickExport) -> ExitStatus {
    output::print(format_args!("{}", file.to_text().as_str()));
    ExitStatus::Done
}

/// Writes the files to a folder. If another file has one of their names, nothing is written: that file may
/// hold the only copy of a key.
fn write(folder: &Path, files: &[WgQuickExport]) -> Result<ExitStatus> {
    let path = |file: &WgQuickExport| folder.join(format!("{}.conf", file.interface));
    for file in files {
        let path = path(file);
        let there = read_if_there(&path, FileOrigin::Ours).map_err(|error| unreadable(&path, error))?;
        if there.map(Zeroizing::new).is_some_and(|there| *there != *file.to_text()) {
            return Err(Error::wrong(format_args!(
                "{} exists already and has other contents: move it away (it may contain a key), or name \
                 another folder",
                path.display()
            )));
        }
    }
    make_folder(folder)?;
    for file in files {
        let path = path(file);
        replace(&path, file.to_text().as_bytes(), 0o600).context(|| cannot_write(&path))?;
        say!("wrote {}", path.display());
    }
    Ok(ExitStatus::Done)
}

fn no_such_site(file: &Path, network: &Network, name: &str) -> Error {
    let sites: Vec<&str> = network.sites.keys().map(String::as_str).collect();
    let known = suggest(name, &sites);
    Error::wrong(format_args!("{}: there is no site `{name}`: {known}", file.display()))
}
