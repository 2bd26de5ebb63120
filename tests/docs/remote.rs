//! Command lines that use SSH between the machines of a scene. The test carries the commands and the files,
//! and the machines do the rest.

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::Plot;

use crate::lines::commands;
use crate::stage::Stage;

/// Reports whether a command line uses SSH.
pub(crate) fn is_remote(line: &str) -> bool {
    ["ssh ", "scp "].iter().any(|program| line.starts_with(program))
}

/// Runs a command line that uses SSH, in a folder of a machine, and returns the output.
pub(crate) fn run(stage: &mut Stage, folder: &str, plot: Plot, line: &str) -> Result<String> {
    if let Some(words) = line.strip_prefix("scp ") {
        let words = commands(words).concat();
        let (target, sources) = words.split_last().expect("words behind scp");
        for source in sources {
            copy(stage, folder, plot, source, target)?;
        }
        return Ok(String::new());
    }
    let words = line.strip_prefix("ssh ").expect("a line that uses SSH");
    let words = words.strip_prefix("-t ").unwrap_or(words);
    let (host, command) = words.split_once(' ').expect("a command behind ssh");
    let (command, receiver) = command.split_once('|').unwrap_or((command, ""));
    let host = machine(stage, host)?;
    let told = stage.at(host, &format!("cd /root\n{command}"))?;
    if receiver.is_empty() {
        return Ok(told);
    }
    let told = told.replace('\'', r"'\''");
    stage.at(plot, &format!("cd {folder}\nprintf '%s' '{told}' |{receiver}"))
}

/// Copies a text file, as scp does, and keeps its mode.
fn copy(stage: &mut Stage, folder: &str, plot: Plot, source: &str, target: &str) -> Result<()> {
    let (from, source) = place(stage, folder, plot, source)?;
    let (to, mut target) = place(stage, folder, plot, target)?;
    let name = source.rsplit('/').next().unwrap_or_default();
    if target.ends_with(['/', '.']) {
        target = format!("{}/{name}", target.trim_end_matches(['/', '.']));
    }
    let text = stage.at(from, &format!("cat {source}"))?.replace('\'', r"'\''");
    let mode = stage.at(from, &format!("stat -c %a {source}"))?;
    stage
        .at(to, &format!("umask 077\nprintf '%s' '{text}' >{target}\nchmod {} {target}", mode.trim()))
        .map(drop)
}

/// Returns the machine and the whole path of a file that scp names.
fn place(stage: &Stage, folder: &str, plot: Plot, name: &str) -> Result<(Plot, String)> {
    match name.split_once(':') {
        Some((host, path)) => Ok((machine(stage, host)?, path.to_owned())),
        None => Ok((plot, format!("{folder}/{name}"))),
    }
}

/// Returns the machine that `root@NAME` is.
fn machine(stage: &Stage, host: &str) -> Result<Plot> {
    let name = host.strip_prefix("root@").unwrap_or_default();
    let found = stage.plots().find(|plot| plot.name == name);
    found.ok_or_else(|| Error::failed(format!("no machine of this scene is {host}")))
}
