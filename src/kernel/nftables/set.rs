//! Sets and their elements, to and from attributes: NFTA_SET_* of linux/netfilter/nf_tables.h.
//!
//! The kernel keeps a set of networks as a list of intervals: the first address of each network, and the
//! address behind its last one.

use nix::libc;

use super::value::{
    MAC_LENGTH, NAME_LENGTH, address_bytes, address_from_bytes, address_length, unpadded_name,
};
use crate::base::net::{Cidr, Family, IfName, Mac};
use crate::base::sorted::SortedSet;
use crate::firewall::Set;
use crate::kernel::attributes::{AttributeWriter, Attributes};

/// Limit of elements in one message, because a list has at most 64 KiB and the longest element takes 52
/// bytes.
pub(super) const ELEMENTS_PER_MESSAGE: usize = 1000;

const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LEN: u16 = 5;
const SET_ID: u16 = 10;
const SET_USERDATA: u16 = 13;
const FLAG_INTERVAL: u32 = libc::NFT_SET_INTERVAL.cast_unsigned();

const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_KEY_END: u16 = 10;
const INTERVAL_END: u32 = libc::NFT_SET_ELEM_INTERVAL_END.cast_unsigned();
const DATA_VALUE: u16 = 1;

/// Element in the kernel's form. An end sorts before a beginning with the same key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element {
    key: Vec<u8>,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// First key behind an interval.
    End,
    /// First key of an interval, or a single key.
    Key,
}

/// Encodes the kind of a set, which the kernel must know before it takes elements.
pub(super) fn encode_kind(set: &Set, writer: &mut AttributeWriter) {
    let SetKind { key_type, key_length, flags } = SetKind::of(set);
    writer.number(SET_FLAGS, flags);
    writer.number(SET_KEY_TYPE, key_type);
    writer.number(SET_KEY_LEN, key_length);
    // The kernel demands an ID, but looks up only sets without a name by it.
    writer.number(SET_ID, 1);
    if let Set::Interfaces(_) = set {
        // The `nft` program lists a single name as "" unless the set says that the bytes are in the machine's
        // order.
        const KEY_BYTE_ORDER: u8 = 0;
        const MACHINE: [u8; 4] = 1_u32.to_ne_bytes();
        writer.bytes(SET_USERDATA, &[&[KEY_BYTE_ORDER, 4], MACHINE.as_slice()].concat());
    }
}

/// Empty set of each kind that we use.
pub(super) static KINDS: [Set; 10] = [
    Set::Interfaces(SortedSet::new()),
    Set::Devices(SortedSet::new()),
    Set::InterfacePairs(SortedSet::new()),
    Set::NetworksAtInterfaces(Family::V4, SortedSet::new()),
    Set::NetworksAtInterfaces(Family::V6, SortedSet::new()),
    Set::MarksAtInterfaces(SortedSet::new()),
    Set::Networks(Family::V4, false, SortedSet::new()),
    Set::Networks(Family::V6, false, SortedSet::new()),
    Set::Networks(Family::V4, true, SortedSet::new()),
    Set::Networks(Family::V6, true, SortedSet::new()),
];

/// Decodes an empty set of the kind in the attributes; `None` for a kind that we do not use.
pub(super) fn decode_kind(attributes: Attributes) -> Option<&'static Set> {
    let kind = SetKind {
        key_type: attributes.number(SET_KEY_TYPE)?,
        key_length: attributes.number(SET_KEY_LEN)?,
        flags: attributes.number(SET_FLAGS).unwrap_or(0),
    };
    KINDS.iter().find(|set| SetKind::of(set) == kind)
}

/// Returns all elements of a new set. An end at zero closes the addresses in front of the first network, as
/// the `nft` program does it.
pub(super) fn first_elements(set: &Set) -> Vec<Element> {
    let mut all = elements(set);
    if let Set::Networks(_, true, _) = set
        && let Some(first) = all.first()
        && first.key.iter().any(|byte| *byte != 0)
    {
        all.insert(0, Element { key: vec![0; first.key.len()], role: Role::End });
    }
    all
}

