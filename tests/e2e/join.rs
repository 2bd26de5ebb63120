//! Machines become sites of a network by a token: no file and no key is carried by hand.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::base::keys::public_key;
use wg_portals::base::net::{PublicKey, Secret};
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, Namespace, OSLO, PARIS, Plot, SERVER, World};
use wg_portals::join::packet::{JoinAnswer, JoinKeys, JoinRequest, LENGTH, number};
use wg_portals::join::token::{InviteSecret, Token};

use crate::words::{eventually, same, seconds, seen_as, settled, shell, succeeds, within};
use crate::{Scenario, program};

/// Scenario that runs on every kernel: new tunnels, and changes of tunnels that are up.
pub(crate) const IN_THE_LAB: &[Scenario] = &[Scenario {
    name: "three boxes become a network by two tokens, with portals both ways",
    plots: &[NYC, PARIS, OSLO],
    run: three_boxes,
}];

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "two boxes become a network by two pastes where none can be dialled",
        plots: &[NYC, PARIS],
        run: two_pastes,
    },
    Scenario {
        name: "a token is of no use to thieves, replayers and late comers",
        plots: &[NYC, PARIS, OSLO],
        run: attacks,
    },
    Scenario { name: "a join that is killed goes on", plots: &[NYC, PARIS], run: killed },
    Scenario { name: "a person says yes to a new site", plots: &[NYC, PARIS], run: confirmed },
];

/// Port at which nyc answers.
const DOOR: u16 = 52075;

