//! What has to be done to install or uninstall, decided from what is there: pure.

use super::{File, Keeper, Layout, Link, Order};

/// What there is on a machine of what a layout wants.
#[derive(Debug, Default)]
pub struct Found {
    /// Whether the machine runs, and the agent shall be started.
    pub may_start: bool,
    /// Paths of the layout at which there is something, whatever it is.
    pub there: Vec<String>,
    /// Those of them at which all is as the layout says.
    pub right: Vec<String>,
    /// Whether an agent runs.
    pub has_agent: bool,
    /// Whether there is a network file.
    pub has_network_file: bool,
}

/// One thing to do, or to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Copy this program to a path.
    Copy(&'a str),
    /// Write a file.
    Write(&'a File),
    /// Make a link.
    Link(&'a Link),
    /// Take a file or a link away.
    Remove(&'a str),
    /// Leave a path as it is, since it is right.
    Keep(&'a str),
    /// Have systemd read its units again.
    ReadUnits,
    /// Tell the layout's keeper.
    Tell(Order),
    /// Take all of ours out of the kernel, as `portals down` does.
    TakeDown,
    /// The agent runs already, and is the right one.
    Running,
    /// An agent runs that no hook of ours has started.
    Stranger,
    /// There is no network file yet.
    NoNetwork,
}

/// The way from what is found to a layout that is in place and, where that is possible, in force.
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

/// The way back. Of a link only what leads where ours does is ours.
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

/// All parts of a layout, each with the step that makes it: what others lead to comes first.
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

    /// What is found where everything is in place and at work, but for what `change` changes.
    fn found(layout: &Layout, change: impl Fn(&mut Found)) -> Found {
        let (there, right) = (all_paths(layout), all_paths(layout));
        let mut found = Found { may_start: true, there, right, has_agent: true, has_network_file: true };
        change(&mut found);
        found
    }

    /// The last step of an installation, and how many files and links are touched before it.
    fn outcome(change: impl Fn(&mut Found)) -> (usize, Option<String>) {
        let layout = systemd::layout();
        let found = found(&layout, change);
        let steps = install(&layout, &found);
        let touched =
            steps.iter().filter(|step| matches!(step, Step::Copy(_) | Step::Write(_) | Step::Link(_)));
        (touched.count(), steps.last().map(|step| format!("{step:?}")))
    }

    #[test]
    fn an_agent_is_started_anew_only_if_something_changed() {
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
        // Links that were missing change nothing for the agent.
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
    fn systemd_reads_units_that_changed_before_it_starts_one() {
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
    fn what_is_removed_is_what_was_installed() {
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
        // Somebody else's link has the name of ours.
        let other = found(&layout, |found| found.right.clear());
        assert!(!uninstall(&layout, &other).contains(&Step::Remove("/etc/rc.d/S95portals")));
    }
}
