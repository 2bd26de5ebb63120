//! Parser for the entries of `lan`.

use super::model::SharedNetwork;
use super::reader::{ValueFault, wrong};
use super::values;
use crate::base::net::Cidr;

/// Parses a network, or `NETWORK as NETWORK`, where other sites see the second one in place of the first.
pub(super) fn parse(text: &str) -> Result<SharedNetwork, ValueFault> {
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [network, "as", seen_as] => translated(values::network(network)?, values::network(seen_as)?),
        ["as", ..] | [_, "as", ..] => wrong(
            "has no two networks around its `as`",
            "write the network here, and the network that other sites see, such as `\"192.168.1.0/24 as \
             10.78.1.0/24\"`",
        ),
        _ => Ok(SharedNetwork { network: values::network(text)?, seen_as: None }),
    }
}

fn translated(network: Cidr, seen_as: Cidr) -> Result<SharedNetwork, ValueFault> {
    if network.family() != seen_as.family() {
        let help = "write two networks of IPv4, or two of IPv6, of the same length";
        return wrong(format_args!("cannot show {network} as {seen_as}: one is IPv4, the other IPv6"), help);
    }
    if network == seen_as {
        return wrong("shows a network as itself", format_args!("write `\"{network}\"`"));
    }
    let right = SharedNetwork { network, seen_as: Cidr::new(seen_as.address(), network.length()) };
    if network.length() != seen_as.length() {
        let message = format_args!("cannot show {network} as {seen_as}: the prefix lengths differ");
        return wrong(message, format_args!("write `\"{right}\"`"));
    }
    Ok(right)
}
