//! Makes the machine match a state: all of it, or nothing.

use std::fmt::Write as _;

use crate::base::error::{Error, Result};
use crate::engine::firewall_choice;
use crate::engine::journal::{Claims, Journal};
use crate::kernel::link::Links;
use crate::kernel::{Kernel, Outcome};
use crate::state::diff::diff;
use crate::state::step::{FirewallStep, RoutingStep, Step};
use crate::state::words;
use crate::state::{Route, Scope, State, Target};

/// What was found and what would have to be done about it.
#[derive(Debug)]
pub struct Prepared {
    /// What is ours by earlier calls.
    pub claims: Claims,
    /// What is there now.
    pub have: State,
    /// What leads from there to what is wanted.
    pub steps: Vec<Step>,
}

/// Looks at the machine, and works out the steps. `links` is a snapshot of the interfaces, if the caller has just taken one. Changes
/// nothing.
pub fn prepare(
    kernel: &mut dyn Kernel,
    journal: &Journal,
    want: &State,
    links: Option<&Links>,
) -> Result<Prepared> {
    let claims = journal.claims()?;
    let scope = want.scope().union(claims.scope());
    let have = match links {
        Some(links) => kernel.observe_with(links, &scope)?,
        None => kernel.observe(&scope)?,
    };
    let steps = diff(want, &have);
    Ok(Prepared { claims, have, steps })
}

/// What remains of an attempt that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing: all is as it was.
    Undo,
    /// What closes portals: firewall, refusing rules and routes. For repairs, as what was there before was broken.
    StayClosed,
}

impl OnFailure {
    /// Says in words how a failed attempt ended.
    fn outcome(self) -> &'static str {
        match self {
            Self::Undo => "what had been begun was undone",
            Self::StayClosed => {
                "what guards portals was put in place; all else is as it was before this attempt"
            }
        }
    }
}

/// Makes the machine match `want`, and checks that it does. Returns the steps that were taken. `links` is a
/// snapshot of the interfaces, if the caller has just taken one. The caller holds the journal's lock.
pub fn apply(
    kernel: &mut dyn Kernel,
    journal: &Journal,
    want: &State,
    links: Option<&Links>,
    on_failure: OnFailure,
) -> Result<Vec<Step>> {
    let prepared = prepare(kernel, journal, want, links)?;
    apply_prepared(kernel, journal, want, prepared, on_failure)
}

/// Makes the machine match `want` as [`apply`] does, with steps that the caller has just prepared.
pub fn apply_prepared(
    kernel: &mut dyn Kernel,
    journal: &Journal,
    want: &State,
    Prepared { claims, have, steps }: Prepared,
    on_failure: OnFailure,
) -> Result<Vec<Step>> {
    if claims.begun {
        log::warn!("an earlier call was cut short; completing it");
    }
    if steps.is_empty() && !claims.begun {
        return Ok(steps);
    }
    let intended = claims.before(&steps, want, &have);
    if intended != claims {
        journal.record(&intended)?;
    }
    for step in &steps {
        log::info!("{}", words::step(step));
    }
    let scope = want.scope().union(intended.scope());
    let fallback = match on_failure {
        OnFailure::Undo => have,
        OnFailure::StayClosed => closed(have, want),
    };
    let result = carry_out(kernel, want, &steps, &scope)
        .or_else(|broken| fall_back(kernel, want, &fallback, &broken, &scope, on_failure));
    let settled = match &result {
        Ok(()) => intended.after(&steps),
        // The undone steps have given everything back, unless undoing failed too: then all claims stay for the next call.
        Err(failure) if failure.undone => claims,
        Err(_) => intended,
    };
    journal.record(&settled)?;
    result.map(|()| steps).map_err(|failure| failure.error)
}

/// The state to which `down` leads: nothing of ours, and the kernel settings as they were.
pub fn nothing(claims: &Claims) -> State {
    State { sysctls: claims.sysctls.clone(), ..State::default() }
}

/// Takes everything of ours away. Goes on past errors, and reports them all.
pub fn remove_all(kernel: &mut dyn Kernel, journal: &Journal) -> Result<Vec<Step>> {
    let claims = journal.claims()?;
    let mut want = nothing(&claims);
    let have = kernel.observe(&claims.scope())?;
    // Those of an interface that is gone went with it.
    want.sysctls.retain(|key, _| have.sysctls.contains_key(key));
    let steps = diff(&want, &have);
    let failures = do_all(kernel, &steps);
    if failures.is_empty() {
        journal.record(&Claims::default())?;
        firewall_choice::remember(journal.folder(), None)?;
        return Ok(steps);
    }
    Err(Error::failed(list(
        "not everything could be removed; run `portals down` again when the cause is gone:",
        &failures,
    )))
}

struct Failure {
    error: Error,
    undone: bool,
}

