//! `portals phone add` and `portals phone show`: devices with an ordinary WireGuard app.

use std::fs::DirBuilder;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Status, wait_for_random_numbers};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::keys;
use crate::base::net::Secret;
use crate::base::path::folder_of;
use crate::cli::output::{self, complain};
use crate::cli::style::Style;
use crate::cli::{Phone, PhoneAdd, PhoneCommand, PhoneShow};
use crate::config::model::{self, ExitRef, Name, Network, Position, RESOLVERS};
use crate::config::phone_address;
use crate::engine::network_file;
use crate::interop::phone::{self, Entry};
use crate::interop::qr::Picture;
use crate::site;
use crate::system::disk::{self, Source};
use crate::system::edit::Edit;
use crate::system::key_files;
use crate::system::wgquick_file;

/// The folder of the keys that are kept, beside the network file.
const FOLDER: &str = "phones";

pub(super) fn run(file: &Path, options: &Phone) -> Result<Status, Errors> {
    match &options.command {
        PhoneCommand::Add(options) => add(file, options),
        PhoneCommand::Show(options) => show(file, options),
    }
}

/// Adds a phone and shows its file. Until all else is done, the network file is as it was.
fn add(file: &Path, options: &PhoneAdd) -> Result<Status, Errors> {
    // Faults are told before anybody is waited for.
    network_file::load(file)?;
    let change = Edit::begin(file)?;
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
    let entry = Entry { name, id, at, exit, dns: &options.dns, public_key: keys::public_key(&key) };
    let (new_text, network) = phone::add(file, &text, &network, &entry)?;
    let shown = Shown::of(&folder, &network, name, key.clone())?;

    let kept = options.keep_key.then(|| keep(&folder, name, &key)).transpose()?;
    let written = write_images(&shown.code, options.png.as_deref(), options.svg.as_deref())
        .and_then(|()| change.finish(&text, &new_text));
    if let (Err(_), Some(kept)) = (&written, &kept) {
        // What matters is why it was not written.
        let _ = disk::remove(kept);
    }
    written?;
    if !shown.print(options.no_qr) {
        return Err(Error::failed(if kept.is_some() {
            format!("phone `{name}` was added; nobody read its file: `portals phone show {name}` shows it")
        } else {
            let file = file.display();
            format!("[phone.{name}] is in {file} now, but nobody has its key: take it out, and add it again")
        })
        .into());
    }
    advise(file, &network, name, own, kept.as_deref());
    Ok(Status::Done)
}

/// Shows the file of a phone again.
fn show(file: &Path, options: &PhoneShow) -> Result<Status, Errors> {
    let (_, network) = network_file::load(file)?;
    let folder = folder_of(file);
    let name = &options.name;
    let Some(phone) = network.phones.get(name) else {
        let names: Vec<&str> = network.phones.keys().map(String::as_str).collect();
        let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let file = file.display();
        return Err(
            Error::wrong(format!("there is no phone `{name}` in {file}; its phones: {others}")).into()
        );
    };
    let path = key_file(&folder, name);
    let again =
        || format!("to make a new one, take [phone.{name}] out of {} and add it again", file.display());
    let Some(key) = key_files::load_if_there(&path)? else {
        return Err(Error::failed(format!(
            "the private key of phone `{name}` was shown once and not kept (there is no {}): {}, with --keep-key",
            path.display(),
            again()
        ))
        .into());
    };
    if keys::public_key(&key) != phone.public_key {
        return Err(Error::failed(format!(
            "{} is not the key of phone `{name}`, but one of an earlier phone of that name: {}",
            path.display(),
            again()
        ))
        .into());
    }
    let shown = Shown::of(&folder, &network, name, key)?;
    write_images(&shown.code, options.png.as_deref(), options.svg.as_deref())?;
    shown.print(options.no_qr);
    Ok(Status::Done)
}

/// The file of a phone, and the same as a QR code.
struct Shown {
    text: Zeroizing<String>,
    code: Picture,
}

impl Shown {
    fn of(folder: &Path, network: &Network, name: &Name, key: Secret) -> Result<Self> {
        let preshared_key = phone::preshared_key(network, name, folder)?;
        let resolvers = resolvers(folder, network, &network.phones[name]);
        let text = phone::settings(network, name, key, preshared_key, resolvers)?.to_text();
        let code = Picture::of(&text)?;
        Ok(Self { text, code })
    }

