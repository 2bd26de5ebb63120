//! Parsers for the values of the network file.

use std::net::IpAddr;

use toml::de::DeValue;

use super::model::{EndpointHost, Ports, Protocol};
use super::reader::{ValueFault, wrong};
use super::scalars::number;
use crate::base::net::{Cidr, IfName, InterfaceAddress, Mac, PublicKey};
use crate::wifi::card::is_channel;

/// Longest name of a site, portal, exit or phone: `to-<name>` must be an interface name.
pub(super) const LONGEST_NAME: usize = IfName::LONGEST - "to-".len();

/// Longest name of a network.
pub(super) const LONGEST_NETWORK_NAME: usize = 16;

/// Checks a name: 1 to `longest` of `a-z 0-9 -`.
pub(super) fn name(text: &str, longest: usize) -> Result<String, ValueFault> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= longest && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    let lower = text.to_ascii_lowercase().replace([' ', '_', '.'], "-");
    let alike: String = lower.chars().filter(|c| allowed(*c)).take(longest).collect();
    let help = if alike.is_empty() {
        "choose another name".to_owned()
    } else {
        format!("write `{alike}`, for example")
    };
    wrong(format_args!("must be 1 to {longest} characters of a-z, 0-9 and -"), help)
}

/// Parses a network or a single address.
pub(super) fn network(text: &str) -> Result<Cidr, ValueFault> {
    text.parse().or_else(|crate::base::net::Invalid(fault)| match text.parse::<InterfaceAddress>() {
        Ok(address) => wrong(fault, format_args!("write `\"{}\"`", address.network())),
        Err(_) => wrong(fault, "write a network such as `\"192.168.1.0/24\"`, or a single address"),
    })
}

/// Parses a network with its prefix length.
pub(super) fn subnet(text: &str) -> Result<Cidr, ValueFault> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => wrong("has no prefix length", format_args!("write `\"{text}/16\"`")),
        Ok(IpAddr::V6(_)) => wrong("has no prefix length", format_args!("write `\"{text}/48\"`")),
        Err(_) => network(text),
    }
}

/// Parses an address of an interface, with the prefix length of its network.
pub(super) fn interface_address(text: &str) -> Result<InterfaceAddress, ValueFault> {
    if text.parse::<IpAddr>().is_ok() {
        return wrong("has no prefix length", format_args!("write `\"{text}/26\"`"));
    }
    let help = "write an address and the prefix length of its network, such as `\"10.77.1.65/26\"`";
    text.parse().or_else(|crate::base::net::Invalid(fault)| wrong(fault, help))
}

/// Parses a single address.
pub(super) fn address(text: &str) -> Result<IpAddr, ValueFault> {
    text.parse()
        .or_else(|_| wrong("is not an IPv4 or IPv6 address", "write an address such as `\"9.9.9.9\"`"))
}

/// Parses the address of a host on the internet that answers pings.
pub(super) fn probe(text: &str) -> Result<IpAddr, ValueFault> {
    let example = "write an address that answers pings, such as `\"9.9.9.9\"`";
    match address(text)? {
        // Exits do not let traffic in to their own computers.
        IpAddr::V4(v4) if v4.is_private() || v4.is_link_local() || v4.is_loopback() => {
            wrong("is not on the internet", example)
        }
        IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified() => {
            wrong("is not the address of a single host", example)
        }
        // All addresses of the IPv6 internet are in 2000::/3 (RFC 4291 § 2.4 and the registry of IANA).
        IpAddr::V6(v6) if v6.segments()[0] >> 13 != 1 => {
            wrong("is not on the internet", "write an address that answers pings, such as `\"2620:fe::fe\"`")
        }
        address => Ok(address),
    }
}

/// Parses the name of a network interface.
pub(super) fn interface(text: &str) -> Result<IfName, ValueFault> {
    text.parse().or_else(|fault: crate::base::net::Invalid| {
        wrong(format_args!("cannot be `{text}`: {fault}"), "write a name that `ip link` shows")
    })
}

/// Parses a public key; refuses the key of zeros, which belongs to no private key.
pub(super) fn public_key(text: &str) -> Result<PublicKey, ValueFault> {
    let help = "write the key that `portals init` prints at that site, or that the phone's app shows";
    match text.parse() {
        Ok(PublicKey([0, rest @ ..])) if rest == [0; 31] => {
            wrong("is all zeros, which is not a valid key", help)
        }
        Ok(key) => Ok(key),
        Err(crate::base::net::Invalid(fault)) => wrong(fault, help),
    }
}

