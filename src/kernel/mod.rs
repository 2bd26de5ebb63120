//! The layer that touches the machine: it observes the machine and carries out steps. The layer is thin,
//! because every difficult decision was made before.

pub mod address;
mod attributes;
mod batch;
pub mod builtin;
pub mod conntrack;
mod constant;
pub mod echo;
pub mod fake;
pub mod generic;
pub mod iptables;
pub mod link;
pub mod linux;
pub mod message;
pub mod neighbour;
pub mod netlink;
pub mod news;
mod nfnetlink;
pub mod nftables;
pub mod nl80211;
mod refusal;
mod requests;
pub mod route;
pub mod rule;
pub mod sysctl;
mod tun;
pub mod wireguard;

use crate::base::error::{Error, Result};
use crate::state::step::Step;
use crate::state::{Scope, State};
use link::Links;

/// A machine that can be observed and changed.
pub trait Kernel {
    /// Returns everything of ours on the machine, and the parts of the host that `scope` asks for. Changes
    /// nothing.
    fn observe(&mut self, scope: &Scope) -> Result<State>;

    /// Observes like [`Kernel::observe`], with interfaces that the caller has just listed.
    fn observe_with(&mut self, links: &Links, scope: &Scope) -> Result<State>;

    /// Carries out steps in order, and returns one outcome for each step.
    ///
    /// Adjacent steps of one type go to the kernel as one batch. Nothing is tried behind the first batch with
    /// a failure; within that batch, steps behind the failed step may have been carried out.
    fn apply(&mut self, steps: &[Step]) -> Vec<Outcome>;
}

/// Outcome of a step.
#[derive(Debug)]
pub enum Outcome {
    /// The step was carried out.
    Done,
    /// The step was tried and failed; nothing of it remains.
    Failed(Error),
    /// The step was not tried, because an earlier step failed.
    Untried,
}

impl From<Result<()>> for Outcome {
    fn from(result: Result<()>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Done)
    }
}
