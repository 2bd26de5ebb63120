//! DHCP leases of a portal, in `portals status`.

use std::fmt::Write as _;

use crate::base::json::JsonText;
use crate::cli::amounts::duration;
use crate::services::leases::Lease;

/// Adds the leases to a JSON object.
pub(super) fn json(json: &mut JsonText, leases: &[Lease]) {
    json.begin("leases", '[');
    for lease in leases {
        json.begin("", '{');
        json.text("address", &lease.address);
        json.text("mac", &lease.mac);
        json.text_or_null("name", lease.name.as_ref().map(|name| name as _));
        json.put("left_s", &lease.left.as_secs());
        json.end('}');
    }
    json.end(']');
}

/// Appends one line per lease, below the line of the portal.
pub(super) fn lines(text: &mut String, leases: &[Lease]) {
    for Lease { address, mac, name, left } in leases {
        let name = name.as_deref().unwrap_or_default();
        let _ = writeln!(text, "    {address:<15}  {mac}  for {}  {name}", duration(left.as_secs()));
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
            left: Duration::from_hours(11),
        };
        let expected =
            r#""leases":[{"address":"10.77.1.90","mac":"aa:bb:cc:dd:ee:ff","name":"phone","left_s":39600}]"#;
        let mut shown = JsonText::default();
        json(&mut shown, std::slice::from_ref(&lease));
        assert_eq!(shown.finish(), expected);
        let mut text = String::new();
        lines(&mut text, &[lease]);
        assert_eq!(text, "    10.77.1.90       aa:bb:cc:dd:ee:ff  for 11 h  phone\n");
    }
}
