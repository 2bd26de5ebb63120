//! Times and rates in words.

use std::fmt::{self, Display};
use std::time::Duration;

/// Thousandths of a unit, in words with one decimal below ten.
pub(super) struct Short(pub(super) u32, pub(super) &'static str);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(thousandths, unit) = self;
        write!(f, "{}", thousandths / 1000)?;
        if *thousandths < 10_000 {
            write!(f, ".{}", thousandths / 100 % 10)?;
        }
        f.write_str(unit)
    }
}

/// Returns a time of less than an hour in microseconds.
pub(super) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(0) * 1_000_000 + time.subsec_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        for (kilobits, words) in [(0, "0.0 Mbit/s"), (9_999, "9.9 Mbit/s"), (94_500, "94 Mbit/s")] {
            assert_eq!(Short(kilobits, " Mbit/s").to_string(), words);
        }
    }

    #[test]
    fn times_are_short() {
        for (time, words) in [(0, "0.0 ms"), (9_999, "9.9 ms"), (10_000, "10 ms"), (1_500_000, "1500 ms")] {
            assert_eq!(Short(micros(Duration::from_micros(time)), " ms").to_string(), words);
        }
    }
}
