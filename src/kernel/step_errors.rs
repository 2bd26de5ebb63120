//! Errors of refused steps: the step in words, and where known, a hint at the remedy.

use nix::errno::Errno;

use super::netlink::Refusal;
use crate::base::error::Error;
use crate::state::step::{NamedLink, RoutingStep};
use crate::state::{LinkKind, words};

/// Hint for EPERM.
pub(super) const NOT_ALLOWED: &str =
    " (this needs root, and in a container the capability NET_ADMIN: start it with `--cap-add NET_ADMIN`)";

/// Returns the error of an interface that the kernel did not make.
pub(super) fn not_added(new: &NamedLink, refusal: Refusal) -> Error {
    let hint = match (&new.link.kind, refusal.errno) {
        (LinkKind::Vlan { .. }, Errno::EEXIST) => {
            " (an interface of that name or of that VLAN exists already, and portals did not make it: \
             name it as the `interface` of the portal, or remove it)"
        }
        (LinkKind::WireGuard(_), Errno::EEXIST) => {
            " (an interface of that name exists already, and portals did not make it: rename it or remove it)"
        }
        (LinkKind::Vlan { .. }, Errno::EOPNOTSUPP) => {
            " (this kernel has no VLANs: load them with modprobe 8021q)"
        }
        (LinkKind::WireGuard(_), Errno::EOPNOTSUPP) => " (this kernel has no WireGuard)",
        _ => "",
    };
    failure(&words::adding(new), hint, refusal)
}

/// Returns the error of an interface that the kernel did not remove.
pub(super) fn not_removed(old: &NamedLink, refusal: Refusal) -> Error {
    failure(&words::removing(old), "", refusal)
}

/// Returns the error of a change of interfaces, addresses, routes or rules that the kernel refused.
pub(super) fn not_changed(step: &RoutingStep, refusal: Refusal) -> Error {
    let hint = match (step, refusal.errno) {
        (RoutingStep::BringUp(_), Errno::EADDRINUSE) => {
            " (another program or tunnel has its UDP port; `ss -ulpn` and `wg show` show which)"
        }
        _ => "",
    };
    failure(&words::routing(step), hint, refusal)
}

/// Returns the error of a refused step that `step` describes, as in "cannot bring to-paris up".
pub(super) fn failure(step: &str, hint: &str, refusal: Refusal) -> Error {
    let hint = if refusal.errno == Errno::EPERM { NOT_ALLOWED } else { hint };
    Error::failed(["cannot ", step, hint].concat()).because(refusal)
}
