//! `portals init`: creates this site's key, the admin key, and a first network file.

mod first_file;
mod questions;

use std::fs;
use std::path::{Path, PathBuf};

use super::{ExitStatus, command_for, shell_word, start_command, this_program, wait_for_random_numbers};
use crate::base::error::{Context as _, Errors, Result};
use crate::base::keys;
use crate::base::net::{PublicKey, Secret};
use crate::base::path::folder_of;
use crate::cli::InitCommand;
use crate::cli::output::{complain, say};
use crate::config::model::{Network, SiteConfig};
use crate::engine::admin_key::ADMIN_KEY_FILE;
use crate::engine::locked_file::LockedNetworkFile;
use crate::engine::network_file;
use crate::nat::{HELPER_OFFSET, RELAY_OFFSET, RELAY_PORTS};
use crate::system::disk::{self, cannot_write};
use crate::system::key_files;

/// Creates the keys and the network file if they are missing, and names the next steps.
pub(super) fn run(file: &Path, options: &InitCommand) -> Result<ExitStatus, Errors> {
    let answers;
    let mut options = options;
    if options.given().is_empty() && !file.exists() && questions::is_possible() {
        answers = questions::ask(file)?;
        options = &answers;
    }
    let folder = folder_of(file);
    fs::create_dir_all(&folder).context(|| format!("cannot make the folder {}", folder.display()))?;
    // Two processes at once would each create a key.
    let _edit = LockedNetworkFile::begin(file)?;
    let key = KeyFile::open(folder.join(key_files::PRIVATE_KEY_FILE))?;
    let public_key = keys::public_key(&key.key);
    if file.exists() {
        key.save()?;
        say_kept(file, options, &key, public_key);
        return Ok(ExitStatus::Done);
    }

    let admin = KeyFile::open(folder.join(ADMIN_KEY_FILE))?;
    let (text, network) = first_file::write(file, options, public_key, &admin.key)?;
    key.save()?;
    admin.save()?;
    disk::write_new(file, text.as_bytes(), 0o644).context(|| cannot_write(file))?;
    say!("{}", key.words("key"));
    say!("{}", admin.words("admin key"));
    say!("created the network file {}", file.display());
    say!("\nThis site's public key:\n  {public_key}\n");
    if let Some(site) = own_site(&network, public_key) {
        say_ports(site);
    }
    if let Some(portal) = &options.portal {
        // The files are there: a kernel that lists no interfaces makes this no failure.
        say_portal(file, portal.as_str(), questions::obstacle(portal).unwrap_or_default());
    }
    say_next(file);
    Ok(ExitStatus::Done)
}

/// File of a secret key, and the key that is or will be in it.
struct KeyFile {
    path: PathBuf,
    key: Secret,
    is_new: bool,
}

impl KeyFile {
    /// Reads the key, or generates one.
    fn open(path: PathBuf) -> Result<Self> {
        let old = key_files::load_if_there(&path)?;
        let is_new = old.is_none();
        let key = old.unwrap_or_else(|| {
            wait_for_random_numbers();
            key_files::generate()
        });
        Ok(Self { path, key, is_new })
    }

    fn save(&self) -> Result<()> {
        if self.is_new { key_files::save(&self.path, &self.key) } else { Ok(()) }
    }

    fn words(&self, name: &str) -> String {
        let made = if self.is_new { "created" } else { "kept" };
        format!("{made} the {name} {}", self.path.display())
    }
}

fn own_site(network: &Network, public_key: PublicKey) -> Option<&SiteConfig> {
    network.sites.values().find(|site| site.public_key == public_key)
}

/// Reports that the network file was there, and names the options that had no effect.
fn say_kept(file: &Path, options: &InitCommand, key: &KeyFile, public_key: PublicKey) {
    say!("{}", key.words("key"));
    say!("kept the network file {}", file.display());
    say!("\nThis site's public key:\n  {public_key}\n");
    let given = options.given();
    if !given.is_empty() {
        complain!(
            "note: {0} exists, so these options had no effect: {1}. Change {0} itself, then run `{2}`; \
             for another network, name another file with --config",
            file.display(),
            given.join(", "),
            command_for("portals push", file)
        );
    }
    let network = network_file::load(file);
    if network.is_ok_and(|(_, network)| own_site(&network, public_key).is_some()) {
        say_next(file);
    } else {
        say!(
            "Next, give a site in {} this public key, and see what would change:\n  {}",
            file.display(),
            command_for("portals plan", file)
        );
    }
}

/// Names the ports that other sites dial at a site with an endpoint. It has the default port, so there is
/// room for all of them.
fn say_ports(site: &SiteConfig) {
    if site.endpoint.is_none() {
        return;
    }
    let (first, door, relays) = (site.port, site.port + HELPER_OFFSET, site.port + RELAY_OFFSET);
    let last = relays + RELAY_PORTS - 1;
    say!(
        "These UDP ports must reach this box; forward them if a router with NAT is in front of it:\n  \
         {first} to {}  tunnels\n  \
         {door}           sites that join, and questions of sites behind NAT\n  \
         {relays} to {last}  links that this site relays, unless it has `relay = false`\n\
         portals opens them in the firewall of this box.\n",
        door - 1
    );
}

fn say_portal(file: &Path, portal: &str, obstacle: Option<String>) {
    say!(
        "The portal on {portal} is a comment in {}: remove the `#` once there is an exit.\n",
        file.display()
    );
    if let Some(obstacle) = obstacle {
        complain!("note: {obstacle}");
    }
}

/// Names the next steps.
fn say_next(file: &Path) {
    let mut start = start_command(file);
    if start == "portals install"
        && let Ok(program) = this_program()
    {
        // The installation puts the program into a folder of PATH; until then it may be anywhere.
        start = [&shell_word(&program), " install"].concat();
    }
    let stays = if start.starts_with("portals run") { ", which stays in the foreground" } else { "" };
    say!(
        "Next, start the agent{stays}, and bring in another site:\n  {start}\n  {}",
        command_for("portals invite NAME", file)
    );
}