/// What was there, with all that closes portals as it is wanted.
fn closed(mut before: State, want: &State) -> State {
    if want.closed_ports.is_some() {
        before.closed_ports.clone_from(&want.closed_ports);
    }
    if want.firewall.is_some() {
        before.firewall.clone_from(&want.firewall);
    }
    before.iptables.extend(want.iptables.clone());
    before.rules.extend(want.rules.iter().filter(|rule| rule.closes()).cloned());
    let unreachable = |route: &&Route| route.target == Target::Unreachable;
    before.routes.extend(want.routes.iter().filter(unreachable).cloned());
    before
}

/// A failure, and the steps done by then.
struct Broken<'a> {
    problem: String,
    done: Vec<&'a Step>,
}

fn carry_out<'a>(
    kernel: &mut dyn Kernel,
    want: &State,
    steps: &'a [Step],
    scope: &Scope,
) -> Result<(), Broken<'a>> {
    let outcomes = kernel.apply(steps);
    let mut failed = Vec::new();
    let mut done = Vec::new();
    for (step, outcome) in steps.iter().zip(outcomes) {
        match outcome {
            Outcome::Done => done.push(step),
            Outcome::Failed(error) => failed.push(error),
            Outcome::Untried => {}
        }
    }
    let problem = match failed.as_slice() {
        [] => verify(kernel, want, scope),
        _ => Some(list("the change failed:", &failed)),
    };
    problem.map_or(Ok(()), |problem| Err(Broken { problem, done }))
}

/// What the machine still lacks though every step was carried out.
fn verify(kernel: &mut dyn Kernel, want: &State, scope: &Scope) -> Option<String> {
    match kernel.observe(scope) {
        Err(error) => Some(format!("the result could not be checked: {error}")),
        Ok(have) => {
            let rest = diff(want, &have);
            (!rest.is_empty()).then(|| {
                let rest: Vec<String> = rest.iter().map(words::step).collect();
                list("every change was accepted, but this is still missing (does another program take it away?):", &rest)
            })
        }
    }
}

/// Leads to what an attempt that failed is to leave behind. Of a repair that may be all that is wanted, as
/// where another program's flush met it halfway: then it has not failed.
fn fall_back(
    kernel: &mut dyn Kernel,
    want: &State,
    fallback: &State,
    Broken { problem, done }: &Broken,
    scope: &Scope,
    on_failure: OnFailure,
) -> Result<(), Failure> {
    let failures = lead_back(kernel, fallback, done, scope);
    if !failures.is_empty() {
        let also = list("and this could not be undone; `portals down` removes it:", &failures);
        return Err(Failure { error: Error::failed(format!("{problem}\n{also}")), undone: false });
    }
    if on_failure == OnFailure::StayClosed && verify(kernel, want, scope).is_none() {
        log::warn!("{problem}\nit was put in place once more, and all is as wanted");
        return Ok(());
    }
    let error = Error::failed(format!("{problem}\n{}", on_failure.outcome()));
    Err(Failure { error, undone: true })
}

/// Takes back what was done, then looks whether that led to where it shall: a step that was done may have had
/// more effects than its own, such as the routes that go when an interface is set down.
fn lead_back(kernel: &mut dyn Kernel, to: &State, done: &[&Step], scope: &Scope) -> Vec<Error> {
    let back = done.iter().rev().filter(|step| !leads_to(step, to));
    let inverses: Vec<Step> = back.map(|step| step.inverse()).collect();
    let failures = do_all(kernel, &inverses);
    match kernel.observe(scope) {
        Ok(now) => do_all(kernel, &diff(to, &now)),
        Err(_) => failures,
    }
}

/// Whether a step made what is to remain.
fn leads_to(step: &Step, state: &State) -> bool {
    match step {
        Step::Firewall(FirewallStep::ClosePorts { to, .. }) => *to == state.closed_ports,
        Step::Firewall(FirewallStep::ChangeFirewall { to, .. }) => *to == state.firewall,
        Step::Firewall(FirewallStep::ChangeIptables { program, to, .. }) => {
            state.iptables.get(program) == Some(to)
        }
        Step::Routing(RoutingStep::AddRule(rule)) => state.rules.contains(rule),
        Step::Routing(RoutingStep::AddRoute(route)) => state.routes.contains(route),
        _ => false,
    }
}

/// Carries out all steps, past failures, and returns those.
fn do_all(kernel: &mut dyn Kernel, steps: &[Step]) -> Vec<Error> {
    let mut failures = Vec::new();
    let mut rest = steps;
    while !rest.is_empty() {
        let outcomes = kernel.apply(rest);
        let tried = outcomes.iter().take_while(|outcome| !matches!(outcome, Outcome::Untried)).count();
        failures.extend(outcomes.into_iter().filter_map(|outcome| match outcome {
            Outcome::Failed(error) => Some(error),
            Outcome::Done | Outcome::Untried => None,
        }));
        // A kernel that tries nothing would keep us here for ever.
        rest = &rest[tried.max(1)..];
    }
    failures
}

fn list(title: &str, items: &[impl std::fmt::Display]) -> String {
    let mut text = title.to_owned();
    for item in items {
        let _ = write!(text, "\n  {item}");
    }
    text
}
