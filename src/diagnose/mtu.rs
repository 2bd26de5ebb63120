//! Check of the path through each tunnel, and outside it, by echoes that may not be taken apart on the way.

use std::fmt::Display;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::case::Live;
use super::finding::{Findings, Words};
use crate::base::moment::{after, has_come};
use crate::base::net::Family;
use crate::engine::mtu_search::{MtuSearch, MtuVerdict};
use crate::kernel::Kernel as _;
use crate::kernel::echo::EchoPath;
use crate::kernel::linux::Linux;
use crate::kernel::sockets::EchoSocket;
use crate::site::Site;
use crate::system::wait::wait_for_input;

const CHECK: &str = "path";

/// Longest wait for the answer to an echo.
const PATIENCE: Duration = Duration::from_secs(1);

/// Size of a small echo in bytes.
pub(super) const SMALL: usize = 64;

/// Number of large echoes outside a tunnel, all of which must be lost: one alone may be lost by chance.
const ATTEMPTS: u32 = 4;

/// Checks that each link that is up answers, and that packets of the tunnel's size pass.
pub(super) fn paths(live: &mut Live, findings: &mut Findings) {
    let site = &live.here.site;
    for link in live.report.links.iter().filter(|link| link.up) {
        let Some(tunnel) = site.tunnels.get(&link.interface).filter(|tunnel| tunnel.provider.is_none())
        else {
            continue;
        };
        let Some(peer) = tunnel.peers.get(&link.peer) else { continue };
        let (from, to) = (site.address_in(tunnel, peer.address), peer.address);
        let path = EchoPath { interface: link.interface.clone(), from, to, mark: None };
        let Ok(mut echo) = live.here.kernel.echo_socket(&path) else { continue };
        let (most, name) = (site.mtu_of(tunnel), &link.peer);
        let verdict = match measured(&mut *echo, most) {
            Ok(verdict) => verdict,
            Err(errno) => {
                unsent(CHECK, name, &path, errno, findings);
                continue;
            }
        };
        match verdict {
            MtuVerdict::Whole => {
                findings.ok(CHECK, "Packets of {0} bytes reach {1} through the tunnel.", &[&most, name]);
            }
            MtuVerdict::Narrow(width) => {
                findings.wrong(
                    &Words {
                        check: CHECK,
                        seen: "Packets of {0} bytes vanish on the way to {1}; those of {2} bytes pass.",
                        why: "Small requests work, and large transfers hang.",
                        way_out: "Write `mtu = {2}` or `mtu = \"auto\"` under [network], at all sites.",
                    },
                    &[&most, name, &width],
                );
                let endpoint = peer.endpoint.as_ref().and_then(|endpoint| endpoint.address);
                if let Some(endpoint) = endpoint {
                    outside(site, &mut live.here.kernel, endpoint.ip(), most, findings);
                }
            }
            MtuVerdict::Silent => findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "{0} does not answer through the tunnel, although there was a handshake.",
                    why: "The link counts as up for three minutes after the last handshake.",
                    way_out: "At {0}: portals doctor (is it on? is its link up?)",
                },
                &[name],
            ),
        }
    }
}

/// Adds the fault that this machine itself does not let echoes to a far end leave.
pub(super) fn unsent(
    check: &'static str,
    name: &dyn Display,
    path: &EchoPath,
    errno: Errno,
    findings: &mut Findings,
) {
    let reason = if errno == Errno::EPERM { "its own firewall refuses them" } else { errno.desc() };
    findings.wrong(
        &Words {
            check,
            seen: "This machine sends no pings to {0} out of {1}: {2}.",
            why: "Nothing is known about the path; portals measures with pings.",
            way_out: "Find the reason: portals trace self {3}{config}",
        },
        &[name, &path.interface, &reason, &path.to],
    );
}

