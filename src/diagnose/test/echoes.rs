//! Echoes to the far end of an exit: delay, loss, the largest packets that pass, and speed.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::Subject;
use crate::base::moment::after;
use crate::diagnose::finding::Finding;
use crate::engine::mtu_search::{MtuSearch, MtuVerdict};
use crate::kernel::Kernel;
use crate::kernel::echo::EchoPath;
use crate::kernel::sockets::EchoSocket;
use crate::site::Exit;
use crate::system::wait::wait_for_input;

/// Number of echoes for delay and loss.
const ECHOES: u32 = 10;

/// Number of lost echoes in a row, from the first on, after which nothing is expected any more.
const SILENT: u32 = 3;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Size of a small echo in bytes.
const SMALL: usize = 64;

/// Time for the test of the speed.
const SPEED_TIME: Duration = Duration::from_secs(2);

/// Number of echoes that are on their way at first, and at most.
const FIRST_WINDOW: usize = 8;
const MOST_WAITING: usize = 1000;

/// Number of lost echoes of ten that are no fault: radio links lose some.
const FEW: u32 = 1;

/// Tests delay and loss. Reports whether the far end answers.
pub(super) fn test_delay(
    subject: &Subject,
    path: &EchoPath,
    kernel: &mut dyn Kernel,
    findings: &mut Vec<Finding>,
) -> bool {
    const DELAY: &str = "delay";
    let exit = &subject.portal.exit;
    let (mut asked, mut answered) = (0, 0);
    let (mut fastest, mut slowest, mut sum) = (PATIENCE, Duration::ZERO, Duration::ZERO);
    if let Ok(mut echo) = kernel.echo_socket(path) {
        while asked < ECHOES && (asked < SILENT || answered > 0) {
            asked += 1;
            let begun = Instant::now();
            let Ok(number) = echo.ask_in(SMALL) else { continue };
            if hears(&mut *echo, [number, number], after(begun, PATIENCE)).0 {
                let time = begun.elapsed();
                (fastest, slowest) = (fastest.min(time), slowest.max(time));
                sum += time;
                answered += 1;
            }
        }
    }
    if answered == 0 {
        findings.push(silent(subject));
        return false;
    }
    let mut seen = exit.to_string();
    let (mean, fastest, slowest) =
        (milliseconds(sum / answered), milliseconds(fastest), milliseconds(slowest));
    for part in [" answers after ", &mean, " (", &fastest, " to ", &slowest, ")"] {
        seen.push_str(part);
    }
    let _ = write!(seen, "; {} of {ECHOES} packets were lost.", ECHOES - answered);
    findings.push(if ECHOES - answered <= FEW {
        Finding::ok(DELAY, seen)
    } else {
        Finding::wrong(
            DELAY,
            seen,
            "Transfers are slow on a lossy path.",
            "Look at the uplinks of both sites.",
        )
    });
    true
}

/// Returns the finding about a far end that does not answer. A provider need not answer pings.
fn silent(subject: &Subject) -> Finding {
    let exit = &subject.portal.exit;
    let seen = format!("{exit} does not answer.");
    if let Exit::Tunnel { interface, .. } = exit
        && subject.site.tunnels.get(interface).is_some_and(|tunnel| tunnel.provider.is_some())
    {
        return Finding::note("exit", seen, "Some providers answer no pings.", "");
    }
    Finding::wrong("exit", seen, "", "`portals status` tells the state of its link, and what was tried.")
}

