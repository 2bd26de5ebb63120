//! Speed of the path to the far end of an exit: in each direction, with the help of the agent there, or of
//! echoes there and back.

use std::time::{Duration, Instant};

use super::Subject;
use super::words::{Short, micros};
use crate::base::moment::{after, has_come};
use crate::diagnose::ask::Channel;
use crate::diagnose::finding::Findings;
use crate::kernel::echo::EchoPath;
use crate::kernel::sockets::EchoSocket;
use crate::nat::packet::{LONGEST_ECHO, Message};
use crate::system::wait::wait_for_input;

/// Name of the check.
const SPEED: &str = "speed";

/// Time for one direction.
const TIME: Duration = Duration::from_secs(2);

/// Time without an answer after which packets count as lost.
const PAUSE: Duration = Duration::from_millis(400);

/// Number of packets that are on their way at first, and at most.
const FIRST_WINDOW: u16 = 8;
const MOST_WAITING: u16 = 1000;

/// Number of answers that are received before the next packets leave.
const AT_ONCE: usize = 100;

/// Length of the headers of IPv4 and UDP in bytes.
const HEADERS: u32 = 28;

/// Packets that are answered, each with a number that is one more than the last.
trait Lane {
    /// Sends a packet, and returns its number; `None` if the interface has no room at present.
    fn send(&mut self) -> Option<u16>;

    /// Waits for answers, but not for ever. Returns the numbers of the packets that were answered.
    fn hear(&mut self, until: Instant) -> Vec<u16>;
}

/// Echoes of this size: the kernel of the other end answers them.
struct Echoes<'a> {
    echo: &'a mut dyn EchoSocket,
    bytes: usize,
}

impl Lane for Echoes<'_> {
    fn send(&mut self) -> Option<u16> {
        self.echo.ask_in(self.bytes).ok()
    }

    fn hear(&mut self, until: Instant) -> Vec<u16> {
        let _ = wait_for_input(&[self.echo.descriptor()], Some(until));
        self.echo.answers()
    }
}

/// Questions of this length for answers of another length: the agent of the other end answers them.
struct Questions<'a, 'b> {
    channel: &'a mut Channel<'b>,
    length: usize,
    answer: u16,
}

impl Lane for Questions<'_, '_> {
    fn send(&mut self) -> Option<u16> {
        self.channel.send(&Message::Echo(self.answer), self.length)
    }

    fn hear(&mut self, mut until: Instant) -> Vec<u16> {
        let mut heard = Vec::new();
        while let Some((_, number)) = self.channel.hear(until) {
            heard.push(number);
            if heard.len() == AT_ONCE {
                break;
            }
            until = Instant::now();
        }
        heard
    }
}

/// Tests the speed with packets of up to this size.
pub(super) fn test(
    subject: &Subject,
    path: &EchoPath,
    echo: &mut dyn EchoSocket,
    bytes: u32,
    findings: &mut Findings,
) {
    let Subject { site, portal } = subject;
    let mut seen = "{0} there, and as much back at the same time.";
    // The address of a chain is not that of the tunnels.
    if path.from == site.address
        && let Some(mut channel) = Channel::open(site, path.to)
    {
        if channel.ask(&Message::Echo(0)).is_ok() {
            let long = u16::try_from(bytes.saturating_sub(HEADERS)).unwrap_or(LONGEST_ECHO).min(LONGEST_ECHO);
            let mut rate = |length, answer| {
                channel.begin();
                measured(&mut Questions { channel: &mut channel, length, answer }, u32::from(long) + HEADERS)
            };
            let (up, down) = (rate(long.into(), 0), rate(0, long));
            return findings.ok(SPEED, "{0} to {1}, and {2} from there.", &[&up, &portal.exit, &down]);
        }
        seen = "{0} there, and as much back at the same time. The agent of {1}, which would tell each \
                direction, gives no answer: it does not run, or it is of an older version.";
    }
    let size = usize::try_from(bytes).unwrap_or_default();
    let speed = measured(&mut Echoes { echo, bytes: size }, bytes);
    findings.ok(SPEED, seen, &[&speed, &portal.exit]);
}

