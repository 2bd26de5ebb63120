//! Parsers for the values of a wg-quick file, as wg(8) and wg-quick(8) read them.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use super::{DialledHost, RoutingTable};
use crate::base::net::{Cidr, InterfaceAddress, Invalid, PublicKey, Secret};
use crate::config::fault::FaultWords;
use crate::config::is_host_name;
use crate::config::model::EndpointHost;

fn wrong<T>(message: &str, help: &str) -> Result<T, FaultWords> {
    Err(FaultWords::new(message, help))
}

/// Returns the fault of a value that has this fault in itself.
fn faulty(Invalid(fault): Invalid, help: &'static str) -> FaultWords {
    FaultWords::new(fault, help)
}

/// A value with an optional note on a surprising meaning, as it follows the key in a sentence.
pub(super) struct Noted<T>(pub(super) T, pub(super) Option<String>);

const KEY: &str = "copy all 44 characters of the key, including the `=` at its end";

/// Parses a private key; refuses the key of zeros.
pub(super) fn private_key(text: &str) -> Result<Secret, FaultWords> {
    match preshared_key(text)? {
        Some(key) => Ok(key),
        None => wrong("is all zeros, which is not a valid key", KEY),
    }
}

/// Parses a pre-shared key; zeros mean no key, as for the kernel.
pub(super) fn preshared_key(text: &str) -> Result<Option<Secret>, FaultWords> {
    let key: Secret = text.parse().map_err(|fault| faulty(fault, KEY))?;
    Ok(Some(key).filter(|key| *key.bytes() != [0; 32]))
}

/// Parses a public key; refuses the key of zeros, which belongs to no private key.
pub(super) fn public_key(text: &str) -> Result<PublicKey, FaultWords> {
    match text.parse() {
        Ok(PublicKey([0, rest @ ..])) if rest == [0; 31] => {
            wrong("is all zeros, which is not a valid key", KEY)
        }
        Ok(key) => Ok(key),
        Err(fault) => Err(faulty(fault, KEY)),
    }
}

/// Parses an address of the interface; without a length, its network is this one address. The length may be
/// a netmask, as for ip.
pub(super) fn address(text: &str) -> Result<InterfaceAddress, FaultWords> {
    const EXAMPLE: &str = "write an address such as `10.2.0.2/32`";
    if let Some((address, mask)) = text.split_once('/')
        && let (Ok(address), Ok(mask)) = (address.parse::<Ipv4Addr>(), mask.parse::<Ipv4Addr>())
    {
        let ones = mask.to_bits().leading_ones();
        return match u8::try_from(ones) {
            Ok(length) if ones == mask.to_bits().count_ones() => {
                Ok(InterfaceAddress { address: address.into(), length })
            }
            _ => wrong("has a netmask with a gap", EXAMPLE),
        };
    }
    text.parse().map_err(|fault| faulty(fault, EXAMPLE))
}

/// Parses a network, which the file may write with any address inside it; the flag reports whether host bits
/// were set.
pub(super) fn allowed(text: &str) -> Result<(Cidr, bool), FaultWords> {
    let written: InterfaceAddress =
        text.parse().map_err(|fault| faulty(fault, "write a network such as `0.0.0.0/0`"))?;
    let network = written.network();
    Ok((network, network.address() != written.address))
}

/// An entry of `DNS`.
pub(super) enum Dns {
    /// A name server.
    Server(IpAddr),
    /// A search domain.
    Search(String),
    /// Text that wg-quick takes for a server, but that is not an address.
    Neither,
}

/// Parses a name server or a search domain, by wg-quick's own rule for telling them apart.
pub(super) fn dns(text: &str) -> Result<Dns, FaultWords> {
    let looks_like_a_server = text.bytes().all(|b| b.is_ascii_hexdigit() || b":.%".contains(&b))
        && text.contains(':')
        || text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    // `~` is for systemd-resolved, which routes questions for this domain here, but does not search in it.
    let is_of_domain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    match text.parse() {
        Ok(address) => Ok(Dns::Server(address)),
        Err(_) if looks_like_a_server => Ok(Dns::Neither),
        Err(_) if text.bytes().all(is_of_domain) => Ok(Dns::Search(text.to_owned())),
        Err(_) => wrong(
            "is neither an address nor a domain",
            "write an address such as `9.9.9.9`, or a search domain such as `example.net`",
        ),
    }
}

/// Parses an MTU in bytes, as ip reads numbers. Some apps write 0 for "choose one"; taken literally, an MTU
/// of 0 would end IPv4 on the interface.
pub(super) fn mtu(text: &str) -> Result<Noted<Option<u32>>, FaultWords> {
    match of_any_base(text) {
        Some(0) => Ok(Noted(None, Some("is 0, which means the default".to_owned()))),
        Some(mtu) if (LEAST_MTU..=65_535).contains(&mtu) => Ok(Noted(Some(mtu), None)),
        _ => Err(out_of_range(text, &(LEAST_MTU..=65_535))),
    }
}

/// Smallest MTU, in bytes, at which the kernel still has IPv4.
const LEAST_MTU: u32 = 68;

/// Parses a number as in C: `0x` begins hexadecimal, `0` begins octal.
pub(super) fn of_any_base(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))
}