/// Returns the elements to add or delete for the content of `set`.
pub(super) fn elements(set: &Set) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut add = |parts: &[&[u8]], role| elements.push(Element { key: parts.concat(), role });
    match set {
        Set::Interfaces(names) => {
            for name in names {
                add(&[name.padded()], Role::Key);
            }
        }
        Set::Devices(devices) => {
            for mac in devices {
                add(&[&mac.0], Role::Key);
            }
        }
        Set::InterfacePairs(paths) => {
            for (incoming, outgoing) in paths {
                add(&[incoming.padded(), outgoing.padded()], Role::Key);
            }
        }
        Set::NetworksAtInterfaces(_, places) => {
            for (name, address) in places {
                add(&[name.padded(), &address_bytes(*address)], Role::Key);
            }
        }
        Set::MarksAtInterfaces(pairs) => {
            for (name, mark) in pairs {
                add(&[name.padded(), &mark.to_ne_bytes()], Role::Key);
            }
        }
        Set::Networks(_, has_intervals, networks) => {
            for network in networks {
                add(&[&address_bytes(network.address())], Role::Key);
                let behind = behind(*network);
                if *has_intervals && behind.iter().any(|byte| *byte != 0) {
                    add(&[&behind], Role::End);
                }
            }
        }
    }
    elements
}

/// Returns a set of the kind of `kind` with these elements; `None` if there are none, or some that we do not
/// write.
pub(super) fn with_elements(kind: &Set, elements: Vec<Element>) -> Option<Set> {
    if elements.is_empty() {
        return None;
    }
    match kind {
        Set::Interfaces(_) => names(&elements).map(Set::Interfaces),
        Set::Devices(_) => devices(&elements).map(Set::Devices),
        Set::InterfacePairs(_) => pairs(&elements, unpadded_name).map(Set::InterfacePairs),
        Set::NetworksAtInterfaces(family, _) => {
            let places = pairs(&elements, |bytes| address_from_bytes(*family, bytes));
            places.map(|places| Set::NetworksAtInterfaces(*family, places))
        }
        Set::MarksAtInterfaces(_) => {
            pairs(&elements, |bytes| Some(u32::from_ne_bytes(*bytes.as_array()?))).map(Set::MarksAtInterfaces)
        }
        Set::Networks(family, has_intervals, _) => {
            let networks = networks(*family, *has_intervals, elements)?;
            Some(Set::Networks(*family, *has_intervals, networks))
        }
    }
}

pub(super) fn encode_elements(elements: &[Element], writer: &mut AttributeWriter) {
    writer.nest(LIST_ELEMENTS, |writer| {
        for Element { key, role } in elements {
            writer.nest(LIST_ELEMENT, |writer| {
                writer.nest(ELEMENT_KEY, |writer| writer.bytes(DATA_VALUE, key));
                if *role == Role::End {
                    writer.number(ELEMENT_FLAGS, INTERVAL_END);
                }
            });
        }
    });
}

/// Decodes the elements of a list, and adds them to others; `None` if one has a form that we do not write.
pub(super) fn decode_elements(attributes: Attributes, elements: &mut Vec<Element>) -> Option<()> {
    for element in attributes.nested(LIST_ELEMENTS).elements() {
        elements.push(decode_element(element)?);
    }
    Some(())
}

#[derive(PartialEq)]
struct SetKind {
    /// Number of a type for the `nft` program: TYPE_* in its datatype.h. The kernel passes it on without
    /// reading it.
    key_type: u32,
    /// Length of a key in bytes.
    key_length: u32,
    /// Flags of the set: NFT_SET_*.
    flags: u32,
}

