//! Time of day where this router's own traffic enters a portal: NTP would wait for the tunnel, and the tunnel
//! waits for the time. So this router's NTP requests leave via its uplink.

use crate::firewall::{
    Action::{Accept, SetMark},
    Condition::{self, FromOriginator, NotMarked, UdpPort},
};
use crate::plan::priorities::{ALLOWED, END, loopback};
use crate::plan::sets::{Rules, add};
use crate::site::{Entrance, Exit, NtpBypass, Portal, Site, families};
use crate::state::{Rule, RuleAction, Selector, TUNNEL_MARK};

/// UDP port of time servers (RFC 5905 § 7.2).
const SERVER: u16 = 123;

/// Adds the policy rules that lead NTP requests to the uplink. Policy rules also choose the source, so
/// strict `rp_filter` lets the answers in.
pub(super) fn rules(rules: &mut Vec<Rule>, site: &Site) {
    let asking = Selector { incoming: Some(loopback()), udp_port: Some(SERVER), ..Selector::default() };
    for family in families(site).filter(|_| site.ntp == Some(NtpBypass::Rule)) {
        let (selector, action) = (asking.clone(), RuleAction::Goto(END));
        rules.push(Rule { priority: ALLOWED, family, selector, action });
    }
}

/// Adds the rule that marks NTP requests where policy rules cannot match ports, with the mark of the
/// tunnels' own packets. The kernel has chosen the source address by then, so the firewall masquerades it;
/// under strict `rp_filter` the answers are lost.
pub(super) fn marks(rules: &mut Rules, site: &Site) {
    let enters = |portal: &Portal| portal.entrance == Entrance::Own && portal.exit != Exit::Direct;
    let is_marked = site.ntp == Some(NtpBypass::Mark) && site.portals.iter().any(enters);
    if is_marked {
        add(rules, [FromOriginator, NotMarked(TUNNEL_MARK), to_server()], SetMark(TUNNEL_MARK));
    }
}

/// Adds the rule that lets NTP requests out via the uplink, while all other traffic of this router must go
/// into the tunnel.
pub(super) fn passes(rules: &mut Rules, site: &Site) {
    if site.ntp.is_some() {
        add(rules, [to_server()], Accept);
    }
}

fn to_server() -> Condition {
    UdpPort(SERVER, SERVER)
}