/// Parses a UDP port; 0 leaves the choice to the kernel.
pub(super) fn listen_port(text: &str) -> Result<Noted<Option<u16>>, FaultWords> {
    let Noted(port, note) = port(text, 0)?;
    Ok(Noted(Some(port).filter(|port| *port != 0), note))
}

/// Parses seconds; 0 and `off` are the same.
pub(super) fn keepalive(text: &str) -> Result<Option<NonZeroU16>, FaultWords> {
    if text.eq_ignore_ascii_case("off") { Ok(None) } else { small(text, 0).map(NonZeroU16::new) }
}

/// Parses a 32-bit mark in decimal or hexadecimal, or `off`.
pub(super) fn fwmark(text: &str) -> Result<u32, FaultWords> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(0);
    }
    let hexadecimal = text.strip_prefix("0x");
    let (digits, radix) = hexadecimal.map_or((text, 10), |digits| (digits, 16));
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u32::from_str_radix(digits, radix) {
        Ok(mark) if plain => Ok(mark),
        _ => wrong("is not a valid mark", "write `off`, or a number such as `51820` or `0xca6c`"),
    }
}

/// Parses `auto`, `off`, or the number or name of a table.
pub(super) fn table(text: &str) -> Result<RoutingTable, FaultWords> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    match text {
        "" | "auto" => Ok(RoutingTable::Auto),
        "off" => Ok(RoutingTable::Off),
        _ if text.eq_ignore_ascii_case("auto") || text.eq_ignore_ascii_case("off") => {
            wrong("must be in lower case", &["write `", &text.to_ascii_lowercase(), "`"].concat())
        }
        _ if is_number && of_any_base(text).is_none() => {
            wrong("is not the number of a routing table", "write a number up to 4294967295")
        }
        _ if text.bytes().all(allowed) => Ok(RoutingTable::Named(text.to_owned())),
        _ => wrong("is not a routing table", "write `auto`, `off` or the number of a table"),
    }
}

/// Parses a host and a port. Any host may be in brackets; an IPv6 address should be.
pub(super) fn endpoint(text: &str) -> Result<Noted<DialledHost>, FaultWords> {
    const EXAMPLE: &str =
        "write an endpoint such as `vpn.example.net:51820`, `203.0.113.9:51820` or `[2001:db8::9]:51820`";
    let (parts, has_brackets) = match text.strip_prefix('[') {
        Some(rest) => {
            (rest.split_once(']').and_then(|(host, port)| Some((host, port.strip_prefix(':')?))), true)
        }
        None => (text.rsplit_once(':'), false),
    };
    let Some((host, digits)) = parts else { return wrong("has no port", EXAMPLE) };
    let host = self::host(host).map_err(|message| FaultWords::new(message, EXAMPLE))?;
    let Noted(port, note) =
        port(digits, 1).map_err(|words| FaultWords::new("has an invalid port", words.help()))?;
    let endpoint = DialledHost { host, port };
    let is_v6 = matches!(endpoint.host, EndpointHost::Address(IpAddr::V6(_)));
    let note = note.or_else(|| (is_v6 && !has_brackets).then(|| format!("is read as `{endpoint}`")));
    Ok(Noted(endpoint, note))
}

/// Parses a host that can be dialled; the error is a message, as it follows the key in a sentence.
fn host(text: &str) -> Result<EndpointHost, &'static str> {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() || address.is_multicast() => {
            Err("is not the address of a single host")
        }
        Ok(address) => Ok(EndpointHost::Address(address)),
        Err(_) if text.contains('%') => {
            Err("has a zone, which ties it to one interface: portals does not support zones")
        }
        Err(_) => {
            let name = text.strip_suffix('.').unwrap_or(text);
            // Names in the DNS may have underscores, though host names should not.
            let is_name = is_host_name(&name.replace('_', "x"));
            is_name.then(|| EndpointHost::Name(name.to_owned())).ok_or("is not a host and a port")
        }
    }
}

/// UDP ports that a file may write by name (IANA's registry of service names).
const SERVICES: &[(&str, u16)] = &[
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("ntp", 123),
    ("snmp", 161),
    ("https", 443),
    ("isakmp", 500),
    ("syslog", 514),
    ("openvpn", 1194),
    ("l2f", 1701),
    ("radius", 1812),
    ("ipsec-nat-t", 4500),
];

/// Parses a UDP port, by number or name.
fn port(text: &str, least: u16) -> Result<Noted<u16>, FaultWords> {
    match SERVICES.iter().find(|(name, _)| *name == text) {
        Some((name, port)) => Ok(Noted(*port, Some(format!("names port {port} as `{name}`")))),
        None => small(text, least).map(|port| Noted(port, None)),
    }
}

fn small(text: &str, least: u16) -> Result<u16, FaultWords> {
    number(text, u32::from(least)..=u32::from(u16::MAX))
        .map(|number| u16::try_from(number).expect("in range"))
}

/// Parses digits only: no sign, no unit.
fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, FaultWords> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if plain && range.contains(&number) => Ok(number),
        _ => Err(out_of_range(text, &range)),
    }
}

fn out_of_range(text: &str, range: &RangeInclusive<u32>) -> FaultWords {
    let help = format_args!("write a number from {} to {}", range.start(), range.end());
    FaultWords::new(format_args!("cannot be `{text}`"), help)
}
