//! Steps of an installation and of its removal. The steps follow from the state of the machine; this module
//! is pure and touches nothing.

use super::{File, Keeper, Layout, Link, Order};

/// State of a machine, compared with a layout.
#[derive(Debug, Default)]
pub struct Found {
    /// Set where the machine runs and the agent may be started.
    pub may_start: bool,
    /// Paths of the layout that exist, with any contents.
    pub there: Vec<String>,
    /// Paths of the layout whose contents are as the layout says.
    pub right: Vec<String>,
    /// Set where an agent runs.
    pub has_agent: bool,
    /// Set where a network file exists.
    pub has_network_file: bool,
}

/// Step of an installation: an action, or a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Copy this program to a path.
    Copy(&'a str),
    /// Write a file of the layout.
    Write(&'a File),
    /// Create a link of the layout.
    Link(&'a Link),
    /// Remove a file or a link.
    Remove(&'a str),
    /// Leave a path unchanged, because it is right.
    Keep(&'a str),
    /// Make systemd read its units again.
    ReadUnits,
    /// Give an order to the layout's service manager.
    Tell(Order),
    /// Remove everything of ours from the kernel, as `portals down` does.
    TakeDown,
    /// Report that the right agent runs already.
    Running,
    /// Report an agent that none of our hooks has started.
    Stranger,
    /// Report that no network file exists yet.
    NoNetwork,
}

/// Returns the steps that put a layout in place and, where possible, start the agent.
pub fn install<'a>(layout: &'a Layout, found: &Found) -> Vec<Step<'a>> {
    let parts = parts(layout);
    let mut steps: Vec<Step> =
        parts.map(|(path, make)| if holds(&found.right, path) { Step::Keep(path) } else { make }).collect();
    let is_changed = steps.iter().any(|step| matches!(step, Step::Copy(_) | Step::Write(_)));
    if !found.may_start {
        return steps;
    }
    if layout.keeper == Keeper::Systemd
        && steps.iter().any(|step| !matches!(step, Step::Keep(_) | Step::Copy(_)))
    {
        steps.push(Step::ReadUnits);
    }
    let was_installed = layout.files.iter().any(|file| holds(&found.there, &file.path));
    steps.push(match (found.has_agent, is_changed) {
        (true, _) if !was_installed => Step::Stranger,
        (true, false) => Step::Running,
        (true, true) => Step::Tell(Order::Restart),
        (false, _) if !found.has_network_file => Step::NoNetwork,
        (false, _) => Step::Tell(Order::Start),
    });
    steps
}

/// Returns the steps that remove a layout. A link is ours only if it leads to our target.
pub fn uninstall<'a>(layout: &'a Layout, found: &Found) -> Vec<Step<'a>> {
    let links = layout.links.iter().map(|link| &link.path).filter(|path| holds(&found.right, path));
    let files = layout.files.iter().map(|file| &file.path).chain([&layout.program]);
    let removed = links.chain(files.filter(|path| holds(&found.there, path)));
    let mut steps: Vec<Step> = removed.map(|path| Step::Remove(path)).collect();
    if steps.is_empty() || !found.may_start {
        return steps;
    }
    steps.splice(..0, [Step::Tell(Order::Stop), Step::TakeDown]);
    if layout.keeper == Keeper::Systemd {
        steps.push(Step::ReadUnits);
    }
    steps
}

/// Returns all parts of a layout, each with the step that creates it. The targets of links come before the
/// links.
fn parts(layout: &Layout) -> impl Iterator<Item = (&str, Step<'_>)> {
    let program = (layout.program.as_str(), Step::Copy(&layout.program));
    let files = layout.files.iter().map(|file| (file.path.as_str(), Step::Write(file)));
    let links = layout.links.iter().map(|link| (link.path.as_str(), Step::Link(link)));
    [program].into_iter().chain(files).chain(links)
}

fn holds(paths: &[String], path: &str) -> bool {
    paths.iter().any(|other| other == path)
}

#[cfg(test)]
mod tests {
    use super::super::{openwrt, systemd};
    use super::*;

