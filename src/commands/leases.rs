//! DHCP leases of a portal, in `portals status`.

use std::fmt::Write as _;

use crate::base::json::Json;
use crate::cli::amounts::duration;
use crate::services::leases::Lease;

/// Returns the leases as a JSON list.
pub(super) fn json(leases: &[Lease]) -> Json {
    let lease = |lease: &Lease| {
        Json::Object(vec![
            ("address", Json::text(&lease.address.to_string())),
            ("mac", Json::text(&lease.mac.to_string())),
            ("name", lease.name.as_deref().map_or(Json::Null, Json::text)),
            ("left_s", Json::Number(lease.left.as_secs())),
        ])
    };
    Json::List(leases.iter().map(lease).collect())
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
            r#"[{"address":"10.77.1.90","mac":"aa:bb:cc:dd:ee:ff","name":"phone","left_s":39600}]"#;
        assert_eq!(json(std::slice::from_ref(&lease)).to_string(), expected);
        let mut text = String::new();
        lines(&mut text, &[lease]);
        assert_eq!(text, "    10.77.1.90       aa:bb:cc:dd:ee:ff  for 11 h  phone\n");
    }
}
