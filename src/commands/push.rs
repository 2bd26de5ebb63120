//! `portals push` and `portals pull`: the same network file at all sites.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{ExitStatus, need_agent, show_notes};
use crate::base::error::{Error, Errors, Result};
use crate::base::path::folder_of;
use crate::cli::PushCommand;
use crate::cli::output::{complain, say};
use crate::config::model::Network;
use crate::control::{AgentStatus, ChangeReport, ControlRequest, SiteFile, ask};
use crate::engine::commit_confirmed::CommitConfirmed;
use crate::engine::{admin_key, locked_file, network_file};
use crate::exchange::Relation;
use crate::signed::{FileStanding, admin_public, standing};
use crate::state::words::count;

/// Effect of a network without admin keys, and the way out.
const CARRIED: &str = "its file is carried to each site by hand: make a key with `portals sign --create`";

/// Longest wait for the linked sites.
const WAIT: Duration = Duration::from_secs(15);

/// Wait for sites that do not answer.
const SILENCE: Duration = Duration::from_secs(5);

/// Time for the linked sites to answer with their files.
const FIRST_ANSWERS: Duration = Duration::from_secs(1);

/// Time between two looks at the sites' files.
const LOOK: Duration = Duration::from_millis(300);

/// Largest difference of two serials that counts. The agent has not seen the signature of a file that a site
/// only claims to have: a liar must not make the serials reach their end.
const LARGEST_STEP: u64 = 1_000_000;

/// Signs the file if it needs a signature, puts it in force, and waits until the linked sites have it.
pub(super) fn push(file: &Path, options: &PushCommand) -> Result<ExitStatus, Errors> {
    let network = signed_network(file, CARRIED)?.1;
    let files_of_others = files()?;
    if !files_of_others.is_empty() {
        stays_reachable(file, &network)?;
    }
    let mut known = Vec::new();
    for file in files_of_others {
        if file.serial.is_none_or(|serial| serial <= network.serial + LARGEST_STEP) {
            known.push(file);
        }
    }
    let newest = newest(&known);
    if newest > network.serial && !options.over {
        let (site, serial) = newer(&known, newest);
        return Err(Error::failed(format_args!(
            "{}: site {site} has a newer file, with serial {serial}: take that one with `portals pull`, or \
             replace it with `portals push --over`",
            file.display()
        ))
        .into());
    }
    let network = signed(file, &known, newest)?;
    let done = ChangeReport::from_fields(ask(&ControlRequest::Reload)?)?;
    show_notes(&done.notes);
    say!("serial {} is in force here, with {}", network.serial, count(done.changes, "change"));
    let status = agent_status()?;
    let later = if status.files.is_empty() {
        "no other site is linked to this one"
    } else if status.unconfirmed.is_some() {
        "the linked sites get it once it is confirmed"
    } else {
        ""
    };
    if !later.is_empty() {
        say!("{later}");
        return Ok(ExitStatus::Done);
    }
    ask(&ControlRequest::Offer)?;
    let begun = Instant::now();
    loop {
        let files = files()?;
        let all = files.iter().all(|file| file.relation == Relation::Same);
        // Sites that are silent, or whose file was edited there, may need long.
        let is_hopeless =
            |file: &SiteFile| matches!(file.relation, Relation::Same | Relation::Unknown | Relation::Edited);
        let time = if files.iter().all(is_hopeless) { SILENCE } else { WAIT };
        if all || begun.elapsed() > time {
            show(&files);
            return Ok(if all { ExitStatus::Done } else { ExitStatus::Failed });
        }
        sleep(LOOK);
    }
}

