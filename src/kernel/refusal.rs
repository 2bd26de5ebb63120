//! Steps in words, for errors: what could not be done, and where known, what to do about it.

use nix::errno::Errno;

use super::netlink::Refusal;
use crate::base::error::Error;
use crate::state::diff::Step;
use crate::state::words;
use crate::state::{Link, LinkKind};

/// What to do about EPERM.
pub(super) const NOT_ALLOWED: &str =
    " (this needs root, and in a container the capability NET_ADMIN: start it with `--cap-add NET_ADMIN`)";

/// The error of a step that the kernel refused.
pub(super) fn failure(step: &Step, refusal: Refusal) -> Error {
    Error::failed(["cannot ", &words::step(step), hint(step, refusal.errno)].concat()).because(refusal)
}

/// What is known about the cause, for the errors that people meet.
fn hint(step: &Step, errno: Errno) -> &'static str {
    match (step, errno) {
        (_, Errno::EPERM) => NOT_ALLOWED,
        (Step::AddLink(_, Link { kind: LinkKind::Vlan { .. }, .. }), Errno::EEXIST) => {
            " (there is an interface of that name or of that VLAN already, and portals did not make it: let it enter as `interface`, or \
             remove it)"
        }
        (Step::AddLink(..), Errno::EEXIST) => {
            " (there is one of that name already, and portals did not make it; rename it or remove it)"
        }
        (Step::AddLink(_, Link { kind: LinkKind::Vlan { .. }, .. }), Errno::EOPNOTSUPP) => {
            " (this kernel has no VLANs: load them with modprobe 8021q)"
        }
        (Step::AddLink(..), Errno::EOPNOTSUPP) => " (this kernel has no WireGuard)",
        (Step::BringUp(_), Errno::EADDRINUSE) => {
            " (another program or tunnel has its UDP port; `ss -ulpn` and `wg show` tell which)"
        }
        _ => "",
    }
}
