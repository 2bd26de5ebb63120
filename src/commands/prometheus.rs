//! `portals status --prometheus`: the status report in Prometheus' text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::control::SiteFile;
use crate::engine::status::{LinkReport, PhoneReport, PortalState, Report};

/// Returns all metrics. `now` is the time at which the report was made.
pub(super) fn text(report: &Report, now: SystemTime) -> String {
    let mut page = MetricsPage::default();
    write_site(&mut page, report);
    write_links(&mut page, report, now);
    write_portals(&mut page, report);
    page.text
}

fn write_site(page: &mut MetricsPage, report: &Report) {
    page.metric("portals_info", "This site, with its WireGuard and its firewall.");
    let labels = [
        ("network", report.network.as_str()),
        ("site", &report.site),
        ("wireguard", report.wireguard.as_str()),
        ("firewall", report.firewall.as_str()),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    page.sample(&labels, 1);
    page.metric("portals_agent_up", "Whether the agent runs.");
    page.sample(&[], report.agent.into());
    if let Some(file) = &report.file {
        page.metric("portals_file_serial", "Serial of the network file.");
        page.sample(&[], file.serial);
    }
    let Some(agent_status) = &report.agent_status else { return };
    // The linked sites with another network file than this site.
    for SiteFile { site, relation, .. } in agent_status.files.iter().filter(|file| file.is_other()) {
        page.metric("portals_site_file_info", "Linked site whose network file differs.");
        page.sample(&[("site", site), ("relation", relation.as_str())], 1);
    }
    page.metric(
        "portals_unconfirmed",
        "Whether a change waits for confirmation, without which it will be undone.",
    );
    page.sample(&[], agent_status.unconfirmed.is_some().into());
    page.metric("portals_exit_up", "Whether an exit answers, for exits in a list of several.");
    for exit in &agent_status.exits {
        page.sample(&[("exit", &exit.name)], (exit.words == "up").into());
    }
    if let Some(helper) = &agent_status.helper {
        page.metric("portals_helper_questions_total", "Questions of other sites answered.");
        page.sample(&[], helper.questions);
        page.metric("portals_relayed_links", "Links between two other sites that this site relays.");
        page.sample(&[], helper.relayed.len() as u64);
    }
}

fn write_links(page: &mut MetricsPage, report: &Report, now: SystemTime) {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let has_agent = report.agent_status.is_some();
    let mut sessions = Vec::new();
    for link in &report.links {
        sessions.push(([("peer", link.peer.as_str()), ("interface", link.interface.as_str())], link));
    }
    write_sessions(page, "link", &sessions, (now, has_agent));
    write_paths(page, report);
    sessions.clear();
    for PhoneReport { link, exit } in &report.phones {
        sessions.push(([("phone", link.peer.as_str()), ("exit", exit)], link));
    }
    if !sessions.is_empty() {
        write_sessions(page, "phone", &sessions, (now, has_agent));
    }
}

/// Writes the paths of the links that are up, as far as the agent knows them.
fn write_paths(page: &mut MetricsPage, report: &Report) {
    let Some(agent_status) = &report.agent_status else { return };
    for link in report.links.iter().filter(|link| link.up) {
        let known = agent_status.link(&link.peer, &link.interface);
        let Some(path) = known.and_then(|known| known.path.as_ref()) else { continue };
        page.metric(
            "portals_link_path_info",
            "Path of a link, and the site that relays, or whose router maps a port.",
        );
        let (interface, kind) = (link.interface.as_str(), path.kind.as_str());
        let labels = [("peer", &*link.peer), ("interface", interface), ("path", kind), ("by", &path.by)];
        page.sample(&labels, 1);
    }
}

/// Metrics of a link or a phone.
static SESSION_METRICS: [(&str, &str); 5] = [
    ("up", "Whether it has a usable session."),
    ("not_answering", "Whether it has a session, and does not answer (where an agent runs)."),
    ("last_handshake_timestamp_seconds", "Time of its last handshake."),
    ("receive_bytes_total", "Bytes received through it."),
    ("transmit_bytes_total", "Bytes sent through it."),
];

/// Writes the metrics of all links, or of all phones.
fn write_sessions(
    page: &mut MetricsPage,
    what: &str,
    sessions: &[([(&str, &str); 2], &LinkReport)],
    (now, has_agent): (u64, bool),
) {
    for (index, (name, help)) in SESSION_METRICS.iter().enumerate() {
        page.metric(&format!("portals_{what}_{name}"), help);
        for (labels, link) in sessions {
            let then = link.handshake_age.map(|age| now.saturating_sub(age));
            let is_silent = has_agent.then(|| link.is_silent().into());
            let values = [Some(link.up.into()), is_silent, then, Some(link.received), Some(link.sent)];
            if let Some(value) = values[index] {
                page.sample(labels, value);
            }
        }
    }
}

fn write_portals(page: &mut MetricsPage, report: &Report) {
    page.metric("portals_portal_state", "1 for the state that a portal is in, 0 for its other states.");
    for portal in &report.portals {
        for state in PortalState::ALL {
            let labels = [("portal", portal.name.as_str()), ("state", state.as_str())];
            page.sample(&labels, (portal.state == state).into());
        }
    }
    for portal in &report.portals {
        let Some(obstacle) = &portal.obstacle else { continue };
        page.metric(
            "portals_portal_obstacle_info",
            "Reason why a portal is blocked although its exits may be up.",
        );
        page.sample(&[("portal", &portal.name), ("obstacle", obstacle.as_str())], 1);
    }
    page.metric("portals_portal_exit_info", "The exit that a portal uses.");
    for portal in &report.portals {
        page.sample(&[("portal", &portal.name), ("exit", &portal.exit)], 1);
    }
}

/// Text of the metrics so far.
#[derive(Default)]
struct MetricsPage {
    text: String,
    /// Metric that gets the samples.
    name: String,
}

impl MetricsPage {
    /// Begins a metric, unless it is the present one. The name of a counter ends with `_total`.
    fn metric(&mut self, name: &str, help: &str) {
        if self.name != name {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            name.clone_into(&mut self.name);
        }
    }

    /// Adds a sample of the present metric.
    fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.text.push_str(&self.name);
        let mut before = '{';
        for (label, text) in labels {
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text));
            before = ',';
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::{AgentStatus, HelperStatus, LinkPath, LinkPathStatus, PathKind, TimedState};
    use crate::engine::file_report::{FileReport, FileSignature};
    use crate::exchange::Relation;

    #[test]
    fn the_page_has_prometheus_text_format() {
        let exit = TimedState { name: "paris".to_owned(), since: 3, words: "up".to_owned() };
        let agent_status = AgentStatus { exits: vec![exit], ..AgentStatus::default() };
        let report = Report { agent_status: Some(agent_status), ..Report::example() };
        let page = text(&report, SystemTime::UNIX_EPOCH + Duration::from_secs(1012));
        let expected = [
            "portals_info{network=\"home\",site=\"nyc\",wireguard=\"kernel\",firewall=\"nftables\",\
             version=\"0.1.0\"} 1",
            "portals_agent_up 1",
            "portals_unconfirmed 0",
            "portals_exit_up{exit=\"paris\"} 1",
            "portals_link_up{peer=\"paris\",interface=\"to-paris\"} 1",
            "portals_link_not_answering{peer=\"paris\",interface=\"to-paris\"} 0",
            "portals_link_last_handshake_timestamp_seconds{peer=\"paris\",interface=\"to-paris\"} 1000",
            "portals_link_receive_bytes_total{peer=\"paris\",interface=\"to-paris\"} 1",
            "portals_link_transmit_bytes_total{peer=\"paris\",interface=\"to-paris\"} 2",
            "portals_phone_up{phone=\"mike\",exit=\"paris\"} 0",
            "portals_phone_not_answering{phone=\"mike\",exit=\"paris\"} 0",
            "portals_phone_receive_bytes_total{phone=\"mike\",exit=\"paris\"} 0",
            "portals_phone_transmit_bytes_total{phone=\"mike\",exit=\"paris\"} 0",
            "portals_portal_state{portal=\"guest\",state=\"open\"} 1",
            "portals_portal_state{portal=\"guest\",state=\"failed-over\"} 0",
            "portals_portal_state{portal=\"guest\",state=\"direct\"} 0",
            "portals_portal_state{portal=\"guest\",state=\"blocked\"} 0",
            "portals_portal_exit_info{portal=\"guest\",exit=\"paris\"} 1",
        ];
        let samples: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples, expected);
        let of_type: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
        assert_eq!((of_type.len(), of_type[7]), (16, "# TYPE portals_link_receive_bytes_total counter"));
    }

    #[test]
    fn paths_and_help_for_others_are_metrics() {
        let path = |kind, by: &str| Some(LinkPath { kind, by: by.to_owned() });
        let page = |path, up| {
            let interface = "to-paris".parse().unwrap();
            let (peer, tried, port_mapping) = ("paris".to_owned(), Vec::new(), String::new());
            let links = vec![LinkPathStatus { peer, interface, path, tried, port_mapping }];
            let relayed = vec![["mike", "sara"].map(str::to_owned)];
            let helper = Some(HelperStatus { questions: 12, relayed });
            let agent_status = AgentStatus { links, helper, ..AgentStatus::default() };
            let mut report = Report { agent_status: Some(agent_status), ..Report::example() };
            report.links[0].up = up;
            text(&report, SystemTime::UNIX_EPOCH)
        };
        let relayed = page(path(PathKind::Relayed, "oslo"), true);
        for expected in [
            "{peer=\"paris\",interface=\"to-paris\",path=\"relayed\",by=\"oslo\"} 1\n",
            "# TYPE portals_link_path_info gauge\n",
            "# TYPE portals_helper_questions_total counter\nportals_helper_questions_total 12\n",
            "# TYPE portals_relayed_links gauge\nportals_relayed_links 1\n",
        ] {
            assert!(relayed.contains(expected), "{relayed}");
        }
        let direct = page(path(PathKind::Direct, ""), true);
        assert!(direct.contains("path=\"direct\",by=\"\"} 1\n"), "{direct}");
        assert!(!page(None, true).contains("portals_link_path_info"), "the agent does not know the path");
        let down = page(path(PathKind::Direct, ""), false);
        assert!(!down.contains("portals_link_path_info"), "the link is down");
    }

    #[test]
    fn sites_with_another_network_file_are_metrics() {
        let page = |relation| {
            let paris = SiteFile { site: "paris".to_owned(), serial: Some(6), relation };
            let agent_status = AgentStatus { files: vec![paris], ..AgentStatus::default() };
            let file = Some(FileReport { serial: 7, signature: FileSignature::Missing });
            let report = Report { agent_status: Some(agent_status), file, ..Report::example() };
            text(&report, SystemTime::UNIX_EPOCH)
        };
        let older = page(Relation::Older);
        let sample = "portals_site_file_info{site=\"paris\",relation=\"older\"} 1\n";
        assert!(older.contains("\nportals_file_serial 7\n") && older.contains(sample), "{older}");
        for relation in [Relation::Same, Relation::Unknown] {
            assert!(!page(relation).contains("portals_site_file_info"));
        }
        let without = text(&Report::example(), SystemTime::UNIX_EPOCH);
        assert!(!without.contains("portals_file_serial"), "the network has no admin keys");
    }

    #[test]
    fn label_values_are_escaped() {
        let mut page = MetricsPage { name: "a".to_owned(), ..MetricsPage::default() };
        page.sample(&[("b", "c\\d\"e\nf")], 1);
        assert_eq!(page.text, "a{b=\"c\\\\d\\\"e\\nf\"} 1\n");
    }
}
