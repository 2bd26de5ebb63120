//! `portals status`: links, portals and exits.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use super::{Status, prometheus, wifi};
use crate::base::error::{Errors, Result};
use crate::base::json::Json;
use crate::base::sorted::SortedMap;
use crate::cli;
use crate::cli::output;
use crate::cli::style::Style;
use crate::control::{Knowledge, Known, Question, ask_within};
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::status::{
    LinkReport, PhoneReport, PortalReport, PortalState, Report, choose_standing, report,
};
use crate::kernel::linux::Linux;
use crate::services::{self, leases};
use crate::system::clock::LastKnown;

/// How long the agent may take to tell what it knows.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows it once, or every second.
pub(super) fn run(file: &Path, options: &cli::Status) -> Result<Status, Errors> {
    let files = Files::read(file)?;
    let journal = Journal::open()?;
    let mut kernel = Linux::open()?;
    let style = Style::for_stdout();
    loop {
        // Endpoints come from the live tunnels, so no name needs to be resolved.
        let mut site = files.site(&mut kernel, &SortedMap::new())?;
        choose_standing(&mut site, &mut kernel)?;
        let (agent, now) = (journal.has_agent()?, SystemTime::now());
        let mut report = report(&site, agent, &mut kernel, now)?;
        for (portal, shown) in site.portals.iter().zip(&mut report.portals) {
            shown.leases = leases::leases(journal.folder(), portal, now)?;
        }
        report.knowledge = if agent { knowledge() } else { None };
        report.missing = if let Some(knowledge) = &report.knowledge {
            knowledge.failures.clone()
        } else {
            let clock = LastKnown::beside(file).judge(now).complaint(now);
            clock.into_iter().chain(services::missing(&services::plan(&site, journal.folder()))).collect()
        };
        report.missing.extend(site.wifi_notes);
        let text = match options {
            cli::Status { json: true, .. } => json(&report) + "\n",
            cli::Status { prometheus: true, .. } => prometheus::text(&report, now),
            _ => for_people(&report, style),
        };
        if options.watch && !options.json && std::io::stdout().is_terminal() {
            // Home, and clear what the last round left below.
            output::print(format_args!("\x1b[H\x1b[J"));
        }
        output::print(format_args!("{text}"));
        // Nobody watches any more.
        if !output::flush() || !options.watch {
            return Ok(Status::Done);
        }
        sleep(Duration::from_secs(1));
    }
}

/// What the agent tells; one that is of another version, or at something else for long, tells nothing.
fn knowledge() -> Option<Knowledge> {
    Knowledge::from_fields(&ask_within(&Question::Status, PATIENCE).ok()?).ok()
}

fn json(report: &Report) -> String {
    let links = report.links.iter().map(|link| {
        let mut members = vec![
            ("peer", Json::text(&link.peer)),
            ("interface", Json::text(link.interface.as_str())),
            ("exit", Json::Bool(link.exit)),
        ];
        members.extend(session(link));
        Json::Object(members)
    });
    let phones = report.phones.iter().map(|phone| {
        let mut members = vec![("name", Json::text(&phone.link.peer)), ("exit", Json::text(&phone.exit))];
        members.extend(session(&phone.link));
        Json::Object(members)
    });
    let portals = report.portals.iter().map(|portal| {
        let mut members = vec![
            ("name", Json::text(&portal.name)),
            ("entrance", Json::text(&portal.entrance)),
            ("address", portal.address.map_or(Json::Null, |address| Json::text(&address.to_string()))),
            ("exit", Json::text(&portal.exit)),
            ("state", Json::text(portal.state.as_str())),
        ];
        members.extend(portal.obstacle.as_ref().map(|reason| ("reason", Json::text(&reason.to_string()))));
        members.extend(portal.stations.as_ref().map(|stations| ("stations", wifi::json(stations))));
        members.extend(portal.leases.as_ref().map(|leases| ("leases", super::leases::json(leases))));
        if let Some(known) = report.known(&portal.name) {
            members.extend([("since_s", Json::Number(known.since)), ("why", Json::text(&known.words))]);
        }
        Json::Object(members)
    });
    let mut members = vec![
        ("network", Json::text(&report.network)),
        ("site", Json::text(&report.site)),
        ("agent", Json::Bool(report.agent)),
        ("wireguard", Json::text(report.wireguard.as_str())),
        ("firewall", Json::text(report.firewall.as_str())),
        ("links", Json::List(links.collect())),
        ("portals", Json::List(portals.collect())),
        ("phones", Json::List(phones.collect())),
    ];
    if !report.missing.is_empty() {
        members.push((
            "missing",
            Json::List(report.missing.iter().map(|missing| Json::text(missing)).collect()),
        ));
    }
    if let Some(knowledge) = &report.knowledge {
        members.extend(told(knowledge));
    }
    Json::Object(members).to_string()
}

