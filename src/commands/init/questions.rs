//! Questions of `portals init` to a person at a terminal. Nothing is created before the last answer.

use std::fmt::Arguments;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use crate::base::error::{Context as _, Error, Result};
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::cli::InitCommand;
use crate::cli::input::read_line;
use crate::cli::output::{flush, print, say};
use crate::commands::host_name;
use crate::commands::interfaces::lines;
use crate::config;
use crate::engine::host::interfaces::{self, HostInterface};
use crate::site::Obstacle;
use crate::system::platform;

/// Longest line of a terminal (N_TTY_BUF_SIZE in drivers/tty/n_tty.c).
const LONGEST_LINE: usize = 4096;

/// Reports whether a person can be asked.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks for the site's name, the way to reach the site, and the interface of its first portal.
pub(super) fn ask(file: &Path) -> Result<InitCommand> {
    say!(
        "Three questions about this site, for {}. Enter takes the default; Ctrl-C ends without a trace.\n",
        file.display()
    );
    let site = site_name()?;
    let endpoint = endpoint()?;
    let portal = portal(&interfaces::list()?)?;
    say!("");
    Ok(InitCommand { network: None, site: Some(site), id: None, subnet: None, endpoint, portal })
}

fn site_name() -> Result<String> {
    let default = host_name().unwrap_or_default();
    loop {
        let mut name = answer(format_args!("Name of this site, such as nyc [{default}]: "))?;
        if name.is_empty() {
            name.clone_from(&default);
        }
        if config::site_name(&name).is_some() {
            return Ok(name);
        }
        say!("  A name has 1 to 12 characters of a-z, 0-9 and -.");
    }
}

fn endpoint() -> Result<Option<String>> {
    loop {
        let host = answer(format_args!(
            "Host name or address at which other sites reach this one [none: it is behind NAT]: "
        ))?;
        if host.is_empty() {
            return Ok(None);
        }
        if config::endpoint_host(&host).is_some() {
            return Ok(Some(host));
        }
        say!("  That is neither a host name nor an address: nyc.example.net or 203.0.113.9, without a port.");
    }
}

fn portal(found: &[HostInterface]) -> Result<Option<IfName>> {
    say!("Interfaces of this machine:");
    print(format_args!("{}", lines(found, &SortedMap::new())));
    loop {
        let name = answer(format_args!(
            "Interface whose traffic is to leave at another site, the portal [none yet]: "
        ))?;
        if name.is_empty() {
            return Ok(None);
        }
        match found.iter().find(|interface| interface.name.as_str() == name) {
            Some(interface) if interface.is_uplink => {
                say!(
                    "  {name} leads to the internet, so a portal cannot be there: choose another interface."
                );
            }
            Some(interface) => return Ok(Some(interface.name.clone())),
            None => say!("  No interface has this name: choose one of the list."),
        }
    }
}

/// Returns the reason why the chosen interface cannot be a portal as it is, and the way out.
pub(super) fn obstacle(chosen: &IfName) -> Result<Option<String>> {
    let found = interfaces::list()?;
    let Some(interface) = found.iter().find(|interface| interface.name == *chosen) else {
        return Ok(Some(format!("this machine has no interface {chosen} now")));
    };
    if interface.is_uplink {
        return Ok(Some(format!("{chosen} leads to the internet: choose another interface for the portal")));
    }
    let Some((master, sort)) = interface.master.clone() else { return Ok(None) };
    let firmware = platform::firmware();
    Ok(Some(Obstacle::Port { port: chosen.clone(), master, sort, is_closed: true, firmware }.to_string()))
}

/// Prints a question, and reads the answer. A terminal hands out one line at a time.
fn answer(question: Arguments) -> Result<String> {
    print(question);
    flush();
    let mut line = [0; LONGEST_LINE];
    let length = read_line(&mut line).context(|| "cannot read the answer".to_owned())?;
    if length == 0 {
        say!("");
        return Err(Error::failed(
            "the input ended before the last answer, and nothing was created; `portals init --help` names \
             the options that take the place of the questions",
        ));
    }
    Ok(String::from_utf8_lossy(&line[..length]).trim().to_owned())
}
