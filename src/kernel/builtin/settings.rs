//! Settings of a tunnel as a WireGuard outside of the kernel shows them, in WireGuard's cross-platform
//! protocol (<https://www.wireguard.com/xplatform/>).

use std::fmt::Write as _;
use std::io;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::{Duration, SystemTime};

use defguard_wireguard_rs::key::Key;
use zeroize::Zeroizing;

use crate::base::net::{InterfaceAddress, PublicKey, Secret};
use crate::kernel::wireguard::Reading;
use crate::kernel::wireguard::decode::without_settings;

/// Largest number in the time of a handshake: beyond the year 30000 a number is not a time.
const LATEST: u64 = 1 << 40;

/// Nanoseconds of a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// Longest lines of a tunnel, without its peers, in bytes.
const LINES: usize = 160;

/// Longest lines of a peer, without its networks, in bytes.
const LINES_OF_PEER: usize = 480;

/// Longest line of a network in bytes.
const LINE_OF_NETWORK: usize = 60;

/// Writes an answer with the settings and statistics of a tunnel. The text keeps its place in memory, so that
/// no keys are left behind.
pub(super) fn encode(reading: &Reading) -> Zeroizing<Vec<u8>> {
    let peers = reading.tunnel.peers.values();
    let room = peers.map(|peer| LINES_OF_PEER + LINE_OF_NETWORK * peer.allowed_ips.len()).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(LINES + room));
    let tunnel = &reading.tunnel;
    push_key(&mut text, "private_key=", tunnel.private_key.as_ref().map(Secret::bytes));
    if let Some(port) = tunnel.port {
        push(&mut text, "listen_port=", port.get().into());
    }
    if let Some(mark) = tunnel.fwmark {
        push(&mut text, "fwmark=", mark.get().into());
    }
    for (key, peer) in &tunnel.peers {
        push_key(&mut text, "public_key=", Some(&key.0));
        push_key(&mut text, "preshared_key=", peer.preshared_key.as_ref().map(Secret::bytes));
        let statistics = reading.peers.get(key).copied().unwrap_or_default();
        if let Some(endpoint) = peer.endpoint {
            let _ = writeln!(text, "endpoint={endpoint}");
        }
        let handshake =
            statistics.handshake.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        if let Some(time) = handshake {
            push(&mut text, "last_handshake_time_sec=", time.as_secs());
            push(&mut text, "last_handshake_time_nsec=", time.subsec_nanos().into());
        }
        push(&mut text, "tx_bytes=", statistics.sent);
        push(&mut text, "rx_bytes=", statistics.received);
        push(&mut text, "persistent_keepalive_interval=", peer.keepalive.map_or(0, NonZeroU16::get).into());
        for network in &peer.allowed_ips {
            let _ = writeln!(text, "allowed_ip={network}");
        }
    }
    text.push_str("errno=0\n\n");
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

fn push(text: &mut String, keyword: &str, number: u64) {
    let _ = writeln!(text, "{keyword}{number}");
}

