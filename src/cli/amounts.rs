//! Times, amounts of data and lists of ports in words for people.

use std::fmt::Write as _;
use std::time::Duration;

pub use crate::base::duration::duration;

/// Returns seconds and tenths, as in `1.3 s`. Uses integer arithmetic: the code that prints floating-point
/// numbers takes eleven kilobytes.
pub fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

/// Returns a number of bytes with its unit: `512 B`, `1.5 kB`, `2.0 MB`. The units are powers of 1000, as is
/// usual for links.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut tenths = number / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Returns ports in words, with ranges of adjacent ones: `443, 51820-51822`.
pub fn ports(ports: &[u16]) -> String {
    let mut words = String::new();
    let mut first = None;
    for (index, port) in ports.iter().enumerate() {
        let from = *first.get_or_insert(*port);
        if ports.get(index + 1).is_some_and(|next| *next == port + 1) {
            continue;
        }
        if !words.is_empty() {
            words.push_str(", ");
        }
        let _ = write!(words, "{from}");
        if from < *port {
            let _ = write!(words, "-{port}");
        }
        first = None;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_one_decimal() {
        assert_eq!(seconds(Duration::from_millis(61_050)), "61.0 s");
        assert_eq!(seconds(Duration::from_millis(999)), "0.9 s");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(1_550_000), "1.5 MB");
        assert_eq!(bytes(20_000_000_000_000_000), "20000.0 TB");
    }

    #[test]
    fn adjacent_ports_are_a_range() {
        assert_eq!(ports(&[443]), "443");
        assert_eq!(ports(&[443, 51_820, 51_822, 51_823, 51_824, 65_535]), "443, 51820, 51822-51824, 65535");
        assert_eq!(ports(&[65_534, 65_535]), "65534-65535");
        assert_eq!(ports(&[]), "");
    }
}
