//! DNS of a portal's devices: the resolver here, and those that it asks through the exit.

use std::net::SocketAddr;

use super::echoes::milliseconds;
use super::{Subject, Words, add, not_checked};
use crate::diagnose::finding::{Finding, Verdict};
use crate::site::RESOLVER_PORT;
use crate::system::resolver::time_of_answer;

/// Name to ask for: any answer is right.
const NAME: &str = "example.com";

/// Port of resolvers (RFC 1035 § 4.2).
const DNS: u16 = 53;

/// Tests who answers queries.
pub(super) fn test(subject: &Subject, findings: &mut Vec<Finding>) {
    const CHECK: &str = "DNS";
    let portal = subject.portal;
    let Some(own) = subject.source() else {
        return not_checked(findings, CHECK, "This machine answers no queries of the portal's devices.");
    };
    let mut seen = format!("Through {}: ", portal.exit);
    let (mut asked, mut silent) = (0, 0);
    let mut ask = |from, server| {
        let time = time_of_answer(from, server, NAME).or_else(|| time_of_answer(from, server, NAME));
        let words = time.map_or_else(|| "no answer".to_owned(), milliseconds);
        for part in [&server.ip().to_string(), " (", &words, ")"] {
            seen.push_str(part);
        }
        seen.push_str(if from.is_none() { "." } else { "; " });
        time.is_none()
    };
    for resolver in portal.resolvers.iter().filter(|resolver| resolver.is_ipv4()) {
        asked += 1;
        silent += u32::from(ask(Some(own), SocketAddr::new(*resolver, DNS)));
    }
    let is_silent = ask(None, SocketAddr::new(own, RESOLVER_PORT));
    let (verdict, words): (Verdict, &Words) = match (silent, is_silent) {
        (0, false) => (Verdict::Ok, &[CHECK, "", ""]),
        (silent, _) if silent == asked => (
            Verdict::Wrong,
            &[
                CHECK,
                "Devices can look up no name.",
                "Set `dns` of the portal to resolvers that answer there.",
            ],
        ),
        (_, true) => (
            Verdict::Wrong,
            &[
                CHECK,
                "Devices ask this machine, and can look up no name.",
                "`portals status` tells whether dnsmasq runs.",
            ],
        ),
        _ => (Verdict::Note, &[CHECK, "Some queries take longer.", "Remove it from `dns` of the portal."]),
    };
    add(findings, verdict, words, seen);
}
