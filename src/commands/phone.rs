//! `portals phone add` and `portals phone show`: settings for devices with an ordinary WireGuard app.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{ExitStatus, after_change, wait_for_random_numbers};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::keys;
use crate::base::net::Secret;
use crate::base::path::folder_of;
use crate::base::text::append;
use crate::cli::output::{self, complain, say};
use crate::cli::style::Style;
use crate::cli::{PhoneAction, PhoneAdd, PhoneShow};
use crate::config::edit;
use crate::config::model::{self, ExitRef, Name, Network, Position, RESOLVERS};
use crate::engine::admin_key;
use crate::engine::locked_file::{self, LockedNetworkFile, Signing};
use crate::engine::wgquick_file;
use crate::engine::{network_file, own_key};
use crate::interop::phone::{self, PhoneEntry};
use crate::interop::qr::Picture;
use crate::site;
use crate::system::disk::{self, FileOrigin, cannot_write};
use crate::system::key_files;

/// Folder of the phones' kept private keys, next to the network file.
const KEY_FOLDER: &str = "phones";

pub(super) fn run(file: &Path, action: &PhoneAction) -> Result<ExitStatus, Errors> {
    match action {
        PhoneAction::Add(options) => add(file, options),
        PhoneAction::Show(options) => show(file, options),
        PhoneAction::List(_) => list(file),
        PhoneAction::Remove(options) => remove(file, &options.name),
    }
}

/// Adds a phone and shows its file. The network file changes last, after every step that can fail.
fn add(file: &Path, options: &PhoneAdd) -> Result<ExitStatus, Errors> {
    // Reports the faults of the network file before it waits for another process that edits the file.
    network_file::load(file)?;
    let change = LockedNetworkFile::begin(file)?;
    let (text, network) = network_file::load(file)?;
    let folder = folder_of(file);
    let name = &options.name;
    if let Some(phone) = network.phones.get(name) {
        return Err(already_there(file, name, phone.position).into());
    }
    let own = own_site(&folder, &network)?;
    let at = options.at.as_deref().or(own).ok_or_else(which_site)?;
    let id = options.id.or_else(|| phone::free_id(&network)).ok_or_else(no_id_left)?;
    let exit = options.exit.as_deref().filter(|exit| *exit != at);
    wait_for_random_numbers();
    let key = key_files::generate();
    let entry = PhoneEntry { name, id, at, exit, dns: &options.dns, public_key: keys::public_key(&key) };
    let serial = network.serial;
    let (new_text, _) = phone::add(file, &text, &entry)?;
    let admin = admin_key::load(&folder)?;
    let (new_text, network, signing) = locked_file::sealed(file, &new_text, serial, admin.as_ref())?;
    let phone_file = PhoneFile::new(&folder, &network, name, key.clone())?;

    let kept = options.keep_key.then(|| save_key(&folder, name, &key)).transpose()?;
    let output = options.output.as_deref();
    let written = phone_file.write(output).and_then(|()| {
        let written = write_images(&phone_file.code, options.png.as_deref(), options.svg.as_deref())
            .and_then(|()| change.finish(&text, &new_text));
        if let (Err(_), Some(output)) = (&written, output) {
            // The error that matters is the failed write.
            let _ = disk::remove(output);
        }
        written
    });
    if let (Err(_), Some(kept)) = (&written, &kept) {
        let _ = disk::remove(kept);
    }
    written?;
    if output.is_none() && !phone_file.print(options.no_qr) {
        return Err(not_printed(file, name, kept.is_some()).into());
    }
    advise(file, &network, name, own, kept.as_deref().or(output), signing);
    Ok(ExitStatus::Done)
}

/// Shows the file of an existing phone again.
fn show(file: &Path, options: &PhoneShow) -> Result<ExitStatus, Errors> {
    let phone_file = kept(file, &options.name)?;
    phone_file.write(options.output.as_deref())?;
    write_images(&phone_file.code, options.png.as_deref(), options.svg.as_deref())?;
    if options.output.is_none() {
        phone_file.print(options.no_qr);
    }
    Ok(ExitStatus::Done)
}

/// Returns the QR code of an existing phone whose key was kept.
pub(super) fn kept_code(file: &Path, name: &str) -> Result<Picture, Errors> {
    Ok(kept(file, name)?.code)
}