/// Makes nyc the first site of a network, and starts its agent.
fn found(world: &mut World, options: &[&str]) -> Result<()> {
    let site = world.site(NYC);
    succeeds(site, &[&["init", "--site", "nyc", "--network", "demo"], options].concat())?;
    let has_key = shell(&site.router, &format!("ls {NETWORK_FILE} /run/demo/admin.key || true"))?;
    if !has_key.contains("admin.key") {
        succeeds(site, &["sign", "--create"])?;
    }
    site.start_agent()?;
    // A network of one site may have nothing to apply: only the agent tells that it runs.
    eventually("the agent runs", || {
        let status = succeeds(site, &["status", "--json"])?;
        same(&status, status.contains(r#""agent":true"#), true)
    })?;
    settled(site)
}

pub(crate) fn found_with_endpoint(world: &mut World) -> Result<()> {
    found(world, &["--endpoint", &NYC.address.to_string()])
}

/// Makes a token at nyc.
pub(crate) fn invite(world: &mut World, options: &[&str]) -> Result<String> {
    let told = succeeds(world.site(NYC), &[&["invite", "--no-qr"], options].concat())?;
    same("lines of the token", told.lines().count(), 1)?;
    Ok(told.trim().to_owned())
}

pub(crate) fn file(site: &DemoSite) -> Result<String> {
    shell(&site.router, &format!("cat {NETWORK_FILE}"))
}

/// Waits until all of these sites have the file of nyc.
pub(crate) fn have_one_file(world: &mut World, plots: &[Plot]) -> Result<()> {
    within(seconds(60.0), "all sites have one file", || {
        let text = file(world.site(NYC))?;
        for plot in plots {
            same(&format!("the file of {}", plot.name), file(world.site(*plot))?, text.clone())?;
            let status = succeeds(world.site(*plot), &["status", "--json"])?;
            same(
                &status,
                status.contains(r#""unconfirmed_s":null"#) || !status.contains("unconfirmed"),
                true,
            )?;
        }
        Ok(())
    })
}

/// Joins, and starts the agent.
fn join(world: &mut World, plot: Plot, token: &str, options: &[&str]) -> Result<()> {
    let site = world.site(plot);
    let told = succeeds(site, &[&["join", token], options].concat())?;
    same(&told, told.contains(&format!("this machine is site {}", plot.name)), true)?;
    site.start_agent()
}

fn three_boxes(world: &mut World) -> Result<()> {
    let begun = Instant::now();
    found_with_endpoint(world)?;
    let alone = succeeds(world.site(NYC), &["push"])?;
    same(&alone, alone.contains("no other site is linked to this one"), true)?;
    let token = invite(world, &["paris", "--use"])?;
    join(world, PARIS, &token, &["--portal", "portal0"])?;
    leaves_at(world, PARIS, NYC)?;
    println!("       guests leave at the first box after {:.1} s", begun.elapsed().as_secs_f32());
    let token = invite(world, &["oslo", "--exits", "nyc,paris"])?;
    join(world, OSLO, &token, &[])?;
    have_one_file(world, &[PARIS, OSLO])?;
    println!("       three sites have one file after {:.1} s", begun.elapsed().as_secs_f32());

    let portal = "\n[site.nyc.portal.guest]\nexit = \"paris\"\ninterface = \"portal0\"\n";
    let site = world.site(NYC);
    site.install(&(file(site)? + portal))?;
    // Its status is 1 if a busy site takes the file late.
    let pushed = site.portals(&["push"])?;
    let told = String::from_utf8_lossy(&[pushed.stdout, pushed.stderr].concat()).into_owned();
    same(&told, told.contains("is in force here"), true)?;
    have_one_file(world, &[PARIS, OSLO])?;
    leaves_at(world, NYC, PARIS)?;
    println!("       and a portal each way after {:.1} s", begun.elapsed().as_secs_f32());
    leaves_at(world, PARIS, NYC)?;
    for plot in [NYC, PARIS] {
        settled(world.site(plot))?;
    }
    let again = succeeds(world.site(OSLO), &["join", &token])?;
    same(&again, again.contains("nothing to do"), true)
}

/// Waits until guests of a site leave at another one.
fn leaves_at(world: &mut World, entry: Plot, exit: Plot) -> Result<()> {
    let site = world.site(entry);
    eventually("guests leave at the other site", || seen_as(site.guest(seconds(3.0)), SERVER, exit.address))
}

fn two_pastes(world: &mut World) -> Result<()> {
    found(world, &[])?;
    let token = invite(world, &["paris"])?;
    let site = world.site(PARIS);
    let refused = site.portals(&["join", &token])?;
    same("status without --endpoint", refused.status.code(), Some(2))?;
    let endpoint = PARIS.address.to_string();
    in_background(site, &format!("join {token} --endpoint {endpoint} --portal portal0"))?;
    let told = |world: &mut World| shell(&world.site(PARIS).router, "cat /run/demo/told");
    eventually("the answer is printed", || {
        let told = told(world)?;
        same(&told, told.starts_with("a1.") && told.ends_with('\n'), true)
    })?;
    let answer = told(world)?;
    let accepted = succeeds(world.site(NYC), &["accept", answer.trim()])?;
    same(&accepted, accepted.contains("site paris has joined"), true)?;
    eventually("the new site hears it", || {
        let told = told(world)?;
        same(&told, told.contains("this machine is site paris"), true)
    })?;
    world.site(PARIS).start_agent()?;
    have_one_file(world, &[PARIS])?;
    leaves_at(world, PARIS, NYC)
}

/// Runs a command in the background, with its output in files.
pub(crate) fn in_background(site: &DemoSite, command: &str) -> Result<()> {
    let program = program();
    shell(
        &site.router,
        &format!(
            "cd /run/demo; : > told; '{}' {command} --config {NETWORK_FILE} > told 2> complained & \
             echo $! > pid",
            program.display()
        ),
    )
    .map(drop)
}

/// Machine that knows a token, or believes so.
struct Stranger<'a> {
    host: &'a Namespace,
    keys: JoinKeys,
    own: PublicKey,
}

impl<'a> Stranger<'a> {
    fn new(host: &'a Namespace, token: &Token, byte: u8) -> Self {
        let key = Secret::new([byte; 32]);
        let keys = JoinKeys::derive(&token.secret, &key, token.inviter).expect("a key that gives a secret");
        Self { host, keys, own: public_key(&key) }
    }

    fn request(&self) -> [u8; LENGTH] {
        self.keys.seal_request(self.own, [7; 16], &JoinRequest::default()).expect("a short request")
    }

    /// Sends packets, and returns the answers that come within the time.
    fn send(&self, packets: &[Vec<u8>], time: Duration) -> Result<Vec<Vec<u8>>> {
        self.host.run(|| {
            let exchange = || {
                let socket = UdpSocket::bind("0.0.0.0:0")?;
                socket.connect(SocketAddr::new(NYC.address.into(), DOOR))?;
                for packet in packets {
                    socket.send(packet)?;
                }
                socket.set_read_timeout(Some(time))?;
                let (mut answers, mut buffer) = (Vec::new(), [0; 2000]);
                while let Ok(length) = socket.recv(&mut buffer) {
                    answers.push(buffer[..length].to_vec());
                }
                Ok::<_, std::io::Error>(answers)
            };
            exchange().context(|| "cannot send packets to the door".to_owned())
        })
    }

    fn ask(&self) -> Result<JoinAnswer> {
        let request = self.request();
        let answers = self.send(&[request.to_vec()], seconds(3.0))?;
        let [answer] = answers.as_slice() else {
            return Err(Error::failed(format!("{} answers", answers.len())));
        };
        let answer = answer.as_slice().try_into().ok();
        answer
            .and_then(|answer| self.keys.open_answer(answer, number(&request)))
            .ok_or_else(|| Error::failed("an answer that is none"))
    }
}

fn parsed(token: &str) -> Result<Token> {
    token.parse().context(|| "a token".to_owned())
}

fn attacks(world: &mut World) -> Result<()> {
    found_with_endpoint(world)?;
    let text = invite(world, &["paris"])?;
    let token = parsed(&text)?;
    let before = file(world.site(NYC))?;
    let outside = world.server.clone();

    // A wrong secret, and a flood for invitations that do not exist.
    let wrong = Token { secret: InviteSecret::new([1; 16]), ..token.clone() };
    let guess = Stranger::new(&outside, &wrong, 21);
    let mut packets = vec![guess.request().to_vec(); 2000];
    for (number, packet) in packets.iter_mut().enumerate() {
        packet[24..32].copy_from_slice(&number.to_be_bytes());
    }
    let mut with_id = guess.request();
    with_id[24..32].copy_from_slice(&token.secret.id());
    packets.extend([guess.request().to_vec(), with_id.to_vec(), with_id[..100].to_vec()]);
    same("answers to strangers", guess.send(&packets, seconds(1.0))?.len(), 0)?;
    same("the file", file(world.site(NYC))?, before)?;

    // A thief is first, and its packet is sent again by another one who has seen it.
    let thief = Stranger::new(&outside, &token, 22);
    let JoinAnswer::Joined(joined) = thief.ask()? else { return Err(Error::failed("the token is good")) };
    same("name", joined.name.as_str(), "paris")?;
    let after = file(world.site(NYC))?;
    let replayed = thief.send(&vec![thief.request().to_vec(); 20], seconds(1.0))?;
    same("answers to replays", replayed.len(), 20)?;
    same("no answer is longer than its question", replayed.iter().all(|one| one.len() <= LENGTH), true)?;
    same("the file after replays", file(world.site(NYC))?, after)?;
    // Then the owner of the token learns of the theft.
    fails(world.site(PARIS), &text, "was used by another machine")?;
    let there = shell(&world.site(PARIS).router, "ls /run/demo")?;
    same(&there, there.contains("network.toml\n"), false)?;

    let revoked = invite(world, &["oslo"])?;
    succeeds(world.site(NYC), &["invites", "--revoke", "oslo"])?;
    fails(world.site(OSLO), &revoked, "was revoked")?;
    let expired = invite(world, &["oslo"])?;
    // The time that is left is in the file: as much as is left to a token that has just expired.
    let site = world.site(NYC);
    site.stop_agent()?;
    shell(
        &site.router,
        &format!("sed -i 's/ 17[0-9]* open oslo / 86000 open oslo /' {NETWORK_FILE}.invites"),
    )?;
    site.start_agent()?;
    settled(site)?;
    fails(world.site(OSLO), &expired, "is older than 24 hours")?;
    let listed = succeeds(world.site(NYC), &["invites"])?;
    same(&listed, listed.contains("expired") && listed.contains("used"), true)?;
    let mode = shell(&world.site(NYC).router, &format!("stat -c %a {NETWORK_FILE}.invites"))?;
    same("mode of the file of tokens", mode.trim(), "600")
}

fn fails(site: &DemoSite, token: &str, words: &str) -> Result<()> {
    let output = site.portals(&["join", token])?;
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    same(&complained, (output.status.code(), complained.contains(words)), (Some(1), true))
}

/// Kills `portals join` at many moments, and lets it end at last.
fn killed(world: &mut World) -> Result<()> {
    found_with_endpoint(world)?;
    let token = invite(world, &["paris"])?;
    let mut key = None;
    for round in 0..30 {
        let site = world.site(PARIS);
        if round == 0 {
            shell(&site.router, "rm /run/demo/private.key")?;
        }
        in_background(site, &format!("join {token}"))?;
        shell(&site.router, &format!("sleep 0.0{:02}; kill -9 $(cat /run/demo/pid) || true", round * 3))?;
        let found = shell(
            &site.router,
            &format!(
                "cat /run/demo/private.key || true; cat {NETWORK_FILE} 2> /dev/null | head -c 20 || true"
            ),
        )?;
        let mut lines = found.lines();
        if let Some(now) = lines.next().filter(|line| line.len() == 44) {
            same("the key", key.get_or_insert_with(|| now.to_owned()).as_str(), now)?;
            let text = lines.next().unwrap_or_default();
            same(text, text.is_empty() || text.starts_with("# Enough of the"), true)?;
        } else {
            same("no half of a key", found, String::new())?;
        }
    }
    join(world, PARIS, &token, &[])?;
    have_one_file(world, &[PARIS])?;
    let sites = file(world.site(NYC))?.matches("\n[site.").count();
    same("sites in the file", sites, 2)
}

fn confirmed(world: &mut World) -> Result<()> {
    found_with_endpoint(world)?;
    let site = world.site(NYC);
    shell(&site.router, "mkfifo /run/demo/yes")?;
    in_background(site, "invite paris --no-qr --confirm 0<> yes")?;
    eventually("the token is printed", || {
        let told = shell(&world.site(NYC).router, "cat /run/demo/told")?;
        same(&told, told.starts_with("p1.") && told.ends_with('\n'), true)
    })?;
    let token = shell(&world.site(NYC).router, "cat /run/demo/told")?;
    in_background(world.site(PARIS), &format!("join {}", token.trim()))?;
    let key = world.site(PARIS).public_key.to_string();
    for plot in [NYC, PARIS] {
        eventually("both sites show the key", || {
            let words = shell(&world.site(plot).router, "cat /run/demo/complained")?;
            same(&words, words.contains(&key), true)
        })?;
    }
    let text = file(world.site(NYC))?;
    same(&text, text.contains("\n[site.paris]"), false)?;
    let listed = succeeds(world.site(NYC), &["invites"])?;
    same(&listed, listed.contains("waits for a yes") && listed.contains(&key), true)?;
    shell(&world.site(NYC).router, "echo y > /run/demo/yes")?;
    eventually("the new site has joined", || {
        let told = shell(&world.site(PARIS).router, "cat /run/demo/told")?;
        same(&told, told.contains("this machine is site paris"), true)
    })?;
    world.site(PARIS).start_agent()?;
    have_one_file(world, &[PARIS])
}
