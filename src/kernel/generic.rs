//! Generic netlink: each family has a name, and a number that the kernel assigns. Messages are attributes
//! behind a short header.

use nix::errno::Errno;

use super::attributes::{AttributeWriter, Attributes};
use super::message::{Decode, GENERIC_HEADER, Message};
use super::netlink::{Refusal, Socket};

/// The family that knows the numbers of the other families (linux/genetlink.h).
mod controller {
    use nix::libc;

    use crate::kernel::constant::{of_8_bits, of_16_bits};

    pub(super) const ID: u16 = of_16_bits(libc::GENL_ID_CTRL);
    pub(super) const GET_FAMILY: u8 = of_8_bits(libc::CTRL_CMD_GETFAMILY);
    pub(super) const FAMILY_ID: u16 = of_16_bits(libc::CTRL_ATTR_FAMILY_ID);
    pub(super) const FAMILY_NAME: u16 = of_16_bits(libc::CTRL_ATTR_FAMILY_NAME);
}

/// Returns the attributes of one message, read in place.
pub(super) fn attributes(payload: &[u8]) -> Attributes<'_> {
    Attributes::of(payload.get(GENERIC_HEADER..).unwrap_or_default())
}

/// A message that holds no keys. Its memory is not wiped.
#[derive(Debug)]
pub(crate) struct PlainMessage(Vec<u8>);

impl PlainMessage {
    pub(super) fn attributes(&self) -> Attributes<'_> {
        attributes(&self.0)
    }
}

impl Decode for PlainMessage {
    fn decode(payload: &[u8]) -> Option<Self> {
        Some(Self(payload.to_vec()))
    }
}

/// Returns the number that the kernel gave to a family; `None` if the kernel has no family of that name. The
/// question loads the module of the family: the kernel asks for `net-pf-16-proto-16-family-<name>`
/// (`ctrl_getfamily` in net/netlink/genetlink.c).
pub fn find_family(socket: &mut Socket, name: &str) -> Result<Option<u16>, Refusal> {
    let mut attributes = AttributeWriter::default();
    attributes.text(controller::FAMILY_NAME, name);
    let question = Message::generic(controller::ID, controller::GET_FAMILY, attributes.written());
    match socket.get::<PlainMessage>(question) {
        Ok(part) => Ok(part.as_ref().and_then(number)),
        Err(Refusal { errno: Errno::ENOENT, .. }) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

fn number(answer: &PlainMessage) -> Option<u16> {
    answer.attributes().bytes(controller::FAMILY_ID)?.first_chunk().copied().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netlink::protocols;

    #[test]
    fn a_family_is_found_by_its_name() {
        let mut socket = Socket::open(protocols::NETLINK_GENERIC).unwrap();
        assert_eq!(find_family(&mut socket, "nlctrl"), Ok(Some(controller::ID)));
        assert_eq!(find_family(&mut socket, "no-such-family"), Ok(None));
    }
}