/// Returns the file of an existing phone whose key was kept.
fn kept(file: &Path, name: &str) -> Result<PhoneFile, Errors> {
    let (_, network) = network_file::load(file)?;
    let folder = folder_of(file);
    let Some((name, phone)) = network.phones.iter().find(|(known, _)| *known == name) else {
        return Err(unknown(file, name, &network).into());
    };
    let path = key_file(&folder, name);
    let way_out = || {
        format!("to create a new key, remove [phone.{name}] from {} and add the phone again", file.display())
    };
    let Some(key) = key_files::load_if_there(&path)? else {
        return Err(Error::failed(format_args!(
            "the private key of phone `{name}` was shown once and not kept (there is no {}): {}, with \
             --keep-key",
            path.display(),
            way_out()
        ))
        .into());
    };
    if keys::public_key(&key) != phone.public_key {
        return Err(Error::failed(format_args!(
            "{} is not the key of phone `{name}`, but the key of an earlier phone of that name: {}",
            path.display(),
            way_out()
        ))
        .into());
    }
    Ok(PhoneFile::new(&folder, &network, name, key)?)
}

/// Lists the phones in the order of their ids.
fn list(file: &Path) -> Result<ExitStatus, Errors> {
    let (_, network) = network_file::load(file)?;
    for id in 0..=u8::MAX {
        let Some((name, phone)) = network.phones.iter().find(|(_, phone)| phone.id == id) else { continue };
        let at = &phone.at;
        let exit = phone.exit.as_ref().map_or_else(|| at.clone(), ToString::to_string);
        say!("{id:>2}  {name:<12}  dials {at}, leaves at {exit}  {}", phone.public_key);
    }
    Ok(ExitStatus::Done)
}

fn remove(file: &Path, name: &str) -> Result<ExitStatus, Errors> {
    let (_, signing) = locked_file::change(file, 0, &mut |text, network| {
        if network.phones.contains_key(name) {
            Ok(edit::remove(text, &["phone", name])?)
        } else {
            Err(unknown(file, name, network).into())
        }
    })?;
    let kept = key_file(&folder_of(file), name);
    disk::remove(&kept).context(|| format!("cannot remove {}", kept.display()))?;
    say!("removed phone {name} from {}", file.display());
    after_change(file, signing);
    Ok(ExitStatus::Done)
}

fn unknown(file: &Path, name: &str, network: &Network) -> Error {
    let mut known = String::new();
    for name in network.phones.keys() {
        append(&mut known, name);
    }
    if known.is_empty() {
        known.push_str("none");
    }
    let file = file.display();
    Error::wrong(format_args!("there is no phone `{name}` in {file}; its phones: {known}"))
}

/// File for a phone's WireGuard app, as text and as a QR code.
struct PhoneFile {
    text: Zeroizing<String>,
    code: Picture,
}

impl PhoneFile {
    fn new(folder: &Path, network: &Network, name: &Name, key: Secret) -> Result<Self> {
        let preshared_key = phone::preshared_key(network, name, folder)?;
        let resolvers = resolvers(folder, network, &network.phones[name]);
        let text = phone::settings(network, name, key, preshared_key, resolvers)?.to_text();
        let code = Picture::of(&text)?;
        Ok(Self { text, code })
    }

    /// Writes the file to a new file, if one is named: an existing file may hold the only copy of a key.
    fn write(&self, output: Option<&Path>) -> Result<()> {
        let Some(output) = output else { return Ok(()) };
        disk::write_new(output, self.text.as_bytes(), 0o600).context(|| cannot_write(output))
    }

    /// Prints the file, and reports whether all of it could be written.
    fn print(&self, without_code: bool) -> bool {
        output::keep_private();
        output::print(format_args!("{}", self.text.as_str()));
        if !without_code {
            let code = self.code.for_terminal(Style::for_stdout().is_coloured());
            output::print(format_args!("\n{code}"));
        }
        output::flush()
    }
}

