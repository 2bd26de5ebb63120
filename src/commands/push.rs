//! `portals push` and `portals pull`: the same network file at all sites.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ExitStatus;
use crate::base::error::{Error, Errors, Result};
use crate::cli::PushCommand;
use crate::cli::output::{complain, say};
use crate::config::model::Network;
use crate::control::{AgentStatus, ChangeReport, ControlRequest, SiteFile, ask};
use crate::engine::journal::Journal;
use crate::engine::locked_file::{self, Signing};
use crate::engine::network_file;
use crate::exchange::Relation;
use crate::signed::{FileStanding, standing};

/// Effect of a network without admin keys, and the way out.
const CARRIED: &str = "its file is carried to each site by hand: make a key with `portals sign --create`";

/// Longest wait for the linked sites.
const WAIT: Duration = Duration::from_secs(15);

/// Time between two looks at the sites' files.
const LOOK: Duration = Duration::from_millis(300);

/// Signs the file if it needs a signature, puts it in force, and waits until the linked sites have it.
pub(super) fn push(file: &Path, options: &PushCommand) -> Result<ExitStatus, Errors> {
    let network = signed_network(file, CARRIED)?.1;
    let known = files()?;
    let newest = newest(&known);
    if newest > network.serial && !options.over {
        let (site, serial) = newer(&known, newest);
        return Err(Error::failed(format!(
            "{}: site {site} has a newer file, with serial {serial}: take that one with `portals pull`, or \
             replace it with `portals push --over`",
            file.display()
        ))
        .into());
    }
    let network = signed(file, &known, newest)?;
    let done = ChangeReport::from_fields(ask(&ControlRequest::Reload)?)?;
    ask(&ControlRequest::Offer)?;
    say!("serial {} is in force here, with {} changes of this machine", network.serial, done.changes);
    let until = Instant::now() + WAIT;
    loop {
        let files = files()?;
        let all = files.iter().all(|file| file.relation == Relation::Same);
        if all || Instant::now() > until {
            show(&files);
            return Ok(if all { ExitStatus::Done } else { ExitStatus::Failed });
        }
        sleep(LOOK);
    }
}

/// Drops the changes made here, and waits for a signed file.
pub(super) fn pull(file: &Path) -> Result<ExitStatus, Errors> {
    let before = signed_network(file, CARRIED)?.0;
    ask(&ControlRequest::Pull)?;
    let until = Instant::now() + WAIT;
    while Instant::now() < until {
        let (text, network) = network_file::load(file)?;
        if text != before && matches!(standing(&text, &network.admins), FileStanding::Signed(_)) {
            say!("took the network file with serial {}", network.serial);
            return Ok(ExitStatus::Done);
        }
        sleep(LOOK);
    }
    complain!("no linked site has given a newer signed file yet; the agent goes on asking");
    show(&files()?);
    Ok(ExitStatus::Failed)
}

/// Returns the text and the network of the file, if its network has admin keys and an agent runs here.
/// `otherwise` tells what follows from a network without admin keys, and the way out.
pub(super) fn signed_network(file: &Path, otherwise: &str) -> Result<(String, Network), Errors> {
    let (text, network) = network_file::load(file)?;
    if network.admins.is_empty() {
        let file = file.display();
        return Err(Error::wrong(format!("{file}: this network has no admin key, so {otherwise}")).into());
    }
    if !Journal::open()?.has_agent()? {
        return Err(Error::failed("no agent (`portals run`) is at work on this machine").into());
    }
    Ok((text, network))
}

/// Signs the file, unless it has a signature and no linked site another file of the same serial.
fn signed(file: &Path, known: &[SiteFile], newest: u64) -> Result<Network, Errors> {
    let (text, network) = network_file::load(file)?;
    let is_signed = matches!(standing(&text, &network.admins), FileStanding::Signed(_));
    let is_newest = known.iter().all(|file| !matches!(file.relation, Relation::Conflict | Relation::Newer));
    if is_signed && is_newest {
        return Ok(network);
    }
    let (network, signing) = locked_file::change(file, newest, |text, _| Ok(text.to_owned()))?;
    if signing == Signing::Signed {
        return Ok(network);
    }
    Err(Error::wrong(format!(
        "{}: the admin key is not here, so nobody has signed the changes of this file: run `portals sign` \
         where the key is, with a copy of this file, and bring it back",
        file.display()
    ))
    .into())
}

/// Returns the files of the linked sites, as the agent knows them.
fn files() -> Result<Vec<SiteFile>, Errors> {
    Ok(AgentStatus::from_fields(&ask(&ControlRequest::Status)?)?.files)
}

fn newer(known: &[SiteFile], newest: u64) -> (&str, u64) {
    let site = known.iter().find(|file| file.serial == Some(newest));
    (site.map_or("", |file| &file.site), newest)
}

/// Returns the largest serial of the signed files that linked sites have.
fn newest(known: &[SiteFile]) -> u64 {
    let mut newest = 0;
    for file in known.iter().filter(|file| file.relation != Relation::Edited) {
        newest = newest.max(file.serial.unwrap_or_default());
    }
    newest
}

/// Prints a line for each linked site.
fn show(files: &[SiteFile]) {
    for file in files {
        say!("{}", site_line(file));
    }
}

/// Returns the line about the file of a linked site.
pub(super) fn site_line(SiteFile { site, serial, relation }: &SiteFile) -> String {
    let words = match relation {
        Relation::Same => "has the same file",
        Relation::Older => "has an older file",
        Relation::Newer => "has a newer file",
        Relation::Conflict => "two admins changed the file: decide at one site, and run `portals push` there",
        Relation::Edited => "edited by hand and not signed: run `portals push` or `portals pull` there",
        Relation::Unknown => "is silent, and gets the file when it is back",
    };
    match serial {
        Some(serial) => format!("  {site:<12}  serial {serial:<5}  {words}"),
        None => format!("  {site:<12}  {words}"),
    }
}
