//! The address translation of a home router: rules that are not ours, as a host's firewall has them. They are
//! nftables', or iptables' where the kernel's nftables could not guard portals either: older kernels let one
//! of the two translate.

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NetlinkMessage};

use super::namespace::Namespace;
use crate::base::error::{Context as _, Error, Result};
use crate::base::net::Family;
use crate::firewall::xtables::Program;
use crate::kernel::iptables::{Iptables, restore};
use crate::kernel::linux::Linux;
use crate::kernel::message::Message;
use crate::kernel::netlink::{Socket, protocols, request};
use crate::system::packages;

/// NFPROTO_IPV4 (linux/netfilter.h).
const IPV4: u8 = 2;

/// NFNL_SUBSYS_NFTABLES (linux/netfilter/nfnetlink.h).
const NFTABLES: u16 = 10;

/// An attribute that holds attributes (NLA_F_NESTED).
const NESTED: u16 = 1 << 15;

/// The register that expressions hand values on in (NFT_REG_1).
const REGISTER: u32 = 1;

/// [`Namespace::masquerade_home`] for `iptables-restore`.
const SCRIPT: &str = "*nat\n-A POSTROUTING -s 192.168.1.0/24 -o uplink -j MASQUERADE\nCOMMIT\n";

impl Namespace {
    /// Gives packets from 192.168.1.0/24 the address of the interface they leave by, as home routers do:
    /// `ip saddr 192.168.1.0/24 oifname "uplink" masquerade`.
    pub fn masquerade_home(&self) -> Result<()> {
        self.run(|| {
            let translated = match program_beside_nftables()? {
                None => by_nftables(),
                Some(program) => restore(&program.name(Family::V4, "-restore"), SCRIPT),
            };
            translated.doing(|| format!("cannot set up the home's NAT in {}", self.name()))
        })
    }
}

/// The iptables that has to translate, where the kernel's nftables cannot guard portals; the order is that in
/// which `portals` chooses.
fn program_beside_nftables() -> Result<Option<Program>> {
    let mut kernel = Linux::open()?;
    let nftables_can = kernel.has_nftables() && kernel.nftables_lacks()?.is_empty();
    let Iptables { legacy, nft } = kernel.iptables();
    match legacy.or(nft) {
        _ if nftables_can => Ok(None),
        Some(program) => Ok(Some(program)),
        None => Err(Error::failed(format!(
            "this kernel's nftables is not enough, and the program iptables is missing: {}",
            packages::manager().how_to_install("iptables")
        ))),
    }
}

fn by_nftables() -> Result<()> {
    let (table, chain) = (text(1, "home"), text(2, "postrouting"));
    let messages = vec![
        batch(0x10),
        // NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE
        change(0, table.clone()),
        change(3, [table.clone(), text(3, "postrouting"), hook(), text(7, "nat")].concat()),
        change(6, [table, chain, nested(4, &rule())].concat()),
        batch(0x11),
    ];
    // Not every kernel answers for the two ends of a batch.
    let results = Socket::open(protocols::NETLINK_NETFILTER)?.batch(messages);
    results.into_iter().skip(1).take(3).collect::<Result<(), _>>().doing(|| "the kernel refused".to_owned())
}

/// NFTA_CHAIN_HOOK: postrouting (4), priority 100, as `srcnat` of nft.
fn hook() -> Vec<u8> {
    nested(4, &[number(1, 4), number(2, 100)].concat())
}

/// The five expressions of the rule.
fn rule() -> Vec<u8> {
    let mut interface = b"uplink".to_vec();
    interface.resize(16, 0);
    [
        // Three bytes of the network header (1) from offset 12: the source address but for its last byte.
        expression("payload", &[number(1, REGISTER), number(2, 1), number(3, 12), number(4, 3)].concat()),
        expression("cmp", &equals(&[192, 168, 1])),
        // NFT_META_OIFNAME
        expression("meta", &[number(1, REGISTER), number(2, 7)].concat()),
        expression("cmp", &equals(&interface)),
        expression("masq", &[]),
    ]
    .concat()
}

/// An expression of a rule: NFTA_LIST_ELEM with NFTA_EXPR_NAME and NFTA_EXPR_DATA.
fn expression(name: &str, data: &[u8]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, data)].concat())
}

/// Attributes of a comparison: register, NFT_CMP_EQ, value.
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

/// Length and kind in host order, the value, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).expect("a home's NAT is small");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// NFNL_MSG_BATCH_BEGIN or NFNL_MSG_BATCH_END: the subsystem takes the place of the resource, in network order.
fn batch(kind: u16) -> NetlinkMessage<Message> {
    let [high, low] = NFTABLES.to_be_bytes();
    request(Message::raw(kind, vec![0, 0, high, low]), 0)
}

/// `struct nfgenmsg` and attributes.
fn change(kind: u16, attributes: Vec<u8>) -> NetlinkMessage<Message> {
    let body = [vec![IPV4, 0, 0, 0], attributes].concat();
    request(Message::raw(NFTABLES << 8 | kind, body), NLM_F_CREATE | NLM_F_ACK)
}