    /// Prints it, and tells whether it has arrived.
    fn print(&self, without_code: bool) -> bool {
        output::print(format_args!("{}", self.text.as_str()));
        if !without_code {
            let code = self.code.for_terminal(Style::for_stdout().is_coloured());
            output::print(format_args!("\n{code}"));
        }
        output::flush()
    }
}

/// Whom a phone asks: what its entry says, or the file of the provider where it leaves, if that is here; else those that portals ask, too.
fn resolvers(folder: &Path, network: &Network, phone: &model::Phone) -> Vec<IpAddr> {
    let of_provider = || {
        let Some(ExitRef::Provider(exit)) = &phone.exit else { return Vec::new() };
        let file = folder.join(&network.sites[&phone.at].providers[exit].config);
        // What is wrong with that file is for those to say who need it.
        wgquick_file::load(&file, Source::Ours).map(|parsed| parsed.config.interface.dns).unwrap_or_default()
    };
    let mut asked = if phone.dns.is_empty() { of_provider() } else { phone.dns.clone() };
    asked.retain(IpAddr::is_ipv4);
    if asked.is_empty() { RESOLVERS.to_vec() } else { asked }
}

fn write_images(code: &Picture, png: Option<&Path>, svg: Option<&Path>) -> Result<()> {
    let write = |file: &Path, bytes: &[u8]| {
        disk::replace(file, bytes, 0o600).doing(|| format!("cannot write {}", file.display()))
    };
    if let Some(file) = png {
        write(file, &code.png())?;
    }
    if let Some(file) = svg {
        write(file, code.svg().as_bytes())?;
    }
    Ok(())
}

/// Writes a phone's key down; the path of its file.
fn keep(folder: &Path, name: &str, key: &Secret) -> Result<PathBuf> {
    let path = key_file(folder, name);
    if path.exists() {
        return Err(Error::wrong(format!(
            "{0} is there already, of an earlier phone of that name: rm {0}",
            path.display()
        )));
    }
    let folder = folder.join(FOLDER);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.doing(|| format!("cannot make the folder {}", folder.display()))?;
    key_files::save(&path, key)?;
    Ok(path)
}

fn key_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(FOLDER).join(format!("{name}.key"))
}

/// The name of the site that this is, if it is one.
fn own_site<'a>(folder: &Path, network: &'a Network) -> Result<Option<&'a str>> {
    let key = key_files::load_if_there(&folder.join(key_files::PRIVATE_KEY_FILE))?;
    let name = |key: Secret| site::own_name(network, keys::public_key(&key)).ok();
    Ok(key.and_then(name).map(String::as_str))
}

fn already_there(file: &Path, name: &str, position: Position) -> Error {
    Error::wrong(format!(
        "{}:{position}: there is a phone `{name}` already: choose another name; or take that one out, and add it again with another key",
        file.display()
    ))
}

fn which_site() -> Error {
    Error::wrong("this machine is no site: say which one the phone dials, as in `--at nyc`")
}

fn no_id_left() -> Error {
    Error::wrong("there are as many phones as a network can have: take one out of the network file first")
}

/// What to do next; not among what may be copied from standard output.
fn advise(file: &Path, network: &Network, name: &Name, own: Option<&str>, kept: Option<&Path>) {
    let phone = &network.phones[name];
    let (at, address) = (&phone.at, phone_address(network, phone));
    let exit = phone.exit.as_ref().map_or_else(|| at.clone(), ToString::to_string);
    let file = file.display();
    complain!("\nphone {name}: {address}, dials {at} and leaves at {exit}; it is in {file} now.");
    match kept {
        Some(path) => complain!("Its private key is kept in {}.", path.display()),
        None => complain!(
            "Its private key is kept nowhere: scan the code, or copy the file, before you close this."
        ),
    }
    if own == Some(at) {
        complain!("Next: portals reload; and copy {file} to the other sites.");
    } else {
        complain!(
            "Next: copy {file} to {at} first, run `portals reload` there, and copy it to the other sites."
        );
    }
    if own.is_none() {
        complain!(
            "This machine is no site: if the sites have a {0}, put that beside {file} before you add a phone, or the phone cannot \
             connect.",
            key_files::NETWORK_SECRET_FILE
        );
    }
}
