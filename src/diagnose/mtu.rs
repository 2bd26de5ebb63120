//! Check of the path through each tunnel: echoes of the smallest and the largest size, which may not be taken
//! apart on the way.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::case::Live;
use super::finding::{Findings, Words};
use crate::kernel::echo::{Echo, EchoPath};

const CHECK: &str = "path";

/// Wait for the answer to an echo.
const PATIENCE: Duration = Duration::from_millis(700);

/// Pause between two looks for answers.
const PAUSE: Duration = Duration::from_millis(20);

/// Number of echoes of a size: some are lost on a busy path.
const TRIES: usize = 3;

/// Smallest size that is tried in bytes.
const SMALL: usize = 64;

/// Number of bytes up to which a result is exact.
const STEP: usize = 16;

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
        let Ok(mut echo) = Echo::open(&path) else { continue };
        let most = usize::try_from(site.mtu_of(tunnel)).unwrap_or_default();
        let name = &link.peer;
        if passes(&mut echo, most) {
            findings.ok(CHECK, "Packets of {0} bytes reach {1} through the tunnel.", &[&most, &name]);
        } else if passes(&mut echo, SMALL) {
            let width = width(&mut echo, most);
            findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "Packets of {0} bytes vanish on the way to {1}; those of {2} bytes pass.",
                    why: "Small requests work, and large transfers hang.",
                    way_out: "Write `mtu = {2}` or `mtu = \"auto\"` under [network], at all sites.",
                },
                &[&most, &name, &width],
            );
        } else {
            findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "{0} does not answer through the tunnel, although there was a handshake.",
                    why: "The link counts as up for three minutes after the last handshake.",
                    way_out: "At {0}: portals doctor (is it on? is its link up?)",
                },
                &[&name],
            );
        }
    }
}

/// Returns the largest size that passes, a little rounded down.
fn width(echo: &mut Echo, most: usize) -> usize {
    let (mut low, mut high) = (SMALL, most);
    while high - low > STEP {
        let middle = usize::midpoint(low, high);
        if passes(echo, middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Reports whether an echo of that many bytes is answered.
fn passes(echo: &mut Echo, bytes: usize) -> bool {
    for _ in 0..TRIES {
        // A packet larger than the interface takes is refused at once.
        let Ok(number) = echo.ask_in(bytes) else { continue };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if echo.answers().contains(&number) {
                return true;
            }
            sleep(PAUSE);
        }
    }
    false
}
