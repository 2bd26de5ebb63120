//! `portals sign`: raises the serial of a network file, and signs the file.

use std::path::Path;

use super::{ExitStatus, wait_for_random_numbers};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::net::Secret;
use crate::base::path::folder_of;
use crate::cli::SignCommand;
use crate::cli::output::say;
use crate::config::edit;
use crate::engine::admin_key::{self, ADMIN_KEY_FILE};
use crate::engine::locked_file;
use crate::signed;
use crate::system::disk;
use crate::system::key_files;

pub(super) fn run(file: &Path, options: &SignCommand) -> Result<ExitStatus, Errors> {
    let file = options.file.as_deref().unwrap_or(file);
    let key_file = options.key.clone().unwrap_or_else(|| folder_of(file).join(ADMIN_KEY_FILE));
    let key = if options.create { create(&key_file)? } else { load(&key_file)? };
    let admin = signed::admin_public(&key);
    let signed = locked_file::change_with(file, 0, Some(&key), |text, network| {
        if network.admins.contains(&admin) {
            return Ok(text.to_owned());
        }
        if !options.create {
            return Err(foreign(file, &key_file, network.admins.is_empty()).into());
        }
        Ok(edit::add_to_list(text, &["network"], "admins", &admin.to_string())?)
    });
    let (network, _) = signed.inspect_err(|_| {
        if options.create {
            // The key has signed nothing.
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
        let others = network.admins.len() > 1;
        say!("Next: {}", if others { "portals push" } else { CARRY });
    } else {
        say!("Next, at a site with this file: portals push");
    }
    Ok(ExitStatus::Done)
}

/// Advice after the first signature of a network: no site knows its admin key yet.
const CARRY: &str = "copy this file to every site by hand, once, and run `portals reload` there; after that, \
                     `portals push` brings each change to all sites";

fn load(key_file: &Path) -> Result<Secret> {
    key_files::load_if_there(key_file)?.ok_or_else(|| {
        Error::wrong(format!(
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
