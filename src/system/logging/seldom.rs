//! Messages about what others do, who may do it a thousand times a second: flash is small.

use std::time::{Duration, Instant};

/// After one was said, others are only counted for so long.
const PAUSE: Duration = Duration::from_mins(1);

/// Lets one message of many pass.
#[derive(Debug, Default)]
pub struct Seldom {
    /// Until when nothing is said, and how much was left unsaid so far.
    pause: Option<(Instant, usize)>,
}

impl Seldom {
    /// The message to write now, if any.
    pub fn say(&mut self, message: String, now: Instant) -> Option<String> {
        if let Some((until, unsaid)) = &mut self.pause
            && now < *until
        {
            *unsaid += 1;
            return None;
        }
        let unsaid = self.pause.replace((now + PAUSE, 0)).map_or(0, |(_, unsaid)| unsaid);
        Some(if unsaid == 0 { message } else { format!("{message} (and {unsaid} such messages before)") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_messages_is_said() {
        let (mut seldom, now) = (Seldom::default(), Instant::now());
        let mut say = |after| seldom.say("so it is".to_owned(), now + after);
        assert_eq!(say(Duration::ZERO).as_deref(), Some("so it is"));
        assert_eq!(say(Duration::from_secs(1)), None);
        assert_eq!(say(PAUSE.mul_f32(0.9)), None);
        assert_eq!(say(PAUSE).as_deref(), Some("so it is (and 2 such messages before)"));
        assert_eq!(say(3 * PAUSE).as_deref(), Some("so it is"));
    }
}
