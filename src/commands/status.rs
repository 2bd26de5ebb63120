//! `portals status`: shows links, portals and exits.

mod file;
mod links;
pub(super) mod paths;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use super::{ExitStatus, prometheus, start_command, wifi};
use crate::base::error::{Errors, Result};
use crate::base::json::JsonText;
use crate::cli;
use crate::cli::amounts::{duration, ports};
use crate::cli::output;
use crate::cli::style::Style;
use crate::control::{AgentStatus, LinkPathStatus, TimedState, ask_status};
use crate::engine::file_report::FileReport;
use crate::engine::here::Here;
use crate::engine::load::Files;
use crate::engine::status::{self, LanReport, LinkReport, PortalReport, PortalState, Report};
use crate::services::{self, leases};
use crate::site::Relay;
use crate::system::clock::LastKnown;

/// Shows the status once, or every second.
pub(super) fn run(file: &Path, options: &cli::StatusCommand, is_verbose: bool) -> Result<ExitStatus, Errors> {
    let mut here = Here::observed(Files::read(file)?)?;
    let style = Style::for_stdout();
    loop {
        let now = SystemTime::now();
        let report = report(&mut here, file, now)?;
        let text = match options {
            cli::StatusCommand { json: true, .. } => json(&report) + "\n",
            cli::StatusCommand { prometheus: true, .. } => prometheus::text(&report, now),
            _ => for_people(&report, style, &Terms { is_verbose, start: start_command(file) }),
        };
        if options.watch && !options.json && std::io::stdout().is_terminal() {
            // Cursor to the top left, and erase the output of the last round.
            output::print(format_args!("\x1b[H\x1b[J"));
        }
        output::print(format_args!("{text}"));
        // The reader of the output has gone, or the user asked for a single look.
        if !output::flush() || !options.watch {
            return Ok(ExitStatus::Done);
        }
        sleep(Duration::from_secs(1));
        here.look_again()?;
    }
}

/// Returns the report about the site, with the leases, the agent's status, and the faults.
pub(super) fn report(here: &mut Here, file: &Path, now: SystemTime) -> Result<Report, Errors> {
    let Here { files, journal, kernel, site, .. } = here;
    let agent = journal.has_agent()?;
    let mut report = status::report(site, agent, kernel, now)?;
    report.file = FileReport::of(&files.text, &files.network);
    for (portal, shown) in site.portals.iter().zip(&mut report.portals) {
        shown.leases = leases::leases(journal.folder(), portal, now)?;
    }
    if let Some(agent_status) = agent.then(ask_status).flatten() {
        report.take_agent_status(agent_status);
    }
    report.find_exit_addresses();
    report.missing = if let Some(agent_status) = &report.agent_status {
        agent_status.failures.clone()
    } else {
        let clock = LastKnown::next_to(file).judge(now).complaint(now);
        clock.into_iter().chain(services::missing(&services::plan(site, journal.folder()))).collect()
    };
    report.missing.extend(files.former_site());
    report.missing.extend_from_slice(&site.wifi.notes);
    Ok(report)
}

/// Returns the report as JSON.
fn json(report: &Report) -> String {
    let mut json = JsonText::default();
    json.begin("", '{');
    json.text("network", &report.network);
    json.text("site", &report.site);
    json.put("agent", &report.agent);
    json.text("wireguard", &report.wireguard.as_str());
    json.text("firewall", &report.firewall.as_str());
    json.begin("links", '[');
    for link in &report.links {
        link_json(&mut json, link, paths::known(report, link));
    }
    json.end(']');
    json.begin("portals", '[');
    for portal in &report.portals {
        portal_json(&mut json, portal, report.known(&portal.name));
    }
    json.end(']');
    json.begin("phones", '[');
    for phone in &report.phones {
        json.begin("", '{');
        json.text("name", &phone.link.peer);
        json.text("exit", &phone.exit);
        links::session_members(&mut json, &phone.link);
        json.end('}');
    }
    json.end(']');
    rare_members(&mut json, report);
    json.end('}');
    json.finish()
}

