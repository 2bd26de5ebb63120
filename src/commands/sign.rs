//! `portals sign`: raises the serial of a network file, and signs the file.

use std::path::Path;

use super::{ExitStatus, command_for, shell_word, wait_for_random_numbers};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::net::Secret;
use crate::base::path::folder_of;
use crate::cli::SignCommand;
use crate::cli::output::say;
use crate::config::edit;
use crate::engine::admin_key::{self, ADMIN_KEY_FILE};
use crate::engine::{locked_file, network_file};
use crate::signed;
use crate::system::disk;
use crate::system::key_files;

pub(super) fn run(config: &Path, options: &SignCommand) -> Result<ExitStatus, Errors> {
    let file = options.file.as_deref().unwrap_or(config);
    let folder = folder_of(file);
    let key_file = options.key.clone().unwrap_or_else(|| folder.join(ADMIN_KEY_FILE));
    // The other sites know a former key, and take a file with a new one from no other hand.
    let former = if options.create { former_key(file, &folder)? } else { None };
    let key = if options.create { create(&key_file)? } else { load(&key_file)? };
    let admin = signed::admin_public(&key);
    let by = Some(former.as_ref().unwrap_or(&key));
    let signed = locked_file::change_with(file, 0, by, &mut |text, network| {
        if network.admins.contains(&admin) {
            return Ok(text.to_owned());
        }
        if !options.create {
            return Err(foreign(file, &key_file, network.admins.is_empty()).into());
        }
        Ok(edit::add_to_list(text, &["network"], "admins", &admin.to_string())?)
    });
    let (network, _) = signed.inspect_err(|_| {
        // A file that names the key may be in place although its folder was not synced.
        if options.create
            && network_file::load(file).is_ok_and(|(_, network)| !network.admins.contains(&admin))
        {
            let _ = disk::remove(&key_file);
        }
    })?;
    say!("signed {} with serial {}", file.display(), network.serial);
    if options.create {
        say!(
            "created the admin key {}: keep a copy of it in a safe place, away from the router; its public \
             half is\n  {admin}",
            key_file.display()
        );
        if network.admins.len() == 1 {
            say!("{CARRY}");
            return Ok(ExitStatus::Done);
        }
        if former.is_none() {
            say!("{ANOTHER}\n  portals sign {} --key FILE", shell_word(file));
            return Ok(ExitStatus::Done);
        }
    }
    let push = if options.file.is_none() { command_for("portals push", file) } else { "portals push".into() };
    say!("Next, at a site with this file:\n  {push}");
    Ok(ExitStatus::Done)
}

/// Advice after the first signature of a network: no site knows its admin key yet.
const CARRY: &str = "Next, copy this file to every site by hand, once, and run `portals reload` there; after \
                     that, `portals push` brings each change to all sites";

/// Advice after a signature with a new key alone: no other site knows this key yet.
const ANOTHER: &str = "Next, sign the file with an admin key that the other sites know, too:";

/// Returns the admin key next to the file, if the file lists it.
fn former_key(file: &Path, folder: &Path) -> Result<Option<Secret>, Errors> {
    let (_, network) = network_file::load(file)?;
    let key = admin_key::load(folder)?;
    Ok(key.filter(|key| network.admins.contains(&signed::admin_public(key))))
}

fn load(key_file: &Path) -> Result<Secret> {
    key_files::load_if_there(key_file)?.ok_or_else(|| {
        Error::wrong(format_args!(
            "{}: there is no such file: name the admin key with --key FILE, or make one with --create",
            key_file.display()
        ))
    })
}

fn create(key_file: &Path) -> Result<Secret> {
    wait_for_random_numbers();
    let key = admin_key::generate();
    key_files::save(key_file, &key).context(|| {
        format!("the new admin key was not made; sign with the old one, or remove {}", key_file.display())
    })?;
    Ok(key)
}

fn foreign(file: &Path, key_file: &Path, has_none: bool) -> Error {
    let (file, key_file) = (file.display(), key_file.display());
    Error::wrong(if has_none {
        format!("{file} lists no admin key: make one and add it with `portals sign --create`")
    } else {
        format!(
            "{key_file} is not one of the keys in `admins` of {file}, so no site would take the file: use a \
             key of that list with --key FILE"
        )
    })
}
