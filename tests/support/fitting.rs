//! Firewalls that the programs of iptables can carry out.

use wg_portals::firewall::{Action, Chain, Condition, Firewall, Pairing};

/// Returns the part of a firewall that the tables of iptables can have: each table has its actions, and a
/// rule has at most one positive condition of each kind.
pub(crate) fn fitting(mut firewall: Firewall) -> Firewall {
    for (chain, rules) in firewall.chains.iter_mut() {
        rules.retain(|rule| {
            let syn = rule.conditions.contains(&Condition::TcpSyn);
            let fits = match (chain, rule.action) {
                (Chain::Forward | Chain::OwnMarks | Chain::Leaving, Action::ClampMss(_)) => syn,
                (Chain::Prerouting, action) => matches!(action, Action::Redirect(_) | Action::Accept),
                (Chain::RelayedTo | Chain::RelayedFrom, action) => action == Action::Accept,
                (Chain::Postrouting, action) => matches!(action, Action::Masquerade | Action::Accept),
                (Chain::Marks | Chain::OwnMarks | Chain::Leaving, action) => {
                    !matches!(action, Action::Reject | Action::ClampMss(_))
                }
                (_, action) => matches!(action, Action::Accept | Action::Drop | Action::Reject),
            };
            let knows_devices = matches!(chain, Chain::Forward | Chain::Input | Chain::Marks);
            let asks_devices = rule.conditions.iter().any(|c| matches!(c, Condition::Device(_)));
            let fits = fits && (knows_devices || !asks_devices);
            let sorts = |of: &[fn(&Condition) -> bool]| {
                of.iter().all(|sort| rule.conditions.iter().filter(|condition| sort(condition)).count() <= 1)
            };
            let once = sorts(&[
                |c| {
                    matches!(c, Condition::Incoming(_) | Condition::InterfacePair(_))
                        || positive(c).is_some_and(|pairing| !pairing.outgoing)
                },
                |c| {
                    matches!(c, Condition::Outgoing(_) | Condition::InterfacePair(_))
                        || positive(c).is_some_and(|pairing| pairing.outgoing)
                },
                |c| {
                    matches!(c, Condition::ConnectionMarked(_))
                        || matches!(c, Condition::Way(pairing, _) if !pairing.negated)
                },
                |c| matches!(c, Condition::Source(_)) || place(c).is_some_and(|pairing| !pairing.destination),
                |c| {
                    matches!(c, Condition::Destination(_))
                        || place(c).is_some_and(|pairing| pairing.destination)
                },
            ]);
            fits && once
        });
    }
    firewall.chains.retain(|_, rules| !rules.is_empty());
    firewall
}

/// Returns the pairing of a condition on pairs that is not negated.
fn positive(condition: &Condition) -> Option<Pairing> {
    match condition {
        Condition::Place(pairing, _) | Condition::Way(pairing, _) if !pairing.negated => Some(*pairing),
        _ => None,
    }
}

/// Returns the pairing of a condition on places that is not negated.
fn place(condition: &Condition) -> Option<Pairing> {
    positive(condition).filter(|_| matches!(condition, Condition::Place(..)))
}
