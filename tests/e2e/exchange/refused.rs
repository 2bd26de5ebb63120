//! Files that a site does not take, or gives up again.

use wg_portals::base::error::Result;
use wg_portals::demo::{NYC, PARIS, World};

use super::{ARRIVAL, begin, edit, edit_comment, has_echo, keep_their_files, logs, pair, tells, told};
use crate::join::{file, have_one_file};
use crate::words::{eventually, same, seconds, shell, succeeds, within};

/// Member without the admin key that edits its file.
pub(super) fn edited(world: &mut World) -> Result<()> {
    begin(world, pair)?;
    let site = world.site(PARIS);
    edit_comment(site, "by hand")?;
    succeeds(site, &["reload"])?;
    logs(site, "was changed here and is not signed: run `portals push`")?;
    let edited = file(site)?;
    tells(site, &["push"], 2, &["the admin key is not here", "run `portals sign` where the key is"])?;
    same("the file after a push without the key", file(site)?, edited.clone())?;

    edit_comment(world.site(NYC), "by the admin")?;
    tells(world.site(NYC), &["push"], 1, &["serial 2 is in force here", "  paris         serial 1"])?;
    keep_their_files(world, &[PARIS], seconds(3.0))?;
    same("the file of Paris", file(world.site(PARIS))?, edited)?;
    tells(world.site(PARIS), &["pull"], 0, &["this site now has the network file with serial 2"])?;
    have_one_file(world, &[PARIS])?;
    tells(world.site(PARIS), &["pull"], 0, &["nothing to do", "serial 2"])?;

    // Edits that are not in force, the last of which is no network file at all.
    for (serial, edited) in [("3", "[network]\n# half an edit\n"), ("4", "half an edit")] {
        let site = world.site(PARIS);
        edit(site, "[network]\n", edited)?;
        let edited = file(site)?;
        edit_comment(world.site(NYC), serial)?;
        tells(world.site(NYC), &["push"], 1, &["  paris         serial"])?;
        logs(world.site(PARIS), "was changed here and is not in force")?;
        same("the file of Paris", file(world.site(PARIS))?, edited)?;
        tells(world.site(PARIS), &["pull"], 0, &[&format!("the network file with serial {serial}")])?;
        have_one_file(world, &[PARIS])?;
    }
    Ok(())
}

/// File that moves the tunnels of Paris to a port that a provider blocks.
pub(super) fn cuts_its_link(world: &mut World) -> Result<()> {
    begin(world, pair)?;
    for end in ["sport", "dport"] {
        let rule = format!("ip rule add priority 2 ipproto udp {end} 40000 blackhole");
        shell(&world.internet, &rule)?;
    }
    let before = file(world.site(PARIS))?;
    edit(world.site(NYC), "[site.paris]\n", "[site.paris]\nport = 40000\n")?;
    // Paris takes the file as soon as its keepalive has shown nyc the old port, and is alone then. It may
    // have told nyc so before.
    let (_, said) = told(world.site(NYC), &["push"])?;
    same(&format!("serial 2 is in force at nyc: {said}"), said.contains("serial 2 is in force here"), true)?;
    logs(world.site(PARIS), "took the network file with serial 2 from nyc")?;
    within(seconds(300.0), "Paris goes back", || same("the file", file(world.site(PARIS))?, before.clone()))?;
    let undone = "serial 2 from nyc was undone: nyc did not answer through its tunnel any more";
    logs(world.site(PARIS), undone)?;
    within(seconds(ARRIVAL), "the link is up again", || {
        same("an echo", has_echo(world.site(PARIS), NYC)?, true)
    })?;
    let asked = world.site(NYC).portals(&["push"])?;
    same("status of another push of the same file", asked.status.code(), Some(1))?;
    keep_their_files(world, &[PARIS], seconds(5.0))?;
    same("the file of Paris", file(world.site(PARIS))?, before)?;
    let taken = world.site(PARIS).log().matches("took the network file with serial 2").count();
    same("times that Paris took the file", taken, 1)?;

    edit(world.site(NYC), "port = 40000\n", "")?;
    tells(world.site(NYC), &["push"], 0, &["serial 3 is in force here", "  paris         serial 3"])?;
    have_one_file(world, &[PARIS])?;
    eventually("the link is up", || same("an echo", has_echo(world.site(PARIS), NYC)?, true))
}
