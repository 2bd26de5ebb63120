//! Generic netlink: families find their numbers by their names, and answers are attributes behind a short header.

use netlink_packet_core::DefaultNla;
use nix::errno::Errno;

use super::attributes::Attributes;
use super::message::{Decode, GENERIC_HEADER, Message};
use super::netlink::{Refusal, Socket};

/// The family that knows the numbers of the others: GENL_ID_CTRL, CTRL_CMD_GETFAMILY and CTRL_ATTR_FAMILY_* of
/// linux/genetlink.h.
mod controller {
    pub(super) const ID: u16 = 0x10;
    pub(super) const GET_FAMILY: u8 = 3;
    pub(super) const FAMILY_ID: u16 = 1;
    pub(super) const FAMILY_NAME: u16 = 2;
}

/// The attributes of one message, read in place.
pub(super) fn attributes(payload: &[u8]) -> Attributes<'_> {
    Attributes::of(payload.get(GENERIC_HEADER..).unwrap_or_default())
}

/// One message that holds no keys: nothing wipes it.
#[derive(Debug)]
pub(crate) struct Part(Vec<u8>);

impl Part {
    pub(super) fn attributes(&self) -> Attributes<'_> {
        attributes(&self.0)
    }
}

impl Decode for Part {
    fn decode(payload: &[u8]) -> Option<Self> {
        Some(Self(payload.to_vec()))
    }
}

/// The number that the kernel gave to a family; `None` if it has none of that name. Looking is enough to load its module: the
/// kernel asks for `net-pf-16-proto-16-family-<name>` (`ctrl_getfamily` in net/netlink/genetlink.c).
pub fn find_family(socket: &mut Socket, name: &str) -> Result<Option<u16>, Refusal> {
    let name = DefaultNla::new(controller::FAMILY_NAME, [name.as_bytes(), b"\0"].concat());
    match socket.get::<Part>(Message::generic(controller::ID, controller::GET_FAMILY, &name)) {
        Ok(part) => Ok(part.as_ref().and_then(number)),
        Err(Refusal { errno: Errno::ENOENT, .. }) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

fn number(answer: &Part) -> Option<u16> {
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
