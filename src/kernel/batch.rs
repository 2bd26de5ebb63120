//! Which steps go to the kernel together.

use crate::diff::Step;

/// What goes to the kernel together, in one send wherever it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batch {
    NewLinks,
    OldLinks,
    Tunnels,
    /// Addresses, routes, rules, and all that changes about interfaces that are there.
    Routing,
    Firewall,
    Sysctls,
}

impl Batch {
    /// Neighbours that go together.
    pub(super) fn split(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
        steps.chunk_by(|a, b| Self::of(a) == Self::of(b))
    }

    /// The batch that a step goes into.
    pub(super) fn of(step: &Step) -> Self {
        match step {
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
            Step::ChangeFirewall { .. } => Self::Firewall,
            Step::SetSysctl { .. } => Self::Sysctls,
        }
    }
}
