//! DNS of a portal's devices: the resolver here, and those that it asks through the exit.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::Subject;
use super::words::{Short, micros};
use crate::diagnose::finding::{Findings, Verdict, Words};
use crate::site::RESOLVER_PORT;
use crate::system::resolver::time_of_answer;

/// Name to ask for: any answer is right.
const NAME: &str = "example.com";

/// Number of queries to a server that does not answer.
const TRIES: usize = 2;

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
    let mut servers = Vec::new();
    for resolver in portal.resolvers.iter().filter(|resolver| resolver.is_ipv4()) {
        servers.push(SocketAddr::new(*resolver, DNS));
    }
    let asked = servers.len();
    servers.push(SocketAddr::new(own, RESOLVER_PORT));
    let (mut list, mut silent, mut is_silent) = (String::new(), 0, false);
    for (at, server) in servers.iter().enumerate() {
        let is_own = at == asked;
        let from = if is_own { None } else { Some(own) };
        let mut time = None;
        for _ in 0..TRIES {
            time = time.or_else(|| time_of_answer(from, *server, NAME));
        }
        let end = if is_own { "." } else { "; " };
        let _ = match time {
            Some(time) => write!(list, "{} ({}){end}", server.ip(), Short(micros(time), " ms")),
            None => write!(list, "{} (no answer){end}", server.ip()),
        };
        silent += usize::from(time.is_none() && !is_own);
        is_silent = time.is_none();
    }
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
