//! Way of a device's packets, as the kernel's policy rules and routes answer: out of the exit, or nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Subject, Words, add, not_checked};
use crate::base::moment::after;
use crate::base::net::{Family, IfName};
use crate::diagnose::finding::{Finding, Verdict};
use crate::kernel::linux::Linux;
use crate::kernel::{Kernel as _, Outcome};
use crate::site::{Entrance, Exit};
use crate::state::step::{RoutingStep, Step};
use crate::system::resolver::socket_to;

/// Destinations on the internet: a public resolver's. Nothing is sent there.
const BEYOND: IpAddr = IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9));
const BEYOND6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe));

/// Time for the agent to put a link back: far more than it needs.
const REPAIR: Duration = Duration::from_secs(20);

/// Way out where rules or routes are missing.
const LOOK: &str = "`portals plan` shows what is missing.";

/// Answer of the kernel about a packet.
enum Way {
    /// The packet leaves by this interface.
    By(IfName),
    /// The packet is refused.
    Nowhere,
    /// The kernel cannot be asked: the words say why.
    Unknown(&'static str),
}

/// Asks the kernel for the way of a device's packet.
fn way(subject: &Subject, to: IpAddr, kernel: &mut Linux) -> Way {
    let portal = subject.portal;
    if portal.mark().is_some() {
        return Way::Unknown(
            "The firewall marks the packets of this portal, and the kernel answers for no mark.",
        );
    }
    let Ok(links) = kernel.links() else { return Way::Unknown("The interfaces cannot be listed.") };
    let found = match &portal.entrance {
        Entrance::Own => kernel.interface_to(to, &links),
        Entrance::From(sources) => {
            let device = sources.iter().find(|source| source.family() == Family::of(to));
            let Some(device) = device.map(|source| source.address()) else {
                return Way::Unknown("The portal names no device with an address of this family.");
            };
            let Some(incoming) = kernel.interface_to(device, &links) else {
                return Way::Unknown("No network of this machine has the portal's devices.");
            };
            kernel.way_of_device((device, to), &incoming, &links)
        }
        entrance => {
            let Some(incoming) = entrance.interface().filter(|interface| links.contains_key(*interface))
            else {
                return Way::Unknown("The interface of the portal does not exist.");
            };
            let lan = portal.addresses().find(|lan| Family::of(lan.address) == Family::of(to));
            let device =
                lan.map_or(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), |lan| next(lan.address));
            kernel.way_of_device((device, to), incoming, &links)
        }
    };
    found.map_or(Way::Nowhere, Way::By)
}

/// Returns the address after a router's own, which is one of a device.
fn next(own: IpAddr) -> IpAddr {
    match own {
        IpAddr::V4(own) => Ipv4Addr::from_bits(own.to_bits() ^ 3).into(),
        IpAddr::V6(own) => Ipv6Addr::from_bits(own.to_bits() ^ 3).into(),
    }
}

/// Returns a destination that enters the portal.
fn destination(subject: &Subject) -> IpAddr {
    let to = subject.portal.to.iter().map(|network| network.address()).find(IpAddr::is_ipv4);
    to.unwrap_or(BEYOND)
}

/// Returns the interfaces by which the portal's packets may leave.
fn is_right(subject: &Subject, found: &IfName) -> bool {
    subject.site.exit_interfaces(&subject.portal.exit).any(|interface| interface == found)
}

/// Tests where a device's packets leave.
pub(super) fn test(subject: &Subject, kernel: &mut Linux, findings: &mut Vec<Finding>) {
    let must_leave = subject.portal.exit != Exit::Nowhere;
    let way = way(subject, destination(subject), kernel);
    judge("way", subject, way, must_leave, findings);
}

/// Tests that IPv6 leaves at the exit or nowhere.
pub(super) fn test_ipv6(subject: &Subject, kernel: &mut Linux, findings: &mut Vec<Finding>) {
    let must_leave = subject.site.carries_ipv6() && subject.site.takes(&subject.portal.exit, Family::V6);
    let way = if subject.site.host.ipv6 { way(subject, BEYOND6, kernel) } else { Way::Nowhere };
    judge("IPv6", subject, way, must_leave, findings);
}

/// Judges the kernel's answer about a device's packet.
fn judge(check: &'static str, subject: &Subject, way: Way, must_leave: bool, findings: &mut Vec<Finding>) {
    let (seen, is_right, why) = match way {
        Way::Unknown(reason) => return not_checked(findings, check, reason),
        Way::By(found) => (
            ["A device's packets leave by ", found.as_str(), "."].concat(),
            is_right(subject, &found),
            "That is not the way to the exit: rules of the portal are missing, or others come first.",
        ),
        Way::Nowhere => (
            "A device's packets are refused.".to_owned(),
            !must_leave,
            "The exit takes them, but rules or routes of the portal are missing.",
        ),
    };
    let (verdict, why, way_out) = if is_right { (Verdict::Ok, "", "") } else { (Verdict::Wrong, why, LOOK) };
    add(findings, verdict, &[check, why, way_out], seen);
}

/// Cuts the link to the exit for a moment, and tests that a device's packets go nowhere.
pub(super) fn test_cut(subject: &Subject, kernel: &mut Linux, findings: &mut Vec<Finding>) {
    const CUT: &str = "cut";
    let Some(interface) = subject.portal.exit.interface() else {
        return not_checked(findings, CUT, "The portal has no link to cut.");
    };
    let to = destination(subject);
    let step = Step::Routing(RoutingStep::BringDown(interface.clone()));
    if !matches!(kernel.apply(&[step])[..], [Outcome::Done]) {
        return not_checked(findings, CUT, "The interface of the link cannot be set down.");
    }
    let found = way(subject, to, kernel);
    let leaks = subject.source().is_some_and(|source| socket_to(Some(source), (to, 9).into()).is_ok());
    let end = after(Instant::now(), REPAIR);
    let mut is_back = false;
    while !is_back && Instant::now() < end {
        sleep(Duration::from_millis(50));
        is_back = kernel.links().is_ok_and(|links| links.get(interface).is_some_and(|link| link.up))
            && !matches!(way(subject, to, kernel), Way::Nowhere);
    }
    let (verdict, words, seen): (_, &Words, _) = match found {
        Way::Unknown(reason) if !leaks => return not_checked(findings, CUT, reason),
        Way::Nowhere if !leaks && is_back => (
            Verdict::Ok,
            &[CUT, "", ""],
            "While the link was down, a device's packets were refused. It is up again.",
        ),
        Way::Nowhere if !leaks => (
            Verdict::Wrong,
            &[CUT, "", "Restart the agent, which repairs it."],
            "The link was cut, and is not back.",
        ),
        _ => (
            Verdict::Wrong,
            &[CUT, "The portal leaks when its link fails.", LOOK],
            "While the link was down, the portal's packets had another way.",
        ),
    };
    add(findings, verdict, words, seen.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_another_address_of_the_same_network() {
        for (own, device) in
            [("10.77.1.65", "10.77.1.66"), ("192.168.1.1", "192.168.1.2"), ("fd77::1", "fd77::2")]
        {
            assert_eq!(next(own.parse().unwrap()), device.parse::<IpAddr>().unwrap());
        }
    }
}
