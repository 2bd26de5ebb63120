//! Application of a state to the machine: completely, or not at all.

use crate::base::error::{Error, Result};
use crate::base::sorted::SortedSet;
use crate::engine::firewall_choice;
use crate::engine::journal::{Claims, Journal};
use crate::firewall::Firewall;
use crate::kernel::link::Links;
use crate::kernel::{Kernel, Outcome};
use crate::state::diff::diff;
use crate::state::step::{FirewallStep, RoutingStep, Step};
use crate::state::words;
use crate::state::{RouteTarget, Scope, State};
use crate::system::logging as log;

/// Result of a look at the machine, and the steps that would make it match.
#[derive(Debug)]
pub struct Prepared {
    /// Claims of earlier calls.
    pub claims: Claims,
    /// Observed state.
    pub have: State,
    /// Steps from the observed state to the wanted one.
    pub steps: Vec<Step>,
}

/// Observes the machine, and works out the steps. `links` is a snapshot of the interfaces, if the caller has
/// just taken one. Changes nothing.
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

/// Outcome of an attempt that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The machine is as it was before.
    Undo,
    /// The machine is as it was before, except that everything that closes portals stays: the firewall, and
    /// the rules and routes that refuse. This is for repairs, because the state before a repair was broken.
    StayClosed,
}

impl OnFailure {
    /// Returns the outcome in words.
    fn outcome(self) -> &'static str {
        match self {
            Self::Undo => "everything that had been begun was undone",
            Self::StayClosed => {
                "the rules that guard portals were put in place; everything else is as it was before this \
                 attempt"
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
        log::warn!("an earlier call was cut short; this one completes it");
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
        // The undone steps have given everything back. If undoing failed as well, all claims stay for the
        // next call.
        Err(failure) if failure.undone => claims,
        Err(_) => intended,
    };
    journal.record(&settled)?;
    result.map(|()| steps).map_err(|failure| failure.error)
}

/// Returns the state after `down`: nothing of portals, and the kernel settings as they were before.
pub fn nothing(claims: &Claims) -> State {
    State { sysctls: claims.sysctls.clone(), ..State::default() }
}

/// Removes everything of portals. Goes on past errors, and reports all of them.
pub fn remove_all(kernel: &mut dyn Kernel, journal: &Journal) -> Result<Vec<Step>> {
    let claims = journal.claims()?;
    let mut want = nothing(&claims);
    let have = kernel.observe(&claims.scope())?;
    // The settings of an interface went with it.
    want.sysctls.retain(|key, _| have.sysctls.contains_key(key));
    let steps = diff(&want, &have);
    let failures = do_all(kernel, &steps);
    if failures.is_empty() {
        journal.record(&Claims::default())?;
        firewall_choice::remember(journal.folder(), None)?;
        return Ok(steps);
    }
    Err(Error::failed(list(
        "not everything could be removed; run `portals down` again once the causes are fixed:",
        &failures,
    )))
}

struct FailedAttempt {
    error: Error,
    undone: bool,
}

/// Returns the state before, with everything that closes portals as in the wanted state.
fn closed(mut before: State, want: &State) -> State {
    if want.closed_ports.is_some() {
        before.closed_ports.clone_from(&want.closed_ports);
    }
    if want.firewall.is_some() {
        before.firewall.clone_from(&want.firewall);
        // Its flowtable gets its devices later: some may not exist in that state.
        if let Some(devices) = before.firewall.as_mut().and_then(|firewall| firewall.flows.as_mut()) {
            *devices = SortedSet::new();
        }
    }
    before.iptables.extend(want.iptables.clone());
    for rule in want.rules.iter().filter(|rule| rule.closes()) {
        before.rules.insert(rule.clone());
    }
    for route in want.routes.iter().filter(|route| route.target == RouteTarget::Unreachable) {
        before.routes.insert(route.clone());
    }
    before
}

/// Problem of an attempt, and the steps that were done before it.
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
    for (step, outcome) in steps.iter().zip(&outcomes) {
        match outcome {
            Outcome::Done => done.push(step),
            Outcome::Failed(error) => failed.push(error.to_string()),
            Outcome::Untried => {}
        }
    }
    let problem = match failed.as_slice() {
        [] => verify(kernel, want, scope),
        _ => Some(list("the change failed:", &failed)),
    };
    problem.map_or(Ok(()), |problem| Err(Broken { problem, done }))
}

