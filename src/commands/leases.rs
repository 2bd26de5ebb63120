//! DHCP leases of a portal, in `portals status`.

use std::fmt::Write as _;

use crate::base::json::JsonText;
use crate::cli::amounts::duration;
use crate::services::leases::{Lease, LeaseTime};

/// Adds the leases to a JSON object.
pub(super) fn json(json: &mut JsonText, leases: &[Lease]) {
    json.begin("leases", '[');
    for lease in leases {
        json.begin("", '{');
        json.text("address", &lease.address);
        json.text("mac", &lease.mac);
        json.text_or_null("name", lease.name.as_ref().map(|name| name as _));
        let (member, seconds) = match lease.left {
            LeaseTime::Left(left) => ("left_s", Some(left.as_secs())),
            LeaseTime::UpTo(length) => ("length_s", Some(length.as_secs())),
            LeaseTime::Endless => ("left_s", None),
        };
        json.put_or_null(member, seconds);
        json.end('}');
    }
    json.end(']');
}

/// Appends one line per lease, below the line of the portal.
pub(super) fn lines(text: &mut String, leases: &[Lease]) {
    for Lease { address, mac, name, left } in leases {
        let name = name.as_deref().unwrap_or_default();
        let time = match left {
            LeaseTime::Left(left) => format!("for {}", hours(left.as_secs())),
            LeaseTime::UpTo(length) => format!("for up to {}", hours(length.as_secs())),
            LeaseTime::Endless => "without end".to_owned(),
        };
        let _ = writeln!(text, "    {address:<15}  {mac}  {time}  {name}");
    }
}

/// Returns a time to the minute, or to the second if it is short: most leases last hours, of which half an
/// hour is a part that matters.
fn hours(seconds: u64) -> String {
    match seconds / 60 {
        minutes @ 120.. if minutes % 60 > 0 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => duration(seconds),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::net::Mac;

    #[test]
    fn a_lease_is_shown() {
        let lease = Lease {
            address: "10.77.1.90".parse().unwrap(),
            mac: Mac([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]),
            name: Some("phone".to_owned()),
            left: LeaseTime::Endless,
        };
        for (left, member, words) in [
            (LeaseTime::Left(Duration::from_hours(11)), r#""left_s":39600"#, "for 11 h"),
            (LeaseTime::Left(Duration::from_secs(43_199)), r#""left_s":43199"#, "for 11 h 59 min"),
            (LeaseTime::Left(Duration::from_secs(61)), r#""left_s":61"#, "for 61 s"),
            (LeaseTime::UpTo(Duration::from_mins(150)), r#""length_s":9000"#, "for up to 2 h 30 min"),
            (LeaseTime::Endless, r#""left_s":null"#, "without end"),
        ] {
            let lease = Lease { left, ..lease.clone() };
            let mut shown = JsonText::default();
            json(&mut shown, std::slice::from_ref(&lease));
            let device = r#""leases":[{"address":"10.77.1.90","mac":"aa:bb:cc:dd:ee:ff","name":"phone","#;
            assert_eq!(shown.finish(), format!("{device}{member}}}]"));
            let mut text = String::new();
            lines(&mut text, &[lease]);
            assert_eq!(text, format!("    10.77.1.90       aa:bb:cc:dd:ee:ff  {words}  phone\n"));
        }
    }
}
