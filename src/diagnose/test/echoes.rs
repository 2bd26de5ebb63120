//! Echoes to the far end of an exit: delay, loss, the largest packets that pass, and speed.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{Subject, Words, add};
use crate::base::moment::after;
use crate::diagnose::finding::{Finding, Verdict};
use crate::engine::mtu_search::{MtuSearch, MtuVerdict};
use crate::kernel::Kernel;
use crate::kernel::echo::EchoPath;
use crate::kernel::sockets::EchoSocket;
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

/// Time without an answer after which echoes count as lost where the speed is measured.
const PAUSE: Duration = Duration::from_millis(400);

/// Number of echoes that are on their way at first, and at most.
const FIRST_WINDOW: usize = 8;
const MOST_WAITING: usize = 1000;

/// Number of lost echoes of ten that are no fault: radio links lose some.
const FEW: u32 = 1;

/// Tests delay and loss, then the packets that pass, and the speed. Reports whether the far end answers.
pub(super) fn test(
    subject: &Subject,
    path: &EchoPath,
    kernel: &mut dyn Kernel,
    findings: &mut Vec<Finding>,
) -> bool {
    let Ok(mut echo) = kernel.echo_socket(path) else {
        silent(subject, findings);
        return false;
    };
    let is_answered = test_delay(subject, &mut *echo, findings);
    if is_answered && let Some(tunnel) = subject.site.tunnels.get(&path.interface) {
        let width = test_width(&mut *echo, subject.site.mtu_of(tunnel), findings);
        if tunnel.provider.is_none() {
            test_speed(&mut *echo, width, findings);
        }
    }
    is_answered
}

fn test_delay(subject: &Subject, echo: &mut dyn EchoSocket, findings: &mut Vec<Finding>) -> bool {
    let (mut asked, mut answered) = (0, 0);
    let (mut fastest, mut slowest, mut sum) = (PATIENCE, Duration::ZERO, Duration::ZERO);
    while asked < ECHOES && (asked < SILENT || answered > 0) {
        asked += 1;
        let begun = Instant::now();
        let Ok(number) = echo.ask_in(SMALL) else { continue };
        if hears(echo, [number, number], after(begun, PATIENCE)).0 {
            let time = begun.elapsed();
            (fastest, slowest) = (fastest.min(time), slowest.max(time));
            sum += time;
            answered += 1;
        }
    }
    if answered == 0 {
        silent(subject, findings);
        return false;
    }
    let mut seen = subject.portal.exit.to_string();
    let (mean, fastest, slowest) =
        (milliseconds(sum / answered), milliseconds(fastest), milliseconds(slowest));
    for part in [" answers after ", &mean, " (", &fastest, " to ", &slowest, ")"] {
        seen.push_str(part);
    }
    let lost = ECHOES - answered;
    let _ = write!(seen, "; {lost} of {ECHOES} packets were lost.");
    let (verdict, words): (Verdict, &Words) = if lost <= FEW {
        (Verdict::Ok, &["delay", "", ""])
    } else {
        (
            Verdict::Wrong,
            &["delay", "Transfers are slow on a lossy path.", "Look at the uplinks of both sites."],
        )
    };
    add(findings, verdict, words, seen);
    true
}

/// Adds the finding about a far end that does not answer. A provider need not answer pings.
fn silent(subject: &Subject, findings: &mut Vec<Finding>) {
    let exit = &subject.portal.exit;
    let tunnel = exit.interface().and_then(|interface| subject.site.tunnels.get(interface));
    let (verdict, words): (Verdict, &Words) = if tunnel.is_some_and(|tunnel| tunnel.provider.is_some()) {
        (Verdict::Note, &["exit", "Some providers answer no pings.", ""])
    } else {
        (Verdict::Wrong, &["exit", "", "`portals status` tells the state of its link, and what was tried."])
    };
    let mut seen = exit.to_string();
    seen.push_str(" does not answer.");
    add(findings, verdict, words, seen);
}

/// Tests which packets pass through a tunnel with this MTU. Returns the size of the largest in bytes.
fn test_width(echo: &mut dyn EchoSocket, most: u32, findings: &mut Vec<Finding>) -> u32 {
    let mut search = MtuSearch::new(most);
    let verdict = loop {
        let large = usize::try_from(search.size()).unwrap_or(SMALL);
        let Ok(numbers) = echo.ask_in(SMALL).and_then(|small| Ok([small, echo.ask_in(large)?])) else {
            break MtuVerdict::Silent;
        };
        let heard = hears(echo, numbers, after(Instant::now(), PATIENCE));
        if let Some(verdict) = search.heard(heard.0, heard.1) {
            break verdict;
        }
    };
    let (mut seen, mut width) = (format!("Packets of {most} bytes "), most);
    let (verdict, words): (Verdict, &Words) = match verdict {
        MtuVerdict::Whole => {
            seen.push_str("pass.");
            (Verdict::Ok, &["MTU", "", ""])
        }
        MtuVerdict::Narrow(passes) => {
            width = passes;
            let _ = write!(seen, "vanish, and those of {width} pass.");
            let way_out = "Set `mtu` in [network] to the smaller number, or to \"auto\", at all sites.";
            (Verdict::Wrong, &["MTU", "Small requests work, and transfers hang.", way_out])
        }
        MtuVerdict::Silent => {
            seen.push_str("get no answer.");
            (Verdict::NotChecked, &["MTU", "", ""])
        }
    };
    add(findings, verdict, words, seen);
    width
}

/// Tests the speed there and back at the same time, by echoes of this size: the kernel of the other end answers
/// them, so that no agent has to. The number on their way grows while they come back.
fn test_speed(echo: &mut dyn EchoSocket, bytes: u32, findings: &mut Vec<Finding>) {
    let size = usize::try_from(bytes).unwrap_or(SMALL);
    let begun = Instant::now();
    let end = after(begun, SPEED_TIME);
    let (mut window, mut waiting, mut answered) = (FIRST_WINDOW, 0, 0_u64);
    while Instant::now() < end {
        // A full queue of the interface gets room in a moment.
        while waiting < window && echo.ask_in(size).is_ok() {
            waiting += 1;
        }
        let Ok(_) = wait_for_input(&[echo.descriptor()], Some(after(Instant::now(), PAUSE))) else { return };
        let heard = echo.answers().len();
        answered += heard as u64;
        if heard == 0 {
            // All of them are lost, or the path is much slower than it seemed.
            (window, waiting) = (FIRST_WINDOW.max(window / 2), 0);
        } else {
            (window, waiting) = (MOST_WAITING.min(window + heard), waiting.saturating_sub(heard));
        }
    }
    let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut words = short(answered * u64::from(bytes) * 8 / elapsed.max(1), " Mbit/s");
    words.push_str(" there, and as much back at the same time.");
    add(findings, Verdict::Ok, &["speed", "", ""], words);
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
