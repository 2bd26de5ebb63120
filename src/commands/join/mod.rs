//! `portals join`: makes this machine a site of a network, with the token of an invitation.

mod door;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::invite::{pasted, site_name};
use super::push::agent_status;
use super::{
    ExitStatus, command_for, has_agent, is_of_platform, service, start_command, wait_for_random_numbers,
};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::base::keys::public_key;
use crate::base::net::{PublicKey, Secret};
use crate::base::path::folder_of;
use crate::cli::output::{complain, say};
use crate::cli::{InstallCommand, JoinCommand};
use crate::config::{self, model::Network};
use crate::engine::locked_file::LockedNetworkFile;
use crate::engine::network_file;
use crate::join::entry::provisional_file;
use crate::join::packet::{JoinKeys, JoinRequest, Joined, MOST};
use crate::join::token::Token;
use crate::signed::{self, FileStanding};
use crate::site;
use crate::system::disk::{self, cannot_write};
use crate::system::key_files::{self, NETWORK_SECRET_FILE, PRIVATE_KEY_FILE};
use door::Visitor;

/// Longest wait for the signed network file.
const WAIT: Duration = Duration::from_mins(2);

/// Time between two looks at the network file.
const LOOK: Duration = Duration::from_millis(500);

/// Joins, or goes on with a join that was cut short.
pub(super) fn run(file: &Path, options: &JoinCommand) -> Result<ExitStatus, Errors> {
    let text = pasted(&options.token)?;
    let token: Token = text.parse().map_err(|fault| Error::wrong(format_args!("this token {fault}")))?;
    let request = request(options, &token)?;
    let folder = folder_of(file);
    fs::create_dir_all(&folder).context(|| format!("cannot make the folder {}", folder.display()))?;
    let edit = LockedNetworkFile::begin(file)?;
    let key = own_key(&folder)?;
    let own = public_key(&key);
    match standing(file, own, &token)? {
        Standing::Nothing => join(file, &token, &key, request)?,
        Standing::Provisional => complain!("going on with the join that was cut short"),
        Standing::Member => {
            say!("this machine is a site of that network already: nothing to do");
            return Ok(ExitStatus::Done);
        }
    }
    drop(edit);
    let (_, network) = network_file::load(file)?;
    let name = site::own_name(&network, own)?;
    say!("this machine is site {name} of network {} now", network.name);
    if start(file, options)? {
        wait(file, &network);
    }
    Ok(ExitStatus::Done)
}

/// Returns the wishes of this site.
fn request(options: &JoinCommand, token: &Token) -> Result<JoinRequest> {
    if options.lan.len() > MOST {
        return Err(Error::wrong(format_args!("give at most {MOST} networks with --lan")));
    }
    let endpoint = match &options.endpoint {
        None if token.door.is_none() => {
            return Err(Error::wrong(
                "the site that has invited cannot be dialled, so it must dial this one: say where with \
                 --endpoint HOST, a host name or an address of this machine",
            ));
        }
        None => None,
        Some(host) => Some(config::endpoint_host(host).ok_or_else(|| {
            Error::wrong(format_args!(
                "--endpoint {host} is neither a host name nor an address, without a port"
            ))
        })?),
    };
    Ok(JoinRequest {
        name: options.name.as_deref().map(site_name).transpose()?,
        endpoint,
        lan: options.lan.clone(),
        portal: options.portal.clone(),
        addresses: Vec::new(),
    })
}

/// Returns the private key of this machine, and makes it if there is none.
fn own_key(folder: &Path) -> Result<Secret> {
    let path = folder.join(PRIVATE_KEY_FILE);
    if let Some(key) = key_files::load_if_there(&path)? {
        return Ok(key);
    }
    wait_for_random_numbers();
    let key = key_files::generate();
    key_files::save(&path, &key)?;
    Ok(key)
}

