//! Batches: steps that go to the kernel together.

use super::Outcome;
use crate::base::error::Result;
use crate::state::Backend;
use crate::state::diff::Step;

/// Kinds of steps that go to the kernel together, in one send wherever possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batch {
    NewLinks,
    /// New interfaces of the built-in WireGuard.
    NewDevices,
    OldLinks,
    Tunnels,
    /// Addresses, routes, rules, and changes of existing interfaces.
    Routing,
    Firewall,
    Sysctls,
}

impl Batch {
    /// Has steps carried out, adjacent steps of one batch together, up to the first batch in which a step
    /// fails.
    pub(super) fn carry_out_all(
        steps: &[Step],
        mut carry_out: impl FnMut(Self, &[Step]) -> Vec<Result<()>>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(steps.len());
        for run in steps.chunk_by(|a, b| Self::of(a) == Self::of(b)) {
            let results = carry_out(Self::of(&run[0]), run);
            let failed = results.iter().any(Result::is_err);
            outcomes.extend(results.into_iter().map(Outcome::from));
            if failed {
                break;
            }
        }
        outcomes.resize_with(steps.len(), || Outcome::Untried);
        outcomes
    }

    fn of(step: &Step) -> Self {
        match step {
            Step::AddLink(_, link) if link.backend() == Some(Backend::BuiltIn) => Self::NewDevices,
            Step::AddLink(..) => Self::NewLinks,
            Step::RemoveLink(..) => Self::OldLinks,
            Step::ChangeTunnel { .. } => Self::Tunnels,
            Step::ChangeLink { .. }
            | Step::AddAddress(..)
            | Step::RemoveAddress(..)
            | Step::BringUp(_)
            | Step::BringDown(_)
            | Step::AddRoute(_)
            | Step::RemoveRoute(_)
            | Step::AddRule(_)
            | Step::RemoveRule(_) => Self::Routing,
            Step::ClosePorts { .. }
            | Step::ChangeFirewall { .. }
            | Step::ChangeIptables { .. }
            | Step::ChangeOpenings { .. } => Self::Firewall,
            Step::SetSysctl { .. } => Self::Sysctls,
        }
    }
}