/// Measures the speed of packets of this size. The number on their way grows while they come back, and
/// shrinks when some are lost.
fn measured(lane: &mut dyn Lane, bytes: u32) -> Short {
    let begun = Instant::now();
    let end = after(begun, TIME);
    let (mut window, mut growth, mut answered) = (FIRST_WINDOW, 0, 0_u64);
    // Numbers of the last packet, of the last one that was answered, and of the last one when the window
    // shrank.
    let Some(mut sent) = lane.send() else { return Short(0, " Mbit/s") };
    let (mut newest, mut shrunk) = (sent.wrapping_sub(1), None);
    while !has_come(end) {
        while sent.wrapping_sub(newest) < window
            && let Some(number) = lane.send()
        {
            sent = number;
        }
        let heard = lane.hear(after(Instant::now(), PAUSE));
        if heard.is_empty() {
            // All of them are lost, or the path is much slower than it seemed.
            (window, newest) = (FIRST_WINDOW.max(window / 2), sent);
            continue;
        }
        let before = newest;
        for number in &heard {
            if is_after(*number, newest) {
                newest = *number;
            }
        }
        let count = u16::try_from(heard.len()).unwrap_or(u16::MAX);
        answered += u64::from(count);
        if newest.wrapping_sub(before) > count {
            // Packets that left before the window shrank tell nothing new.
            if shrunk.is_none_or(|shrunk| is_after(newest, shrunk)) {
                (window, shrunk) = (FIRST_WINDOW.max(window / 4 * 3), Some(sent));
            }
        } else {
            growth += if shrunk.is_none() { count * 8 } else { count };
            window = MOST_WAITING.min(window + growth / 8);
            growth %= 8;
        }
    }
    let kilobits = answered * u64::from(bytes) * 8000 / u64::from(micros(begun.elapsed()));
    Short(u32::try_from(kilobits).unwrap_or(u32::MAX), " Mbit/s")
}

/// Reports whether a number, of which only the last bits are known, comes after another.
fn is_after(number: u16, other: u16) -> bool {
    (1..0x8000).contains(&number.wrapping_sub(other))
}

#[cfg(test)]
mod tests {
    use std::mem::take;
    use std::thread::sleep;

    use super::*;

    /// Path that carries this many packets in each round, and loses the others.
    struct Narrow {
        room: usize,
        waiting: Vec<u16>,
        sent: u16,
        /// Numbers of rounds that have passed, and of packets that were carried.
        rounds: usize,
        carried: usize,
    }

    impl Narrow {
        fn of(room: usize) -> Self {
            Self { room, waiting: Vec::new(), sent: 65000, rounds: 0, carried: 0 }
        }
    }

    impl Lane for Narrow {
        fn send(&mut self) -> Option<u16> {
            self.sent = self.sent.wrapping_add(1);
            if self.waiting.len() < self.room {
                self.waiting.push(self.sent);
            }
            Some(self.sent)
        }

        fn hear(&mut self, until: Instant) -> Vec<u16> {
            let round = Duration::from_millis(10);
            let pause = until.saturating_duration_since(Instant::now());
            let wait = if self.waiting.is_empty() { pause } else { round };
            self.rounds += usize::try_from(wait.as_millis().div_ceil(round.as_millis())).unwrap();
            self.carried += self.waiting.len();
            sleep(wait);
            take(&mut self.waiting)
        }
    }

    #[test]
    fn a_path_that_loses_packets_is_kept_busy() {
        let mut path = Narrow::of(50);
        let Short(kilobits, _) = measured(&mut path, 1000);
        // 50 packets in 10 ms are 40 Mbit/s.
        assert!((1..=41_000).contains(&kilobits), "{kilobits}");
        // A busy machine has time for a few rounds only.
        let Narrow { rounds, carried, .. } = path;
        assert!(rounds < 20 || carried > rounds * 50 * 3 / 5, "{carried} packets in {rounds} rounds");
    }

    #[test]
    fn numbers_wrap_around() {
        for (number, other, is) in [(1, 0, true), (0, 1, false), (7, 7, false), (3, 65000, true)] {
            assert_eq!(is_after(number, other), is, "{number} after {other}");
        }
    }

    #[test]
    fn a_dead_path_has_no_speed() {
        let Short(kilobits, _) = measured(&mut Narrow::of(0), 1000);
        assert_eq!(kilobits, 0);
    }
}
