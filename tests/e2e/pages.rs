//! Pages of portals and of a router: who reaches them, what they change, and the process that shows them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::base::net::Cidr;
use wg_portals::demo::{HOME_ROUTER, NETWORK_FILE, NYC, Namespace, OSLO, PARIS, SERVER, World, connect};
use wg_portals::site::PAGE_PORT;
use wg_portals::system::disk::is_only_user;

use crate::words::{
    eventually, portal, portal_of, reloaded, same, seconds, seen_as, shell, spawn_at, start, succeeds,
};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a page in the LAN of a portal moves it, and nobody else reaches the page",
        plots: &[NYC, PARIS, OSLO],
        run: page,
    },
    Scenario {
        name: "the process of a page has no privilege, and comes back",
        plots: &[NYC, PARIS],
        run: process,
    },
    Scenario {
        name: "the page of the router is there once its address is printed, and ends with the command",
        plots: &[NYC, PARIS],
        run: router,
    },
];

/// Line of /proc/PID/status of a process without capabilities.
const NO_CAPABILITY: &str = "CapEff:\t0000000000000000";

/// Line of /proc/PID/status of a process with a filter of system calls.
const FILTERED: &str = "Seccomp:\t2";

/// Media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

const WITH_PAGE: &str = "interface = \"portal0\"\ndhcp = false\npage = true";

fn page(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => portal_of(NYC, r#""paris", "oslo""#, WITH_PAGE),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    start(world, &network)?;
    let page = eventually_page(world, 80)?;
    same("the exit on the page", page.contains("comes out at <span class=\"open\">paris</span>"), true)?;
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let token = token.ok_or_else(|| Error::failed(format_args!("no form in {page}")))?.to_owned();
    let body = format!("token={token}&exit=oslo");
    let answer = ask(world, NYC.portal(), 80, &post(&body))?;
    same("the answer to the form", answer.starts_with("HTTP/1.1 303"), true)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, OSLO.address)?;
    let page = ask(world, NYC.portal(), PAGE_PORT, &get(NYC.portal()))?;
    same("the state on the page", page.contains("open, at a later exit of its list"), true)?;
    let status = succeeds(world.site(NYC), &["status"])?;
    same("the reason in the status", status.contains("chosen by hand"), true)?;

    // A stranger's name that leads here, and a form of a stranger's page.
    let rebound = get(NYC.portal()).replace(&NYC.portal().to_string(), "evil.example");
    same("rebound", ask(world, NYC.portal(), 80, &rebound)?.starts_with("HTTP/1.1 421"), true)?;
    let foreign = post(&body).replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n");
    same("foreign", ask(world, NYC.portal(), 80, &foreign)?.starts_with("HTTP/1.1 403"), true)?;

    strangers(world)?;
    eventually_page(world, 80)?;
    let without = network.replace("page = true", "page = false");
    reloaded(world, &[NYC], &without)?;
    let guest = world.site(NYC).guest.clone();
    eventually("the page is gone", || closed(&guest, NYC.portal()))
}

/// Checks that nobody finds the page: a guest at other addresses of the router, the home, a neighbour of the
/// uplink, another site, the router itself, and a device on a network that is no portal's.
fn strangers(world: &mut World) -> Result<()> {
    let (router, guest) = (world.site(NYC).router.clone(), world.site(NYC).guest.clone());
    let home = world.site(NYC).home.clone().expect("nyc has a home");
    let (neighbour, paris) = (world.internet.clone(), world.site(PARIS).router.clone());
    neighbour.add_route(Cidr::host(NYC.portal().into()), NYC.address.into())?;
    for other in [HOME_ROUTER, NYC.address, NYC.tunnel()] {
        closed(&guest, other)?;
    }
    for stranger in [&home, &neighbour, &paris] {
        closed(stranger, NYC.portal())?;
    }
    // The router itself has another web server at port 80.
    closed_at(&router, NYC.portal(), PAGE_PORT)?;
    let other = Namespace::new("other")?;
    connect((&router, "spare0"), (&other, "eth0"))?;
    shell(&router, "ip address add 192.168.9.1/24 dev spare0; ip link set spare0 up")?;
    shell(
        &other,
        "ip address add 192.168.9.5/24 dev eth0; ip link set eth0 up; ip route add default via 192.168.9.1",
    )?;
    closed(&other, NYC.portal())
}