/// Parses the host at which a site can be dialled: an address or a host name (RFC 1123, section 2.1), without
/// a port.
pub(super) fn host(text: &str) -> Result<EndpointHost, ValueFault> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return dialled(address);
    }
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return wrong("must not have brackets", format_args!("write `\"{address}\"`"));
    }
    if let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        return wrong(
            "must not have a port",
            format_args!("write `\"{host}\"` here, and `port = {port}` on its own line"),
        );
    }
    if is_host_name(text) {
        Ok(EndpointHost::Name(text.to_owned()))
    } else {
        wrong(
            "is neither a host name nor an address",
            "write a name or an address, such as `\"nyc.example.net\"` or `\"203.0.113.9\"`",
        )
    }
}

fn dialled(address: IpAddr) -> Result<EndpointHost, ValueFault> {
    if address.is_unspecified() || address.is_multicast() {
        let help = "write the address at which other sites reach this site";
        return wrong("is not the address of a single host", help);
    }
    Ok(EndpointHost::Address(address))
}

/// Reports whether the text can be a host name (RFC 1123, section 2.1).
pub(crate) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let inside = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        inside && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    // A last label of digits is a mistyped IPv4 address.
    let digits = text.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    text.len() <= 253 && !digits && text.split('.').all(label)
}

/// Parses a range of ports: `tcp/443`, `udp/3478-3481`.
pub(super) fn ports(text: &str) -> Result<Ports, ValueFault> {
    let shape = || {
        wrong(
            format_args!("cannot be `{text}`"),
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
        let help = format_args!(
            "write `\"{}/{last}-{first}\"`",
            if protocol == Protocol::Tcp { "tcp" } else { "udp" }
        );
        return wrong("ends before it begins", help);
    }
    Ok(Ports { protocol, first, last })
}

fn port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port > 0)
}

/// Parses the hardware address of a single device.
pub(super) fn mac(text: &str) -> Result<Mac, ValueFault> {
    let example = "write six pairs of hexadecimal digits, such as `\"aa:bb:cc:dd:ee:ff\"`";
    match text.parse::<Mac>() {
        // IEEE 802: the lowest bit of the first byte marks a group; a device never sends from a group
        // address.
        Ok(Mac([first, ..])) if first & 1 == 1 => {
            wrong("is the address of a group, not of a device", example)
        }
        Ok(mac) => Ok(mac),
        Err(crate::base::net::Invalid(fault)) => match text.replace('-', ":") {
            with_colons if with_colons.parse::<Mac>().is_ok() => {
                wrong("must have colons between its pairs", format_args!("write `\"{with_colons}\"`"))
            }
            _ => wrong(fault, example),
        },
    }
}

/// Parses the name of a Wi-Fi network: 1 to 32 bytes (IEEE 802.11, 9.4.2.2).
pub(super) fn ssid(text: &str) -> Result<String, ValueFault> {
    if text.chars().any(char::is_control) {
        return wrong("contains control characters", "write a name that people can read");
    }
    match text.len() {
        1..=32 => Ok(text.to_owned()),
        bytes => wrong(format_args!("has {bytes} bytes"), "write a name of 1 to 32 bytes"),
    }
}

/// Parses a country code: two capital letters (ISO 3166-1 alpha-2).
pub(super) fn country(text: &str) -> Result<String, ValueFault> {
    let letters = text.len() == 2 && text.chars().all(|c| c.is_ascii_alphabetic());
    match text.to_ascii_uppercase() {
        upper if letters && upper == text => Ok(upper),
        upper if letters => wrong("must be in capital letters", format_args!("write `\"{upper}\"`")),
        _ => wrong("is not a country code", "write two letters, such as `\"US\"`"),
    }
}

/// Reads the number of a Wi-Fi channel.
pub(super) fn channel(value: &DeValue<'_>) -> Result<u16, ValueFault> {
    let channel: u16 = number(1..=177)(value)?;
    if is_channel(channel) {
        Ok(channel)
    } else {
        wrong(format_args!("cannot be {channel}"), "write a channel such as 1, 6, 11 or 36")
    }
}
