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
        let (table, chain) = (text(1, "home"), text(2, "postrouting"));
        // Hook 4 is postrouting, whose priority 100 nft calls `srcnat`; hook 1 is input. NFTA_CHAIN_POLICY 0
        // drops.
        let postrouting = [text(3, "postrouting"), hook(4, 100), text(7, "nat")].concat();
        let input = [text(3, "input"), hook(1, 0), number(5, 0), text(7, "filter")].concat();
        // NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE. A table can be deleted if it
        // is there.
        let mut changes = vec![
            change(0, table.clone()),
            change(2, table.clone()),
            change(0, table.clone()),
            change(3, [table.clone(), postrouting].concat()),
            change(6, [table.clone(), chain, nested(4, &self.rule())].concat()),
        ];
        if self.drops_input {
            changes.push(change(3, [table, input].concat()));
        }
        let number = changes.len();
        changes.insert(0, batch(0x10));
        changes.push(batch(0x11));
        // Not every kernel acknowledges the begin and the end of a batch.
        let results = Socket::open(protocols::NETLINK_NETFILTER)?.batch(changes);
        let mut results = results.into_iter().skip(1).take(number);
        results.try_for_each(|result| result).context(|| "the kernel refused".to_owned())
    }

    /// Returns the expressions of the rule.
    fn rule(&self) -> Vec<u8> {
        let mut interface = self.interface.as_bytes().to_vec();
        interface.resize(16, 0);
        let source = [
            // Three bytes of the network header (1) from offset 12: the source address without its last byte.
            expression("payload", &[number(1, REGISTER), number(2, 1), number(3, 12), number(4, 3)].concat()),
            expression("cmp", &equals(&[192, 168, 1])),
        ];
        let flags = if self.random_ports { number(1, FULLY_RANDOM) } else { Vec::new() };
        [
            if self.home_only { source.concat() } else { Vec::new() },
            // NFT_META_OIFNAME
            expression("meta", &[number(1, REGISTER), number(2, 7)].concat()),
            expression("cmp", &equals(&interface)),
            expression("masq", &flags),
        ]
        .concat()
    }
}

/// Returns NFTA_CHAIN_HOOK.
fn hook(hook: u32, priority: u32) -> Vec<u8> {
    nested(4, &[number(1, hook), number(2, priority)].concat())
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
