//! Echoes to the far end of an exit: delay, loss, and the largest packets that pass.

use std::fmt::Display;
use std::time::Instant;

use super::words::{Short, micros};
use super::{EXIT, Subject, speed};
use crate::diagnose::finding::{Findings, Words};
use crate::diagnose::mtu::{SMALL, hears, measured, unsent};
use crate::engine::mtu_search::MtuVerdict;
use crate::kernel::Kernel;
use crate::kernel::echo::EchoPath;
use crate::kernel::sockets::EchoSocket;
use crate::site::Exit;

/// Number of echoes for delay and loss.
const ECHOES: u32 = 10;

/// Number of lost echoes in a row, from the first on, after which nothing is expected any more.
const SILENT: u32 = 3;

/// Number of lost echoes of ten that are no fault: radio links lose some.
const FEW: u32 = 1;

/// Tests delay and loss, then the packets that pass, and the speed. Reports whether the far end answers.
pub(super) fn test(
    subject: &Subject,
    path: &EchoPath,
    kernel: &mut dyn Kernel,
    findings: &mut Findings,
) -> bool {
    const SEEN: &str = "{0} does not answer.";
    let exit = &subject.portal.exit;
    let tunnel = subject.site.tunnels.get(&path.interface);
    let is_provider = tunnel.is_some_and(|tunnel| tunnel.provider.is_some());
    let mut echo = kernel.echo_socket(path);
    if let Ok(echo) = &mut echo
        && let Err(errno) = echo.ask_in(SMALL)
    {
        unsent(EXIT, exit, path, errno, findings);
        return false;
    }
    if let Ok(mut echo) = echo
        && test_delay(exit, &mut *echo, findings)
    {
        if let Some(tunnel) = tunnel {
            let width = test_width(&mut *echo, subject.site.mtu_of(tunnel), findings);
            if !is_provider {
                speed::test(subject, path, &mut *echo, width, findings);
            }
        }
        return true;
    }
    if is_provider {
        let why = "Some providers answer no pings.";
        findings.note(&Words { check: EXIT, seen: SEEN, why, way_out: "" }, &[exit]);
    } else {
        let way_out = "`portals status` tells the state of its link, and what was tried.";
        findings.wrong(&Words { check: EXIT, seen: SEEN, why: "", way_out }, &[exit]);
    }
    false
}

fn test_delay(exit: &Exit, echo: &mut dyn EchoSocket, findings: &mut Findings) -> bool {
    const CHECK: &str = "delay";
    const SEEN: &str = "{0} answers after {1} ({2} to {3}); {4} of {5} packets were lost.";
    let (mut asked, mut answered) = (0, 0);
    let (mut fastest, mut slowest, mut sum) = (u32::MAX, 0, 0);
    while asked < ECHOES && (asked < SILENT || answered > 0) {
        asked += 1;
        let begun = Instant::now();
        let Ok(number) = echo.ask_in(SMALL) else { continue };
        if hears(echo, [number; 2])[0] {
            let time = micros(begun.elapsed());
            (fastest, slowest) = (time.min(fastest), time.max(slowest));
            sum += time;
            answered += 1;
        }
    }
    if answered == 0 {
        return false;
    }
    let (mean, lost) = (Short(sum / answered, " ms"), ECHOES - answered);
    let values: [&dyn Display; 6] =
        [exit, &mean, &Short(fastest, " ms"), &Short(slowest, " ms"), &lost, &ECHOES];
    if lost <= FEW {
        findings.ok(CHECK, SEEN, &values);
    } else {
        let (why, way_out) = ("Transfers are slow on a lossy path.", "Look at the uplinks of both sites.");
        findings.wrong(&Words { check: CHECK, seen: SEEN, why, way_out }, &values);
    }
    true
}

/// Tests which packets pass through a tunnel with this MTU. Returns the size of the largest in bytes.
fn test_width(echo: &mut dyn EchoSocket, most: u32, findings: &mut Findings) -> u32 {
    const CHECK: &str = "MTU";
    match measured(echo, most).unwrap_or(MtuVerdict::Silent) {
        MtuVerdict::Whole => findings.ok(CHECK, "Packets of {0} bytes pass.", &[&most]),
        MtuVerdict::Silent => {
            findings.not_checked(CHECK, "Packets of {0} bytes get no answer.", &[&most]);
        }
        MtuVerdict::Narrow(width) => {
            findings.wrong(
                &Words {
                    check: CHECK,
                    seen: "Packets of {0} bytes vanish, and those of {1} pass.",
                    why: "Small requests work, and transfers hang.",
                    way_out: "Set `mtu` in [network] to the smaller number, or to \"auto\", at all sites.",
                },
                &[&most, &width],
            );
            return width;
        }
    }
    most
}
