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
use Attribute::{Bytes, Nested, Number, Text};

/// NFPROTO_IPV4 (linux/netfilter.h).
const IPV4: u8 = 2;

/// NFNL_SUBSYS_NFTABLES (linux/netfilter/nfnetlink.h).
const NFTABLES: u16 = 10;

/// Flag of an attribute that holds attributes (NLA_F_NESTED).
const NESTED: u16 = 1 << 15;

/// Register in which expressions pass on values (NFT_REG_1).
const REGISTER: u32 = 1;

/// Flag of NFTA_MASQ_FLAGS: a random port for each connection (NF_NAT_RANGE_PROTO_RANDOM_FULLY,
/// linux/netfilter/nf_nat.h).
const FULLY_RANDOM: u32 = 1 << 4;

/// Address translation of a router: packets that leave through an interface get the interface's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// Interface on the outside.
    pub interface: &'static str,
    /// Set if packets from 192.168.1.0/24 alone are translated.
    pub home_only: bool,
    /// Set if each connection gets a random port, which is the hardest kind of NAT ("symmetric"). Otherwise,
    /// a connection keeps its port if that port is free.
    pub random_ports: bool,
    /// Set if the router drops packets to itself. Otherwise, it answers them.
    pub drops_input: bool,
}

impl Namespace {
    /// Gives packets from 192.168.1.0/24 the address of the interface through which they leave, as home
    /// routers do: `ip saddr 192.168.1.0/24 oifname "uplink" masquerade`.
    pub fn masquerade_home(&self) -> Result<()> {
        self.translate(Translation {
            interface: "uplink",
            home_only: true,
            random_ports: false,
            drops_input: false,
        })
    }

    /// Sets up address translation, in place of an earlier one.
    pub fn translate(&self, translation: Translation) -> Result<()> {
        self.run(|| {
            let translated = match iptables_instead_of_nftables()? {
                None => translation.with_nftables(),
                Some(program) => restore(&program.name(Family::V4, "-restore"), &translation.for_iptables()),
            };
            translated.context(|| format!("cannot set up the NAT of {}", self.name()))
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

impl Translation {
    /// Returns the rules as input of `iptables-restore`.
    fn for_iptables(&self) -> String {
        let source = if self.home_only { "-s 192.168.1.0/24 " } else { "" };
        let random = if self.random_ports { " --random-fully" } else { "" };
        let input = if self.drops_input { "*filter\n:INPUT DROP [0:0]\nCOMMIT\n" } else { "" };
        format!(
            "*nat\n-F POSTROUTING\n-A POSTROUTING {source}-o {} -j MASQUERADE{random}\nCOMMIT\n{input}",
            self.interface
        )
    }

    fn with_nftables(&self) -> Result<()> {
        const TABLE: Attribute = Text(1, "home");
        // Hook 4 is postrouting, whose priority 100 nft calls `srcnat`; hook 1 is input. NFTA_CHAIN_POLICY 0
        // drops.
        const POSTROUTING: &[Attribute] =
            &[TABLE, Text(3, "postrouting"), Nested(4, &[Number(1, 4), Number(2, 100)]), Text(7, "nat")];
        const INPUT: &[Attribute] = &[
            TABLE,
            Text(3, "input"),
            Nested(4, &[Number(1, 1), Number(2, 0)]),
            Number(5, 0),
            Text(7, "filter"),
        ];
        let mut interface = self.interface.as_bytes().to_vec();
        interface.resize(16, 0);
        let flags: &[Attribute] = if self.random_ports { &[Number(1, FULLY_RANDOM)] } else { &[] };
        // Each expression is NFTA_LIST_ELEM with NFTA_EXPR_NAME and NFTA_EXPR_DATA. A comparison has a
        // register, NFT_CMP_EQ and a value.
        let expressions = [
            // Three bytes of the network header (1) from offset 12: the source address without its last byte.
            Nested(
                1,
                &[
                    Text(1, "payload"),
                    Nested(2, &[Number(1, REGISTER), Number(2, 1), Number(3, 12), Number(4, 3)]),
                ],
            ),
            Nested(
                1,
                &[
                    Text(1, "cmp"),
                    Nested(2, &[Number(1, REGISTER), Number(2, 0), Nested(3, &[Bytes(1, &[192, 168, 1])])]),
                ],
            ),
            // NFT_META_OIFNAME
            Nested(1, &[Text(1, "meta"), Nested(2, &[Number(1, REGISTER), Number(2, 7)])]),
            Nested(
                1,
                &[
                    Text(1, "cmp"),
                    Nested(2, &[Number(1, REGISTER), Number(2, 0), Nested(3, &[Bytes(1, &interface)])]),
                ],
            ),
            Nested(1, &[Text(1, "masq"), Nested(2, flags)]),
        ];
        let expressions = if self.home_only { &expressions[..] } else { &expressions[2..] };
        // NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE. A table can be deleted if it
        // is there.
        let mut changes = vec![
            batch(0x10),
            change(0, &[TABLE]),
            change(2, &[TABLE]),
            change(0, &[TABLE]),
            change(3, POSTROUTING),
            change(6, &[TABLE, Text(2, "postrouting"), Nested(4, expressions)]),
        ];
        if self.drops_input {
            changes.push(change(3, INPUT));
        }
        let number = changes.len() - 1;
        changes.push(batch(0x11));
        // Not every kernel acknowledges the begin and the end of a batch.
        let results = Socket::open(protocols::NETLINK_NETFILTER)?.batch(changes);
        let mut results = results.into_iter().skip(1).take(number);
        results.try_for_each(|result| result).context(|| "the kernel refused".to_owned())
    }
}

/// Attribute of netlink, with its kind.
enum Attribute<'a> {
    Number(u16, u32),
    Text(u16, &'a str),
    Bytes(u16, &'a [u8]),
    Nested(u16, &'a [Attribute<'a>]),
}

/// Writes attributes: length and kind in host byte order, and the value, padded to four bytes.
fn write(attributes: &[Attribute], bytes: &mut Vec<u8>) {
    for attribute in attributes {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        let kind = match attribute {
            Number(kind, number) => {
                bytes.extend_from_slice(&number.to_be_bytes());
                *kind
            }
            Text(kind, text) => {
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(0);
                *kind
            }
            Bytes(kind, value) => {
                bytes.extend_from_slice(value);
                *kind
            }
            Nested(kind, attributes) => {
                write(attributes, bytes);
                kind | NESTED
            }
        };
        let length = u16::try_from(bytes.len() - start).expect("a home's NAT is small");
        bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        bytes[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
}

/// Returns NFNL_MSG_BATCH_BEGIN or NFNL_MSG_BATCH_END: the resource field holds the subsystem, in network
/// byte order.
fn batch(kind: u16) -> Message {
    let [high, low] = NFTABLES.to_be_bytes();
    Message::raw(kind, vec![0, 0, high, low])
}

/// Returns a change request: `struct nfgenmsg`, followed by attributes.
fn change(kind: u16, attributes: &[Attribute]) -> Message {
    let mut body = vec![IPV4, 0, 0, 0];
    write(attributes, &mut body);
    Message::raw(NFTABLES << 8 | kind, body).with_flags(NLM_F_CREATE | NLM_F_ACK)
}
