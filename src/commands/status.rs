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
        let mut missing = services::missing(&services::plan(site, journal.folder()));
        if let Some(complaint) = LastKnown::next_to(file).judge(now).complaint(now) {
            missing.insert(0, complaint);
        }
        missing
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
    if !portal.exits.is_empty() {
        json.texts("exits", &portal.exits);
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
    heading(&mut text, "links", report.links.len(), style);
    for link in &report.links {
        links::line(&mut text, link, style, width);
        paths::line_end(&mut text, report, link);
        links::way_out(&mut text, link, style);
    }
    heading(&mut text, "portals", report.portals.len(), style);
    for portal in &report.portals {
        portal_line(&mut text, portal, report.known(&portal.name), style);
    }
    heading(&mut text, "phones", report.phones.len(), style);
    for phone in &report.phones {
        links::phone_line(&mut text, phone, style);
    }
    heading(&mut text, "relays", report.relays.len(), style);
    for relay in &report.relays {
        relay_line(&mut text, relay);
    }
    heading(&mut text, "networks", report.lans.len(), style);
    for lan in &report.lans {
        lan_line(&mut text, lan);
    }
    if let Some(helper) = report.agent_status.as_ref().and_then(|agent_status| agent_status.helper.as_ref()) {
        heading(&mut text, "helper", helper.relayed.len(), style);
        for ends in &helper.relayed {
            paths::relayed_line(&mut text, ends);
        }
    }
    text
}

/// Appends the lines about the whole site: its agent and backends, an unconfirmed change, the network
/// file, and faults.
fn head_lines(text: &mut String, report: &Report, style: Style, terms: &Terms) {
    let agent = if report.agent { style.good("agent running") } else { style.bad("no agent") };
    let _ = write!(
        text,
        "{} · site {} · {agent} · {} WireGuard · {}",
        style.strong(&report.network),
        style.strong(&report.site),
        report.wireguard.as_str(),
        report.firewall.as_str()
    );
    if terms.is_verbose {
        let _ = write!(text, " ({})", report.firewall_reason);
    }
    text.push('\n');
    if !report.agent {
        let hint = format!("no agent runs: start it with `{}`", terms.start);
        fault_line(text, "", &hint, style);
    }
    if let Some(left) = report.agent_status.as_ref().and_then(|agent_status| agent_status.unconfirmed) {
        let warning = format!("not confirmed: undone in {left} s unless you run `portals confirm`");
        fault_line(text, "", &warning, style);
    }
    if let Some(file) = &report.file {
        file::lines(text, file, report.agent_status.as_ref(), style);
    }
    if !report.ports.is_empty() {
        let _ = writeln!(text, "UDP {} must reach this machine", ports(&report.ports));
    }
    for missing in &report.missing {
        fault_line(text, "", missing, style);
    }
}

/// Appends a heading over this number of items; nothing if there are none.
fn heading(text: &mut String, heading: &str, items: usize, style: Style) {
    if items > 0 {
        let _ = writeln!(text, "\n{}", style.strong(heading));
    }
}

/// Appends a line about a fault.
fn fault_line(text: &mut String, indent: &str, words: &str, style: Style) {
    let _ = writeln!(text, "{indent}{}", style.bad(words));
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
    let _ = write!(text, "  {:<12} {state}  {} → {}", portal.name, portal.entrance, portal.exit);
    if let Some(address) = portal.exit_address {
        let _ = write!(text, " ({address})");
    }
    text.push_str("  ");
    let mut before = "";
    for address in portal.address.iter().chain(&portal.address6) {
        let _ = write!(text, "{before}{address}");
        before = ", ";
    }
    if let Some(known) = known {
        let _ = write!(text, "  {}, {} ago", known.words, duration(known.since));
    }
    text.push('\n');
    if let Some(obstacle) = &portal.obstacle {
        fault_line(text, "    ", &obstacle.to_string(), style);
    }
    wifi::lines(text, portal.stations.as_deref().unwrap_or_default());
    super::leases::lines(text, portal.leases.as_deref().unwrap_or_default());
}

#[cfg(test)]
mod tests;
