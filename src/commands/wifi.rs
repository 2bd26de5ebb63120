//! Stations that are connected to a portal's Wi-Fi, in `portals status`.

use std::fmt::Write as _;

use crate::base::json::JsonText;
use crate::cli::amounts::{bytes, duration};
use crate::wifi::card::Station;

/// Adds the stations to a JSON object.
pub(super) fn json(json: &mut JsonText, stations: &[Station]) {
    json.begin("stations", '[');
    for station in stations {
        json.begin("", '{');
        json.text("mac", &station.mac);
        match station.signal {
            Some(signal) => json.put("signal_dbm", &signal),
            None => json.put("signal_dbm", &"null"),
        }
        json.put("connected_s", &station.connected);
        json.put("inactive_ms", &station.silent);
        json.put("rx_bytes", &station.received);
        json.put("tx_bytes", &station.sent);
        json.end('}');
    }
    json.end(']');
}

/// Appends one line per station, below the line of the portal.
pub(super) fn lines(text: &mut String, stations: &[Station]) {
    for station in stations {
        let signal = station.signal.map_or_else(String::new, |signal| format!("  {signal} dBm"));
        let since = duration(station.connected.into());
        let (received, sent) = (bytes(station.received), bytes(station.sent));
        let _ =
            writeln!(text, "    {}{signal}  connected for {since}  in {received}, out {sent}", station.mac);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::net::Mac;

    const STATION: Station = Station {
        mac: Mac([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]),
        signal: Some(-51),
        connected: 75,
        silent: 20,
        received: 3000,
        sent: 4,
    };

    #[test]
    fn a_station_is_shown() {
        let expected = concat!(
            r#""stations":[{"mac":"aa:bb:cc:dd:ee:ff","signal_dbm":-51,"connected_s":75,"inactive_ms":20,"#,
            r#""rx_bytes":3000,"tx_bytes":4}]"#
        );
        let shown = |station| {
            let mut shown = JsonText::default();
            json(&mut shown, &[station]);
            shown.finish()
        };
        assert_eq!(shown(STATION), expected);
        assert!(shown(Station { signal: None, ..STATION }).contains(r#""signal_dbm":null"#));
        let mut text = String::new();
        lines(&mut text, &[STATION]);
        assert_eq!(text, "    aa:bb:cc:dd:ee:ff  -51 dBm  connected for 75 s  in 3.0 kB, out 4 B\n");
    }
}
