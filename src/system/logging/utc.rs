//! Times of day for people.

use std::time::SystemTime;

use time::OffsetDateTime;

/// Returns the text of a time in UTC: `2026-11-22T16:47:24Z`. A time after the year 9999 is given in seconds:
/// `253402300800 s after 1970`.
pub(crate) fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let date = i64::try_from(seconds).map(OffsetDateTime::from_unix_timestamp);
    let Ok(Ok(date)) = date else { return format!("{seconds} s after 1970") };
    // Not `date.format`: formats of any kind take 15 kB on mipsel.
    let (year, month, day) = date.to_calendar_date();
    let (hour, minute, second) = date.to_hms();
    let month = u8::from(month);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text_of(seconds: u64) -> String {
        utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(text_of(0), "1970-01-01T00:00:00Z");
        assert_eq!(text_of(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(text_of(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(text_of(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(text_of(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(text_of(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(text_of(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(text_of(253_402_300_800), "253402300800 s after 1970");
    }
}
