//! Steps in words, for errors: what could not be done, and where known, what to do about it.

use nix::errno::Errno;

use super::netlink::Refusal;
use super::{route, rule};
use crate::diff::Step;
use crate::error::Error;

/// The error of a step that the kernel refused.
pub(super) fn failure(step: &Step, refusal: Refusal) -> Error {
    Error::failed(["cannot ", &describe(step), hint(step, refusal.errno)].concat()).because(refusal)
}

/// What is known about the cause, for the errors that people meet.
fn hint(step: &Step, errno: Errno) -> &'static str {
    match (step, errno) {
        (_, Errno::EPERM) => " (this needs root)",
        (Step::AddLink(..), Errno::EEXIST) => {
            " (there is one of that name already, and portals did not make it; rename it or remove it)"
        }
        (Step::AddLink(..), Errno::EOPNOTSUPP) => " (this kernel has no WireGuard)",
        (Step::BringUp(_), Errno::EADDRINUSE) => {
            " (another program or tunnel has its UDP port; `ss -ulpn` and `wg show` tell which)"
        }
        _ => "",
    }
}

fn describe(step: &Step) -> String {
    match step {
        Step::AddLink(name, _) => format!("make interface {name}"),
        Step::RemoveLink(name, _) => format!("remove interface {name}"),
        Step::ChangeLink { name, .. } => format!("change interface {name}"),
        Step::ChangeTunnel { name, .. } => format!("change the WireGuard settings of {name}"),
        Step::AddAddress(name, address) => format!("add address {address} to {name}"),
        Step::RemoveAddress(name, address) => format!("remove address {address} from {name}"),
        Step::BringUp(name) => format!("bring up {name}"),
        Step::BringDown(name) => format!("bring down {name}"),
        Step::AddRoute(route) => format!("add {}", route::describe(route)),
        Step::RemoveRoute(route) => format!("remove {}", route::describe(route)),
        Step::AddRule(rule) => format!("add {}", rule::describe(rule)),
        Step::RemoveRule(rule) => format!("remove {}", rule::describe(rule)),
        Step::ChangeFirewall { .. } => "change the firewall".to_owned(),
        Step::SetSysctl { key, to, .. } => format!("set {key} to {to}"),
    }
}