impl SetKind {
    fn of(set: &Set) -> Self {
        const ETHER_ADDR: u32 = 9;
        const IFNAME: u32 = 41;
        const MARK: u32 = 19;
        const WITH_IFNAME: u32 = IFNAME << 6;
        const WORD: u32 = 4;
        let (key_type, key_length, flags) = match set {
            Set::Interfaces(_) => (IFNAME, NAME_LENGTH, 0),
            Set::Devices(_) => (ETHER_ADDR, MAC_LENGTH, 0),
            Set::InterfacePairs(_) => (WITH_IFNAME | IFNAME, 2 * NAME_LENGTH, 0),
            Set::NetworksAtInterfaces(family, _) => {
                (WITH_IFNAME | address_type(*family), NAME_LENGTH + address_length(*family), 0)
            }
            Set::MarksAtInterfaces(_) => (WITH_IFNAME | MARK, NAME_LENGTH + WORD, 0),
            Set::Networks(family, has_intervals, _) => (
                address_type(*family),
                address_length(*family),
                if *has_intervals { FLAG_INTERVAL } else { 0 },
            ),
        };
        Self { key_type, key_length, flags }
    }
}

/// Returns the number of the type of addresses: `ipv4_addr` or `ipv6_addr`.
fn address_type(family: Family) -> u32 {
    match family {
        Family::V4 => 7,
        Family::V6 => 8,
    }
}

fn decode_element(attributes: Attributes) -> Option<Element> {
    let role = match attributes.number(ELEMENT_FLAGS) {
        None | Some(0) => Role::Key,
        Some(INTERVAL_END) => Role::End,
        Some(_) => return None,
    };
    let key = attributes.nested(ELEMENT_KEY).bytes(DATA_VALUE)?;
    attributes.bytes(ELEMENT_KEY_END).is_none().then(|| Element { key: key.to_vec(), role })
}

fn names(elements: &[Element]) -> Option<SortedSet<IfName>> {
    let mut names = SortedSet::new();
    for element in elements {
        names.insert(unpadded_name(&element.key)?);
    }
    Some(names)
}

fn devices(elements: &[Element]) -> Option<SortedSet<Mac>> {
    let mut devices = SortedSet::new();
    for element in elements {
        devices.insert(Mac(*element.key.as_array()?));
    }
    Some(devices)
}

/// Decodes pairs of an interface and another value.
fn pairs<T: Ord>(elements: &[Element], read: impl Fn(&[u8]) -> Option<T>) -> Option<SortedSet<(IfName, T)>> {
    let mut pairs = SortedSet::new();
    for element in elements {
        let (interface, other) = element.key.split_at_checked(NAME_LENGTH as usize)?;
        pairs.insert((unpadded_name(interface)?, read(other)?));
    }
    Some(pairs)
}

fn networks(family: Family, has_intervals: bool, mut elements: Vec<Element>) -> Option<SortedSet<Cidr>> {
    elements.sort_unstable();
    let mut networks = SortedSet::new();
    let mut rest = elements.as_slice();
    if let [Element { key, role: Role::End }, ..] = rest
        && key.iter().all(|byte| *byte == 0)
    {
        rest = &rest[1..];
    }
    while let [first, behind @ ..] = rest {
        let end = behind.first().filter(|element| element.role == Role::End);
        networks.insert(if has_intervals {
            network(family, first, end)?
        } else {
            Cidr::host(address_from_bytes(family, &first.key)?)
        });
        rest = &behind[usize::from(end.is_some())..];
    }
    Some(networks)
}

/// Returns the network from `first` to the address before `end`, or to the last address of all.
fn network(family: Family, first: &Element, end: Option<&Element>) -> Option<Cidr> {
    let zeros = vec![0; first.key.len()];
    let end = end.map_or(&zeros, |element| &element.key);
    // Behind the last address, the bit in front of those of the hosts has turned.
    let mut of_hosts = 0;
    for (first, end) in first.key.iter().zip(end).rev() {
        of_hosts += (first ^ end).trailing_zeros();
        if first != end {
            break;
        }
    }
    let length = u32::from(family.bits()).checked_sub(of_hosts)?;
    let network = Cidr::new(address_from_bytes(family, &first.key)?, u8::try_from(length).ok()?)?;
    (address_bytes(network.address()) == first.key && behind(network) == *end).then_some(network)
}

/// Returns the address behind the last address of a network; zeros if there is no such address.
fn behind(network: Cidr) -> Vec<u8> {
    let mut address = address_bytes(network.last());
    for byte in address.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    address
}