/// Tests which packets pass, and how fast.
pub(super) fn test_width(
    subject: &Subject,
    path: &EchoPath,
    kernel: &mut dyn Kernel,
    findings: &mut Vec<Finding>,
) {
    let Some(tunnel) = subject.site.tunnels.get(&path.interface) else { return };
    let most = subject.site.mtu_of(tunnel);
    let Ok(mut echo) = kernel.echo_socket(path) else { return };
    let mut search = MtuSearch::new(most);
    let verdict = loop {
        let large = usize::try_from(search.size()).unwrap_or(SMALL);
        let Ok(numbers) = echo.ask_in(SMALL).and_then(|small| Ok([small, echo.ask_in(large)?])) else {
            return;
        };
        let heard = hears(&mut *echo, numbers, after(Instant::now(), PATIENCE));
        if let Some(verdict) = search.heard(heard.0, heard.1) {
            break verdict;
        }
    };
    let width = match verdict {
        MtuVerdict::Narrow(width) => width,
        _ => most,
    };
    findings.push(match verdict {
        MtuVerdict::Whole => Finding::ok("MTU", format!("Packets of {most} bytes pass.")),
        MtuVerdict::Narrow(width) => Finding::wrong(
            "MTU",
            format!("Packets of {most} bytes vanish, and those of {width} pass."),
            "Small requests work, and transfers hang.",
            format!("Set `mtu = {width}` or `mtu = \"auto\"` in [network], at all sites."),
        ),
        MtuVerdict::Silent => Finding::not_checked("MTU", "No echo is answered any more."),
    });
    if tunnel.provider.is_none() && verdict != MtuVerdict::Silent {
        test_speed(&mut *echo, width, findings);
    }
}

/// Tests the speed there and back at the same time, by echoes of this size: the kernel of the other end answers
/// them, so that no agent has to. As many are on their way as come back.
fn test_speed(echo: &mut dyn EchoSocket, bytes: u32, findings: &mut Vec<Finding>) {
    let size = usize::try_from(bytes).unwrap_or(SMALL);
    let begun = Instant::now();
    let end = after(begun, SPEED_TIME);
    let (mut window, mut received) = (FIRST_WINDOW, 0_u64);
    let mut waiting: Vec<(u16, Instant)> = Vec::new();
    while Instant::now() < end {
        while waiting.len() < window {
            // A full queue of the interface gets room in a moment.
            let Ok(number) = echo.ask_in(size) else { break };
            waiting.push((number, Instant::now()));
        }
        let next = after(Instant::now(), Duration::from_millis(20));
        if wait_for_input(&[echo.descriptor()], Some(next)).is_err() {
            return;
        }
        for answer in echo.answers() {
            if let Some(place) = waiting.iter().position(|(number, _)| *number == answer) {
                waiting.remove(place);
                received += u64::from(bytes);
                window = MOST_WAITING.min(window + 1);
            }
        }
        let before = waiting.len();
        waiting.retain(|(_, sent)| sent.elapsed() < PATIENCE / 2);
        if waiting.len() < before {
            window = FIRST_WINDOW.max(window / 2);
        }
    }
    let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut words = short(received * 8 / elapsed.max(1), " Mbit/s");
    words.push_str(" there, and as much back at the same time.");
    findings.push(Finding::ok("speed", words));
}

/// Returns thousands of a unit, with one decimal below ten.
fn short(thousandths: u64, unit: &str) -> String {
    let mut words = (thousandths / 1000).to_string();
    if thousandths < 10_000 {
        let _ = write!(words, ".{}", thousandths / 100 % 10);
    }
    words.push_str(unit);
    words
}

/// Waits until both of these echoes are answered, or until a time. Reports for each whether it was.
fn hears(echo: &mut dyn EchoSocket, [one, other]: [u16; 2], until: Instant) -> (bool, bool) {
    let mut heard = (false, false);
    loop {
        for answer in echo.answers() {
            heard.0 |= answer == one;
            heard.1 |= answer == other;
        }
        let is_over = heard == (true, true) || Instant::now() >= until;
        if is_over || wait_for_input(&[echo.descriptor()], Some(until)).is_err() {
            return heard;
        }
    }
}

/// Returns a time in milliseconds.
pub(super) fn milliseconds(time: Duration) -> String {
    short(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), " ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        for (kilobits, words) in [(0, "0.0 Mbit/s"), (9_999, "9.9 Mbit/s"), (94_500, "94 Mbit/s")] {
            assert_eq!(short(kilobits, " Mbit/s"), words);
        }
    }

    #[test]
    fn times_are_short() {
        for (micros, words) in [(0, "0.0 ms"), (9_999, "9.9 ms"), (10_000, "10 ms"), (1_500_000, "1500 ms")] {
            assert_eq!(milliseconds(Duration::from_micros(micros)), words);
        }
    }
}
