//! DNS of a portal's devices: the resolver here, and those that it asks through the exit.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Subject;
use super::echoes::milliseconds;
use crate::diagnose::finding::Finding;
use crate::site::RESOLVER_PORT;
use crate::system::resolver::time_of_answer;

/// Name to ask for: any answer is right.
const NAME: &str = "example.com";

/// Port of resolvers (RFC 1035 § 4.2).
const DNS: u16 = 53;

/// Tests who answers queries.
pub(super) fn test(subject: &Subject) -> Finding {
    const CHECK: &str = "DNS";
    let portal = subject.portal;
    let Some(own) = subject.source() else {
        let seen = match portal.resolvers.first() {
            Some(resolver) => format!("Queries of devices to this machine go to {resolver}."),
            None => "This machine answers no queries here: devices ask resolvers of their own.".to_owned(),
        };
        return Finding::not_checked(CHECK, seen);
    };
    let exit = &portal.exit;
    let (mut answering, mut silent) = (Vec::new(), Vec::new());
    for resolver in portal.resolvers.iter().filter(|resolver| resolver.is_ipv4()) {
        match time(SocketAddr::new(*resolver, DNS), Some(own)) {
            Some(time) => answering.push(format!("{resolver} ({})", milliseconds(time))),
            None => silent.push(resolver.to_string()),
        }
    }
    if answering.is_empty() {
        let seen = format!("No answer came through {exit} from {}.", silent.join(", "));
        let way_out = "Set `dns` of the portal to resolvers that answer there.";
        return Finding::wrong(CHECK, seen, "Devices can look up no name.", way_out);
    }
    let answering = answering.join(", ");
    match time(SocketAddr::new(own, RESOLVER_PORT), None) {
        None => Finding::wrong(
            CHECK,
            format!(
                "Through {exit}, {answering} answers, but the resolver of this machine at {own} does not."
            ),
            "Devices ask this machine, and can look up no name.",
            "`portals status` tells whether dnsmasq runs.",
        ),
        Some(_) if !silent.is_empty() => Finding::note(
            CHECK,
            format!("Through {exit}, {answering} answers, but {} does not.", silent.join(", ")),
            "Some queries take longer.",
            "Remove it from `dns` of the portal, unless it answers later.",
        ),
        Some(_) => Finding::ok(CHECK, format!("This machine answers, and asks {answering} through {exit}.")),
    }
}

/// Returns the time that a resolver takes for an answer, at the second try at the latest.
fn time(server: SocketAddr, from: Option<IpAddr>) -> Option<Duration> {
    time_of_answer(server, from, NAME).or_else(|| time_of_answer(server, from, NAME))
}
