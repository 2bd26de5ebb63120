//! Way of a device's packets, as the kernel's policy rules and routes answer: out of the exit, or nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Subject;
use crate::base::moment::{after, has_come};
use crate::base::net::{Family, IfName};
use crate::diagnose::finding::{Findings, Words};
use crate::kernel::linux::Linux;
use crate::kernel::{Kernel as _, Outcome};
use crate::site::{Entrance, Exit};
use crate::state::step::{RoutingStep, Step};
use crate::system::resolver::socket_to;

/// Destinations on the internet: a public resolver's. Nothing is sent there.
const BEYOND: IpAddr = IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9));
const BEYOND6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe));

/// Device whose address does not matter.
const NOBODY: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Time for the agent to put a link back: far more than it needs.
const REPAIR: Duration = Duration::from_secs(20);

/// Way out where rules or routes are missing.
const LOOK: &str = "`portals plan` shows what is missing.";

/// Answer of the kernel about a packet: the interface by which it leaves, if it is not refused. If the kernel
/// cannot be asked, the words say why.
type Way = Result<Option<IfName>, &'static str>;

/// Asks the kernel for the way of a device's packet.
fn way(subject: &Subject, to: IpAddr, kernel: &mut Linux) -> Way {
    let portal = subject.portal;
    if portal.mark().is_some() {
        return Err("The firewall marks the packets of this portal, and the kernel answers for no mark.");
    }
    let Ok(links) = kernel.links() else { return Err("The interfaces cannot be listed.") };
    let (device, incoming) = match &portal.entrance {
        Entrance::Own => return Ok(kernel.interface_to(to, &links)),
        Entrance::From(sources) => {
            let device = sources.iter().find(|source| source.family() == Family::of(to));
            let device =
                device.ok_or("The portal names no device with an address of this family.")?.address();
            let incoming = kernel.interface_to(device, &links);
            (device, incoming.ok_or("No network of this machine has the portal's devices.")?)
        }
        entrance => {
            let Some(incoming) = entrance.interface().filter(|interface| links.contains_key(*interface))
            else {
                return Err("The interface of the portal does not exist.");
            };
            let lan = portal.addresses().find(|lan| Family::of(lan.address) == Family::of(to));
            (lan.map_or(NOBODY, |lan| next(lan.address)), incoming.clone())
        }
    };
    Ok(kernel.way_of_device((device, to), &incoming, &links))
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

/// Tests where a device's packets leave.
pub(super) fn test(subject: &Subject, kernel: &mut Linux, findings: &mut Findings) {
    let must_leave = subject.portal.exit != Exit::Nowhere;
    judge("way", subject, way(subject, destination(subject), kernel), must_leave, findings);
}

/// Tests that IPv6 leaves at the exit or nowhere.
pub(super) fn test_ipv6(subject: &Subject, kernel: &mut Linux, findings: &mut Findings) {
    let must_leave = subject.site.carries_ipv6() && subject.site.takes(&subject.portal.exit, Family::V6);
    let way = if subject.site.host.ipv6 { way(subject, BEYOND6, kernel) } else { Ok(None) };
    judge("IPv6", subject, way, must_leave, findings);
}

/// Judges the kernel's answer about a device's packet.
fn judge(check: &'static str, subject: &Subject, way: Way, must_leave: bool, findings: &mut Findings) {
    let found = match way {
        Ok(found) => found,
        Err(reason) => return findings.not_checked(check, reason, &[]),
    };
    let (seen, why, is_right) = match &found {
        Some(found) => (
            "A device's packets leave by {0}.",
            "That is not the way to the exit: rules of the portal are missing, or others come first.",
            subject.site.exit_interfaces(&subject.portal.exit).any(|interface| interface == found),
        ),
        None => (
            "A device's packets are refused.",
            "The exit takes them, but rules or routes of the portal are missing.",
            !must_leave,
        ),
    };
    let name = found.as_ref().map_or("", IfName::as_str);
    if is_right {
        findings.ok(check, seen, &[&name]);
    } else {
        findings.wrong(&Words { check, seen, why, way_out: LOOK }, &[&name]);
    }
}

/// Cuts the link to the exit for a moment, and tests that a device's packets go nowhere.
pub(super) fn test_cut(subject: &Subject, kernel: &mut Linux, findings: &mut Findings) {
    const CUT: &str = "cut";
    let Some(interface) = subject.portal.exit.interface() else {
        return findings.not_checked(CUT, "The portal has no link to cut.", &[]);
    };
    let to = destination(subject);
    let step = Step::Routing(RoutingStep::BringDown(interface.clone()));
    if !matches!(kernel.apply(&[step])[..], [Outcome::Done]) {
        return findings.not_checked(CUT, "The interface of the link cannot be set down.", &[]);
    }
    let found = way(subject, to, kernel);
    let leaks = subject.source().is_some_and(|source| socket_to(Some(source), (to, 9).into()).is_ok());
    let end = after(Instant::now(), REPAIR);
    let mut is_back = false;
    while !is_back && !has_come(end) {
        sleep(Duration::from_millis(50));
        is_back = kernel.links().is_ok_and(|links| links.get(interface).is_some_and(|link| link.up))
            && !matches!(way(subject, to, kernel), Ok(None));
    }
    let words = match found {
        Ok(None) if !leaks && is_back => {
            let seen = "While the link was down, a device's packets were refused. It is up again.";
            return findings.ok(CUT, seen, &[]);
        }
        Ok(None) if !leaks => &Words {
            check: CUT,
            seen: "The link was cut, and is not back.",
            why: "",
            way_out: "Restart the agent, which repairs it.",
        },
        Err(reason) if !leaks => return findings.not_checked(CUT, reason, &[]),
        _ => &Words {
            check: CUT,
            seen: "While the link was down, the portal's packets had another way.",
            why: "The portal leaks when its link fails.",
            way_out: LOOK,
        },
    };
    findings.wrong(words, &[]);
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
