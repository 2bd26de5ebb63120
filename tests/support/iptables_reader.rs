//! Independent reader of iptables: the crate `iptables`, which knows nothing of our own parser and asks the
//! kernel rule by rule.

use iptables::IPTables;
use wg_portals::base::net::Family;
use wg_portals::firewall::xtables::{
    CHAIN_PREFIX, IptablesProgram, IptablesRuleset, IptablesTable, TableContent, text,
};

use crate::FAMILIES;

/// Reader of one family through the programs of one flavour, which must be installed.
pub(crate) fn of(program: IptablesProgram, family: Family) -> IPTables {
    let installed = iptables::new(family == Family::V6);
    let installed =
        installed.unwrap_or_else(|error| panic!("these tests need the program iptables: {error}"));
    IPTables { cmd: program.name(family, "").leak(), ..installed }
}

/// Checks that the kernel has the chains, rules and jumps of a ruleset, and no others of ours.
pub(crate) fn finds_all_of(ruleset: &IptablesRuleset, program: IptablesProgram) {
    for family in FAMILIES {
        let reader = of(program, family);
        for table in IptablesTable::ALL {
            let nothing = TableContent::default();
            finds(&reader, table.name(), ruleset.get(&(family, table)).unwrap_or(&nothing));
        }
        for (table, chain, rule) in rules(ruleset, family) {
            assert!(reader.exists(table, chain, rule).unwrap(), "{}: {table} {chain} {rule}", reader.cmd);
        }
    }
}

/// Checks the names of our chains, the number of rules in each, and that our jump is the first rule of each
/// built-in chain.
fn finds(reader: &IPTables, table: &str, content: &TableContent) {
    let chains = reader.list_chains(table).unwrap();
    let mut ours: Vec<&String> = chains.iter().filter(|chain| chain.starts_with(CHAIN_PREFIX)).collect();
    ours.sort();
    assert_eq!(ours, content.chains.keys().collect::<Vec<_>>(), "{}: {table}", reader.cmd);
    for (chain, lines) in &content.chains {
        // The first line declares the chain.
        assert_eq!(
            reader.list(table, chain).unwrap().len() - 1,
            lines.len(),
            "{}: {table} {chain}",
            reader.cmd
        );
    }
    for chain in content.jumps.keys() {
        let jump = format!("-A {chain} -j {CHAIN_PREFIX}{chain}");
        assert_eq!(reader.list(table, chain).unwrap()[1], jump, "{}: {table}", reader.cmd);
    }
}

/// Rules of a ruleset as we write them: table, chain, and the words after them.
fn rules(ruleset: &IptablesRuleset, family: Family) -> Vec<(&'static str, &'static str, &'static str)> {
    let script: &str = text::script(&IptablesRuleset::new(), ruleset, family).leak();
    let mut table = "";
    let mut rules = Vec::new();
    for line in script.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some((chain, rule)) = line.strip_prefix("-A ").and_then(|rule| rule.split_once(' ')) {
            rules.push((table, chain, rule));
        }
    }
    rules
}
