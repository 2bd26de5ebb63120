//! Stations that are connected to a portal's Wi-Fi, in `portals status`.

use std::fmt::Write as _;

use crate::base::json::Json;
use crate::cli::amounts::{bytes, duration};
use crate::wifi::card::Station;

/// Returns the stations as a JSON list.
pub(super) fn json(stations: &[Station]) -> Json {
    let station = |station: &Station| {
        Json::Object(vec![
            ("mac", Json::text(&station.mac.to_string())),
            ("signal_dbm", station.signal.map_or(Json::Null, |signal| Json::Signed(signal.into()))),
            ("connected_s", Json::Number(station.connected.into())),
            ("inactive_ms", Json::Number(station.silent.into())),
            ("rx_bytes", Json::Number(station.received)),
            ("tx_bytes", Json::Number(station.sent)),
        ])
    };
    Json::List(stations.iter().map(station).collect())
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
            r#"[{"mac":"aa:bb:cc:dd:ee:ff","signal_dbm":-51,"connected_s":75,"inactive_ms":20,"#,
            r#""rx_bytes":3000,"tx_bytes":4}]"#
        );
        assert_eq!(json(&[STATION]).to_string(), expected);
        assert!(json(&[Station { signal: None, ..STATION }]).to_string().contains(r#""signal_dbm":null"#));
        let mut text = String::new();
        lines(&mut text, &[STATION]);
        assert_eq!(text, "    aa:bb:cc:dd:ee:ff  -51 dBm  connected for 75 s  in 3.0 kB, out 4 B\n");
    }
}