fn session(link: &LinkReport) -> [(&'static str, Json); 5] {
    [
        ("endpoint", link.endpoint.map_or(Json::Null, |endpoint| Json::text(&endpoint.to_string()))),
        ("handshake_age_s", link.handshake_age.map_or(Json::Null, Json::Number)),
        ("rx_bytes", Json::Number(link.received)),
        ("tx_bytes", Json::Number(link.sent)),
        ("up", Json::Bool(link.up)),
    ]
}

/// What only the agent can tell: not there without one.
fn told(knowledge: &Knowledge) -> [(&'static str, Json); 2] {
    let exit = |Known { name, since, words }: &Known| {
        Json::Object(vec![
            ("name", Json::text(name)),
            ("state", Json::text(words)),
            ("since_s", Json::Number(*since)),
        ])
    };
    let exits = Json::List(knowledge.exits.iter().map(exit).collect());
    [("exits", exits), ("unconfirmed_s", knowledge.unconfirmed.map_or(Json::Null, Json::Number))]
}

fn for_people(report: &Report, style: Style) -> String {
    let mut text = String::new();
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
    if let Some(left) = report.knowledge.as_ref().and_then(|knowledge| knowledge.unconfirmed) {
        let warning = format!("not confirmed: undone in {left} s unless you run `portals confirm`");
        let _ = writeln!(text, "{}", style.bad(&warning));
    }
    for missing in &report.missing {
        let _ = writeln!(text, "{}", style.bad(missing));
    }
    if !report.links.is_empty() {
        let _ = writeln!(text, "\n{}", style.strong("links"));
    }
    for link in &report.links {
        link_line(&mut text, link, style);
    }
    if !report.portals.is_empty() {
        let _ = writeln!(text, "\n{}", style.strong("portals"));
    }
    for portal in &report.portals {
        portal_line(&mut text, portal, report.known(&portal.name), style);
    }
    if !report.phones.is_empty() {
        let _ = writeln!(text, "\n{}", style.strong("phones"));
    }
    for phone in &report.phones {
        phone_line(&mut text, phone, style);
    }
    text
}

fn link_line(text: &mut String, link: &LinkReport, style: Style) {
    let state = if link.up { style.good("up  ") } else { style.bad("down") };
    let (endpoint, handshake) = (endpoint(link), handshake(link));
    let role = if link.exit { "exit" } else { "link" };
    let _ = writeln!(
        text,
        "  {:<12} {state}  {role}  {:<15}  {endpoint:<24} {handshake:<22} in {}, out {}",
        link.peer,
        link.interface.as_str(),
        bytes(link.received),
        bytes(link.sent)
    );
}

/// A phone that is silent is none that fails: it may be off, or asleep.
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

fn endpoint(link: &LinkReport) -> String {
    link.endpoint.map_or_else(|| "waits to be dialled".to_owned(), |endpoint| endpoint.to_string())
}

fn handshake(link: &LinkReport) -> String {
    match link.handshake_age {
        Some(age) => format!("handshake {} ago", duration(age)),
        None => "no handshake yet".to_owned(),
    }
}

fn portal_line(text: &mut String, portal: &PortalReport, known: Option<&Known>, style: Style) {
    let state = match portal.state {
        PortalState::Open => style.good("open       "),
        PortalState::FailedOver => style.good("failed over"),
        PortalState::Direct => style.good("direct     "),
        PortalState::Blocked => style.bad("blocked    "),
    };
    let address = portal.address.map_or_else(String::new, |address| address.to_string());
    let why =
        known.map_or_else(String::new, |known| format!("  {}, {} ago", known.words, duration(known.since)));
    let _ = writeln!(
        text,
        "  {:<12} {state}  {} → {}  {address}{why}",
        portal.name, portal.entrance, portal.exit
    );
    if let Some(obstacle) = &portal.obstacle {
        let _ = writeln!(text, "    {}", style.bad(&obstacle.to_string()));
    }
    wifi::lines(text, portal.stations.as_deref().unwrap_or_default());
    super::leases::lines(text, portal.leases.as_deref().unwrap_or_default());
}

/// `42 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `512 B`, `1.5 kB`, `2.0 MB`: powers of 1000, as links are measured.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut tenths = number / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(1_550_000), "1.5 MB");
        assert_eq!(bytes(20_000_000_000_000_000), "20000.0 TB");
        assert_eq!(duration(119), "119 s");
        assert_eq!(duration(120), "2 min");
        assert_eq!(duration(172_800), "2 d");
    }

    #[test]
    fn json_is_as_specified() {
        let expected = concat!(
            r#"{"network":"home","site":"nyc","agent":true,"wireguard":"kernel","firewall":"nftables","#,
            r#""links":[{"peer":"paris","interface":"to-paris","exit":true,"endpoint":"203.0.113.9:51821","#,
            r#""handshake_age_s":12,"rx_bytes":1,"tx_bytes":2,"up":true}],"#,
            r#""portals":[{"name":"guest","entrance":"interface eth1","address":"10.77.1.65/26","exit":"paris","state":"open"}],"#,
            r#""phones":[{"name":"mike","exit":"paris","endpoint":null,"handshake_age_s":null,"rx_bytes":0,"tx_bytes":0,"up":false}]}"#
        );
        assert_eq!(json(&Report::example()), expected);
    }

    #[test]
    fn what_the_agent_knows_comes_behind_the_rest() {
        let known =
            |name: &str, words: &str| Known { name: name.to_owned(), since: 90, words: words.to_owned() };
        let knowledge = Knowledge {
            unconfirmed: Some(17),
            portals: vec![known("guest", "chosen by hand")],
            exits: vec![known("paris", "up")],
            ..Knowledge::default()
        };
        let report = Report { knowledge: Some(knowledge), ..Report::example() };
        let json = json(&report);
        assert!(json.contains(r#""state":"open","since_s":90,"why":"chosen by hand"}],"#), "{json}");
        let end = r#""exits":[{"name":"paris","state":"up","since_s":90}],"unconfirmed_s":17}"#;
        assert!(json.ends_with(end), "{json}");
        let text = for_people(&report, Style::PLAIN);
        assert!(text.contains("\nnot confirmed: undone in 17 s unless"), "{text}");
        assert!(text.contains("10.77.1.65/26  chosen by hand, 90 s ago\n"), "{text}");
        assert!(text.contains("\nphones\n  mike         away  → paris "), "{text}");
    }
}
