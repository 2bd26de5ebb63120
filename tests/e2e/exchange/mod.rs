//! One network file at all sites: it travels through the tunnels, and no site takes a file that it must not.

mod liars;
mod refused;

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::net::PublicKey;
use wg_portals::demo::{Capture, DemoSite, NYC, OSLO, PARIS, Packet, Plot, World};
use wg_portals::kernel::echo::{Echo, EchoPath};
use wg_portals::nat::packet::{ASK, Ask, Message};
use wg_portals::nat::seal::PairKey;
use wg_portals::system::key_files;

use crate::Scenario;
use crate::join::{file, have_one_file};
use crate::words::{eventually, same, seconds, seen_going_to, settled, shell, start, succeeds, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a pushed file goes along a row of sites",
        plots: &[NYC, PARIS, OSLO],
        run: along_a_row,
    },
    Scenario {
        name: "a pushed file that waits to be confirmed spreads once it is",
        plots: &[NYC, PARIS],
        run: confirmed,
    },
    Scenario {
        name: "two admins at once are a conflict, which one push decides",
        plots: &[NYC, PARIS],
        run: conflict,
    },
    Scenario { name: "a removed site is out everywhere", plots: &[NYC, PARIS, OSLO], run: removed },
    Scenario { name: "a network without admin keys exchanges nothing", plots: &[NYC, PARIS], run: unsigned },
    Scenario {
        name: "a file that is edited by hand stays until it is pulled",
        plots: &[NYC, PARIS],
        run: refused::edited,
    },
    Scenario {
        name: "a file that cuts the link to its giver is undone",
        plots: &[NYC, PARIS],
        run: refused::cuts_its_link,
    },
    Scenario {
        name: "a member's own admin key convinces no other site",
        plots: &[NYC, PARIS, OSLO],
        run: liars::own_admin_key,
    },
    Scenario {
        name: "false files inside the tunnels are refused",
        plots: &[NYC, PARIS, OSLO],
        run: liars::false_files,
    },
];

/// Port at which a site exchanges files, and helps others.
const PORT: u16 = 52075;

/// Time limit for a file to reach all sites on a busy machine.
const ARRIVAL: f64 = 90.0;

/// Network of sites in a row: Paris is linked with nyc and with Oslo.
fn row(plot: Plot) -> String {
    match plot {
        PARIS => "links = [\"nyc\", \"oslo\"]\n",
        _ => "",
    }
    .to_owned()
}

/// Network of two linked sites.
fn pair(plot: Plot) -> String {
    if plot == PARIS { "links = [\"nyc\"]\n" } else { "" }.to_owned()
}

/// Gives all sites one signed file, of which nyc has the admin key, and starts their agents.
fn begin(world: &mut World, details: impl Fn(Plot) -> String) -> Result<()> {
    let network = world.network(details);
    let nyc = world.site(NYC);
    nyc.install(&network)?;
    succeeds(nyc, &["sign", "--create"])?;
    let text = file(nyc)?;
    start(world, &text)
}

/// Gives a site a copy of the admin key of nyc.
fn give_admin_key(world: &mut World, plot: Plot) -> Result<()> {
    let key = shell(&world.site(NYC).router, "cat /run/demo/admin.key")?;
    let save = format!("umask 77; echo '{}' > /run/demo/admin.key", key.trim());
    shell(&world.site(plot).router, &save).map(drop)
}

/// Edits the network file of a site by hand.
fn edit(site: &DemoSite, from: &str, to: &str) -> Result<()> {
    let text = file(site)?;
    same(&format!("`{from}` in {text}"), text.contains(from), true)?;
    site.install(&text.replace(from, to))
}

/// Edits a comment, which changes the file and nothing else.
fn edit_comment(site: &DemoSite, comment: &str) -> Result<()> {
    edit(site, "[network]\n", &format!("# {comment}\n[network]\n"))
}

/// Output and status of `push` or `pull` at a site.
fn told(site: &DemoSite, command: &[&str]) -> Result<(Option<i32>, String)> {
    let output = site.portals(command)?;
    let words = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&words).into_owned()))
}

/// Checks the status of a command at a site, and words in its output.
fn tells(site: &DemoSite, command: &[&str], status: i32, words: &[&str]) -> Result<()> {
    let (code, said) = told(site, command)?;
    let all = words.iter().all(|words| said.contains(words));
    same(&format!("{command:?} at {} said: {said}", site.plot.name), (code, all), (Some(status), true))
}

/// Waits until the log of a site's agent contains these words.
fn logs(site: &DemoSite, words: &str) -> Result<()> {
    within(seconds(ARRIVAL), "the agent logs it", || {
        same(&format!("`{words}` in the log of {}", site.plot.name), site.log().contains(words), true)
    })
}

