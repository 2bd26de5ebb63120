//! From the text of a value to what it means.

use std::net::{IpAddr, Ipv4Addr};

use toml::de::DeValue;

use super::model::{Host, Ports, Protocol};
use super::reader::{Wrong, number, wrong};
use crate::base::net::{Cidr, IfName, InterfaceAddress, Mac, PublicKey};
use crate::wifi::card::is_channel;

/// Longest name of a site, portal, exit or phone: `to-<name>` must be an interface name.
pub(super) const LONGEST_NAME: usize = IfName::LONGEST - "to-".len();

/// Checks a name: 1 to `longest` of `a-z 0-9 -`.
pub(super) fn name(text: &str, longest: usize) -> Result<String, Wrong> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= longest && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    let lower = text.to_ascii_lowercase().replace([' ', '_', '.'], "-");
    let alike: String = lower.chars().filter(|c| allowed(*c)).take(longest).collect();
    let help = if alike.is_empty() {
        "write another name".to_owned()
    } else {
        format!("write `{alike}`, for instance")
    };
    wrong(format!("must be 1 to {longest} of a-z, 0-9 and -"), help)
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Result<Cidr, Wrong> {
    let help = |written: Result<InterfaceAddress, _>| match written {
        Ok(address) => format!("write `\"{}\"`", address.network()),
        Err(_) => "write a network such as `\"192.168.1.0/24\"`, or one address".to_owned(),
    };
    text.parse().map_err(|fault: crate::base::net::Invalid| Wrong::Value(fault.0, help(text.parse())))
}

/// A network with its length.
pub(super) fn subnet(text: &str) -> Result<Cidr, Wrong> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => wrong("has no prefix length", format!("write `\"{text}/16\"`")),
        Ok(IpAddr::V6(_)) => wrong("has no prefix length", format!("write `\"{text}/48\"`")),
        Err(_) => network(text),
    }
}

/// An address of an interface, with the length of its network.
pub(super) fn interface_address(text: &str) -> Result<InterfaceAddress, Wrong> {
    if text.parse::<IpAddr>().is_ok() {
        return wrong("has no prefix length", format!("write `\"{text}/26\"`"));
    }
    text.parse().map_err(|fault: crate::base::net::Invalid| {
        Wrong::Value(
            fault.0,
            "write an address and its network's length, such as `\"10.77.1.65/26\"`".to_owned(),
        )
    })
}

/// One address.
pub(super) fn address(text: &str) -> Result<IpAddr, Wrong> {
    text.parse().map_err(|_| {
        let message = "is not an IPv4 or IPv6 address".to_owned();
        Wrong::Value(message, "write an address such as `\"9.9.9.9\"`".to_owned())
    })
}

/// An address on the internet that answers to ping.
pub(super) fn probe(text: &str) -> Result<Ipv4Addr, Wrong> {
    let example = "write one that answers to ping, such as `\"9.9.9.9\"`";
    match address(text)? {
        IpAddr::V6(_) => wrong("is not an IPv4 address", example),
        // Exits let nobody in to their own computers.
        IpAddr::V4(v4) if v4.is_private() || v4.is_link_local() || v4.is_loopback() => {
            wrong("is not on the internet", example)
        }
        IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified() => {
            wrong("is no address of one host", example)
        }
        IpAddr::V4(v4) => Ok(v4),
    }
}

/// The name of a network interface.
pub(super) fn interface(text: &str) -> Result<IfName, Wrong> {
    text.parse().map_err(|fault: crate::base::net::Invalid| {
        Wrong::Value(format!("cannot be `{text}`: {fault}"), "write a name that `ip link` shows".to_owned())
    })
}

/// A public key that somebody can have.
pub(super) fn public_key(text: &str) -> Result<PublicKey, Wrong> {
    let help = "write what `wg pubkey` prints there, or what the phone's app shows";
    match text.parse() {
        Ok(PublicKey([0, rest @ ..])) if rest == [0; 31] => {
            wrong("is all zeros, which is nobody's key", help)
        }
        Ok(key) => Ok(key),
        Err(crate::base::net::Invalid(fault)) => wrong(fault, help),
    }
}

