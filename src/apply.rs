//! Makes the machine match a state: all of it, or nothing.

use std::fmt::Write as _;

use crate::describe;
use crate::diff::{Step, diff};
use crate::error::{Error, Result};
use crate::journal::{Claims, Journal};
use crate::kernel::{Kernel, Outcome};
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

/// Looks at the machine, and works out the steps. Changes nothing.
pub fn prepare(kernel: &mut dyn Kernel, journal: &Journal, want: &State) -> Result<Prepared> {
    let claims = journal.claims()?;
    let have = kernel.observe(&want.scope().union(claims.scope()))?;
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

/// Makes the machine match `want` and checks that it does. Returns the steps that it took. The caller holds the journal's lock.
pub fn apply(
    kernel: &mut dyn Kernel,
    journal: &Journal,
    want: &State,
    on_failure: OnFailure,
) -> Result<Vec<Step>> {
    let Prepared { claims, have, steps } = prepare(kernel, journal, want)?;
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
        log::info!("{}", describe::step(step));
    }
    let scope = want.scope().union(intended.scope());
    let before = match on_failure {
        OnFailure::Undo => have,
        OnFailure::StayClosed => closed(have, want),
    };
    let result = carry_out(kernel, want, &before, &steps, &scope);
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

fn carry_out(
    kernel: &mut dyn Kernel,
    want: &State,
    before: &State,
    steps: &[Step],
    scope: &Scope,
) -> Result<(), Failure> {
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
    match problem {
        None => Ok(()),
        Some(problem) => Err(undo(kernel, before, &done, scope, &problem)),
    }
}

/// What the machine still lacks though every step was carried out.
fn verify(kernel: &mut dyn Kernel, want: &State, scope: &Scope) -> Option<String> {
    match kernel.observe(scope) {
        Err(error) => Some(format!("the result could not be checked: {error}")),
        Ok(have) => {
            let rest = diff(want, &have);
            (!rest.is_empty()).then(|| {
                let rest: Vec<String> = rest.iter().map(describe::step).collect();
                list("every change was accepted, but this is still missing (does another program take it away?):", &rest)
            })
        }
    }
}

/// Takes back what was done, then looks whether that led to where it began: a step that was done may have had more effects than its
/// own, such as the routes that go when an interface is set down.
fn undo(kernel: &mut dyn Kernel, before: &State, done: &[&Step], scope: &Scope, problem: &str) -> Failure {
    let back = done.iter().rev().filter(|step| !leads_to(step, before));
    let inverses: Vec<Step> = back.map(|step| step.inverse()).collect();
    let mut failures = do_all(kernel, &inverses);
    if let Ok(now) = kernel.observe(scope) {
        failures = do_all(kernel, &diff(before, &now));
    }
    if failures.is_empty() {
        return Failure {
            error: Error::failed(format!("{problem}\nwhat had been begun was undone")),
            undone: true,
        };
    }
    let also = list("and this could not be undone; `portals down` removes it:", &failures);
    Failure { error: Error::failed(format!("{problem}\n{also}")), undone: false }
}

/// Whether a step made what is to remain.
fn leads_to(step: &Step, state: &State) -> bool {
    match step {
        Step::ClosePorts { to, .. } => *to == state.closed_ports,
        Step::ChangeFirewall { to, .. } => *to == state.firewall,
        Step::ChangeIptables { program, to, .. } => state.iptables.get(program) == Some(to),
        Step::AddRule(rule) => state.rules.contains(rule),
        Step::AddRoute(route) => state.routes.contains(route),
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