/// Checks that these sites keep their files for a while.
fn keep_their_files(world: &mut World, plots: &[Plot], time: Duration) -> Result<()> {
    let mut before = Vec::new();
    for plot in plots {
        before.push(file(world.site(*plot))?);
    }
    sleep(time);
    for (plot, before) in plots.iter().zip(before) {
        same(&format!("the file of {}", plot.name), file(world.site(*plot))?, before)?;
    }
    Ok(())
}

fn along_a_row(world: &mut World) -> Result<()> {
    begin(world, row)?;
    // Such a change would keep the file itself from the other sites.
    for (from, to) in [("10.77.0.0/16", "10.88.0.0/16"), ("id = 3\n", "id = 30\n")] {
        edit(world.site(NYC), from, to)?;
        tells(world.site(NYC), &["push"], 2, &["another address in the tunnels", "carry it to each site"])?;
        edit(world.site(NYC), to, from)?;
    }
    edit_comment(world.site(NYC), "for all")?;
    let begun = Instant::now();
    let words = ["serial 2 is in force here", "  paris         serial 2      has the same file"];
    tells(world.site(NYC), &["push"], 0, &words)?;
    println!("       the next site has the file after {:.1} s", begun.elapsed().as_secs_f32());
    have_one_file(world, &[PARIS, OSLO])?;
    println!("       all sites have it after {:.1} s", begun.elapsed().as_secs_f32());
    tells(world.site(NYC), &["push"], 0, &["serial 2", "0 changes"])?;
    tells(world.site(PARIS), &["push"], 0, &["nyc           serial 2", "oslo          serial 2"])?;

    // Oslo is off, and back later.
    world.site(OSLO).stop_agent()?;
    edit_comment(world.site(NYC), "for those who are here")?;
    tells(world.site(NYC), &["push"], 0, &["serial 3"])?;
    have_one_file(world, &[PARIS])?;
    let oslo = "  oslo          is silent, and gets the file when it is back";
    tells(world.site(PARIS), &["push"], 1, &["nyc           serial 3", oslo])?;
    world.site(OSLO).start_agent()?;
    have_one_file(world, &[PARIS, OSLO])?;

    // The path to Paris is cut, and whole again later.
    world.set_cut(NYC, PARIS, true)?;
    edit_comment(world.site(NYC), "for those who wait")?;
    tells(world.site(NYC), &["push"], 1, &["serial 4", "  paris         is silent"])?;
    world.set_cut(NYC, PARIS, false)?;
    have_one_file(world, &[PARIS, OSLO])
}

fn confirmed(world: &mut World) -> Result<()> {
    let details = |plot| if plot == NYC { "confirm_reload = 600\n".to_owned() } else { pair(plot) };
    begin(world, details)?;
    edit_comment(world.site(NYC), "perhaps")?;
    tells(world.site(NYC), &["push"], 0, &["unless you confirm it", "get it once it is confirmed"])?;
    keep_their_files(world, &[PARIS], seconds(3.0))?;
    let (nyc, paris) = (file(world.site(NYC))?, file(world.site(PARIS))?);
    same("the file of Paris is another", nyc == paris, false)?;
    succeeds(world.site(NYC), &["confirm"])?;
    have_one_file(world, &[PARIS])
}