/// Where a site can be dialled: an address or a host name (RFC 1123, section 2.1), without a port.
pub(super) fn host(text: &str) -> Result<Host, Wrong> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return dialled(address);
    }
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return wrong("has brackets", format!("write `\"{address}\"`"));
    }
    if let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        return wrong(
            "has a port",
            format!("the port goes in `port`: write `\"{host}\"` here and `port = {port}`"),
        );
    }
    if is_host_name(text) {
        Ok(Host::Name(text.to_owned()))
    } else {
        wrong(
            "is neither a host name nor an address",
            "write one such as `\"nyc.example.net\"` or `\"203.0.113.9\"`",
        )
    }
}

fn dialled(address: IpAddr) -> Result<Host, Wrong> {
    if address.is_unspecified() || address.is_multicast() {
        return wrong("is no address of one host", "write the address at which the others reach this site");
    }
    Ok(Host::Address(address))
}

/// Whether it can be a host name (RFC 1123, section 2.1).
pub(crate) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let inside = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        inside && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    // A last label of digits is a mistyped IPv4 address.
    let digits = text.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    text.len() <= 253 && !digits && text.split('.').all(label)
}

/// A range of ports: `tcp/443`, `udp/3478-3481`.
pub(super) fn ports(text: &str) -> Result<Ports, Wrong> {
    let shape = || {
        wrong(
            format!("cannot be `{text}`"),
            "write a protocol and ports, such as `\"tcp/443\"` or `\"udp/3478-3481\"`",
        )
    };
    let Some((protocol, range)) = text.split_once('/') else { return shape() };
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return shape(),
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (Some(first), Some(last)) = (port(first), port(last)) else { return shape() };
    if first > last {
        let help =
            format!("write `\"{}/{last}-{first}\"`", if protocol == Protocol::Tcp { "tcp" } else { "udp" });
        return wrong("ends before it begins", help);
    }
    Ok(Ports { protocol, first, last })
}

fn port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port > 0)
}

/// The hardware address of one device.
pub(super) fn mac(text: &str) -> Result<Mac, Wrong> {
    let example = "write six pairs, such as `\"aa:bb:cc:dd:ee:ff\"`";
    match text.parse::<Mac>() {
        // IEEE 802: the lowest bit of the first byte marks groups; a device never sends from one.
        Ok(Mac([first, ..])) if first & 1 == 1 => {
            wrong("is the address of a group, not of a device", example)
        }
        Ok(mac) => Ok(mac),
        Err(crate::base::net::Invalid(fault)) => match text.replace('-', ":") {
            with_colons if with_colons.parse::<Mac>().is_ok() => {
                wrong("needs colons", format!("write `\"{with_colons}\"`"))
            }
            _ => wrong(fault, example),
        },
    }
}

/// The name of a Wi-Fi: 1 to 32 bytes (IEEE 802.11, 9.4.2.2).
pub(super) fn ssid(text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        return wrong("has control characters", "write a name that people can read");
    }
    match text.len() {
        1..=32 => Ok(text.to_owned()),
        bytes => wrong(format!("has {bytes} bytes"), "write a name of 1 to 32 bytes"),
    }
}

/// Two capital letters (ISO 3166-1 alpha-2).
pub(super) fn country(text: &str) -> Result<String, Wrong> {
    let letters = text.len() == 2 && text.chars().all(|c| c.is_ascii_alphabetic());
    match text.to_ascii_uppercase() {
        upper if letters && upper == text => Ok(upper),
        upper if letters => wrong("must be in capitals", format!("write `\"{upper}\"`")),
        _ => wrong("is not a country's two letters", "write them such as `\"US\"`"),
    }
}

/// The number of a Wi-Fi channel.
pub(super) fn channel(value: &DeValue<'_>) -> Result<u16, Wrong> {
    let channel: u16 = number(1..=177)(value)?;
    if is_channel(channel) {
        Ok(channel)
    } else {
        wrong(format!("cannot be {channel}"), "write one such as 1, 6, 11 or 36")
    }
}