/// Adds the members that few sites have.
fn rare_members(json: &mut JsonText, report: &Report) {
    let agent_status = report.agent_status.as_ref();
    if let Some(file) = &report.file {
        file::json(json, file, agent_status);
    }
    if !report.relays.is_empty() {
        json.begin("relays", '[');
        for relay in &report.relays {
            json.begin("", '{');
            json.text("source", &relay.source);
            json.text("from", &relay.from);
            json.text("to", &relay.to);
            json.end('}');
        }
        json.end(']');
    }
    if !report.lans.is_empty() {
        json.begin("networks", '[');
        for lan in &report.lans {
            json.begin("", '{');
            json.text("site", &lan.site);
            json.text("network", &lan.network);
            if let Some(seen_as) = lan.seen_as {
                json.text("seen_as", &seen_as);
            }
            json.end('}');
        }
        json.end(']');
    }
    if !report.ports.is_empty() {
        json.begin("udp_ports", '[');
        for port in &report.ports {
            json.put("", port);
        }
        json.end(']');
    }
    if !report.missing.is_empty() {
        json.texts("missing", &report.missing);
    }
    if let Some(agent_status) = agent_status {
        agent_members(json, agent_status);
    }
}

fn link_json(json: &mut JsonText, link: &LinkReport, path: Option<&LinkPathStatus>) {
    json.begin("", '{');
    json.text("peer", &link.peer);
    json.text("interface", &link.interface);
    json.put("exit", &link.exit);
    links::session_members(json, link);
    if let Some(path) = path {
        paths::members(json, path, link.up);
    }
    json.end('}');
}

fn portal_json(json: &mut JsonText, portal: &PortalReport, known: Option<&TimedState>) {
    json.begin("", '{');
    json.text("name", &portal.name);
    json.text("entrance", &portal.entrance);
    json.text_or_null("address", portal.address.as_ref().map(|address| address as _));
    if let Some(address) = portal.address6 {
        json.text("address6", &address);
    }
    json.text("exit", &portal.exit);
    json.text("state", &portal.state.as_str());
    if !portal.hops.is_empty() {
        json.texts("hops", &portal.hops);
    }
    if let Some(obstacle) = &portal.obstacle {
        json.text("reason", obstacle);
    }
    if let Some(stations) = &portal.stations {
        wifi::json(json, stations);
    }
    if let Some(leases) = &portal.leases {
        super::leases::json(json, leases);
    }
    if let Some(known) = known {
        json.put("since_s", &known.since);
        json.text("why", &known.words);
    }
    if let Some(address) = portal.exit_address {
        json.text("exit_address", &address);
    }
    json.end('}');
}

/// Adds the members that only the agent can fill.
fn agent_members(json: &mut JsonText, agent_status: &AgentStatus) {
    json.begin("exits", '[');
    for TimedState { name, since, words } in &agent_status.exits {
        json.begin("", '{');
        json.text("name", name);
        json.text("state", words);
        json.put("since_s", since);
        json.end('}');
    }
    json.end(']');
    json.put_or_null("unconfirmed_s", agent_status.unconfirmed);
    if let Some(helper) = &agent_status.helper {
        paths::helper_json(json, helper);
    }
}

/// Terms of the text for people.
struct Terms {
    /// Set if the text gives the reason for the choice of the firewall.
    is_verbose: bool,
    /// Command that starts the agent.
    start: String,
}

fn for_people(report: &Report, style: Style, terms: &Terms) -> String {
    let mut text = String::new();
    head_lines(&mut text, report, style, terms);
    let width = links::width(&report.links);
    section(&mut text, "links", &report.links, style, |text, link| {
        links::line(text, link, style, width);
        paths::line_end(text, report, link);
        links::way_out(text, link, style);
    });
    section(&mut text, "portals", &report.portals, style, |text, portal| {
        portal_line(text, portal, report.known(&portal.name), style);
    });
    section(&mut text, "phones", &report.phones, style, |text, phone| links::phone_line(text, phone, style));
    section(&mut text, "relays", &report.relays, style, relay_line);
    section(&mut text, "networks", &report.lans, style, lan_line);
    let helper = report.agent_status.as_ref().and_then(|agent_status| agent_status.helper.as_ref());
    let relayed = helper.map_or(&[][..], |helper| &helper.relayed);
    section(&mut text, "helper", relayed, style, paths::relayed_line);
    text
}

