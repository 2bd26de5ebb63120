//! A folder per case: a network file, the facts of a host, and the commands that the plan comes to there. Reading them teaches the
//! dataplane. `UPDATE_GOLDEN=1 cargo test --test golden` writes what is made now; read the difference before you commit it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use wg_portals::commands_text::Script;
use wg_portals::config::model::RESOLVERS;
use wg_portals::diff::diff;
use wg_portals::host::Filters;
use wg_portals::load::Files;
use wg_portals::plan::plan;
use wg_portals::site::{Choices, Site};
use wg_portals::state::State;
use wg_portals::xtables::Program;

/// Which firewall the host of a case has.
#[derive(Clone, Copy, PartialEq)]
enum Firewall {
    Nftables,
    Iptables,
}

#[test]
fn every_case_comes_to_the_commands_in_its_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut wrong = Vec::new();
    for case in entries(&root) {
        for facts in entries(&case).into_iter().filter(|path| path.to_string_lossy().ends_with(".facts.toml"))
        {
            for (firewall, ending) in [(Firewall::Nftables, ".sh"), (Firewall::Iptables, ".iptables.sh")] {
                let expected = PathBuf::from(facts.to_string_lossy().replace(".facts.toml", ending));
                let made = commands(&case, &facts, firewall);
                if std::env::var_os("UPDATE_GOLDEN").is_some() {
                    fs::write(&expected, &made).unwrap();
                } else if fs::read_to_string(&expected).unwrap_or_default() != made {
                    wrong.push(format!("{} should be:\n{made}", expected.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Those of a provider answer nobody who comes from elsewhere.
#[test]
fn a_portal_that_moves_asks_the_resolvers_of_its_new_exit() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/providers");
    let (_, mut site) = site(&case, &case.join("nyc.facts.toml"), Firewall::Nftables);
    let asked = |site: &Site| site.portals[0].resolvers.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(asked(&site), ["10.2.0.1"]);
    let [swiss, paris] = [0, 1].map(|index| vec![("guest".to_owned(), site.portals[0].exits[index].clone())]);
    site.choose(&paris);
    assert_eq!(asked(&site), RESOLVERS.map(|resolver| resolver.to_string()));
    site.choose(&swiss);
    assert_eq!(asked(&site), ["10.2.0.1"]);
}

/// The script that leads from a bare host to the plan of the site that the facts are named for.
fn commands(case: &Path, facts: &Path, firewall: Firewall) -> String {
    let (files, site) = site(case, facts, firewall);
    Script::new(&files, &site).write(&diff(&plan(&site), &State::default()))
}

/// The site that the facts are named for, and its files.
fn site(case: &Path, facts: &Path, firewall: Firewall) -> (Files, Site) {
    let network = support::network(&fs::read_to_string(case.join("network.toml")).unwrap());
    let name = facts.file_name().unwrap().to_str().unwrap().trim_end_matches(".facts.toml");
    let secret =
        fs::read_to_string(case.join("network.secret")).ok().map(|text| text.trim().parse().unwrap());
    let text = fs::read_to_string(facts).unwrap();
    let (mut facts, resolved) = support::facts(&text);
    facts.interfaces = support::entrances(&network, name);
    facts.radios = support::radios(&network, name);
    if firewall == Firewall::Iptables {
        facts.filters = Filters { legacy: Some(Program::Plain), ..Filters::default() };
    }
    let mut files = support::files(&network, name, secret);
    files.providers = support::providers(&network, name, |config| fs::read(case.join(config)).unwrap());
    let inputs = wg_portals::site::Inputs {
        file: &files.file,
        private_key: &files.private_key,
        public_key: files.public_key,
        network_secret: files.network_secret.as_ref(),
        passphrases: &files.passphrases,
        facts: &facts,
        providers: &files.providers,
        resolved: &resolved,
    };
    let mut site = wg_portals::site::view(&network, &inputs)
        .unwrap_or_else(|errors| panic!("{}: {errors}", case.display()));
    site.choose(&choices(&text, &site));
    (files, site)
}

/// The exits that portals use, by the `exits` of host facts: names of exits by names of portals.
fn choices(text: &str, site: &Site) -> Choices {
    let table = DeTable::parse(text).expect("facts are TOML").into_inner();
    let exits = table.get("exits").and_then(|value| value.get_ref().as_table()).into_iter().flatten();
    exits
        .map(|(name, exit)| {
            let exit = exit.get_ref().as_str().unwrap();
            let portal = site.portals.iter().find(|portal| portal.name == *name.get_ref()).unwrap();
            let choice = portal.all_choices().find(|choice| choice.to_string() == exit).unwrap();
            (portal.name.clone(), choice.clone())
        })
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}
