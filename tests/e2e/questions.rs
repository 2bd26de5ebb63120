//! Requests at the agent's socket, well-meant and malicious, and the agent's log.

use std::fs::{self, File};
use std::io::{Read as _, Write as _, pipe};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wg_portals::base::error::{Context as _, Result};
use wg_portals::control::SOCKET;
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, OSLO, PARIS, World};

use crate::ways::each_other;
use crate::words::{
    eventually, portal, same, seconds, seen_as, settled, shell, spawn_at, start, succeeds, unreachable,
};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "an exit is chosen by hand", plots: &[NYC, PARIS, OSLO], run: by_hand },
    Scenario { name: "malicious clients of the socket do no harm", plots: &[NYC, PARIS], run: bad_company },
    Scenario { name: "a log that no process reads delays nothing", plots: &[NYC, PARIS], run: full_logs },
];

/// Number of malicious clients at the same time.
const CROWD: usize = 1000;

fn by_hand(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris", "oslo""#),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    start(world, &network)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    succeeds(world.site(NYC), &["exit", "way", "oslo"])?;
    let site = world.site(NYC);
    same("who is seen at once", site.guest(seconds(3.0)).who_am_i(NYC.own_server())?, OSLO.address.into())?;
    says(site, r#""exit":"oslo","state":"failed-over","exits":["paris","oslo"],"since_s":"#)?;
    says(site, r#""why":"chosen by hand""#)?;
    eventually("both exits are up", || {
        says(site, r#"{"name":"oslo","state":"up","#)?;
        says(site, r#"{"name":"paris","state":"up","#)
    })?;
    settled(site)?;
    // If that exit does not answer, the portal stays closed, as requested.
    world.set_cut(NYC, OSLO, true)?;
    thread::sleep(seconds(5.0));
    unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
    says(world.site(NYC), r#"{"name":"oslo","state":"down","#)?;
    succeeds(world.site(NYC), &["exit", "way", "auto"])?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    world.set_cut(NYC, OSLO, false)?;
    succeeds(world.site(NYC), &["exit", "way", "oslo"])?;
    succeeds(world.site(NYC), &["reload"])?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    for wrong in [["exit", "way", "rome"], ["exit", "way", "direct"], ["exit", "guest", "paris"]] {
        same(&format!("status of {wrong:?}"), site.portals(&wrong)?.status.code(), Some(2))?;
    }
    let page = succeeds(site, &["status", "--prometheus"])?;
    let sample = "portals_portal_exit_info{portal=\"way\",exit=\"paris\"} 1\n";
    same(&format!("the exit, in {page}"), page.contains(sample), true)
}

fn says(site: &DemoSite, words: &str) -> Result<()> {
    let report = succeeds(site, &["status", "--json"])?;
    same(&format!("{words} in {report}"), report.contains(words), true)
}

fn bad_company(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    let site = world.site(NYC);
    let pid = site.agent()?.pid();
    let before = memory(pid)?;
    let crowd: Vec<UnixStream> =
        site.router.run(|| Ok((0..CROWD).filter_map(|number| intrude(number).ok()).collect()))?;
    same("most of them came to the door", crowd.len() > CROWD / 2, true)?;
    let begun = Instant::now();
    same("nothing to do", succeeds(site, &["apply"])?.starts_with("nothing to do"), true)?;
    let took = begun.elapsed();
    println!("       {} visitors; an honest one was answered after {} ms", crowd.len(), took.as_millis());
    same(&format!("the answer took {took:?}, too long"), took > seconds(3.0), false)?;
    drop(crowd);
    succeeds(site, &["apply"])?;
    same("it is the same agent", site.agent()?.is_running(), true)?;
    let more = memory(pid)?.saturating_sub(before);
    same(&format!("{more} kB more than before are too many"), more > 2000, false)?;
    seen_as(site.guest(seconds(3.0)), NYC.own_server(), PARIS.address)
}

/// Connects and sends nothing, half a request, garbage, or far too much, or leaves at once.
fn intrude(number: usize) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(SOCKET)?;
    stream.set_nonblocking(true)?;
    match number % 5 {
        0 => {}
        1 => stream.write_all(b"apply\0/etc")?,
        2 => stream.write_all(&[0xff; 300])?,
        // The socket takes only a part of it.
        3 => while stream.write(&[b'a'; 4096]).is_ok() {},
        _ => stream.shutdown(std::net::Shutdown::Both)?,
    }
    Ok(stream)
}

/// Memory of a process, in kB.
fn memory(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default())
}

/// Checks the agent's log to a pipe that no process reads, to a full disk, and to a file.
fn full_logs(world: &mut World) -> Result<()> {
    let network = world.network(each_other);
    start(world, &network)?;
    let log = "/run/demo/to-file.log";
    let (mut unread, pipe) = pipe().context(|| "cannot make a pipe".to_owned())?;
    fill(&pipe)?;
    let full =
        File::options().write(true).open("/dev/full").context(|| "cannot open /dev/full".to_owned())?;
    for (arguments, error) in [
        (&["run"][..], Stdio::from(pipe)),
        (&["run"], Stdio::from(full)),
        (&["run", "--log", "/dev/full"], Stdio::null()),
        (&["run", "--log", "/nowhere/portals.log"], Stdio::null()),
        (&["run", "--log", log], Stdio::null()),
    ] {
        let site = world.site(NYC);
        site.stop_agent()?;
        let agent = run(site, arguments, error)?;
        settled(site)?;
        site.install(&network.replace("portal0", "lan0"))?;
        same(&format!("apply with {arguments:?}"), succeeds(site, &["apply"])?.starts_with("made "), true)?;
        site.install(&network)?;
        succeeds(site, &["apply"])?;
        end(agent)?;
    }
    let text = shell(&world.site(NYC).router, &format!("cat {log}"))?;
    let is_line = |line: &str| line.len() > 22 && line.as_bytes()[19] == b'Z' && line.starts_with("20");
    same(&format!("lines with their time, in {text}"), text.lines().all(is_line), true)?;
    for words in ["ready", "reloading /run/demo/network.toml", "applied "] {
        same(&format!("`{words}` in {text}"), text.contains(words), true)?;
    }
    let private = shell(&world.site(NYC).router, "cat /run/demo/private.key")?;
    same("the key is in it", text.contains(private.trim()), false)?;
    let _ = unread.read(&mut [0; 16]);
    Ok(())
}

/// Fills a pipe.
fn fill(pipe: &std::io::PipeWriter) -> Result<()> {
    let set =
        |flags| fcntl(pipe, FcntlArg::F_SETFL(flags)).map(drop).context(|| "cannot set up a pipe".to_owned());
    set(OFlag::O_NONBLOCK)?;
    let mut writer = pipe;
    while writer.write(&[b'.'; 4096]).is_ok() {}
    set(OFlag::empty())
}

fn run(site: &DemoSite, arguments: &[&str], error: Stdio) -> Result<Child> {
    let mut command = Command::new(program());
    command.args(arguments).args(["--config", NETWORK_FILE]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(error);
    spawn_at(&site.router, &mut command).context(|| "cannot start the agent".to_owned())
}

/// Asks an agent to end, and waits for it.
fn end(mut agent: Child) -> Result<()> {
    kill(Pid::from_raw(agent.id().cast_signed()), Signal::SIGTERM)
        .context(|| "cannot end the agent".to_owned())?;
    let deadline = Instant::now() + seconds(5.0);
    while Instant::now() < deadline {
        if agent.try_wait().is_ok_and(|status| status.is_some()) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    // The agent is blocked at its log.
    let _ = agent.kill();
    same("it ends when asked to", false, true)
}
