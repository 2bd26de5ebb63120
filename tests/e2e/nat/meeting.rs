//! Two homes without an endpoint that look for each other, with the help of oslo.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, OSLO, PARIS, Pings, Plot, World};

use super::homes::{Built, Home};
use crate::words::{portal, same, seconds, seen_as, settled, succeeds, within};

/// Time limit until two homes have met, on a busy machine.
pub(super) const MEETING: f64 = 90.0;

/// Way that the packets of a link take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The internet.
    Direct,
    /// The inside of the home or the carrier's network that both sites are in.
    Local,
    /// Oslo, which passes on the packets.
    Relayed,
}

impl Way {
    /// Returns the way in a word.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Local => "local",
            Self::Relayed => "relayed",
        }
    }
}

/// Network file in which each home is the other's exit.
pub(super) fn network(world: &World, helper: &'static str) -> String {
    world.network(|plot| match plot {
        OSLO => helper.to_owned(),
        Plot { name: "nyc", .. } => portal(plot, r#""paris""#),
        plot => portal(plot, r#""nyc""#),
    })
}

/// Builds two homes, starts all agents, and waits until the first answered ping; returns the time from the
/// start of the homes' agents.
pub(super) fn meet(world: &mut World, homes: [Home; 2]) -> Result<([Built; 2], Duration)> {
    let built = [homes[0].build(world, NYC)?, homes[1].build(world, PARIS)?];
    let is_blocked = homes.contains(&Home::Blocked);
    let took = meet_in(world, &built, if is_blocked { "helper_port = 443\n" } else { "" })?;
    Ok((built, took))
}

/// Lets two homes meet that have been built.
pub(super) fn meet_in(
    world: &mut World,
    [one, other]: &[Built; 2],
    helper: &'static str,
) -> Result<Duration> {
    world.install(&network(world, helper))?;
    world.site(OSLO).start_agent()?;
    settled(world.site(OSLO))?;
    let start = Instant::now();
    world.site(one.plot).start_agent()?;
    world.site(other.plot).start_agent()?;
    Pings::begin(world.site(one.plot), other.plot).until_answered(seconds(MEETING))?;
    Ok(start.elapsed())
}

/// Waits until the link between two homes takes this way, which may become better at first.
pub(super) fn goes(world: &mut World, plots: [Plot; 2], way: Way) -> Result<()> {
    within(seconds(MEETING), "the link takes the right way", || goes_at_once(world, plots, way))
}

/// Checks that the link between two homes takes this way now, and that both say so.
pub(super) fn goes_at_once(world: &mut World, [one, other]: [Plot; 2], way: Way) -> Result<()> {
    for (site, peer) in [(one, other), (other, one)] {
        let report = succeeds(world.site(site), &["status", "--json"])?;
        let link = report.split(r#"{"peer":""#).find(|link| link.starts_with(peer.name)).unwrap_or_default();
        let what = |what| format!("{what} from {} to {} in {report}", site.name, peer.name);
        same(&what("way of the packets"), address_of(link).map(|address| way_to(address, peer)), Some(way))?;
        let path = Some(way.words());
        same(&what("path"), member(link, "path"), path)?;
        same(&what("relay"), member(link, "by"), (way == Way::Relayed).then_some(OSLO.name))?;
    }
    Ok(())
}

/// Checks that a site says that its link to a peer takes this path, by this site or its router.
pub(super) fn link_says(
    world: &mut World,
    site: Plot,
    peer: Plot,
    path: &str,
    by: Option<&str>,
) -> Result<()> {
    let report = succeeds(world.site(site), &["status", "--json"])?;
    let link = report.split(r#"{"peer":""#).find(|link| link.starts_with(peer.name)).unwrap_or_default();
    let said = (member(link, "path"), member(link, "by"));
    same(&format!("path from {} to {} in {report}", site.name, peer.name), said, (Some(path), by))
}

/// Returns the text of a member of a link's JSON.
fn member<'a>(link: &'a str, name: &str) -> Option<&'a str> {
    link.split(&format!("\"{name}\":\"")).nth(1)?.split('"').next()
}

/// Returns the address to which the packets of a link go.
fn address_of(link: &str) -> Option<IpAddr> {
    member(link, "endpoint")?.parse::<SocketAddr>().ok().map(|address| address.ip())
}

fn way_to(address: IpAddr, peer: Plot) -> Way {
    match address {
        address if address == OSLO.address => Way::Relayed,
        address if address == peer.address && peer.address.is_private() => Way::Local,
        _ => Way::Direct,
    }
}

/// Checks the portals of both homes: each guest leaves at the other home, whose address on the internet is
/// that of `outside`.
pub(super) fn guests_leave(world: &mut World, homes: [Plot; 2], outside: [Plot; 2]) -> Result<()> {
    for (home, outside) in [(homes[0], outside[1]), (homes[1], outside[0])] {
        seen_as(world.site(home).guest(seconds(3.0)), home.own_server(), outside.address)?;
    }
    Ok(())
}
