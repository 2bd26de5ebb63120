//! From the text of a value to what it means, as wg(8) and wg-quick(8) take it.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::{Endpoint, RoutingTable};
use crate::config::is_host_name;
use crate::config::model::Host;
use crate::net::{Cidr, InterfaceAddress, Invalid, PublicKey, Secret};

/// What is wrong with a value, as it follows the key in a sentence, and what to write instead.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) String, pub(super) String);

fn wrong<T>(message: &str, help: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(message.to_owned(), help.into()))
}

const KEY: &str = "copy all 44 characters of it, the last of which is `=`";

/// A private key: all bits but the ones that no key has.
pub(super) fn private_key(text: &str) -> Result<Secret, Wrong> {
    match preshared_key(text)? {
        Some(key) => Ok(key),
        None => wrong("is all zeros, which is no key", KEY),
    }
}

/// A pre-shared key; zeros stand for none, as for the kernel.
pub(super) fn preshared_key(text: &str) -> Result<Option<Secret>, Wrong> {
    let key: Secret = text.parse().map_err(|Invalid(fault)| Wrong(fault, KEY.to_owned()))?;
    Ok(Some(key).filter(|key| *key.bytes() != [0; 32]))
}

/// A public key that somebody can have.
pub(super) fn public_key(text: &str) -> Result<PublicKey, Wrong> {
    match text.parse() {
        Ok(PublicKey([0, rest @ ..])) if rest == [0; 31] => wrong("is all zeros, which is nobody's key", KEY),
        Ok(key) => Ok(key),
        Err(Invalid(fault)) => wrong(&fault, KEY),
    }
}

/// An address of the interface; without a length it stands alone.
pub(super) fn address(text: &str) -> Result<InterfaceAddress, Wrong> {
    text.parse().map_err(|Invalid(fault)| Wrong(fault, "write one such as `10.2.0.2/32`".to_owned()))
}

/// A network, which may be written with any address of it: whether it was.
pub(super) fn allowed(text: &str) -> Result<(Cidr, bool), Wrong> {
    let written: InterfaceAddress = text
        .parse()
        .map_err(|Invalid(fault)| Wrong(fault, "write a network such as `0.0.0.0/0`".to_owned()))?;
    let network = written.network();
    Ok((network, network.address() != written.address))
}

/// What stands under `DNS`.
pub(super) enum Dns {
    /// A name server.
    Server(IpAddr),
    /// A domain to look for host names in.
    Search(String),
}

/// A name server, or a search domain: what is no address, by wg-quick's own rule.
pub(super) fn dns(text: &str) -> Result<Dns, Wrong> {
    match text.parse() {
        Ok(address) => Ok(Dns::Server(address)),
        Err(_) if is_host_name(text) => Ok(Dns::Search(text.to_owned())),
        Err(_) => wrong(
            "is neither an address nor a domain",
            "write an address such as `9.9.9.9`, or a search domain such as `example.net`",
        ),
    }
}

/// Bytes.
pub(super) fn mtu(text: &str) -> Result<u32, Wrong> {
    number(text, 576..=65_535)
}

/// A UDP port; 0 leaves the choice to the kernel.
pub(super) fn listen_port(text: &str) -> Result<Option<u16>, Wrong> {
    Ok(Some(port(text, 0)?).filter(|port| *port != 0))
}

/// Seconds, or `off`.
pub(super) fn keepalive(text: &str) -> Result<u16, Wrong> {
    if text.eq_ignore_ascii_case("off") { Ok(0) } else { port(text, 0) }
}

/// A number of 32 bits, in decimal or hexadecimal, or `off`.
pub(super) fn fwmark(text: &str) -> Result<u32, Wrong> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(0);
    }
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((text, 10), |digits| (digits, 16));
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u32::from_str_radix(digits, radix) {
        Ok(mark) if plain => Ok(mark),
        _ => wrong("is no mark", "write `off`, or a number such as `51820` or `0xca6c`"),
    }
}

/// `auto`, `off`, or a table's number or name.
pub(super) fn table(text: &str) -> Result<RoutingTable, Wrong> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match text {
        _ if text.eq_ignore_ascii_case("auto") => Ok(RoutingTable::Auto),
        _ if text.eq_ignore_ascii_case("off") => Ok(RoutingTable::Off),
        _ if text.bytes().all(allowed) => Ok(RoutingTable::Named(text.to_owned())),
        _ => wrong("is no routing table", "write `auto`, `off` or a table's number"),
    }
}

/// Host and port.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, Wrong> {
    const EXAMPLE: &str =
        "write one such as `vpn.example.net:51820`, `203.0.113.9:51820` or `[2001:db8::9]:51820`";
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return wrong("needs brackets around the address, and a port", format!("write `[{address}]:51820`"));
    }
    let Some((host, digits)) = text.rsplit_once(':') else {
        return wrong("has no port", EXAMPLE);
    };
    let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(inside) => {
            inside.and_then(|inside| inside.parse().ok()).map(|address| Host::Address(IpAddr::V6(address)))
        }
        None if host.parse::<Ipv6Addr>().is_ok() => {
            return wrong("needs brackets around the address", format!("write `[{host}]:{digits}`"));
        }
        None => match host.parse() {
            Ok(address) => Some(Host::Address(IpAddr::V4(address))),
            Err(_) => is_host_name(host).then(|| Host::Name(host.to_owned())),
        },
    };
    let Some(host) = host else { return wrong("is no host and port", EXAMPLE) };
    if matches!(host, Host::Address(address) if address.is_unspecified() || address.is_multicast()) {
        return wrong("is no address of one host", EXAMPLE);
    }
    match port(digits, 1) {
        Ok(port) => Ok(Endpoint { host, port }),
        Err(Wrong(_, help)) => Err(Wrong("has no such port".to_owned(), help)),
    }
}

fn port(text: &str, least: u16) -> Result<u16, Wrong> {
    number(text, u32::from(least)..=u32::from(u16::MAX))
        .map(|number| u16::try_from(number).expect("in range"))
}

/// Digits only: no sign, no unit.
fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, Wrong> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if plain && range.contains(&number) => Ok(number),
        _ => {
            let help = format!("write a number from {} to {}", range.start(), range.end());
            Err(Wrong(format!("cannot be `{text}`"), help))
        }
    }
}
