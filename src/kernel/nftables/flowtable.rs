//! The flowtable, to and from attributes: NFTA_FLOWTABLE_* and NFTA_DEVICE_NAME of
//! linux/netfilter/nf_tables.h.

use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::firewall::FLOWTABLE;
use crate::kernel::attributes::{AttributeWriter, Attributes, text_before_zero};

const NAME: u16 = 2;
const HOOK: u16 = 3;
const FLAGS: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICES: u16 = 3;
const DEVICE_NAME: u16 = 1;

/// NF_NETDEV_INGRESS, and the priority of the flowtable there.
const INGRESS: u32 = 0;
const PRIORITY: u32 = 0;

/// Encodes the name of the flowtable, which is enough for one that exists.
pub(super) fn encode_name(writer: &mut AttributeWriter) {
    writer.text(NAME, FLOWTABLE);
}

/// Encodes a new flowtable.
pub(super) fn encode(devices: &SortedSet<IfName>, writer: &mut AttributeWriter) {
    encode_name(writer);
    writer.nest(HOOK, |writer| {
        writer.number(HOOK_NUMBER, INGRESS);
        writer.number(HOOK_PRIORITY, PRIORITY);
        writer.nest(HOOK_DEVICES, |writer| {
            for device in devices {
                writer.text(DEVICE_NAME, device.as_str());
            }
        });
    });
}

/// Returns the devices of our flowtable; `None` for any other flowtable.
pub(super) fn decode(attributes: Attributes) -> Option<SortedSet<IfName>> {
    let hook = attributes.nested(HOOK);
    let ours = attributes.text(NAME) == Some(FLOWTABLE)
        && attributes.number(FLAGS).unwrap_or_default() == 0
        && hook.number(HOOK_NUMBER) == Some(INGRESS)
        && hook.number(HOOK_PRIORITY) == Some(PRIORITY);
    let mut devices = SortedSet::new();
    for (kind, name) in hook.nested(HOOK_DEVICES).iter() {
        if kind != DEVICE_NAME {
            return None;
        }
        devices.insert(text_before_zero(name).parse().ok()?);
    }
    ours.then_some(devices)
}
