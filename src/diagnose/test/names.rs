//! DNS of a portal's devices: the resolver here, and those that it asks through the exit.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Subject;
use super::echoes::{Short, micros};
use crate::diagnose::finding::{Findings, Verdict, Words};
use crate::site::RESOLVER_PORT;
use crate::system::resolver::time_of_answer;

/// Name to ask for: any answer is right.
const NAME: &str = "example.com";

/// Port of resolvers (RFC 1035 § 4.2).
const DNS: u16 = 53;

/// Tests who answers queries.
pub(super) fn test(subject: &Subject, findings: &mut Findings) {
    const CHECK: &str = "DNS";
    let portal = subject.portal;
    let Some(own) = subject.source() else {
        let seen = "This machine answers no queries of the portal's devices.";
        return findings.not_checked(CHECK, seen, &[]);
    };
    let mut list = String::new();
    let (mut asked, mut silent) = (0, 0);
    let mut ask = |from, server| {
        let time = time_of_answer(from, server, NAME).or_else(|| time_of_answer(from, server, NAME));
        let _ = match time {
            Some(time) => write!(list, "{} ({})", server.ip(), Short(micros(time), " ms")),
            None => write!(list, "{} (no answer)", server.ip()),
        };
        list.push_str(if from.is_none() { "." } else { "; " });
        time.is_none()
    };
    for resolver in portal.resolvers.iter().filter(|resolver| resolver.is_ipv4()) {
        asked += 1;
        silent += u32::from(ask(Some(own), SocketAddr::new(*resolver, DNS)));
    }
    let is_silent = ask(None, SocketAddr::new(own, RESOLVER_PORT));
    let (verdict, why, way_out) = match (silent, is_silent) {
        (0, false) => (Verdict::Ok, "", ""),
        (silent, _) if silent == asked => (
            Verdict::Wrong,
            "Devices can look up no name.",
            "Set `dns` of the portal to resolvers that answer there.",
        ),
        (_, true) => (
            Verdict::Wrong,
            "Devices ask this machine, and can look up no name.",
            "`portals status` tells whether dnsmasq runs.",
        ),
        _ => (Verdict::Note, "Some queries take longer.", "Remove it from `dns` of the portal."),
    };
    let words = Words { check: CHECK, seen: "Through {0}: {1}", why, way_out };
    findings.add(verdict, &words, &[&portal.exit, &list]);
}
