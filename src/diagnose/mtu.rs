//! Check of the path through each tunnel, by echoes that may not be taken apart on the way.

use std::time::{Duration, Instant};

use super::case::Live;
use super::finding::{Findings, Words};
use crate::base::moment::{after, has_come};
use crate::engine::mtu_search::{MtuSearch, MtuVerdict};
use crate::kernel::Kernel as _;
use crate::kernel::echo::EchoPath;
use crate::kernel::sockets::EchoSocket;
use crate::system::wait::wait_for_input;

const CHECK: &str = "path";

/// Longest wait for the answer to an echo.
const PATIENCE: Duration = Duration::from_secs(1);

/// Size of a small echo in bytes.
pub(super) const SMALL: usize = 64;

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
        match measured(&mut *echo, most) {
            MtuVerdict::Whole => {
                findings.ok(CHECK, "Packets of {0} bytes reach {1} through the tunnel.", &[&most, name]);
            }
            MtuVerdict::Narrow(width) => findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "Packets of {0} bytes vanish on the way to {1}; those of {2} bytes pass.",
                    why: "Small requests work, and large transfers hang.",
                    way_out: "Write `mtu = {2}` or `mtu = \"auto\"` under [network], at all sites.",
                },
                &[&most, name, &width],
            ),
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

/// Measures the largest packet that passes through a tunnel with this MTU in bytes.
pub(super) fn measured(echo: &mut dyn EchoSocket, most: u32) -> MtuVerdict {
    let mut search = MtuSearch::new(most);
    loop {
        let large = usize::try_from(search.size()).unwrap_or(SMALL);
        let Ok(numbers) = echo.ask_in(SMALL).and_then(|small| Ok([small, echo.ask_in(large)?])) else {
            return MtuVerdict::Silent;
        };
        let [small, large] = hears(echo, numbers);
        if let Some(verdict) = search.heard(small, large) {
            return verdict;
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
