//! iptables via its own programs: `iptables-save` shows all tables of a family at once, and one
//! `iptables-restore --noflush` changes them, each table in one step. No command line is interpolated: the
//! programs read their work from standard input.

pub mod entries;
pub mod legacy;
mod question;

use std::path::Path;
use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::base::error::{Context as _, Error, Result};
use crate::base::moment::{after, has_come};
use crate::base::net::Family;
use crate::firewall::Chain;
use crate::firewall::xtables::dump::Dump;
use crate::firewall::xtables::{IptablesProgram, IptablesRuleset, built_in, text};
use crate::system::child::path_of;
use crate::system::command::Command;

/// Exit status of the programs when another program has the lock, or was faster (RESOURCE_PROBLEM in
/// iptables' xtables.h).
const BUSY: i32 = 4;

/// Time for retries while another program has the lock.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const BREATH: Duration = Duration::from_millis(50);

/// Chains in which rules of other programs could refuse a portal's packets.
const GATES: [Chain; 2] = [Chain::Input, Chain::Forward];

/// Tables of one family, as far as portals must know them.
#[derive(Debug)]
pub struct FamilyTables {
    /// The family.
    pub family: Family,
    /// Our content.
    pub ours: IptablesRuleset,
    /// Set if another program has rules here, or a policy other than to accept.
    pub is_used_by_others: bool,
    /// Chains in which rules of other programs refuse unknown packets.
    pub refusing: Vec<Chain>,
}

/// Sets of iptables programs on this host, by flavour.
#[derive(Debug, Clone, Copy, Default)]
pub struct Iptables {
    /// Programs that talk to the kernel's iptables.
    pub legacy: Option<IptablesProgram>,
    /// Programs that write nftables.
    pub nft: Option<IptablesProgram>,
}

impl Iptables {
    /// Finds the installed programs. Where only `iptables` is installed, its version tells the flavour.
    pub fn find() -> Self {
        let installed = |program: &IptablesProgram| path_of(&program.name(Family::V4, "-restore")).is_some();
        let mut found = Self {
            legacy: Some(IptablesProgram::Legacy).filter(installed),
            nft: Some(IptablesProgram::Nft).filter(installed),
        };
        if (found.legacy.is_none() || found.nft.is_none()) && installed(&IptablesProgram::Plain) {
            let place = if writes_nftables() { &mut found.nft } else { &mut found.legacy };
            place.get_or_insert(IptablesProgram::Plain);
        }
        found
    }

    /// Returns the names of a set's programs that are not installed although the kernel has their family.
    pub fn missing(self, program: IptablesProgram) -> Vec<String> {
        let has_ipv6 = Path::new("/proc/sys/net/ipv6").is_dir();
        let mut missing = Vec::new();
        for family in if has_ipv6 { &[Family::V4, Family::V6][..] } else { &[Family::V4] } {
            for what in ["-save", "-restore"] {
                let name = program.name(*family, what);
                if path_of(&name).is_none() {
                    missing.push(name);
                }
            }
        }
        missing
    }

    /// Reads all tables of a family. The result is empty if the program for the family is missing.
    pub fn dump(self, program: IptablesProgram, family: Family) -> Result<Dump> {
        save(program, family, &[]).map(|text| Dump::read(&text))
    }

    /// Reads all tables of a family, and keeps what portals must know.
    pub(super) fn tables(self, program: IptablesProgram, family: Family) -> Result<FamilyTables> {
        let dump = self.dump(program, family)?;
        let mut refusing = GATES.to_vec();
        refusing.retain(|gate| dump.refuses(&built_in(*gate)));
        let (ours, is_used_by_others) = (dump.ours(family), dump.is_used_by_others());
        Ok(FamilyTables { family, ours, is_used_by_others, refusing })
    }

    /// Returns all rules of a family with their counters, as `iptables-save -c` writes them. The result is
    /// empty if the program for the family is missing.
    pub fn counters(self, program: IptablesProgram, family: Family) -> Result<String> {
        save(program, family, &["-c"])
    }

