//! Rules for imports: a module uses only modules below it, and siblings in a folder never use each other in a
//! circle.
//!
//! `cargo test --test arrows -- --nocapture` prints the arrows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Top modules from the bottom up. The first thirteen are the crate `portals-core`.
const ORDER: [&str; 25] = [
    "base", "signed", "nat", "wifi", "config", "exchange", "join", "wgquick", "firewall", "state", "site",
    "plan", "map", "system", "kernel", "control", "web", "services", "interop", "cli", "engine", "agent",
    "demo", "diagnose", "commands",
];

/// Modules of the crate `portals-core`, which is built without `nix`.
const PURE: usize = 13;

/// Names of modules that a module uses.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// A source file: its module path, such as `["plan", "routing"]`, and its text without comments and unit
/// tests.
struct Source {
    module: Vec<String>,
    text: String,
}

#[test]
fn arrows_between_top_modules_point_down() {
    let mut arrows = Arrows::new();
    for source in sources() {
        let from = &source.module[0];
        for path in paths(&source.text, "crate") {
            if path[0] != *from && ORDER.contains(&path[0].as_str()) {
                arrows.entry(from.clone()).or_default().insert(path[0].clone());
            }
        }
    }
    let rank = |name: &str| ORDER.iter().position(|module| *module == name).expect("a known module");
    let mut upward = Vec::new();
    for (from, targets) in &arrows {
        println!("{from} → {}", targets.iter().cloned().collect::<Vec<_>>().join(", "));
        upward.extend(targets.iter().filter(|to| rank(to) > rank(from)).map(|to| format!("{from} → {to}")));
    }
    println!("{} arrows", arrows.values().map(BTreeSet::len).sum::<usize>());
    assert!(arrows.len() > PURE, "the sources were read");
    assert_eq!(upward, Vec::<String>::new(), "arrows that point up");
}

#[test]
fn every_top_module_has_its_place() {
    let mut found: Vec<String> = sources().into_iter().map(|source| source.module[0].clone()).collect();
    found.sort();
    found.dedup();
    let mut known = ORDER.map(str::to_owned).to_vec();
    known.sort();
    assert_eq!(found, known);
    let pure: BTreeSet<String> =
        read(&root().join("core/src")).into_iter().map(|s| s.module[0].clone()).collect();
    assert_eq!(pure, ORDER[..PURE].iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn siblings_make_no_circle() {
    // By folder, arrows between its files and subfolders.
    let mut folders = BTreeMap::<Vec<String>, Arrows>::new();
    let sources = sources();
    let known: BTreeSet<&[String]> = sources.iter().map(|source| source.module.as_slice()).collect();
    for source in &sources {
        let module = &source.module;
        for target in targets(source, &known) {
            let shared = module.iter().zip(&target).take_while(|(one, other)| one == other).count();
            // An arrow to a parent or a child: a parent's types serve its children, and the parent calls
            // them.
            if shared == 0 || shared == module.len() || shared == target.len() {
                continue;
            }
            let arrows = folders.entry(module[..shared].to_vec()).or_default();
            arrows.entry(module[shared].clone()).or_default().insert(target[shared].clone());
        }
    }
    assert!(folders.len() > PURE, "the sources were read");
    let circles: Vec<String> = folders
        .iter()
        .flat_map(|(folder, arrows)| {
            let circling = arrows.keys().filter(|name| reaches(arrows, name, name));
            circling.map(|name| format!("{}::{name}", folder.join("::")))
        })
        .collect();
    assert_eq!(circles, Vec::<String>::new(), "modules that reach themselves through siblings");
}

/// Reports whether one or more arrows lead from `from` to `to`.
fn reaches(arrows: &Arrows, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        for next in arrows.get(name).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

/// Modules that a source names, as whole module paths; items at the end of a path are cut off.
fn targets(source: &Source, known: &BTreeSet<&[String]>) -> Vec<Vec<String>> {
    let mut found = paths(&source.text, "crate");
    // `super` of a file is its folder; of a `mod.rs`, the folder above.
    for levels in 1..source.module.len() {
        let prefix = vec!["super"; levels].join("::");
        let parent = &source.module[..source.module.len() - levels];
        let is_longer = |path: &[String]| path.first().is_some_and(|name| name == "super");
        for path in paths(&source.text, &prefix).into_iter().filter(|path| !is_longer(path)) {
            found.push([parent, &path].concat());
        }
    }
    let cut = |mut path: Vec<String>| {
        while !path.is_empty() && !known.contains(path.as_slice()) {
            path.pop();
        }
        path
    };
    found.into_iter().map(cut).filter(|path| !path.is_empty()).collect()
}

/// Paths that begin with `prefix::`, groups in braces taken apart.
fn paths(text: &str, prefix: &str) -> Vec<Vec<String>> {
    let start = format!("{prefix}::");
    let mut found = Vec::new();
    for (at, _) in text.match_indices(&start) {
        let before = text[..at].chars().next_back();
        if before.is_none_or(|letter| !is_name(letter) && letter != ':') {
            found.extend(tails(&text[at + start.len()..]));
        }
    }
    found
}

/// Paths at the start of a text: one, or all in a group in braces.
fn tails(text: &str) -> Vec<Vec<String>> {
    let Some(group) = text.strip_prefix('{') else {
        let name: String = text.chars().take_while(|letter| is_name(*letter)).collect();
        if name.is_empty() {
            return Vec::new();
        }
        let Some(rest) = text[name.len()..].strip_prefix("::") else { return vec![vec![name]] };
        let inner = tails(rest);
        if inner.is_empty() {
            return vec![vec![name]];
        }
        return inner.into_iter().map(|path| [vec![name.clone()], path].concat()).collect();
    };
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                parts.last_mut().expect("there is always one").push(letter);
            }
        }
    }
    parts.iter().flat_map(|part| tails(part.trim())).collect()
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Source files of both crates, except files that only tests and fuzzers compile.
fn sources() -> Vec<Source> {
    ["core/src", "src"].iter().flat_map(|folder| read(&root().join(folder))).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let relative = path.strip_prefix(folder).unwrap().with_extension("");
        let mut module: Vec<String> =
            relative.iter().map(|part| part.to_str().expect("names are ASCII").to_owned()).collect();
        let name = module.last().expect("a file has a name").clone();
        if name == "mod" {
            module.pop();
        }
        let is_for_fuzzers = relative.starts_with("fuzzing");
        if !is_for_fuzzers && !["lib", "main", "c_memory", "tests"].contains(&name.as_str()) {
            found.push(Source { module, text: without_tests(&fs::read_to_string(path).unwrap()) });
        }
    }
    found
}

/// A source without comments and without its module of unit tests, which is at the end.
fn without_tests(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().expect("a split has a first part");
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}