fn process(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => portal_of(NYC, r#""paris""#, WITH_PAGE),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    start(world, &network)?;
    eventually_page(world, 80)?;
    let pid = pid_of_page(world)?;
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context(|| "no such process".to_owned())?;
    let mut lines =
        vec![NO_CAPABILITY, "CapPrm:\t0000000000000000", "NoNewPrivs:\t1", FILTERED, "Threads:\t1"];
    if !is_only_user() {
        lines.extend(["Uid:\t65522\t65522\t65522\t65522", "Gid:\t65522\t65522\t65522\t65522", "Groups:\t "]);
    }
    for line in lines {
        same(line, status.lines().any(|other| other == line), true)?;
    }
    // Linux 5.9 and later count the filters: one more than the agent has, whose filters each child has, too.
    if let Some(filters) = filters(&status) {
        let agent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap_or_default();
        let agent =
            fs::read_to_string(format!("/proc/{agent}/status")).context(|| "no such process".to_owned())?;
        same("filters", Some(filters), self::filters(&agent).map(|inherited| inherited + 1))?;
    }
    shell(&world.site(NYC).router, &format!("kill -KILL {pid}"))?;
    eventually_page(world, 80)?;
    let next = pid_of_page(world)?;
    same("it is another process", next == pid, false)?;
    world.site(NYC).kill_agent();
    eventually("the page ends with the agent", || {
        let there = fs::read_to_string(format!("/proc/{next}/status")).unwrap_or_default();
        same("a process without capabilities", there.contains(NO_CAPABILITY), false)
    })?;
    world.site(NYC).start_agent()?;
    eventually_page(world, 80).map(drop)
}

fn router(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris""#),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    start(world, &network)?;
    let router = world.site(NYC).router.clone();
    let doing = || "cannot show the page of the router".to_owned();
    let mut command = Command::new(program());
    command.args(["web", "--config", NETWORK_FILE]).stdout(Stdio::piped());
    let mut web = spawn_at(&router, &mut command).context(doing)?;
    let mut address = String::new();
    BufReader::new(web.stdout.take().expect("a pipe")).read_line(&mut address).context(doing)?;
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, PAGE_PORT));
    let path = address.trim().strip_prefix(&format!("http://{own}"));
    let path = path.ok_or_else(|| Error::failed(format_args!("no address: {address}")))?;
    let page = ask_from(&router, own, &format!("GET {path} HTTP/1.1\r\nHost: {own}\r\n\r\n"))?;
    same("the page of the router", page.starts_with("HTTP/1.1 200"), true)?;
    let again = format!("'{}' web --config {NETWORK_FILE} 2>&1 || true", program().display());
    let words = shell(&router, &again)?;
    same("the port is taken", words.contains("cannot listen at 127.0.0.1, TCP port 10077"), true)?;
    same("an address where nothing is", words.contains("http://"), false)?;
    web.kill().and_then(|()| web.wait()).context(doing)?;
    eventually("the page is gone", || closed_at(&router, Ipv4Addr::LOCALHOST, PAGE_PORT))
}

/// Returns the number of filters of system calls from /proc/PID/status, if the kernel counts them.
fn filters(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:\t"))?.parse().ok()
}

/// Returns the number of the process, from the file of the supervisor.
fn pid_of_page(world: &mut World) -> Result<String> {
    let pid = shell(&world.site(NYC).router, "cat /run/portals/services/pages/pid")?;
    Ok(pid.trim().to_owned())
}

/// Returns the page, once it is shown.
fn eventually_page(world: &mut World, port: u16) -> Result<String> {
    let mut page = String::new();
    eventually("the page is shown", || {
        page = ask(world, NYC.portal(), port, &get(NYC.portal()))?;
        same("its status", page.starts_with("HTTP/1.1 200"), true)
    })?;
    Ok(page)
}

fn get(host: Ipv4Addr) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn post(body: &str) -> String {
    format!(
        "POST /exit HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nContent-Type: {FORM}\r\n\r\n{body}",
        NYC.portal(),
        body.len()
    )
}

/// Sends a request from the guest in New York, and returns the answer.
fn ask(world: &mut World, address: Ipv4Addr, port: u16, request: &str) -> Result<String> {
    ask_from(&world.site(NYC).guest, SocketAddr::from((address, port)), request)
}

fn ask_from(host: &Namespace, at: SocketAddr, request: &str) -> Result<String> {
    host.run(|| {
        let doing = || format!("cannot ask {at}");
        let mut stream = TcpStream::connect_timeout(&at, seconds(3.0)).context(doing)?;
        stream.set_read_timeout(Some(seconds(30.0))).context(doing)?;
        stream.write_all(request.as_bytes()).context(doing)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context(doing)?;
        Ok(answer)
    })
}

/// Checks that a device finds no page at an address.
fn closed(from: &Namespace, address: Ipv4Addr) -> Result<()> {
    [80, PAGE_PORT].into_iter().try_for_each(|port| closed_at(from, address, port))
}

fn closed_at(from: &Namespace, address: Ipv4Addr, port: u16) -> Result<()> {
    let at = SocketAddr::from((address, port));
    let is_open = from.run(|| Ok(TcpStream::connect_timeout(&at, seconds(1.0)).is_ok()))?;
    same(&format!("a page at {at} from {}", from.name()), is_open, false)
}