/// Tells the size of segments of TCP through tunnels. Rules of others cannot make it larger: the kernel only
/// ever lowers the option (`tcpmss_mangle_packet`, and `nft_exthdr_tcp_set_eval` since Linux 4.14).
pub(super) fn segments(live: &mut Live, findings: &mut Findings) {
    // While rules are missing, this would be no fact.
    if !live.steps.is_empty() {
        return;
    }
    let site = &live.here.site;
    let mut said = Vec::new();
    for tunnel in site.tunnels.values() {
        let mtu = site.mtu_of(tunnel);
        if !said.contains(&mtu) {
            said.push(mtu);
            // The headers of IP and TCP.
            let (least, most) = (mtu.saturating_sub(60), mtu.saturating_sub(40));
            let seen = "TCP in tunnels carries at most {0} bytes a packet, {1} with IPv6.";
            findings.ok("MSS", seen, &[&most, &least]);
        }
    }
}

/// Tells whether the internet swallows packets of a tunnel with this MTU. No answer tells nothing: many hosts
/// answer no pings.
fn outside(site: &Site, kernel: &mut Linux, to: IpAddr, most: u32, findings: &mut Findings) {
    // The headers of IP and UDP, and the 32 bytes of WireGuard (wireguard.com/protocol).
    let (family, added) = if to.is_ipv4() { (Family::V4, 60) } else { (Family::V6, 80) };
    let Some(uplink) = &site.host.uplink else { return };
    let mut own = uplink.addresses.iter().map(|own| own.address);
    let Some(from) = own.find(|own| Family::of(*own) == family) else { return };
    let path = EchoPath { interface: uplink.interface.clone(), from, to, mark: None };
    let Ok(mut echo) = kernel.echo_socket(&path) else { return };
    let length = most + added;
    match swallows(&mut *echo, usize::try_from(length).unwrap_or(SMALL)) {
        Some(true) => findings.note(
            &Words {
                check: CHECK,
                seen: "Outside the tunnel, packets of {0} bytes to {1} vanish as well.",
                why: "A provider on the way drops them, and sends no ICMP error.",
                way_out: "",
            },
            &[&length, &to],
        ),
        Some(false) => findings.note(
            &Words {
                check: CHECK,
                seen: "Outside the tunnel, packets of {0} bytes reach {1}.",
                why: "The internet lets them pass: look for a firewall that drops large UDP packets.",
                way_out: "",
            },
            &[&length, &to],
        ),
        None => {}
    }
}

/// Reports whether small echoes are answered, and large ones are not; `None` if nothing is answered.
fn swallows(echo: &mut dyn EchoSocket, large: usize) -> Option<bool> {
    let mut is_heard = false;
    for _ in 0..ATTEMPTS {
        let numbers = [echo.ask_in(SMALL).ok()?, echo.ask_in(large).ok()?];
        match hears(echo, numbers) {
            [_, true] => return Some(false),
            [small, false] => is_heard |= small,
        }
    }
    is_heard.then_some(true)
}

/// Measures the largest packet that passes through a tunnel with this MTU in bytes.
///
/// # Errors
/// If this machine itself does not let the packets leave.
pub(super) fn measured(echo: &mut dyn EchoSocket, most: u32) -> Result<MtuVerdict, Errno> {
    let mut search = MtuSearch::new(most);
    loop {
        let large = usize::try_from(search.size()).unwrap_or(SMALL);
        let numbers = [echo.ask_in(SMALL)?, echo.ask_in(large)?];
        let [small, large] = hears(echo, numbers);
        if let Some(verdict) = search.heard(small, large) {
            return Ok(verdict);
        }
    }
}

/// Waits until both of these echoes are answered, but not for ever. Reports for each whether it was.
pub(super) fn hears(echo: &mut dyn EchoSocket, numbers: [u16; 2]) -> [bool; 2] {
    let until = after(Instant::now(), PATIENCE);
    let mut heard = [false; 2];
    loop {
        for answer in echo.answers() {
            heard[0] |= answer == numbers[0];
            heard[1] |= answer == numbers[1];
        }
        let is_over = heard == [true; 2] || has_come(until);
        if is_over || wait_for_input(&[echo.descriptor()], Some(until)).is_err() {
            return heard;
        }
    }
}
