//! Links between the Markdown pages: each leads to a file, and its anchor to a heading.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Folders that programs make: their pages are not ours.
const MADE: [&str; 2] = ["dist", "target"];

/// Texts of pages, by their paths below the root of the repository.
type Pages = BTreeMap<PathBuf, String>;

/// A link of a page to a file, a folder or a heading of this repository.
struct Link {
    line: usize,
    target: String,
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let links: usize = pages.values().map(|text| links(text).len()).sum();
    assert!(pages.len() > 50 && links > 150, "{} pages, {links} links", pages.len());
    let broken = broken_links(&pages, |path| root().join(path).exists());
    assert_eq!(broken, Vec::<String>::new(), "links that lead nowhere");
}

#[test]
fn a_reader_of_the_readme_finds_every_page_of_docs() {
    let pages = pages();
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::from("README.md")];
    while let Some(page) = open.pop() {
        let Some(text) = pages.get(&page) else { continue };
        let targets = links(text).into_iter().filter_map(|link| resolve(&page, path_of(&link.target)));
        open.extend(targets.filter(|target| !found.contains(target)));
        found.insert(page);
    }
    let lost: Vec<_> =
        pages.keys().filter(|page| page.starts_with("docs") && !found.contains(*page)).collect();
    assert_eq!(lost, Vec::<&PathBuf>::new(), "pages without a way to them");
}

#[test]
fn broken_links_are_found() {
    let page = "# A page\n\n[no file](gone.md), [no heading](other.md#gone), [a broken\nline](#a-pages),\n\
                [outside](../../x.md), [no page](image.svg#part)\n";
    let pages = Pages::from([
        (PathBuf::from("docs/page.md"), page.to_owned()),
        (PathBuf::from("docs/other.md"), "# Other\n".to_owned()),
    ]);
    let broken = broken_links(&pages, |path| path == Path::new("docs/image.svg"));
    let expected = [
        "docs/page.md:3: gone.md",
        "docs/page.md:3: other.md#gone",
        "docs/page.md:4: #a-pages",
        "docs/page.md:5: ../../x.md",
        "docs/page.md:5: image.svg#part",
    ];
    assert_eq!(broken, expected);
}

#[test]
fn good_links_and_code_are_no_faults() {
    let page = "# A `page` of [links](other.md), here\n\n[one](#a-page-of-links-here)\n\
                [two](../README.md#same-1) [three](../README.md#named) [four](other.md)\n\
                [five](https://example.net/#x) `[code](gone.md)`\n\n\
                \x20  ```\n   [a block](gone.md)\n   # no heading\n   ```\n";
    let readme = "# Same\n\n# Same\n\n<a name=\"named\"></a>**Named.**\n";
    let pages = Pages::from([
        (PathBuf::from("docs/page.md"), page.to_owned()),
        (PathBuf::from("docs/other.md"), "[up](../docs)".to_owned()),
        (PathBuf::from("README.md"), readme.to_owned()),
    ]);
    assert_eq!(broken_links(&pages, |path| path == Path::new("docs")), Vec::<String>::new());
    assert_eq!(anchors(page), BTreeSet::from(["a-page-of-links-here".to_owned()]));
}

/// Returns each link that leads nowhere, as `PAGE:LINE: TARGET`. `exists` tells which paths there are besides
/// the pages.
fn broken_links(pages: &Pages, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let leads_somewhere = |page: &Path, target: &str| {
        let Some(path) = resolve(page, path_of(target)) else { return false };
        match (pages.get(&path), target.split_once('#')) {
            (Some(text), Some((_, anchor))) => anchors(text).contains(anchor),
            (Some(_), None) => true,
            (None, anchor) => anchor.is_none() && exists(&path),
        }
    };
    let mut broken = Vec::new();
    for (page, text) in pages {
        for Link { line, target } in links(text) {
            if !leads_somewhere(page, &target) {
                broken.push(format!("{}:{line}: {target}", page.display()));
            }
        }
    }
    broken
}

/// Returns the part of a link's target before the anchor.
fn path_of(target: &str) -> &str {
    target.split('#').next().unwrap_or_default()
}

/// Returns the path below the root to which a relative path in a page leads; `None` if it leads out of the
/// repository.
fn resolve(page: &Path, path: &str) -> Option<PathBuf> {
    if path.is_empty() {
        return Some(page.to_owned());
    }
    let mut resolved = page.parent()?.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => resolved.push(name),
            Component::ParentDir => resolved.pop().then_some(())?,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

/// Returns the links of a page, without those to other hosts.
fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for (at, line) in prose(text).iter().enumerate() {
        for (start, opening) in line.match_indices("](") {
            let rest = &line[start + opening.len()..];
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                links.push(Link { line: at + 1, target: target.to_owned() });
            }
        }
    }
    links
}

/// Returns the lines of a page without code: a line of a block of code is empty.
fn prose(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in blocks_emptied(text) {
        // Code in a line ends with its paragraph at the latest.
        if line.is_empty() || line.starts_with(['|', '#']) {
            is_code = false;
        }
        let mut kept = String::new();
        for character in line.chars() {
            if character == '`' {
                is_code = !is_code;
            } else if !is_code {
                kept.push(character);
            }
        }
        lines.push(kept);
    }
    lines
}

/// Returns the lines of a page; those of blocks of code are empty.
fn blocks_emptied(text: &str) -> Vec<&str> {
    let mut is_block = false;
    let emptied = |line| {
        let is_fence = str::trim_start(line).starts_with("```");
        is_block ^= is_fence;
        if is_block || is_fence { "" } else { line }
    };
    text.lines().map(emptied).collect()
}

/// Returns the anchors of a page, as GitHub makes them from headings, and those that the page names itself.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in blocks_emptied(text) {
        let named = line.split("<a name=\"").skip(1).filter_map(|rest| rest.split_once('"'));
        anchors.extend(named.map(|(name, _)| name.to_owned()));
        let title = line.trim_start_matches('#');
        if title.len() < line.len() && title.starts_with(' ') {
            let anchor = anchor_of(title);
            let mut numbered = (1..).map(|number| format!("{anchor}-{number}"));
            let mut free = anchor.clone();
            while anchors.contains(&free) {
                free = numbered.next().expect("numbers do not end");
            }
            anchors.insert(free);
        }
    }
    anchors
}

/// Returns a heading as an anchor: small letters, digits and hyphens.
fn anchor_of(title: &str) -> String {
    let mut words = String::new();
    let mut rest = title.trim();
    // Of a link, the heading shows the text only.
    while let Some((before, after)) = rest.split_once("](") {
        words.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    words.push_str(rest);
    let kept = words.chars().filter(|character| character.is_alphanumeric() || "-_ ".contains(*character));
    kept.flat_map(char::to_lowercase)
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}

/// Reads all pages of the repository.
fn pages() -> Pages {
    let mut pages = Pages::new();
    let mut open = vec![root().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && !MADE.contains(&name.as_str()) {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let below = path.strip_prefix(root()).unwrap().to_owned();
                pages.insert(below, fs::read_to_string(&path).unwrap());
            }
        }
    }
    pages
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
