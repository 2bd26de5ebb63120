//! Recipes of the documentation: each network file in `docs/recipes` is right, fits hosts without a fault or
//! a note, and gives the outcome in the text next to it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wg_portals::base::sorted::SortedMap;
use wg_portals::commands::plan::{changes, head};
use wg_portals::config::model::{EndpointHost, Network};
use wg_portals::plan::plan;
use wg_portals::site::Site;
use wg_portals::site::facts::{HostFirewalls, Uplink};
use wg_portals::state::State;
use wg_portals::state::diff::diff;

use super::{entries, support};

/// File of the provider that a recipe names. It has a private key, so it is no part of the recipes.
const PROVIDER: &str = "tests/golden/providers/swiss.conf";

#[test]
fn every_recipe_gives_the_outcome_next_to_it() {
    let mut wrong = Vec::new();
    for recipe in with_ending("toml") {
        let expected = recipe.with_extension("txt");
        let made = outcome(&recipe);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &made).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != made {
            wrong.push(format!("{} should be:\n{made}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_recipes_has_a_link_to_each_of_their_files() {
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    let (recipes, texts) = (with_ending("toml"), with_ending("txt"));
    for file in recipes.iter().chain(&texts) {
        let link = format!("]({})", name(file));
        assert_eq!(page.matches(&link).count(), 1, "docs/recipes/README.md: {link}");
    }
    let of_recipes: Vec<PathBuf> = recipes.iter().map(|recipe| recipe.with_extension("txt")).collect();
    assert_eq!(texts, of_recipes);
}

/// Words of `check` and `map` on a laptop, and of `plan` at each site.
fn outcome(recipe: &Path) -> String {
    let name = name(recipe);
    let network = support::network(&fs::read_to_string(recipe).unwrap());
    let mut text = format!(
        "$ portals check {name}\n{}\n$ portals map --file {name}\n{}",
        portals(recipe, &["check", name]),
        portals(recipe, &["map", "--file", name])
    );
    for own in network.sites.keys() {
        let site = site(&network, own);
        assert_eq!(site.notes, [""; 0], "{name}: {own}");
        let steps = diff(&plan(&site), &State::default());
        let _ = write!(text, "\n# portals plan, at {own}\n{}{}", head(&site), changes(&site, &steps));
    }
    text
}

/// Output of the program in a folder with the recipe and the provider's file. It must not complain.
fn portals(recipe: &Path, arguments: &[&str]) -> String {
    let folder = std::env::temp_dir().join(format!("portals-recipe-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    fs::copy(recipe, folder.join(name(recipe))).unwrap();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(PROVIDER), folder.join("swiss.conf")).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_portals"));
    let output = program.args(arguments).current_dir(&folder).env_clear().output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{arguments:?}");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Site of a recipe on a host that has all that the file names.
fn site(network: &Network, own: &str) -> Site {
    let entry = &network.sites[own];
    let (mut facts, _) = support::facts("");
    facts.uplink = Some(Uplink {
        interface: "eth0".parse().unwrap(),
        gateway: "192.0.2.1".parse().ok(),
        addresses: ["192.0.2.2/24".parse().unwrap()].into(),
    });
    facts.uplink6 = "eth0".parse().ok();
    facts.uplink_networks.insert("192.0.2.0/24".parse().unwrap());
    facts.local = entry.lan.iter().map(|lan| lan.network).collect();
    if facts.local.is_empty() {
        facts.local.insert(format!("192.168.{}.0/24", entry.id).parse().unwrap());
    }
    facts.interfaces = support::entrances(network, own);
    facts.can_be_deaf = facts.interfaces.keys().cloned().collect();
    facts.radios = support::radios(network, own);
    facts.filters = HostFirewalls { nftables: true, ..HostFirewalls::default() };
    let mut resolved = SortedMap::new();
    for site in network.sites.values() {
        if let Some(EndpointHost::Name(name)) = &site.endpoint {
            resolved.insert(name.clone(), format!("198.51.100.{}", site.id).parse().unwrap());
        }
    }
    let mut files = support::files(network, own, None);
    files.public_key = entry.public_key;
    let provider = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROVIDER);
    files.providers = support::providers(network, own, |_| fs::read(&provider).unwrap());
    files.view(&facts, &resolved).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes")
}

fn with_ending(ending: &str) -> Vec<PathBuf> {
    let has_ending = |file: &PathBuf| file.extension().is_some_and(|other| other == ending);
    entries(&folder()).into_iter().filter(has_ending).collect()
}

fn name(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}