fn conflict(world: &mut World) -> Result<()> {
    begin(world, pair)?;
    give_admin_key(world, PARIS)?;
    world.set_cut(NYC, PARIS, true)?;
    for (plot, other) in [(NYC, "paris"), (PARIS, "nyc")] {
        edit_comment(world.site(plot), plot.name)?;
        tells(world.site(plot), &["push"], 1, &["serial 2 is in force", other, "is silent"])?;
    }
    world.set_cut(NYC, PARIS, false)?;
    for (plot, other) in [(NYC, "paris"), (PARIS, "nyc")] {
        within(seconds(ARRIVAL), "both show the conflict", || {
            let report = succeeds(world.site(plot), &["status", "--json"])?;
            let words = format!(r#"{{"site":"{other}","serial":2,"relation":"conflict"}}"#);
            same(&format!("{words} in {report}"), report.contains(&words), true)
        })?;
    }
    keep_their_files(world, &[NYC, PARIS], seconds(3.0))?;
    tells(world.site(PARIS), &["push"], 0, &["serial 3 is in force", "nyc           serial 3"])?;
    have_one_file(world, &[PARIS])?;
    let text = file(world.site(NYC))?;
    same(&text, text.contains("# paris\n") && !text.contains("# nyc\n"), true)
}

fn removed(world: &mut World) -> Result<()> {
    let all = |plot| match plot {
        NYC => "links = [\"paris\", \"oslo\"]\n".to_owned(),
        PARIS => "links = [\"oslo\"]\n".to_owned(),
        _ => String::new(),
    };
    begin(world, all)?;
    let nyc = world.site(NYC).public_key;
    let question = Question { key: pair_key(world.site(OSLO), nyc)? };
    eventually("nyc helps Oslo", || same("an answer", question.is_answered(world)?, true))?;
    for plot in [NYC, PARIS] {
        eventually("Oslo reaches it", || same("an echo", has_echo(world.site(OSLO), plot)?, true))?;
    }
    succeeds(world.site(NYC), &["site", "remove", "oslo"])?;
    tells(world.site(NYC), &["push"], 0, &["serial 2 is in force", "paris         serial 2"])?;
    same("an answer to a site that was removed", question.is_answered(world)?, false)?;
    have_one_file(world, &[PARIS])?;
    for plot in [NYC, PARIS] {
        settled(world.site(plot))?;
        same("an echo for Oslo", has_echo(world.site(OSLO), plot)?, false)?;
        let report = succeeds(world.site(plot), &["status", "--json"])?;
        same(&report, report.contains("oslo"), false)?;
    }
    // Its own agent goes on with the old file, and reaches no site.
    world.site(OSLO).stop_agent()?;
    world.site(OSLO).start_agent()?;
    settled(world.site(OSLO))?;
    keep_their_files(world, &[NYC, PARIS, OSLO], seconds(5.0))?;
    for plot in [NYC, PARIS] {
        same("an echo for Oslo", has_echo(world.site(OSLO), plot)?, false)?;
    }
    eventually("Paris reaches nyc", || same("an echo", has_echo(world.site(PARIS), NYC)?, true))
}

/// Reports whether a site's router gets an echo through its tunnel to another site within a second.
fn has_echo(site: &DemoSite, other: Plot) -> Result<bool> {
    let path = EchoPath {
        interface: "portals0".parse().expect("the name of an interface"),
        from: site.plot.tunnel().into(),
        to: other.tunnel().into(),
        mark: None,
    };
    site.router.run(|| {
        let doing = || format!("cannot ping from {}", site.plot.name);
        let mut echo = Echo::open(&path).context(doing)?;
        echo.ask_in(0).context(doing)?;
        let end = Instant::now() + seconds(1.0);
        while Instant::now() < end {
            sleep(seconds(0.02));
            if !echo.answers().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// Question of Oslo to the helper nyc about the link to Paris.
struct Question {
    key: PairKey,
}

impl Question {
    /// Asks a few times, and reports whether an answer comes.
    fn is_answered(&self, world: &mut World) -> Result<bool> {
        let ask = Ask {
            peer: PARIS.id,
            has_opened: false,
            relay_here: false,
            port: 51820,
            peer_port: 51820,
            cookie: [0; 8],
            addresses: Vec::new(),
        };
        let socket = udp(world.site(OSLO), (OSLO.address, 0))?;
        for _ in 0..5 {
            let packet = self.key.seal(OSLO.id, NYC.id, random(), &Message::Ask(ask.clone()));
            socket.send_to(&packet, (NYC.address, PORT)).context(|| "cannot ask".to_owned())?;
            if socket.recv(&mut [0; 2000]).is_ok_and(|length| length == ASK) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Key of the pair of a site and another, as the site derives it.
fn pair_key(site: &DemoSite, other: PublicKey) -> Result<PairKey> {
    let own = site.router.run(|| key_files::load(Path::new("/run/demo/private.key")))?;
    Ok(PairKey::derive(&own, other).expect("keys of sites"))
}

fn random() -> [u8; 16] {
    *key_files::generate().bytes()[8..].first_chunk().expect("24 bytes")
}

/// UDP socket of a site's router, which waits a moment for each packet.
fn udp(site: &DemoSite, at: (Ipv4Addr, u16)) -> Result<UdpSocket> {
    let doing = || format!("cannot open a port of {}", site.plot.name);
    let socket = site.router.run(|| UdpSocket::bind(at).context(doing))?;
    socket.set_read_timeout(Some(seconds(0.3))).context(doing)?;
    Ok(socket)
}

fn unsigned(world: &mut World) -> Result<()> {
    start(world, &world.network(pair))?;
    let capture = Capture::start(&world.site(NYC).router, "portals0")?;
    edit_comment(world.site(NYC), "for nyc")?;
    tells(world.site(NYC), &["push"], 2, &["has no admin key", "portals sign --create"])?;
    tells(world.site(NYC), &["pull"], 2, &["needs an admin key"])?;
    succeeds(world.site(NYC), &["reload"])?;
    settled(world.site(NYC))?;
    eventually("Paris is reached", || same("an echo", has_echo(world.site(NYC), PARIS)?, true))?;
    keep_their_files(world, &[NYC, PARIS], seconds(3.0))?;
    let packets = seen_going_to(capture, PARIS.tunnel().into())?;
    let is_offer = |packet: &Packet| packet.ports.is_some_and(|(_, to)| to == PORT);
    same("packets in the tunnel", packets.is_empty(), false)?;
    same("offers in the tunnel", packets.into_iter().filter(is_offer).count(), 0)
}