fn push_key(text: &mut String, keyword: &str, key: Option<&[u8; 32]>) {
    let Some(key) = key else { return };
    text.push_str(keyword);
    for byte in key {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    text.push('\n');
}

/// Reads an answer. `now` decides which peers are alive.
///
/// `Host::parse_uapi` of the library could read the answer, too, but with a hash map, and with keys left
/// behind in it.
pub(crate) fn parse(answer: &[u8], now: SystemTime) -> io::Result<Reading> {
    let mut reading = Reading::default();
    let tunnel = &mut reading.tunnel;
    let mut current = None;
    for line in answer.split(|byte| *byte == b'\n') {
        let Ok(line) = str::from_utf8(line) else { continue };
        let Some((keyword, value)) = line.split_once('=') else { continue };
        let number = value.parse::<u64>().ok();
        match keyword {
            "private_key" => tunnel.private_key = key(value).map(Secret::new),
            "listen_port" => tunnel.port = short(number),
            "fwmark" => {
                tunnel.fwmark = number.and_then(|mark| NonZeroU32::new(u32::try_from(mark).ok()?));
            }
            // The lines of a peer begin with its key.
            "public_key" => {
                current = key(value).map(PublicKey).map(|key| {
                    (
                        tunnel.peers.get_or_insert_with(key, without_settings),
                        reading.peers.get_or_default(key),
                    )
                });
            }
            "errno" if number == Some(0) => break,
            "errno" => return Err(invalid("the answer contains an error")),
            _ => {}
        }
        let Some((peer, statistics)) = &mut current else { continue };
        match keyword {
            "preshared_key" => peer.preshared_key = key(value).map(Secret::new),
            "endpoint" => {
                peer.endpoint = value.parse().ok();
                statistics.endpoint = peer.endpoint;
            }
            "persistent_keepalive_interval" => peer.keepalive = short(number),
            "allowed_ip" => {
                if let Ok(network) = value.parse::<InterfaceAddress>() {
                    peer.allowed_ips.insert(network.network());
                }
            }
            "last_handshake_time_sec" => {
                let Some(seconds) = number.filter(|seconds| *seconds <= LATEST) else {
                    return Err(invalid("the answer contains a handshake at an impossible time"));
                };
                statistics.handshake = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            }
            "last_handshake_time_nsec" => {
                let part = Duration::from_nanos(number.filter(|part| *part < NANOSECONDS).unwrap_or(0));
                statistics.handshake = statistics.handshake.map(|seconds| seconds + part);
            }
            "rx_bytes" => statistics.received = number.unwrap_or(0),
            "tx_bytes" => statistics.sent = number.unwrap_or(0),
            _ => {}
        }
        peer.alive = statistics.alive(now);
    }
    Ok(reading)
}

fn invalid(fault: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

fn key(digits: &str) -> Option<[u8; 32]> {
    Key::decode(digits).ok().map(|key| key.as_array())
}

/// Returns a number of 16 bits; 0 means that the setting is absent.
fn short(number: Option<u64>) -> Option<NonZeroU16> {
    NonZeroU16::new(u16::try_from(number?).ok()?)
}

#[cfg(test)]
mod tests {
    use defguard_wireguard_rs::host::Host;

    use super::*;
    use crate::base::net::Cidr;
    use crate::kernel::wireguard::PeerStatistics;
    use crate::state::Peer;

    /// The answer that the library tests its own reader with, shortened, and with a foreign keyword.
    const ANSWER: &str = "private_key=000102030405060708090a0b0c0d0e0ff0e1d2c3b4a5968778695a4b3c2d1e0f\n\
        listen_port=7301\n\
        fwmark=51820\n\
        public_key=100102030405060708090a0b0c0d0e0ff0e1d2c3b4a5968778695a4b3c2d1e0f\n\
        protocol_version=1\n\
        tx_bytes=0\n\
        persistent_keepalive_interval=0\n\
        allowed_ip=10.6.0.12/32\n\
        allowed_ip=10.7.0.0/16\n\
        public_key=200102030405060708090a0b0c0d0e0ff0e1d2c3b4a5968778695a4b3c2d1e0f\n\
        preshared_key=000102030405060708090a0b0c0d0e0ff0e1d2c3b4a5968778695a4b3c2d1e0f\n\
        endpoint=[fe80::1%2]:51421\n\
        last_handshake_time_sec=1654631933\n\
        last_handshake_time_nsec=862977251\n\
        tx_bytes=52759980\n\
        rx_bytes=3683056\n\
        persistent_keepalive_interval=25\n\
        allowed_ip=fd00:6::25/128\n\
        errno=0\n\
        rx_bytes=7\n";

    #[test]
    fn the_answer_means_the_same_to_the_library() {
        let ours = parse(ANSWER.as_bytes(), SystemTime::now()).unwrap();
        let theirs = Host::parse_uapi(ANSWER.as_bytes()).unwrap();
        let secret = |key: &Option<Key>| key.as_ref().map(|key| Secret::new(key.as_array()));
        assert_eq!(ours.tunnel.private_key, secret(&theirs.private_key));
        assert_eq!(ours.tunnel.port.map_or(0, NonZeroU16::get), theirs.listen_port);
        assert_eq!(ours.tunnel.fwmark.map(NonZeroU32::get), theirs.fwmark);
        assert_eq!((ours.peers.len(), theirs.peers.len()), (2, 2));
        for their in theirs.peers.values() {
            let key = PublicKey(their.public_key.as_array());
            let (our, statistics) = (&ours.tunnel.peers[&key], ours.peers[&key]);
            assert_eq!(our.preshared_key, secret(&their.preshared_key));
            assert_eq!((our.endpoint, statistics.endpoint), (their.endpoint, their.endpoint));
            assert_eq!(statistics.handshake, their.last_handshake);
            assert_eq!((statistics.received, statistics.sent), (their.rx_bytes, their.tx_bytes));
            let keepalive = our.keepalive.map_or(0, NonZeroU16::get);
            assert_eq!(Some(keepalive), their.persistent_keepalive_interval);
            let networks = their.allowed_ips.iter().map(|ip| Cidr::new(ip.address, ip.cidr).unwrap());
            assert_eq!(our.allowed_ips, networks.collect());
        }
    }

    #[test]
    fn an_answer_of_ours_is_read_as_it_was_meant() {
        let (now, key) = (SystemTime::now(), PublicKey([0xa5; 32]));
        let mut reading = parse(ANSWER.as_bytes(), now).unwrap();
        let peer = reading.tunnel.peers.values().next().unwrap().clone();
        reading.tunnel.peers.insert(key, Peer { keepalive: None, endpoint: None, ..peer });
        reading.peers.insert(key, PeerStatistics::default());
        reading.tunnel.peers.values_mut().for_each(|peer| peer.alive = false);
        let text = encode(&reading);
        assert_eq!(parse(&text, now).unwrap(), reading);
        assert!(text.ends_with(b"\nerrno=0\n\n"));
        let theirs = Host::parse_uapi(text.as_slice()).unwrap();
        assert_eq!((theirs.peers.len(), theirs.listen_port), (3, 7301));
    }

    #[test]
    fn an_answer_never_moves_in_memory() {
        let network = |number: u8| format!("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff{number:02x}/128");
        let mut reading = Reading::default();
        let tunnel = &mut reading.tunnel;
        let secret = || Some(Secret::new([0xff; 32]));
        (tunnel.private_key, tunnel.port, tunnel.fwmark) =
            (secret(), NonZeroU16::new(u16::MAX), NonZeroU32::new(u32::MAX));
        for number in 0..9 {
            let endpoint =
                format!("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%{}]:65535", u32::MAX).parse().ok();
            let statistics = PeerStatistics {
                endpoint,
                handshake: Some(SystemTime::UNIX_EPOCH + Duration::new(LATEST, 999_999_999)),
                received: u64::MAX,
                sent: u64::MAX,
            };
            let peer = Peer {
                preshared_key: secret(),
                endpoint,
                keepalive: NonZeroU16::new(u16::MAX),
                allowed_ips: (0..=number).map(|number| network(number).parse().unwrap()).collect(),
                alive: false,
            };
            tunnel.peers.insert(PublicKey([number; 32]), peer);
            reading.peers.insert(PublicKey([number; 32]), statistics);
        }
        let networks = 45;
        let text = encode(&reading);
        assert_eq!(text.capacity(), LINES + 9 * LINES_OF_PEER + networks * LINE_OF_NETWORK);
    }

    #[test]
    fn an_error_is_not_an_answer() {
        assert!(parse(b"listen_port=7301\nerrno=5\n", SystemTime::now()).is_err());
    }

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