/// Appends the lines about the whole site: its agent and backends, an unconfirmed change, the network
/// file, and faults.
fn head_lines(text: &mut String, report: &Report, style: Style, terms: &Terms) {
    let agent = if report.agent { style.good("agent running") } else { style.bad("no agent") };
    let _ = writeln!(
        text,
        "{} · site {} · {agent} · {} WireGuard · {}{}",
        style.strong(&report.network),
        style.strong(&report.site),
        report.wireguard.as_str(),
        report.firewall.as_str(),
        if terms.is_verbose { [" (", report.firewall_reason, ")"].concat() } else { String::new() }
    );
    if !report.agent {
        let hint = ["no agent runs: start it with `", &terms.start, "`"].concat();
        let _ = writeln!(text, "{}", style.bad(&hint));
    }
    if let Some(left) = report.agent_status.as_ref().and_then(|agent_status| agent_status.unconfirmed) {
        let warning = format!("not confirmed: undone in {left} s unless you run `portals confirm`");
        let _ = writeln!(text, "{}", style.bad(&warning));
    }
    if let Some(file) = &report.file {
        file::lines(text, file, report.agent_status.as_ref(), style);
    }
    if !report.ports.is_empty() {
        let _ = writeln!(text, "UDP {} must reach this machine", ports(&report.ports));
    }
    for missing in &report.missing {
        let _ = writeln!(text, "{}", style.bad(missing));
    }
}

/// Appends a heading, and the lines of each item; nothing if there are no items.
fn section<T>(text: &mut String, heading: &str, items: &[T], style: Style, line: impl Fn(&mut String, &T)) {
    if !items.is_empty() {
        let _ = writeln!(text, "\n{}", style.strong(heading));
    }
    for item in items {
        line(text, item);
    }
}

/// Appends the line of traffic that goes on from here.
fn relay_line(text: &mut String, Relay { source, from, to, .. }: &Relay) {
    let source = source.to_string();
    let _ = writeln!(text, "  {source:<18}  {from} → {to}");
}

fn lan_line(text: &mut String, lan: &LanReport) {
    let seen_as = lan.seen_as.map_or_else(String::new, |seen_as| format!(", seen as {seen_as}"));
    let _ = writeln!(text, "  {:<12} {}{seen_as}", lan.site, lan.network);
}

fn portal_line(text: &mut String, portal: &PortalReport, known: Option<&TimedState>, style: Style) {
    let state = match portal.state {
        PortalState::Open => style.good("open       "),
        PortalState::FailedOver => style.good("failed over"),
        PortalState::Direct => style.good("direct     "),
        PortalState::Blocked => style.bad("blocked    "),
    };
    let addresses: Vec<String> =
        portal.address.iter().chain(&portal.address6).map(ToString::to_string).collect();
    let addresses = addresses.join(", ");
    let why =
        known.map_or_else(String::new, |known| format!("  {}, {} ago", known.words, duration(known.since)));
    let seen_as = portal.exit_address.map_or_else(String::new, |address| format!(" ({address})"));
    let _ = writeln!(
        text,
        "  {:<12} {state}  {} → {}{seen_as}  {addresses}{why}",
        portal.name, portal.entrance, portal.exit
    );
    if let Some(obstacle) = &portal.obstacle {
        let _ = writeln!(text, "    {}", style.bad(&obstacle.to_string()));
    }
    wifi::lines(text, portal.stations.as_deref().unwrap_or_default());
    super::leases::lines(text, portal.leases.as_deref().unwrap_or_default());
}

#[cfg(test)]
mod tests;
