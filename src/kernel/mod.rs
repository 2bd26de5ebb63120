//! What touches the machine: observes it, and carries out steps. Thin; everything hard was decided before.

pub mod address;
mod attributes;
mod batch;
pub mod builtin;
pub mod conntrack;
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
use crate::state::diff::Step;
use crate::state::{Scope, State};

/// A machine that can be looked at and changed.
pub trait Kernel {
    /// What is ours on it now, and what of the host `scope` asks for. Changes nothing.
    fn observe(&mut self, scope: &Scope) -> Result<State>;

    /// Carries out steps in order, sending neighbours of one kind as one batch. Stops behind the first batch in which
    /// something failed; within that batch, later steps may have been done all the same. One entry for each step.
    fn apply(&mut self, steps: &[Step]) -> Vec<Outcome>;
}

/// What became of a step.
#[derive(Debug)]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was tried and did not work; nothing of it remains.
    Failed(Error),
    /// Something before it failed.
    Untried,
}

impl From<Result<()>> for Outcome {
    fn from(result: Result<()>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Done)
    }
}