    fn all_paths(layout: &Layout) -> Vec<String> {
        parts(layout).map(|(path, _)| path.to_owned()).collect()
    }

    /// Returns the state of a machine where everything is in place and at work, after a change by `change`.
    fn found(layout: &Layout, change: impl Fn(&mut Found)) -> Found {
        let (there, right) = (all_paths(layout), all_paths(layout));
        let mut found = Found { may_start: true, there, right, has_agent: true, has_network_file: true };
        change(&mut found);
        found
    }

    /// Returns the number of files and links that an installation touches, and its last step.
    fn outcome(change: impl Fn(&mut Found)) -> (usize, Option<String>) {
        let layout = systemd::layout();
        let found = found(&layout, change);
        let steps = install(&layout, &found);
        let touched =
            steps.iter().filter(|step| matches!(step, Step::Copy(_) | Step::Write(_) | Step::Link(_)));
        (touched.count(), steps.last().map(|step| format!("{step:?}")))
    }

    #[test]
    fn an_agent_is_restarted_only_after_a_change() {
        let last = |step: &str| Some(step.to_owned());
        let nothing = |found: &mut Found| {
            found.there.clear();
            found.right.clear();
            found.has_agent = false;
        };
        assert_eq!(outcome(|_| {}), (0, last("Running")));
        assert_eq!(outcome(nothing), (5, last("Tell(Start)")));
        assert_eq!(outcome(|found| found.has_agent = false), (0, last("Tell(Start)")));
        assert_eq!(outcome(|found| found.right.truncate(0)), (5, last("Tell(Restart)")));
        // New links change nothing for the agent.
        assert_eq!(outcome(|found| found.right.truncate(3)), (2, last("Running")));
        let no_network = |found: &mut Found| {
            nothing(found);
            found.has_network_file = false;
        };
        assert_eq!(outcome(no_network), (5, last("NoNetwork")));
        let by_hand = |found: &mut Found| {
            nothing(found);
            found.has_agent = true;
        };
        assert_eq!(outcome(by_hand), (5, last("Stranger")));
    }

    #[test]
    fn nothing_is_started_in_an_image() {
        let layout = systemd::layout();
        let steps = install(&layout, &Found::default());
        assert!(
            matches!(
                steps[..],
                [Step::Copy(_), Step::Write(_), Step::Write(_), Step::Link(_), Step::Link(_)]
            ),
            "{steps:?}"
        );
        let steps = uninstall(&layout, &found(&layout, |found| found.may_start = false)).len();
        assert_eq!(steps, 5);
    }

    #[test]
    fn systemd_reads_changed_units_before_it_starts_one() {
        let layout = systemd::layout();
        let found = found(&layout, |found| found.right.truncate(2));
        let steps = install(&layout, &found);
        assert!(matches!(
            steps[..],
            [
                Step::Keep(_),
                Step::Keep(_),
                Step::Write(_),
                Step::Link(_),
                Step::Link(_),
                Step::ReadUnits,
                Step::Tell(Order::Restart)
            ]
        ));
    }

    #[test]
    fn uninstall_removes_exactly_the_installed_files() {
        let layout = openwrt::layout();
        let all = found(&layout, |_| {});
        let steps = uninstall(&layout, &all);
        assert!(matches!(steps[..2], [Step::Tell(Order::Stop), Step::TakeDown]));
        let mut removed: Vec<_> = steps[2..].iter().map(|step| format!("{step:?}")).collect();
        let mut installed: Vec<_> =
            all_paths(&layout).iter().map(|path| format!("Remove({path:?})")).collect();
        removed.sort();
        installed.sort();
        assert_eq!(removed, installed);
        assert_eq!(uninstall(&layout, &Found { may_start: true, ..Found::default() }), []);
        // A foreign link has the name of our link.
        let other = found(&layout, |found| found.right.clear());
        assert!(!uninstall(&layout, &other).contains(&Step::Remove("/etc/rc.d/S95portals")));
    }
}