/// Returns the problem, in words, if the machine does not match although every step was carried out.
fn verify(kernel: &mut dyn Kernel, want: &State, scope: &Scope) -> Option<String> {
    match kernel.observe(scope) {
        Err(error) => Some(format!("the result could not be checked: {error}")),
        Ok(have) => {
            let rest = diff(want, &have);
            (!rest.is_empty()).then(|| {
                let rest: Vec<String> = rest.iter().map(words::step).collect();
                let title =
                    "every change was accepted, but these are missing (does another program undo them?):";
                list(title, &rest)
            })
        }
    }
}

/// Leads back from an attempt that failed to the state that it must leave behind. A repair may then match
/// after all, for example if another program flushed its rules halfway: such a repair has not failed.
fn fall_back(
    kernel: &mut dyn Kernel,
    want: &State,
    fallback: &State,
    Broken { problem, done }: &Broken,
    scope: &Scope,
    on_failure: OnFailure,
) -> Result<(), FailedAttempt> {
    let failures = lead_back(kernel, fallback, done, scope);
    if !failures.is_empty() {
        let also = list("and these could not be undone; `portals down` removes them:", &failures);
        return Err(FailedAttempt { error: Error::failed(format!("{problem}\n{also}")), undone: false });
    }
    if on_failure == OnFailure::StayClosed && verify(kernel, want, scope).is_none() {
        log::warn!("{problem}\nthe missing parts were put in place once more, and the machine matches");
        return Ok(());
    }
    let error = Error::failed(format!("{problem}\n{}", on_failure.outcome()));
    Err(FailedAttempt { error, undone: true })
}

/// Undoes the steps that were done, then compares the machine with the state to which that had to lead: a
/// step may have had side effects, such as the routes that vanish when an interface is set down. Returns the
/// failures.
fn lead_back(kernel: &mut dyn Kernel, to: &State, done: &[&Step], scope: &Scope) -> Vec<String> {
    let mut inverses = Vec::new();
    for step in done.iter().rev() {
        if !leads_to(step, to) {
            inverses.push(step.inverse());
        }
    }
    let failures = do_all(kernel, &inverses);
    match kernel.observe(scope) {
        Ok(now) => do_all(kernel, &diff(to, &now)),
        Err(_) => failures,
    }
}

/// Reports whether a step made an object of a state that must remain.
fn leads_to(step: &Step, state: &State) -> bool {
    match step {
        Step::Firewall(FirewallStep::ClosePorts { to, .. }) => *to == state.closed_ports,
        Step::Firewall(FirewallStep::ChangeFirewall { to, .. }) => {
            Firewall::equals_in_rules(to.as_ref(), state.firewall.as_ref())
        }
        Step::Firewall(FirewallStep::ChangeIptables { program, to, .. }) => {
            state.iptables.get(program) == Some(to)
        }
        Step::Routing(RoutingStep::AddRule(rule)) => state.rules.contains(rule),
        Step::Routing(RoutingStep::AddRoute(route)) => state.routes.contains(route),
        _ => false,
    }
}

/// Carries out all steps, goes on past failures, and returns the failures.
fn do_all(kernel: &mut dyn Kernel, steps: &[Step]) -> Vec<String> {
    let mut failures = Vec::new();
    let mut rest = steps;
    while !rest.is_empty() {
        let mut tried: usize = 0;
        for outcome in &kernel.apply(rest) {
            match outcome {
                Outcome::Done => {}
                Outcome::Failed(error) => failures.push(error.to_string()),
                Outcome::Untried => break,
            }
            tried += 1;
        }
        // If the kernel tried nothing, this loop would never end.
        rest = &rest[tried.max(1)..];
    }
    failures
}

fn list(title: &str, items: &[String]) -> String {
    [title, "\n  ", &items.join("\n  ")].concat()
}
