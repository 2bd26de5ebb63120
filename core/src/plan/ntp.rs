//! The time of day where this router's own traffic enters a portal: NTP would wait for the tunnel, and the
//! tunnel waits for the time. So what this router asks time servers goes by its uplink.

use super::firewall::rule;
use crate::firewall::Rule as Filter;
use crate::firewall::{
    Action::{Accept, SetMark},
    Condition::{self, NotMarked, Opening, UdpPort},
};
use crate::plan::routing::{ALLOWED, END, sent_here};
use crate::site::{Entrance, Exit, Portal, Site, WayOut, families};
use crate::state::{Rule, RuleAction, Selector, TUNNEL_MARK};

/// UDP port of time servers (RFC 5905 § 7.2).
const SERVER: u16 = 123;

/// The rules that lead there. They choose the source as well, so strict `rp_filter` lets the answers in.
pub(super) fn rules(site: &Site) -> Vec<Rule> {
    let asking = Selector { incoming: Some(sent_here()), udp_port: Some(SERVER), ..Selector::default() };
    let rule =
        |family| Rule { priority: ALLOWED, family, selector: asking.clone(), action: RuleAction::Goto(END) };
    families(site).filter(|_| site.ntp == Some(WayOut::Rule)).map(rule).collect()
}

/// The mark that leads there where rules cannot ask for ports: that of the tunnels' own packets. The source
/// is chosen before, and masqueraded; under strict `rp_filter` the answers are lost.
pub(super) fn marks(site: &Site) -> Option<Filter> {
    let enters = |portal: &Portal| portal.entrance == Entrance::Own && portal.exit != Exit::Direct;
    let is_marked = site.ntp == Some(WayOut::Mark) && site.portals.iter().any(enters);
    is_marked.then(|| rule([Opening, NotMarked(TUNNEL_MARK), to_server()], SetMark(TUNNEL_MARK)))
}

/// The rule that lets questions for the time out, while all else of this router's own is kept in.
pub(super) fn passes(site: &Site) -> Option<Filter> {
    site.ntp.map(|_| rule([to_server()], Accept))
}

fn to_server() -> Condition {
    UdpPort(SERVER, SERVER)
}