/// Drops the changes made here, and waits for a signed file.
pub(super) fn pull(file: &Path) -> Result<ExitStatus, Errors> {
    need_agent()?;
    // The changes to drop may be faults.
    let before = network_file::load(file).map(|(text, _)| text);
    ask(&ControlRequest::Pull)?;
    let begun = Instant::now();
    while begun.elapsed() < WAIT {
        sleep(LOOK);
        let Ok((text, network)) = network_file::load(file) else { continue };
        let files = files()?;
        let has_answered = files.iter().any(|file| file.relation != Relation::Unknown);
        let is_newest = files.iter().all(|file| file.relation != Relation::Newer);
        if is_signed(&text, &network) && has_answered && is_newest && begun.elapsed() > FIRST_ANSWERS {
            let what = if before.is_ok_and(|before| before == text) {
                "nothing to do: this site has"
            } else {
                "this site now has"
            };
            say!("{what} the network file with serial {}", network.serial);
            return Ok(ExitStatus::Done);
        }
    }
    complain!("no linked site has given a newer signed file yet; the agent goes on asking");
    show(&files()?);
    Ok(ExitStatus::Failed)
}

/// Returns the text and the network of the file, if its network has admin keys and an agent runs here.
/// `otherwise` tells what follows from a network without admin keys, and the way out.
pub(super) fn signed_network(file: &Path, otherwise: &str) -> Result<(String, Box<Network>), Errors> {
    let (text, network) = network_file::load(file)?;
    if network.admins.is_empty() {
        let file = file.display();
        return Err(
            Error::wrong(format_args!("{file}: this network has no admin key, so {otherwise}")).into()
        );
    }
    need_agent()?;
    Ok((text, network))
}

/// Checks that all sites keep their addresses in the tunnels. Otherwise, this site and those that have the
/// former file would not hear each other any more.
fn stays_reachable(file: &Path, network: &Network) -> Result<()> {
    // Without this copy, the former file is unknown.
    let Ok((_, before)) = network_file::load(&CommitConfirmed::of(file).confirmed()) else { return Ok(()) };
    for (name, old) in &before.sites {
        let mut sites = network.sites.values();
        let Some(new) = sites.find(|site| site.public_key == old.public_key) else { continue };
        if (before.subnet.address(), old.id) != (network.subnet.address(), new.id) {
            return Err(Error::wrong(format_args!(
                "{}: `subnet` or `id` gives site {name} another address in the tunnels, so the linked sites \
                 could not get this file: carry it to each site, and run `portals reload` there",
                file.display()
            )));
        }
    }
    Ok(())
}

/// Signs the file, unless it has a signature and no linked site another file of the same serial.
fn signed(file: &Path, known: &[SiteFile], newest: u64) -> Result<Box<Network>, Errors> {
    let (text, network) = network_file::load(file)?;
    let is_behind = |file: &SiteFile| match file.relation {
        Relation::Edited => true,
        Relation::Same => file.serial <= Some(network.serial),
        _ => file.serial < Some(network.serial),
    };
    if is_signed(&text, &network) && known.iter().all(is_behind) {
        return Ok(network);
    }
    let key = admin_key::load(&folder_of(file))?;
    if key.as_ref().is_some_and(|key| network.admins.contains(&admin_public(key))) {
        let mut change = |text: &str, _: &Network| Ok(text.to_owned());
        return Ok(locked_file::change_with(file, newest, key.as_ref(), &mut change)?.0);
    }
    Err(Error::wrong(format_args!(
        "{}: the admin key is not here, so nobody has signed the changes of this file: run `portals sign` \
         where the key is, with a copy of this file, and bring it back",
        file.display()
    ))
    .into())
}

fn is_signed(text: &str, network: &Network) -> bool {
    matches!(standing(text, &network.admins), FileStanding::Signed(_))
}

pub(super) fn agent_status() -> Result<AgentStatus, Errors> {
    Ok(AgentStatus::from_fields(&ask(&ControlRequest::Status)?)?)
}

/// Returns the files of the linked sites, as the agent knows them.
fn files() -> Result<Vec<SiteFile>, Errors> {
    Ok(agent_status()?.files)
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
