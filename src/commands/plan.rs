//! `portals plan`: shows what `portals apply` would change.

use std::fmt::Write as _;
use std::path::Path;

use super::{ExitStatus, show_notes, show_nothing_to_do, ssh};
use crate::base::error::Errors;
use crate::base::sorted::SortedSet;
use crate::base::text::append;
use crate::cli::PlanCommand;
use crate::cli::amounts;
use crate::cli::output;
use crate::commands::as_commands::Script;
use crate::engine::apply::prepare;
use crate::engine::here::Here;
use crate::plan::{lockout_warnings, plan};
use crate::services;
use crate::site::{Portal, Site};
use crate::state::step::Step;
use crate::state::words;

/// Prints the steps, or a shell script that does the same.
pub(super) fn run(file: &Path, options: &PlanCommand) -> Result<ExitStatus, Errors> {
    let mut here = Here::open(file)?;
    if here.journal.has_agent()? {
        // The exits that the agent has chosen are the desired state, and no difference.
        here.choose_observed()?;
    }
    ssh::warn(&mut here);
    let Here { files, journal, kernel, links, site } = &mut *here;
    let prepared = prepare(kernel, journal, &plan(site), Some(links))?;
    show_notes(&site.notes);
    show_notes(&lockout_warnings(site, &prepared.steps));
    show_notes(&services::missing(&services::plan(site, journal.folder())));
    if !options.commands && !options.check {
        output::print(format_args!("{}", head(site)));
    }
    if options.commands {
        output::print(format_args!("{}", Script::new(files, site).write(&prepared.steps)));
    } else if prepared.steps.is_empty() {
        show_nothing_to_do(file);
    } else {
        output::print(format_args!("{}", changes(site, &prepared.steps)));
    }
    Ok(if options.check && !prepared.steps.is_empty() { ExitStatus::Differs } else { ExitStatus::Done })
}

/// Returns a line for each step. Where the firewall changes, a line follows for each network that others see
/// under another one: the words of the steps do not tell it.
pub fn changes(site: &Site, steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let _ = writeln!(text, "{}", words::step(step));
    }
    if steps.iter().any(|step| matches!(step, Step::Firewall(_))) {
        for (here, seen_as) in site.translations() {
            let _ = writeln!(text, "linked sites and phones see {here} as {seen_as}");
        }
    }
    text
}

/// Returns a line for each portal and each phone, one for the sites that use this one as an exit, and one for
/// the ports that a router in front of this machine must forward. An empty line follows, unless there are no
/// lines.
pub fn head(site: &Site) -> String {
    let mut text = String::new();
    for portal in &site.portals {
        add_portal(&mut text, portal);
    }
    let mut users: SortedSet<&str> = SortedSet::new();
    for tunnel in site.tunnels.values() {
        for (name, phone) in &tunnel.phones {
            let _ = writeln!(text, "{name}: phone → {}", phone.exit);
        }
        for (name, peer) in &tunnel.peers {
            if peer.exits_here {
                users.insert(name);
            }
        }
    }
    if !users.is_empty() {
        let mut list = String::new();
        for user in &users {
            append(&mut list, user);
        }
        let _ = writeln!(text, "exit for {list}");
    }
    let ports = site.forwarded_ports();
    if !ports.is_empty() {
        let ports = amounts::ports(ports);
        let _ = writeln!(text, "forward UDP {ports} to this box, in the router in front of it");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Adds the line of a portal: `guest: eth1 → paris, else direct, DHCP 10.77.1.66–126`.
fn add_portal(text: &mut String, portal: &Portal) {
    let entrance = portal.entrance_words();
    let entrance = entrance.strip_prefix("interface ").unwrap_or(&entrance);
    let _ = write!(text, "{}: {entrance}", portal.name);
    let mut before = " → ";
    for exit in &portal.exits {
        let _ = write!(text, "{before}{exit}");
        before = ", else ";
    }
    if let Some((first, last)) = portal.leased() {
        let (first, last) = (first.to_string(), last.to_string());
        let (beginning, end) = last.rsplit_once('.').unwrap_or_default();
        let is_near = first.rsplit_once('.').is_some_and(|(other, _)| other == beginning);
        let _ = write!(text, ", DHCP {first}–{}", if is_near { end } else { &last });
    }
    text.push('\n');
}
