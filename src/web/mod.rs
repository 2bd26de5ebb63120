//! Pages for browsers: one process, one thread, without any privilege. The network file turns the pages of
//! portals on, which the agent shows by a process of this program; `portals web` shows the page of this
//! router.
//!
//! All that a browser sends is read and judged here; all that a page tells or changes is asked for on a
//! channel, on which the agent knows nothing but the requests of pages.

mod answer;
mod connection;
mod desk;
pub mod html;
mod limits;
pub mod page;
pub mod request;
mod settings;
#[cfg(test)]
mod tests;
mod trust;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::sockopt::{IpFreebind, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
};

use crate::base::error::{Context as _, Error, Result};
use crate::base::moment::{earlier, is_due};
use crate::control::{AskingEnd, PageRequest};
use crate::site::PAGE_PORT;
use crate::system::disk::{self, FileOrigin};
use crate::system::key_files;
use crate::system::logging as log;
use crate::system::privileges::{self, PAGE_USER, ROUTER_PAGE_USER};
use crate::system::seccomp;
use crate::system::wait::poll_until;
use connection::{Connection, Outcome};
use desk::Desk;
use limits::{MOST_OF_ALL, MOST_OF_ONE, Rates};
use request::Received;
pub use settings::{Door, FILE, Settings};

/// Connections that the kernel completes ahead of this process.
const BACKLOG: i32 = 32;

/// Returns a new key for the page of this router.
pub fn new_key() -> String {
    trust::digits(&key_files::random())
}

/// Warns of a process that shows pages without a filter of system calls, if an error has prevented one.
pub fn warn_without_filter(errno: i32) {
    if errno != 0 {
        let why = Errno::from_raw(errno).desc();
        log::warn!(
            "the process that shows pages has no filter of system calls, which this kernel or processor \
             lacks: {why}"
        );
    }
}

/// Shows the pages of the settings in a folder, until the process is ended. Its standard input is the channel
/// to its parent: without the parent, nothing answers, and the process ends.
pub fn serve(folder: &Path) -> Result<()> {
    let file = folder.join(FILE);
    let text = disk::text_if_there(&file, FileOrigin::Ours)?.unwrap_or_default();
    let settings = Settings::from_text(&text)
        .ok_or_else(|| Error::failed(format_args!("{} has no settings of pages", file.display())))?;
    let is_of_portals = matches!(settings.doors[..], [Door::Portal { .. }, ..]);
    let agent = AskingEnd::inherited().context(|| "cannot use the standard input".to_owned())?;
    let mut server = Server::open(settings, agent)?;
    privileges::give_up(if is_of_portals { PAGE_USER } else { ROUTER_PAGE_USER })?;
    // A process that a stranger has taken over would ignore the end of the channel. The change of the user
    // would have cleared this (prctl(2)).
    set_pdeathsig(Signal::SIGKILL).context(|| "cannot follow the parent of this process".to_owned())?;
    // Without a filter, the process is one without privileges, as any other.
    let errno = seccomp::keep_to_open_sockets().map_or_else(|errno| errno as i32, |()| 0);
    server.announce(errno)?;
    while server.turn()? {}
    Ok(())
}

/// Pages and their browsers.
struct Server {
    /// Pages, each with its listener.
    doors: Vec<(Door, TcpListener)>,
    /// Connections, the oldest first.
    connections: Vec<Connection>,
    rates: Rates,
    desk: Desk,
}

impl Server {
    fn open(settings: Settings, agent: AskingEnd) -> Result<Self> {
        let mut doors = Vec::new();
        for door in settings.doors {
            let listener = listener(&door)?;
            doors.push((door, listener));
        }
        let now = Instant::now();
        let desk = Desk::new(agent, now);
        Ok(Self { doors, connections: Vec::new(), rates: Rates::new(now), desk })
    }

    /// Tells that browsers find the pages from now on, and why there is no filter of system calls.
    fn announce(&mut self, errno: i32) -> Result<()> {
        let context = || "nobody answers for the pages".to_owned();
        self.desk.agent.tell(&PageRequest::Opened { errno }).context(context)
    }