/// What this machine is before it joins.
enum Standing {
    /// It has no network file.
    Nothing,
    /// It has the provisional file of an earlier join with the same inviting site.
    Provisional,
    /// It has the network file of that network.
    Member,
}

fn standing(file: &Path, own: PublicKey, token: &Token) -> Result<Standing, Errors> {
    if !file.exists() {
        return Ok(Standing::Nothing);
    }
    let (text, network) = network_file::load(file)?;
    let has = |key| network.sites.values().any(|site| site.public_key == key);
    if !has(own) || !has(token.inviter) {
        let file = file.display();
        return Err(Error::wrong(format_args!(
            "this machine has the file of network {} already: {file}; to leave that network, remove the file",
            network.name
        ))
        .into());
    }
    let is_provisional = network.serial == 0 && !network.admins.is_empty() && !is_signed(&text, &network);
    Ok(if is_provisional { Standing::Provisional } else { Standing::Member })
}

fn is_signed(text: &str, network: &Network) -> bool {
    matches!(signed::standing(text, &network.admins), FileStanding::Signed(_))
}

/// Asks the site that has invited, and writes the provisional network file.
fn join(file: &Path, token: &Token, key: &Secret, request: JoinRequest) -> Result<(), Errors> {
    let keys = JoinKeys::derive(&token.secret, key, token.inviter)
        .ok_or_else(|| Error::wrong("this token names a key that no site can have: copy all of the token"))?;
    let endpoint = request.endpoint.clone();
    let visitor = Visitor { keys: &keys, own: public_key(key), request };
    let joined = match &token.door {
        Some(door) => visitor.ask(door)?,
        None => visitor.wait()?,
    };
    let text = provisional_file(token, &joined, public_key(key), endpoint.as_ref());
    config::check(file, &text).map_err(|faults| {
        faults.under(Error::failed("the site that has invited has sent a network that cannot be:"))
    })?;
    keep_secret(&folder_of(file), &joined)?;
    disk::replace(file, text.as_bytes(), 0o644).context(|| cannot_write(file))?;
    Ok(())
}

/// Writes the secret of the network next to the network file.
fn keep_secret(folder: &Path, joined: &Joined) -> Result<()> {
    let path = folder.join(NETWORK_SECRET_FILE);
    let there = key_files::load_if_there(&path)?;
    if there == joined.secret {
        return Ok(());
    }
    if there.is_some() {
        let path = path.display();
        return Err(Error::wrong(format_args!(
            "{path} is the secret of another network: remove it, and join again"
        )));
    }
    joined.secret.as_ref().map_or(Ok(()), |secret| key_files::save(&path, secret))
}

/// Starts the agent, unless it runs. Reports whether it runs.
fn start(file: &Path, options: &JoinCommand) -> Result<bool, Errors> {
    if has_agent()? {
        return Ok(true);
    }
    if options.no_start || !is_of_platform(file) {
        say!("Next, start the agent, which gets the network file:\n  {}", start_command(file));
        return Ok(false);
    }
    service::install(&InstallCommand { root: None, no_start: false })?;
    Ok(has_agent()?)
}

/// Waits until the agent has the signed network file in force.
fn wait(file: &Path, provisional: &Network) {
    complain!("waiting for the network file, which comes through the tunnel");
    let status = command_for("portals status", file);
    let until = Instant::now() + WAIT;
    while Instant::now() < until {
        if let Ok((text, network)) = network_file::load(file)
            && is_signed(&text, &network)
            && is_settled()
        {
            let (serial, sites) = (network.serial, network.sites.len());
            say!("the network file is here: serial {serial}, {sites} sites; `{status}` shows the links");
            return;
        }
        sleep(LOOK);
    }
    let name = &provisional.name;
    complain!("the network file of {name} has not come yet: the agent goes on; `{status}` shows its links");
}

/// Reports whether the agent has a network file in force for good.
fn is_settled() -> bool {
    agent_status().is_ok_and(|status| status.unconfirmed.is_none())
}
