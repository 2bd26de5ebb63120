//! Rate limit for messages about events that others cause, perhaps a thousand times a second: flash is small.

use std::time::{Duration, Instant};

use crate::base::moment::after;

/// Time after a message during which further messages are only counted.
const PAUSE: Duration = Duration::from_mins(1);

/// Rate limit that lets one message of many pass.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// End of the pause, and the number of messages withheld in it.
    pause: Option<(Instant, usize)>,
}

impl RateLimit {
    /// Returns the message if it may be written now.
    pub fn say(&mut self, message: String, now: Instant) -> Option<String> {
        if let Some((until, withheld)) = &mut self.pause
            && now < *until
        {
            *withheld += 1;
            return None;
        }
        let withheld = self.pause.replace((after(now, PAUSE), 0)).map_or(0, |(_, withheld)| withheld);
        Some(if withheld == 0 { message } else { format!("{message} (and {withheld} such messages before)") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_messages_is_said() {
        let (mut seldom, now) = (RateLimit::default(), Instant::now());
        let mut say = |after| seldom.say("so it is".to_owned(), now + after);
        assert_eq!(say(Duration::ZERO).as_deref(), Some("so it is"));
        assert_eq!(say(Duration::from_secs(1)), None);
        assert_eq!(say(PAUSE.mul_f32(0.9)), None);
        assert_eq!(say(PAUSE).as_deref(), Some("so it is (and 2 such messages before)"));
        assert_eq!(say(3 * PAUSE).as_deref(), Some("so it is"));
    }
}