    /// Waits for browsers, and serves those that have come. Reports whether there is still somebody to ask
    /// for answers.
    fn turn(&mut self) -> Result<bool> {
        let (mut polled, mut deadline) = (Vec::new(), None);
        for (_, listener) in &self.doors {
            polled.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
        }
        for connection in &self.connections {
            polled.push(PollFd::new(connection.as_fd(), connection.events()));
            deadline = earlier(deadline, Some(connection.until));
        }
        polled.push(PollFd::new(self.desk.agent.as_fd(), PollFlags::POLLIN));
        match poll_until(&mut polled, deadline) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context(|| "cannot wait for browsers".to_owned()),
        }
        let mut ready: Vec<bool> = polled.iter().map(|one| one.any().unwrap_or(false)).collect();
        let agent_speaks = ready.pop() == Some(true);
        let (callers, speakers) = ready.split_at(self.doors.len());
        let now = Instant::now();
        let connections = std::mem::take(&mut self.connections);
        for (mut connection, is_ready) in connections.into_iter().zip(speakers) {
            // First the bytes: an answer to another browser may have taken the time of this one.
            let has_ended = *is_ready && self.serve(&mut connection) == Outcome::HasEnded;
            if !has_ended && !is_due(Some(connection.until), now) {
                self.connections.push(connection);
            }
        }
        for (door, _) in callers.iter().enumerate().filter(|(_, has_caller)| **has_caller) {
            self.accept(door);
        }
        Ok(!agent_speaks || self.desk.agent.is_open())
    }

    /// Gives a connection its turn, and answers its request once it is complete.
    fn serve(&mut self, connection: &mut Connection) -> Outcome {
        let now = Instant::now();
        let outcome = connection.turn(now);
        if outcome != Outcome::HasNews {
            return outcome;
        }
        let is_for_head = request::is_for_head(connection.received());
        let mut answer = match request::parse(connection.received()) {
            Received::Part => return Outcome::GoesOn,
            _ if !self.rates.allow(connection.browser, now) => answer::refuse(429),
            Received::Refused(status) => answer::refuse(status),
            Received::Whole(request) => {
                let (door, _) = &self.doors[connection.door];
                self.desk.serve(door, connection.browser, &request, now)
            }
        };
        if is_for_head {
            answer::head_of(&mut answer);
        }
        // The agent may have taken its time.
        connection.answer(answer, Instant::now());
        Outcome::GoesOn
    }

    /// Takes in a browser, if it may see the page and has not too many connections.
    fn accept(&mut self, door: usize) {
        let (page, listener) = &self.doors[door];
        // A browser that has gone again is no fault. If there is no room, others make some in a moment.
        let Ok((stream, SocketAddr::V4(from))) = listener.accept() else { return };
        let browser = *from.ip();
        let own = self.connections.iter().filter(|other| other.browser == browser).count();
        if !page.lets_in(browser) || own >= MOST_OF_ONE {
            return;
        }
        if self.connections.len() >= MOST_OF_ALL {
            self.connections.remove(0);
        }
        self.connections.extend(Connection::new(stream, door, browser, Instant::now()));
    }
}

/// Listens for the browsers of a page. The address need not exist yet: a portal's interface may come later,
/// or come again.
fn listener(door: &Door) -> Result<TcpListener> {
    let port = match door {
        Door::Portal { .. } => PAGE_PORT,
        Door::Local { port, .. } => *port,
    };
    let address = door.address().ok_or_else(|| Error::failed("a page needs an IPv4 address"))?;
    let context = || format!("cannot listen at {address}, TCP port {port}");
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let listener = socket(AddressFamily::Inet, SockType::Stream, flags, None).context(context)?;
    setsockopt(&listener, ReuseAddr, &true).context(context)?;
    setsockopt(&listener, IpFreebind, &true).context(context)?;
    let [a, b, c, d] = address.octets();
    bind(listener.as_raw_fd(), &SockaddrIn::new(a, b, c, d, port)).context(context)?;
    listen(&listener, Backlog::new(BACKLOG).context(context)?).context(context)?;
    Ok(listener.into())
}
