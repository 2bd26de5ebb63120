//! `portals status`: shows links, portals and exits.

mod file;
mod paths;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use super::{ExitStatus, prometheus, wifi};
use crate::base::error::{Errors, Result};
use crate::base::json::Json;
use crate::base::sorted::SortedMap;
use crate::cli;
use crate::cli::amounts::{bytes, duration};
use crate::cli::output;
use crate::cli::style::Style;
use crate::control::{AgentStatus, ControlRequest, LinkPathStatus, TimedState, ask_within};
use crate::engine::file_report::FileReport;
use crate::engine::host::Host;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::observed::choose_observed;
use crate::engine::status::{LanReport, LinkReport, PhoneReport, PortalReport, PortalState, Report, report};
use crate::kernel::linux::Linux;
use crate::services::{self, leases};
use crate::site::Relay;
use crate::system::clock::LastKnown;

/// Time limit for the agent's answer.
const AGENT_TIMEOUT: Duration = Duration::from_secs(2);

/// Shows the status once, or every second.
pub(super) fn run(file: &Path, options: &cli::StatusCommand) -> Result<ExitStatus, Errors> {
    let files = Files::read(file)?;
    let journal = Journal::open()?;
    let mut kernel = Linux::open()?;
    let style = Style::for_stdout();
    loop {
        let now = SystemTime::now();
        let report = full_report(file, &files, &journal, &mut kernel, now)?;
        let text = match options {
            cli::StatusCommand { json: true, .. } => json(&report) + "\n",
            cli::StatusCommand { prometheus: true, .. } => prometheus::text(&report, now),
            _ => for_people(&report, style),
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
    }
}

/// Returns the report about this site, with the leases, the agent's status, and the faults.
fn full_report(
    file: &Path,
    files: &Files,
    journal: &Journal,
    kernel: &mut dyn Host,
    now: SystemTime,
) -> Result<Report, Errors> {
    // Endpoints come from the live tunnels, so no name has to be resolved.
    let links = kernel.links()?;
    let mut site = files.site(kernel, journal, &links, &SortedMap::new())?;
    choose_observed(&mut site, kernel)?;
    let agent = journal.has_agent()?;
    let mut report = report(&site, agent, kernel, now)?;
    report.file = FileReport::of(&files.text, &files.network);
    for (portal, shown) in site.portals.iter().zip(&mut report.portals) {
        shown.leases = leases::leases(journal.folder(), portal, now)?;
    }
    report.agent_status = if agent { ask_agent() } else { None };
    report.missing = if let Some(agent_status) = &report.agent_status {
        agent_status.failures.clone()
    } else {
        let clock = LastKnown::next_to(file).judge(now).complaint(now);
        clock.into_iter().chain(services::missing(&services::plan(&site, journal.folder()))).collect()
    };
    report.missing.extend(site.wifi.notes);
    Ok(report)
}

/// Returns the state that only the agent has; `None` if the agent has another version or is busy for
/// long.
fn ask_agent() -> Option<AgentStatus> {
    AgentStatus::from_fields(&ask_within(&ControlRequest::Status, AGENT_TIMEOUT).ok()?).ok()
}

fn json(report: &Report) -> String {
    let portals = report.portals.iter().map(|portal| portal_json(portal, report.known(&portal.name)));
    let mut members = vec![
        ("network", Json::text(&report.network)),
        ("site", Json::text(&report.site)),
        ("agent", Json::Bool(report.agent)),
        ("wireguard", Json::text(report.wireguard.as_str())),
        ("firewall", Json::text(report.firewall.as_str())),
        (
            "links",
            Json::List(report.links.iter().map(|link| link_json(link, paths::known(report, link))).collect()),
        ),
        ("portals", Json::List(portals.collect())),
        ("phones", Json::List(report.phones.iter().map(phone_json).collect())),
    ];
    let agent_status = report.agent_status.as_ref();
    members.extend(report.file.as_ref().map(|file| ("file", file::json(file, agent_status))));
    if !report.relays.is_empty() {
        members.push(("relays", Json::List(report.relays.iter().map(relay_json).collect())));
    }
    if !report.lans.is_empty() {
        members.push(("networks", Json::List(report.lans.iter().map(lan_json).collect())));
    }
    if !report.missing.is_empty() {
        members.push((
            "missing",
            Json::List(report.missing.iter().map(|missing| Json::text(missing)).collect()),
        ));
    }
    if let Some(agent_status) = agent_status {
        members.extend(agent_members(agent_status));
        members.extend(agent_status.helper.as_ref().map(|helper| ("helper", paths::helper_json(helper))));
    }
    Json::Object(members).to_string()
}

fn link_json(link: &LinkReport, path: Option<&LinkPathStatus>) -> Json {
    let mut members = vec![
        ("peer", Json::text(&link.peer)),
        ("interface", Json::text(link.interface.as_str())),
        ("exit", Json::Bool(link.exit)),
    ];
    members.extend(session_members(link));
    if let Some(path) = path {
        members.extend(paths::members(path, link.up));
    }
    Json::Object(members)
}

fn phone_json(phone: &PhoneReport) -> Json {
    let mut members = vec![("name", Json::text(&phone.link.peer)), ("exit", Json::text(&phone.exit))];
    members.extend(session_members(&phone.link));
    Json::Object(members)
}

fn relay_json(relay: &Relay) -> Json {
    Json::Object(vec![
        ("source", Json::text(&relay.source.to_string())),
        ("from", Json::text(&relay.from)),
        ("to", Json::text(&relay.to)),
    ])
}

fn lan_json(lan: &LanReport) -> Json {
    let mut members =
        vec![("site", Json::text(&lan.site)), ("network", Json::text(&lan.network.to_string()))];
    members.extend(lan.seen_as.map(|seen_as| ("seen_as", Json::text(&seen_as.to_string()))));
    Json::Object(members)
}

fn portal_json(portal: &PortalReport, known: Option<&TimedState>) -> Json {
    let mut members = vec![
        ("name", Json::text(&portal.name)),
        ("entrance", Json::text(&portal.entrance)),
        ("address", portal.address.map_or(Json::Null, |address| Json::text(&address.to_string()))),
    ];
    members.extend(portal.address6.map(|address| ("address6", Json::text(&address.to_string()))));
    members.extend([("exit", Json::text(&portal.exit)), ("state", Json::text(portal.state.as_str()))]);
    if !portal.hops.is_empty() {
        members.push(("hops", Json::List(portal.hops.iter().map(|hop| Json::text(hop)).collect())));
    }
    members.extend(portal.obstacle.as_ref().map(|reason| ("reason", Json::text(&reason.to_string()))));
    members.extend(portal.stations.as_ref().map(|stations| ("stations", wifi::json(stations))));
    members.extend(portal.leases.as_ref().map(|leases| ("leases", super::leases::json(leases))));
    if let Some(known) = known {
        members.extend([("since_s", Json::Number(known.since)), ("why", Json::text(&known.words))]);
    }
    Json::Object(members)
}

fn session_members(link: &LinkReport) -> [(&'static str, Json); 5] {
    [
        ("endpoint", link.endpoint.map_or(Json::Null, |endpoint| Json::text(&endpoint.to_string()))),
        ("handshake_age_s", link.handshake_age.map_or(Json::Null, Json::Number)),
        ("rx_bytes", Json::Number(link.received)),
        ("tx_bytes", Json::Number(link.sent)),
        ("up", Json::Bool(link.up)),
    ]
}

/// Returns the members that only the agent can fill; they are absent where no agent runs.
fn agent_members(agent_status: &AgentStatus) -> [(&'static str, Json); 2] {
    let exit = |TimedState { name, since, words }: &TimedState| {
        Json::Object(vec![
            ("name", Json::text(name)),
            ("state", Json::text(words)),
            ("since_s", Json::Number(*since)),
        ])
    };
    let exits = Json::List(agent_status.exits.iter().map(exit).collect());
    [("exits", exits), ("unconfirmed_s", agent_status.unconfirmed.map_or(Json::Null, Json::Number))]
}

fn for_people(report: &Report, style: Style) -> String {
    let mut text = String::new();
    head_lines(&mut text, report, style);
    section(&mut text, "links", &report.links, style, |text, link| {
        link_line(text, link, style);
        paths::line_end(text, report, link);
    });
    section(&mut text, "portals", &report.portals, style, |text, portal| {
        portal_line(text, portal, report.known(&portal.name), style);
    });
    section(&mut text, "phones", &report.phones, style, |text, phone| phone_line(text, phone, style));
    section(&mut text, "relays", &report.relays, style, relay_line);
    section(&mut text, "networks", &report.lans, style, lan_line);
    let helper = report.agent_status.as_ref().and_then(|agent_status| agent_status.helper.as_ref());
    let relayed = helper.map_or(&[][..], |helper| &helper.relayed);
    section(&mut text, "helper", relayed, style, paths::relayed_line);
    text
}

/// Appends the lines about the whole site: its agent and backends, an unconfirmed change, the network
/// file, and faults.
fn head_lines(text: &mut String, report: &Report, style: Style) {
    let agent = if report.agent { style.good("agent running") } else { style.bad("no agent") };
    let _ = writeln!(
        text,
        "{} · site {} · {agent} · {} WireGuard · {} ({})",
        style.strong(&report.network),
        style.strong(&report.site),
        report.wireguard.as_str(),
        report.firewall.as_str(),
        report.firewall_reason
    );
    if let Some(left) = report.agent_status.as_ref().and_then(|agent_status| agent_status.unconfirmed) {
        let warning = format!("not confirmed: undone in {left} s unless you run `portals confirm`");
        let _ = writeln!(text, "{}", style.bad(&warning));
    }
    if let Some(file) = &report.file {
        file::lines(text, file, report.agent_status.as_ref(), style);
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

/// Appends the line of a link, without its path and its end.
fn link_line(text: &mut String, link: &LinkReport, style: Style) {
    let state = if link.up { style.good("up  ") } else { style.bad("down") };
    let (endpoint, handshake) = (endpoint(link), handshake(link));
    let role = if link.exit { "exit" } else { "link" };
    let _ = write!(
        text,
        "  {:<12} {state}  {role}  {:<15}  {endpoint:<24} {handshake:<22} in {}, out {}",
        link.peer,
        link.interface.as_str(),
        bytes(link.received),
        bytes(link.sent)
    );
}

/// Appends the line of a phone. A silent phone is no fault: it may be switched off, or asleep.
fn phone_line(text: &mut String, PhoneReport { link, exit }: &PhoneReport, style: Style) {
    let state = if link.up { style.good("up  ") } else { style.faint("away") };
    let _ = writeln!(
        text,
        "  {:<12} {state}  → {exit:<12}  {:<24} {:<22} in {}, out {}",
        link.peer,
        endpoint(link),
        handshake(link),
        bytes(link.received),
        bytes(link.sent)
    );
}

/// Appends the line of traffic that goes on from here.
fn relay_line(text: &mut String, Relay { source, from, to, .. }: &Relay) {
    let source = source.to_string();
    let _ = writeln!(text, "  {source:<18}  {from} → {to}");
}

fn endpoint(link: &LinkReport) -> String {
    link.endpoint.map_or_else(|| "waiting to be dialled".to_owned(), |endpoint| endpoint.to_string())
}

fn handshake(link: &LinkReport) -> String {
    match link.handshake_age {
        Some(age) => format!("handshake {} ago", duration(age)),
        None => "no handshake yet".to_owned(),
    }
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
    let _ = writeln!(
        text,
        "  {:<12} {state}  {} → {}  {addresses}{why}",
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
