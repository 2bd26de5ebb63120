//! Command lines that no story runs, each with the reason.

use std::collections::VecDeque;

use crate::pages::{Page, pages};
use crate::stories::PAGES;

/// Reason of a line that copies the program to another machine, or logs in there.
const SSH: &str = "needs another machine: the stage has copied the program";

/// Reason of a line about a package for OpenWrt.
const PACKAGE: &str = "needs opkg or apk; scripts/package --check reads the packages";

/// Reason of a line that builds from the sources.
const BUILD: &str = "builds from the sources, as scripts/test does";

/// Reason of a line about containers.
const DOCKER: &str = "needs Docker; tests/e2e/containers.rs runs what such a container runs";

/// Reason of a line that shows a page until Ctrl-C.
const BROWSER: &str = "shows a page until Ctrl-C; scripts/test.d/web looks at it in a browser";

/// Reason of a line about the files of a release.
const RELEASE: &str = "needs a release; scripts/release --check and scripts/test.d/installer run it with one";

/// Pages, command lines or their beginnings before `…`, and reasons.
const NOT_RUN: [(&str, &str, &str); 28] = [
    ("README.md", "cargo run --release -- demo …", BUILD),
    ("README.md", "./scripts/test …", BUILD),
    ("docs/install.md", "export PORTALS_URL=…", RELEASE),
    ("docs/install.md", "curl -fsSL \"$PORTALS_URL/install.sh\" …", RELEASE),
    ("docs/install.md", "ssh-keygen -Y verify …", RELEASE),
    ("docs/install.md", "sha256sum --check …", RELEASE),
    ("docs/joining.md", "scp portals root@paris:…", SSH),
    ("docs/platforms/containers.md", "scripts/build x86_64", BUILD),
    ("docs/platforms/containers.md", "docker build …", DOCKER),
    ("docs/platforms/containers.md", "docker run --rm …", DOCKER),
    ("docs/platforms/containers.md", "docker run --detach …", DOCKER),
    ("docs/platforms/containers.md", "docker exec …", DOCKER),
    ("docs/platforms/edgerouter.md", "scp dist/portals-mipsel …", SSH),
    ("docs/platforms/edgerouter.md", "ssh ubnt@192.168.1.1", SSH),
    ("docs/platforms/openrc.md", "scp dist/portals-x86_64 …", SSH),
    ("docs/platforms/openrc.md", "ssh root@box", SSH),
    ("docs/platforms/openwrt.md", "scp -O dist/portals-mipsel …", SSH),
    ("docs/platforms/openwrt.md", "ssh root@192.168.1.1", SSH),
    ("docs/platforms/openwrt.md", "scp -O dist/packages/portals_*_mipsel_24kc.ipk …", PACKAGE),
    ("docs/platforms/openwrt.md", "ssh root@192.168.1.1 'opkg …", PACKAGE),
    ("docs/platforms/openwrt.md", "scp -O dist/packages/portals-*-mipsel_24kc.apk …", PACKAGE),
    ("docs/platforms/openwrt.md", "ssh root@192.168.1.1 'apk …", PACKAGE),
    ("docs/platforms/systemd.md", "scp dist/portals-x86_64 …", SSH),
    ("docs/platforms/systemd.md", "ssh root@box", SSH),
    ("docs/platforms/unifi.md", "scp dist/portals-aarch64 …", SSH),
    ("docs/platforms/unifi.md", "ssh root@192.168.1.1", SSH),
    ("docs/web.md", "portals web", BROWSER),
    ("docs/web.md", "ssh -L …", SSH),
];

/// Returns the command lines of a page that a story must run, each with the number of the first line of its
/// block.
pub(crate) fn lines_to_run(page: &Page) -> VecDeque<(usize, String)> {
    let mut lines = VecDeque::new();
    for block in page.blocks() {
        for line in block.commands() {
            if !NOT_RUN.iter().any(|(name, words, _)| *name == page.name && is(&line, words)) {
                lines.push_back((block.line, line));
            }
        }
    }
    lines
}

/// Reports whether a command line is this one, or begins as this one does before `…`.
fn is(line: &str, words: &str) -> bool {
    words.strip_suffix('…').map_or(line == words, |begin| line.starts_with(begin))
}

#[test]
fn each_page_with_commands_has_one_story() {
    let mut has_story: Vec<&str> = PAGES.concat();
    has_story.sort_unstable();
    let pages = pages();
    let with_lines: Vec<&str> =
        pages.iter().filter(|page| !lines_to_run(page).is_empty()).map(|page| page.name.as_str()).collect();
    assert_eq!(has_story, with_lines);
}

#[test]
fn each_line_that_is_not_run_is_in_its_page() {
    let pages = pages();
    for (name, words, reason) in NOT_RUN {
        let page = pages.iter().find(|page| page.name == name).expect("a page");
        let is_there = page.blocks().iter().any(|block| block.commands().iter().any(|line| is(line, words)));
        assert!(is_there, "{name} has no line `{words}`, which the test does not run ({reason})");
    }
}