/// Returns the resolvers of a phone from its entry; or else from the file of the provider where the phone
/// leaves, if that file is on this machine; or else the default resolvers of portals.
fn resolvers(folder: &Path, network: &Network, phone: &model::PhoneConfig) -> Vec<IpAddr> {
    let of_provider = || {
        let Some(ExitRef::Provider(exit)) = &phone.exit else { return Vec::new() };
        let file = folder.join(&network.sites[&phone.at].providers[exit].config);
        // The commands that need this file report its faults.
        wgquick_file::load(&file, FileOrigin::Ours)
            .map(|parsed| parsed.config.interface.resolvers())
            .unwrap_or_default()
    };
    let mut asked = if phone.dns.is_empty() { of_provider() } else { phone.dns.clone() };
    asked.retain(|resolver| resolver.is_ipv4() || network.subnet6.is_some());
    if asked.is_empty() { RESOLVERS.to_vec() } else { asked }
}

fn write_images(code: &Picture, png: Option<&Path>, svg: Option<&Path>) -> Result<()> {
    let write = |file: &Path, bytes: &[u8]| disk::replace(file, bytes, 0o600).context(|| cannot_write(file));
    if let Some(file) = png {
        write(file, &code.png())?;
    }
    if let Some(file) = svg {
        write(file, code.svg().as_bytes())?;
    }
    Ok(())
}

/// Saves a phone's private key, and returns the path of its file.
fn save_key(folder: &Path, name: &str, key: &Secret) -> Result<PathBuf> {
    let path = key_file(folder, name);
    if path.exists() {
        return Err(Error::wrong(format_args!(
            "{0} exists already, from an earlier phone of that name: remove it with `rm {0}`",
            path.display()
        )));
    }
    disk::make_folder(&folder.join(KEY_FOLDER))?;
    key_files::save(&path, key)?;
    Ok(path)
}

fn key_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(KEY_FOLDER).join(format!("{name}.key"))
}

/// Returns the name of this machine's site; `None` if this machine is not a site of the network.
fn own_site<'a>(folder: &Path, network: &'a Network) -> Result<Option<&'a str>> {
    let key = own_key::load_if_there(folder, network)?;
    Ok(key.and_then(|key| site::own_name(network, key.public).ok()).map(String::as_str))
}

fn already_there(file: &Path, name: &str, position: Position) -> Error {
    Error::wrong(format_args!(
        "{}:{position}: phone `{name}` exists already: choose another name; or remove this entry, and \
         add the phone again with another key",
        file.display()
    ))
}

fn which_site() -> Error {
    Error::wrong(
        "this machine is not a site of the network: name the site that the phone dials, as in `--at nyc`",
    )
}

fn no_id_left() -> Error {
    Error::wrong("the network has as many phones as it can have: remove one from the network file first")
}

fn not_printed(file: &Path, name: &str, is_kept: bool) -> Error {
    Error::failed(if is_kept {
        format!("phone `{name}` was added, but its file was not printed: run `portals phone show {name}`")
    } else {
        format!(
            "[phone.{name}] is in {} now, but its key was not printed and is lost: remove the entry, and \
             add the phone again",
            file.display()
        )
    })
}

/// Prints the next steps, on standard error: standard output holds only the file, which may be redirected.
fn advise(
    path: &Path,
    network: &Network,
    name: &Name,
    own: Option<&str>,
    kept: Option<&Path>,
    signing: Signing,
) {
    let phone = &network.phones[name];
    let at = &phone.at;
    let mut addresses = String::new();
    for address in &phone::addresses(network, phone) {
        append(&mut addresses, address);
    }
    let exit = phone.exit.as_ref().map_or_else(|| at.clone(), ToString::to_string);
    let file = path.display();
    complain!("\nPhone {name} ({addresses}) dials {at} and leaves at {exit}; {file} now lists it.");
    match kept {
        Some(path) => complain!("Its private key is kept in {}.", path.display()),
        None => complain!(
            "Its private key is not kept: scan the code, or copy the file, before you close this terminal."
        ),
    }
    if signing != Signing::NoAdmins || own == Some(at) {
        after_change(path, signing);
    } else {
        complain!(
            "Next, copy {file} to {at} first, run `portals reload` there, and copy it to the other sites."
        );
    }
    if own.is_none() {
        complain!(
            "This machine is not a site: if the sites have a {0}, put it next to {file} before you add a \
             phone, or the phone cannot connect.",
            key_files::NETWORK_SECRET_FILE
        );
    }
}