    /// Reads our content from the tables of both families.
    pub fn read(self, program: IptablesProgram) -> Result<IptablesRuleset> {
        let mut ruleset = self.dump(program, Family::V4)?.ours(Family::V4);
        ruleset.extend(self.dump(program, Family::V6)?.ours(Family::V6));
        Ok(ruleset)
    }

    /// Changes our content from `from` to `to`. Tables that are equal in both are not touched. If a table
    /// fails, the tables before it have changed.
    pub fn change(
        self,
        program: IptablesProgram,
        from: &IptablesRuleset,
        to: &IptablesRuleset,
    ) -> Result<()> {
        for family in [Family::V4, Family::V6] {
            let script = text::script(from, to, family);
            if !script.is_empty() {
                restore(&program.name(family, "-restore"), &script)?;
            }
        }
        Ok(())
    }
}

/// Returns all tables of a family as text; empty if the program for the family is missing.
fn save(program: IptablesProgram, family: Family, arguments: &[&str]) -> Result<String> {
    let name = program.name(family, "-save");
    if path_of(&name).is_none() {
        return Ok(String::new());
    }
    let output = patiently(&|| run(&name, arguments, ""))?;
    if !output.status.success() {
        return Err(Error::failed(format!(
            "cannot read the rules of iptables: {}",
            complaint(&name, &output)
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Carries out a script with the program `name`, which is an `iptables-restore`. Rules that the script does
/// not name stay.
pub(crate) fn restore(name: &str, script: &str) -> Result<()> {
    let output = patiently(&|| run(name, &["--noflush"], script))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = complaint(name, &output);
    let line = failed_line(&complaint).and_then(|number| script.lines().nth(number.checked_sub(1)?));
    let line = line.map_or_else(String::new, |line| format!(", which is `{line}`"));
    Err(Error::failed(format!("cannot change the rules of iptables: {complaint}{line}")))
}

/// Returns the line number in a complaint such as `line 12 failed`.
fn failed_line(complaint: &str) -> Option<usize> {
    let (_, behind) = complaint.split_once("line")?;
    behind.trim_start_matches([':', ' ']).split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Runs an attempt again while another program holds the lock.
fn patiently(attempt: &dyn Fn() -> Result<Output>) -> Result<Output> {
    let end = after(Instant::now(), LOCK_WAIT);
    loop {
        let output = attempt()?;
        if output.status.code() != Some(BUSY) || has_come(end) {
            return Ok(output);
        }
        sleep(BREATH);
    }
}

fn run(name: &str, arguments: &[&str], input: &str) -> Result<Output> {
    let Some(path) = path_of(name) else {
        return Err(Error::failed(format!(
            "the program {name} is missing: {}",
            crate::system::packages::manager().how_to_install("iptables")
        )));
    };
    let context = || format!("cannot run {}", path.display());
    let mut command = Command::new(&path);
    command.args(arguments).env_clear().output(input.as_bytes()).context(context)
}

/// Returns the first line that a program wrote to standard error.
fn complaint(name: &str, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| format!("{name} ended with {}", output.status), str::to_owned)
}

/// Reports whether the program `iptables` writes nftables: it says so behind its version.
fn writes_nftables() -> bool {
    run("iptables", &["--version"], "")
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("nf_tables"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_at_fault_is_found() {
        for complaint in [
            "iptables-restore: line 12 failed",
            "iptables-restore v1.8.9 (legacy): Couldn't load target `X':No such file or directory \
             at line: 12",
            "iptables-restore v1.8.9 (nf_tables): \nline 12: RULE_APPEND failed (No such file or directory): \
             rule in chain X",
        ] {
            assert_eq!(failed_line(complaint), Some(12), "{complaint}");
        }
        assert_eq!(failed_line("Permission denied (you must be root)"), None);
    }
}
