//! Address translation of a home router: foreign rules, such as a host's firewall has. The rules use
//! nftables, or iptables where the kernel's nftables cannot guard portals: on older kernels, only one of the
//! two can translate addresses.

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE};

use super::namespace::Namespace;
use crate::base::error::{Context as _, Error, Result};
use crate::base::net::Family;
use crate::firewall::xtables::IptablesProgram;
use crate::kernel::iptables::{Iptables, restore};
use crate::kernel::linux::Linux;
use crate::kernel::message::Message;
use crate::kernel::netlink::{Socket, protocols};
use crate::system::packages;

/// NFPROTO_IPV4 (linux/netfilter.h).
const IPV4: u8 = 2;

/// NFNL_SUBSYS_NFTABLES (linux/netfilter/nfnetlink.h).
const NFTABLES: u16 = 10;

/// Flag of an attribute that holds attributes (NLA_F_NESTED).
const NESTED: u16 = 1 << 15;

/// Register in which expressions pass on values (NFT_REG_1).
const REGISTER: u32 = 1;

/// Rules of [`Namespace::masquerade_home`], as input of `iptables-restore`.
const IPTABLES_RULES: &str = "*nat\n-A POSTROUTING -s 192.168.1.0/24 -o uplink -j MASQUERADE\nCOMMIT\n";

impl Namespace {
    /// Gives packets from 192.168.1.0/24 the address of the interface through which they leave, as home
    /// routers do: `ip saddr 192.168.1.0/24 oifname "uplink" masquerade`.
    pub fn masquerade_home(&self) -> Result<()> {
        self.run(|| {
            let translated = match iptables_instead_of_nftables()? {
                None => masquerade_with_nftables(),
                Some(program) => restore(&program.name(Family::V4, "-restore"), IPTABLES_RULES),
            };
            translated.context(|| format!("cannot set up the home's NAT in {}", self.name()))
        })
    }
}

/// Returns the iptables that must translate, where the kernel's nftables cannot guard portals. The order of
/// preference is the order in which `portals` chooses.
fn iptables_instead_of_nftables() -> Result<Option<IptablesProgram>> {
    let mut kernel = Linux::open()?;
    let nftables_can = kernel.has_nftables() && kernel.nftables_lacks(false)?.is_empty();
    let Iptables { legacy, nft } = kernel.iptables();
    match legacy.or(nft) {
        _ if nftables_can => Ok(None),
        Some(program) => Ok(Some(program)),
        None => Err(Error::failed(format!(
            "this kernel's nftables lacks features, and the program iptables is missing: {}",
            packages::manager().how_to_install("iptables")
        ))),
    }
}

fn masquerade_with_nftables() -> Result<()> {
    let (table, chain) = (text(1, "home"), text(2, "postrouting"));
    let messages = vec![
        batch(0x10),
        // NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE
        change(0, table.clone()),
        change(3, [table.clone(), text(3, "postrouting"), hook(), text(7, "nat")].concat()),
        change(6, [table, chain, nested(4, &rule())].concat()),
        batch(0x11),
    ];
    // Not every kernel acknowledges the begin and the end of a batch.
    let results = Socket::open(protocols::NETLINK_NETFILTER)?.batch(messages);
    results.into_iter().skip(1).take(3).collect::<Result<(), _>>().context(|| "the kernel refused".to_owned())
}

/// Returns NFTA_CHAIN_HOOK: postrouting (4), priority 100, which nft calls `srcnat`.
fn hook() -> Vec<u8> {
    nested(4, &[number(1, 4), number(2, 100)].concat())
}

/// Returns the five expressions of the rule.
fn rule() -> Vec<u8> {
    let mut interface = b"uplink".to_vec();
    interface.resize(16, 0);
    [
        // Three bytes of the network header (1) from offset 12: the source address without its last byte.
        expression("payload", &[number(1, REGISTER), number(2, 1), number(3, 12), number(4, 3)].concat()),
        expression("cmp", &equals(&[192, 168, 1])),
        // NFT_META_OIFNAME
        expression("meta", &[number(1, REGISTER), number(2, 7)].concat()),
        expression("cmp", &equals(&interface)),
        expression("masq", &[]),
    ]
    .concat()
}

/// Returns an expression of a rule: NFTA_LIST_ELEM with NFTA_EXPR_NAME and NFTA_EXPR_DATA.
fn expression(name: &str, data: &[u8]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, data)].concat())
}

/// Returns the attributes of a comparison: register, NFT_CMP_EQ, value.
fn equals(value: &[u8]) -> Vec<u8> {
    [number(1, REGISTER), number(2, 0), nested(3, &attribute(1, value))].concat()
}

fn text(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

fn number(kind: u16, number: u32) -> Vec<u8> {
    attribute(kind, &number.to_be_bytes())
}

fn nested(kind: u16, attributes: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, attributes)
}

/// Returns an attribute: length and kind in host byte order, and the value, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).expect("a home's NAT is small");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Returns NFNL_MSG_BATCH_BEGIN or NFNL_MSG_BATCH_END: the resource field holds the subsystem, in network
/// byte order.
fn batch(kind: u16) -> Message {
    let [high, low] = NFTABLES.to_be_bytes();
    Message::raw(kind, vec![0, 0, high, low])
}

/// Returns a change request: `struct nfgenmsg`, followed by attributes.
fn change(kind: u16, attributes: Vec<u8>) -> Message {
    let body = [vec![IPV4, 0, 0, 0], attributes].concat();
    Message::raw(NFTABLES << 8 | kind, body).with_flags(NLM_F_CREATE | NLM_F_ACK)
}
