//! `portals import`: converts wg-quick files into a network file that does the same.

mod mesh;

use std::fs;
use std::path::Path;

use super::{ExitStatus, host_name};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::keys;
use crate::base::net::Secret;
use crate::base::path::folder_of;
use crate::cli::ImportCommand;
use crate::cli::output::{self, complain, say};
use crate::config;
use crate::engine::wgquick_file;
use crate::interop::import::{Wishes, exit_name, network_file, preshared_keys};
use crate::system::disk::{FileOrigin, cannot_write, make_folder, write_new};
use crate::system::key_files;
use crate::wgquick::Parsed;

/// Converts one file, or the files of several boxes.
pub(super) fn run(options: &ImportCommand) -> Result<ExitStatus, Errors> {
    match options.files.as_slice() {
        [] => Err(Error::wrong(
            "no wg-quick file given: name one, such as `portals import /etc/wireguard/wg0.conf`",
        )
        .into()),
        [file] => single(file, options),
        files => mesh::run(files, options),
    }
}

/// Prints the network file on standard output, or writes it to a new file.
fn single(file: &Path, options: &ImportCommand) -> Result<ExitStatus, Errors> {
    if options.to.is_some() {
        return Err(Error::wrong(
            "--to is for the files of several boxes: for a single file, write --output FILE --keys",
        )
        .into());
    }
    if options.keys && options.output.is_none() {
        return Err(Error::wrong(
            "--keys puts the keys next to the output: name the output with --output FILE",
        )
        .into());
    }
    let parsed = read(file)?;
    let key = parsed.config.interface.private_key.as_ref().expect("a file that was read has one");
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let site = options.site.clone().map_or_else(host_name, Ok)?;
    let exit = exit_name(&stem, &site);
    let wishes = Wishes {
        network: options.network.as_deref().unwrap_or("home"),
        site: &site,
        id: options.id,
        subnet: options.subnet,
        subnet6: options.subnet6,
        public_key: keys::public_key(key),
        exit: &exit,
    };
    let text = network_file(&parsed, &wishes).map_err(|error| within(file, &error))?;
    check(
        &text,
        options.output.as_deref(),
        "these options result in a wrong network file; `portals import --help` explains the options:",
    )?;
    let Some(output) = &options.output else {
        output::print(format_args!("{text}"));
        return Ok(ExitStatus::Done);
    };
    make_folder(&folder_of(output))?;
    if options.keys {
        write_keys(output, file, key, &parsed, &wishes)?;
    }
    write_new(output, text.as_bytes(), 0o644).context(|| cannot_write(output))?;
    say!("wrote {}; `portals plan` shows what it would change on this machine", output.display());
    Ok(ExitStatus::Done)
}

/// Reads a wg-quick file, and warns about permissions that expose its keys.
fn read(file: &Path) -> Result<Parsed, Errors> {
    let (parsed, is_open) = wgquick_file::look_at(file, FileOrigin::Named)?;
    if is_open {
        let path = file.display();
        complain!("warning: {path}: other users can read the keys in this file; run: chmod 600 {path}");
    }
    Ok(parsed)
}

/// Checks the text of the new network file before anything is written; `heading` stands above its faults.
fn check(text: &str, output: Option<&Path>, heading: &str) -> Result<(), Errors> {
    match config::check(output.unwrap_or(Path::new("network.toml")), text) {
        Ok(_) => Ok(()),
        Err(faults) => Err(faults.under(Error::wrong(heading))),
    }
}

/// Writes the keys next to the output. If one of the files exists, the output included, nothing is written
/// and nothing is overwritten.
fn write_keys(output: &Path, file: &Path, key: &Secret, parsed: &Parsed, wishes: &Wishes) -> Result<()> {
    let folder = folder_of(output);
    let (private_key, copy) =
        (folder.join(key_files::PRIVATE_KEY_FILE), folder.join(format!("{}.conf", wishes.exit)));
    let is_there = fs::canonicalize(file).ok() == fs::canonicalize(&copy).ok();
    let copies = !is_there && parsed.config.peers.iter().any(|peer| peer.endpoint.is_some());
    let mut keys = vec![(private_key, key)];
    for (name, key) in preshared_keys(parsed, wishes) {
        keys.push((folder.join(name), key));
    }
    let mut new = vec![output];
    if copies {
        new.push(&copy);
    }
    for (path, _) in &keys {
        new.push(path);
    }
    for path in new {
        if path.symlink_metadata().is_ok() {
            let path = path.display();
            return Err(Error::wrong(format_args!(
                "{path} exists and is not overwritten: move it away, or choose another --output"
            )));
        }
    }
    for (path, key) in &keys {
        key_files::save(path, key)?;
    }
    if copies {
        let bytes =
            key_files::read_bytes(file, FileOrigin::Named)?.map(|(bytes, _)| bytes).unwrap_or_default();
        write_new(&copy, &bytes, 0o600).context(|| cannot_write(&copy))?;
    }
    Ok(())
}

fn within(file: &Path, error: &Error) -> Error {
    Error::wrong(format_args!("{}: {error}", file.display()))
}
