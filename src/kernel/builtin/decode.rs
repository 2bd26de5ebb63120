//! Answers of a WireGuard outside of the kernel, in the cross-platform protocol.

use std::io;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::SystemTime;

use defguard_wireguard_rs::host::Host;

use super::NO_KEY;
use crate::base::net::{Cidr, PublicKey, Secret};
use crate::kernel::wireguard::{PeerStatistics, Reading};
use crate::state::{Peer, Tunnel};

/// Beginning of the lines with the time of the last handshake, and the largest number in them: beyond the
/// year 30000 a number is not a time, and the library fails when the sum is more than a time can hold.
const HANDSHAKE: &[u8] = b"last_handshake_time_";
const LATEST: u64 = 1 << 40;

/// Reads an answer. `now` decides which peers are alive.
pub(crate) fn parse(answer: &[u8], now: SystemTime) -> io::Result<Reading> {
    if answer.split(|byte| *byte == b'\n').any(has_impossible_time) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer contains a handshake at an impossible time",
        ));
    }
    Host::parse_uapi(answer).map(|host| decode(host, now))
}

fn has_impossible_time(line: &[u8]) -> bool {
    let Some(told) = line.strip_prefix(HANDSHAKE) else { return false };
    let number = told.split(|byte| *byte == b'=').next_back().and_then(|digits| str::from_utf8(digits).ok());
    number.and_then(|digits| digits.parse::<u64>().ok()).is_none_or(|number| number > LATEST)
}

fn decode(host: Host, now: SystemTime) -> Reading {
    let private_key =
        host.private_key.map(|key| key.as_array()).filter(|key| *key != NO_KEY).map(Secret::new);
    let mut reading = Reading {
        tunnel: Tunnel {
            private_key,
            port: NonZeroU16::new(host.listen_port),
            fwmark: host.fwmark.and_then(NonZeroU32::new),
            ..Tunnel::default()
        },
        ..Reading::default()
    };
    for (key, uapi) in host.peers {
        let key = PublicKey(key.as_array());
        let statistics = PeerStatistics {
            endpoint: uapi.endpoint,
            handshake: uapi.last_handshake,
            received: uapi.rx_bytes,
            sent: uapi.tx_bytes,
        };
        let networks = uapi.allowed_ips.iter().filter_map(|network| Cidr::new(network.address, network.cidr));
        let peer = Peer {
            preshared_key: uapi.preshared_key.map(|key| Secret::new(key.as_array())),
            endpoint: uapi.endpoint,
            keepalive: uapi.persistent_keepalive_interval.and_then(NonZeroU16::new),
            allowed_ips: networks.collect(),
            alive: statistics.alive(now),
        };
        reading.tunnel.peers.insert(key, peer);
        reading.peers.insert(key, statistics);
    }
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_time_is_an_error() {
        let told = |time: &str| {
            let answer = format!("public_key={}\nlast_handshake_time_sec={time}\n\n", "07".repeat(32));
            parse(answer.as_bytes(), SystemTime::now()).map(|reading| reading.peers.len()).ok()
        };
        assert_eq!(told("1700000000"), Some(1));
        for time in ["18446744073709551615", "9223372036854775807", "-1", "soon", ""] {
            assert_eq!(told(time), None, "{time}");
        }
    }
}
