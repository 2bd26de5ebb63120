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
        mut carry_out: impl FnMut(Self, &'a [Step]) -> Vec<Result<()>>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(steps.len());
        let mut rest = steps;
        for batch in Self::group(steps) {
            let (run, behind) = rest.split_at(batch.length());
            rest = behind;
            let results = carry_out(batch, run);
            let failed = results.iter().any(Result::is_err);
            outcomes.extend(results.into_iter().map(Outcome::from));
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
            match (step, batches.last_mut()) {
                (Step::AddLink(new), Some(Self::NewDevices(links))) if is_built_in(new) => links.push(new),
                (Step::AddLink(new), _) if is_built_in(new) => batches.push(Self::NewDevices(vec![new])),
                (Step::AddLink(new), Some(Self::NewLinks(links))) => links.push(new),
                (Step::AddLink(new), _) => batches.push(Self::NewLinks(vec![new])),
                (Step::RemoveLink(old), Some(Self::OldLinks(links))) => links.push(old),
                (Step::RemoveLink(old), _) => batches.push(Self::OldLinks(vec![old])),
                (Step::ChangeTunnel(change), Some(Self::Tunnels(changes))) => changes.push(change),
                (Step::ChangeTunnel(change), _) => batches.push(Self::Tunnels(vec![change])),
                (Step::Routing(step), Some(Self::Routing(steps))) => steps.push(step),
                (Step::Routing(step), _) => batches.push(Self::Routing(vec![step])),
                (Step::Firewall(step), Some(Self::Firewall(steps))) => steps.push(step),
                (Step::Firewall(step), _) => batches.push(Self::Firewall(vec![step])),
                (Step::SetSysctl(change), Some(Self::Sysctls(changes))) => changes.push(change),
                (Step::SetSysctl(change), _) => batches.push(Self::Sysctls(vec![change])),
            }
        }
        batches
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
