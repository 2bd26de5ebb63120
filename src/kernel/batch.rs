//! Batches: adjacent steps of one type, which go to the kernel together.

use super::Outcome;
use crate::base::error::Result;
use crate::state::WireGuardBackend;
use crate::state::step::{FirewallStep, NamedLink, RoutingStep, Step, SysctlChange, TunnelChange};

/// Steps that go to the kernel together, in one send wherever possible.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Batch<'a> {
    /// New interfaces that the kernel makes.
    NewLinks(Vec<&'a NamedLink>),
    /// New interfaces of the built-in WireGuard.
    NewDevices(Vec<&'a NamedLink>),
    /// Interfaces to remove.
    OldLinks(Vec<&'a NamedLink>),
    Tunnels(Vec<&'a TunnelChange>),
    Routing(Vec<&'a RoutingStep>),
    Firewall(Vec<&'a FirewallStep>),
    Sysctls(Vec<&'a SysctlChange>),
}

impl<'a> Batch<'a> {
    /// Carries out steps in batches, up to the first batch in which a step fails. `carry_out` also gets the
    /// steps of the batch as they were given.
    pub(super) fn carry_out_all(
        steps: &'a [Step],
        carry_out: &mut dyn FnMut(Self, &'a [Step]) -> Vec<Result<()>>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(steps.len());
        let mut rest = steps;
        for batch in Self::group(steps) {
            let (run, behind) = rest.split_at(batch.length());
            rest = behind;
            let results = carry_out(batch, run);
            let failed = results.iter().any(Result::is_err);
            for result in results {
                outcomes.push(Outcome::from(result));
            }
            if failed {
                break;
            }
        }
        outcomes.resize_with(steps.len(), || Outcome::Untried);
        outcomes
    }

    /// Groups steps into batches. The order of the steps stays.
    fn group(steps: &'a [Step]) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        for step in steps {
            if !batches.last_mut().is_some_and(|last| last.take(step)) {
                let mut batch = Self::empty_for(step);
                batch.take(step);
                batches.push(batch);
            }
        }
        batches
    }

    /// Returns an empty batch of the type of a step.
    fn empty_for(step: &Step) -> Self {
        match step {
            Step::AddLink(new) if is_built_in(new) => Self::NewDevices(Vec::new()),
            Step::AddLink(_) => Self::NewLinks(Vec::new()),
            Step::RemoveLink(_) => Self::OldLinks(Vec::new()),
            Step::ChangeTunnel(_) => Self::Tunnels(Vec::new()),
            Step::Routing(_) => Self::Routing(Vec::new()),
            Step::Firewall(_) => Self::Firewall(Vec::new()),
            Step::SetSysctl(_) => Self::Sysctls(Vec::new()),
        }
    }

    /// Adds a step, if the batch is of its type. Reports whether it is.
    fn take(&mut self, step: &'a Step) -> bool {
        match (self, step) {
            (Self::NewDevices(links), Step::AddLink(new)) if is_built_in(new) => links.push(new),
            (Self::NewLinks(links), Step::AddLink(new)) if !is_built_in(new) => links.push(new),
            (Self::OldLinks(links), Step::RemoveLink(old)) => links.push(old),
            (Self::Tunnels(changes), Step::ChangeTunnel(change)) => changes.push(change),
            (Self::Routing(steps), Step::Routing(step)) => steps.push(step),
            (Self::Firewall(steps), Step::Firewall(step)) => steps.push(step),
            (Self::Sysctls(changes), Step::SetSysctl(change)) => changes.push(change),
            _ => return false,
        }
        true
    }

    /// Returns the number of steps.
    fn length(&self) -> usize {
        match self {
            Self::NewLinks(links) | Self::NewDevices(links) | Self::OldLinks(links) => links.len(),
            Self::Tunnels(changes) => changes.len(),
            Self::Routing(steps) => steps.len(),
            Self::Firewall(steps) => steps.len(),
            Self::Sysctls(changes) => changes.len(),
        }
    }
}

fn is_built_in(new: &NamedLink) -> bool {
    new.link.backend() == Some(WireGuardBackend::BuiltIn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Link, LinkKind};

    #[test]
    fn adjacent_steps_of_one_type_are_one_batch() {
        let link = |name: &str, backend| NamedLink {
            name: name.parse().unwrap(),
            link: Link { kind: LinkKind::WireGuard(backend), mtu: 1420, alias: String::new() },
        };
        let links = [
            link("a", WireGuardBackend::Kernel),
            link("b", WireGuardBackend::Kernel),
            link("c", WireGuardBackend::BuiltIn),
        ];
        let up = RoutingStep::BringUp("a".parse().unwrap());
        let mut steps: Vec<Step> = links.iter().cloned().map(Step::AddLink).collect();
        steps.extend([
            Step::Routing(up.clone()),
            Step::RemoveLink(links[0].clone()),
            Step::Routing(up.clone()),
        ]);
        let [a, b, c] = &links;
        assert_eq!(
            Batch::group(&steps),
            [
                Batch::NewLinks(vec![a, b]),
                Batch::NewDevices(vec![c]),
                Batch::Routing(vec![&up]),
                Batch::OldLinks(vec![a]),
                Batch::Routing(vec![&up]),
            ]
        );
    }
}
