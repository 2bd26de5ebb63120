//! Steps of an installation and of its removal. The steps follow from the state of the machine; this module
//! is pure and touches nothing.

use super::{InstalledFile, InstalledLink, Layout, ServiceAction, ServiceManager};

/// State of a machine, compared with a layout.
#[derive(Debug, Default)]
pub struct InstalledState {
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
pub enum InstallStep<'a> {
    /// Copy this program to a path.
    Copy(&'a str),
    /// Write a file of the layout.
    Write(&'a InstalledFile),
    /// Create a link of the layout.
    Link(&'a InstalledLink),
    /// Remove a file or a link.
    Remove(&'a str),
    /// Leave a path unchanged, because it is right.
    Keep(&'a str),
    /// Make systemd read its units again.
    ReadUnits,
    /// Give an order to the layout's service manager.
    Tell(ServiceAction),
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
pub fn install<'a>(layout: &'a Layout, found: &InstalledState) -> Vec<InstallStep<'a>> {
    let mut steps = Vec::new();
    for (path, make) in parts(layout) {
        steps.push(if holds(&found.right, path) { InstallStep::Keep(path) } else { make });
    }
    let is_changed = steps.iter().any(|step| matches!(step, InstallStep::Copy(_) | InstallStep::Write(_)));
    if !found.may_start {
        return steps;
    }
    if layout.keeper == ServiceManager::Systemd
        && steps.iter().any(|step| !matches!(step, InstallStep::Keep(_) | InstallStep::Copy(_)))
    {
        steps.push(InstallStep::ReadUnits);
    }
    let was_installed = layout.files.iter().any(|file| holds(&found.there, &file.path));
    steps.push(match (found.has_agent, is_changed) {
        (true, _) if !was_installed => InstallStep::Stranger,
        (true, false) => InstallStep::Running,
        (true, true) => InstallStep::Tell(ServiceAction::Restart),
        (false, _) if !found.has_network_file => InstallStep::NoNetwork,
        (false, _) => InstallStep::Tell(ServiceAction::Start),
    });
    steps
}

/// Returns the steps that remove a layout. A link is ours only if it leads to our target.
pub fn uninstall<'a>(layout: &'a Layout, found: &InstalledState) -> Vec<InstallStep<'a>> {
    let mut removed: Vec<&str> = Vec::new();
    for link in &layout.links {
        if holds(&found.right, &link.path) {
            removed.push(&link.path);
        }
    }
    let files = layout.files.iter().map(|file| &file.path);
    for path in files.chain([&layout.program]) {
        if holds(&found.there, path) {
            removed.push(path);
        }
    }
    let mut steps = Vec::new();
    let acts = found.may_start && !removed.is_empty();
    if acts {
        steps.push(InstallStep::Tell(ServiceAction::Stop));
        steps.push(InstallStep::TakeDown);
    }
    for path in removed {
        steps.push(InstallStep::Remove(path));
    }
    if acts && layout.keeper == ServiceManager::Systemd {
        steps.push(InstallStep::ReadUnits);
    }
    steps
}

/// Returns all parts of a layout, each with the step that creates it. The targets of links come before the
/// links.
fn parts(layout: &Layout) -> Vec<(&str, InstallStep<'_>)> {
    let mut parts = vec![(layout.program.as_str(), InstallStep::Copy(&layout.program))];
    for file in &layout.files {
        parts.push((&file.path, InstallStep::Write(file)));
    }
    for link in &layout.links {
        parts.push((&link.path, InstallStep::Link(link)));
    }
    parts
}

fn holds(paths: &[String], path: &str) -> bool {
    paths.iter().any(|other| other == path)
}

#[cfg(test)]
mod tests {
    use super::super::{openwrt, systemd};
    use super::*;

    fn all_paths(layout: &Layout) -> Vec<String> {
        parts(layout).into_iter().map(|(path, _)| path.to_owned()).collect()
    }

    /// Returns the state of a machine where everything is in place and at work, after a change by `change`.
    fn found(layout: &Layout, change: impl Fn(&mut InstalledState)) -> InstalledState {
        let (there, right) = (all_paths(layout), all_paths(layout));
        let mut found =
            InstalledState { may_start: true, there, right, has_agent: true, has_network_file: true };
        change(&mut found);
        found
    }

    /// Returns the number of files and links that an installation touches, and its last step.
    fn outcome(change: impl Fn(&mut InstalledState)) -> (usize, Option<String>) {
        let layout = systemd::layout();
        let found = found(&layout, change);
        let steps = install(&layout, &found);
        let touched = steps.iter().filter(|step| {
            matches!(step, InstallStep::Copy(_) | InstallStep::Write(_) | InstallStep::Link(_))
        });
        (touched.count(), steps.last().map(|step| format!("{step:?}")))
    }

    #[test]
    fn an_agent_is_restarted_only_after_a_change() {
        let last = |step: &str| Some(step.to_owned());
        let nothing = |found: &mut InstalledState| {
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
        let no_network = |found: &mut InstalledState| {
            nothing(found);
            found.has_network_file = false;
        };
        assert_eq!(outcome(no_network), (5, last("NoNetwork")));
        let by_hand = |found: &mut InstalledState| {
            nothing(found);
            found.has_agent = true;
        };
        assert_eq!(outcome(by_hand), (5, last("Stranger")));
    }

    #[test]
    fn nothing_is_started_in_an_image() {
        let layout = systemd::layout();
        let steps = install(&layout, &InstalledState::default());
        assert!(
            matches!(
                steps[..],
                [
                    InstallStep::Copy(_),
                    InstallStep::Write(_),
                    InstallStep::Write(_),
                    InstallStep::Link(_),
                    InstallStep::Link(_)
                ]
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
                InstallStep::Keep(_),
                InstallStep::Keep(_),
                InstallStep::Write(_),
                InstallStep::Link(_),
                InstallStep::Link(_),
                InstallStep::ReadUnits,
                InstallStep::Tell(ServiceAction::Restart)
            ]
        ));
    }

    #[test]
    fn uninstall_removes_exactly_the_installed_files() {
        let layout = openwrt::layout();
        let all = found(&layout, |_| {});
        let steps = uninstall(&layout, &all);
        assert!(matches!(steps[..2], [InstallStep::Tell(ServiceAction::Stop), InstallStep::TakeDown]));
        let mut removed: Vec<_> = steps[2..].iter().map(|step| format!("{step:?}")).collect();
        let mut installed: Vec<_> =
            all_paths(&layout).iter().map(|path| format!("Remove({path:?})")).collect();
        removed.sort();
        installed.sort();
        assert_eq!(removed, installed);
        assert_eq!(uninstall(&layout, &InstalledState { may_start: true, ..InstalledState::default() }), []);
        // A foreign link has the name of our link.
        let other = found(&layout, |found| found.right.clear());
        assert!(!uninstall(&layout, &other).contains(&InstallStep::Remove("/etc/rc.d/S95portals")));
    }
}
