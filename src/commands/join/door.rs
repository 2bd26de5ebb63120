//! The way from a new site to the site that has invited: packets to its door, or a text that a person
//! carries.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::base::error::{Context as _, Error, Result};
use crate::base::net::PublicKey;
use crate::cli::output::{self, complain, say};
use crate::cli::style::Style;
use crate::config::model::EndpointHost;
use crate::interop::qr::Picture;
use crate::join::WAIT_PORT;
use crate::join::packet::{self, JoinAnswer, JoinKeys, JoinRequest, Joined, LENGTH, MOST};
use crate::join::paste;
use crate::join::token::Door;
use crate::system::key_files;
use crate::system::resolver::resolve;

/// Time between two requests.
const PAUSE: Duration = Duration::from_secs(1);

/// Time without any answer after which a door counts as closed.
const SILENCE: Duration = Duration::from_mins(1);

/// Time between two notes that there is no answer yet.
const NOTE: Duration = Duration::from_secs(10);

/// Longest wait for a yes, or for the answer to a request that a person carries.
const WAIT: Duration = Duration::from_hours(24);

/// New site that asks.
pub(super) struct Visitor<'a> {
    pub(super) keys: &'a JoinKeys,
    pub(super) own: PublicKey,
    pub(super) request: JoinRequest,
}

impl Visitor<'_> {
    /// Asks at the door until an answer comes.
    pub(super) fn ask(&self, door: &Door) -> Result<Rc<Joined>> {
        let packet = self.seal(key_files::random())?;
        let (begun, mut heard, mut noted) = (Instant::now(), Instant::now(), Instant::now());
        let mut waits = false;
        complain!("asking {}, UDP port {}", door.host, door.port);
        loop {
            let round = Instant::now();
            match dial(door).and_then(|socket| self.ask_once(&socket, &packet)) {
                Ok(Some(JoinAnswer::Waits)) => {
                    heard = Instant::now();
                    if !waits {
                        waits = true;
                        complain!("waiting for a yes at the site that has invited, which sees this key:");
                        complain!("  {}", self.own);
                    }
                }
                Ok(Some(answer)) => return outcome(answer),
                Ok(None) if noted.elapsed() > NOTE && !waits => {
                    noted = Instant::now();
                    complain!("no answer yet");
                }
                Err(error) if noted.elapsed() > NOTE => {
                    noted = Instant::now();
                    complain!("{}: {error}", door.host);
                }
                Ok(None) | Err(_) => {}
            }
            if heard.elapsed() > SILENCE || begun.elapsed() > WAIT {
                return Err(silent(door));
            }
            sleep(PAUSE.saturating_sub(round.elapsed()));
        }
    }

    fn seal(&self, salt: [u8; 16]) -> Result<[u8; LENGTH]> {
        self.keys.seal_request(self.own, salt, &self.request).ok_or_else(too_long)
    }

    /// Sends a request, and waits a moment for its answer.
    fn ask_once(&self, socket: &UdpSocket, request: &[u8; LENGTH]) -> io::Result<Option<JoinAnswer>> {
        socket.send(request)?;
        Ok(self.hear(socket, request, PAUSE)?.map(|(answer, _)| answer))
    }

    /// Waits for the answer to a request, and returns it with its sender; `None` if the time is up.
    fn hear(
        &self,
        socket: &UdpSocket,
        request: &[u8; LENGTH],
        time: Duration,
    ) -> io::Result<Option<(JoinAnswer, SocketAddr)>> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            socket.set_read_timeout(Some(left))?;
            let mut buffer = [0; LENGTH + 1];
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    if let Some(answer) = self.open(&buffer[..length], request) {
                        return Ok(Some((answer, from)));
                    }
                }
                Err(error) if is_silence(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn open(&self, packet: &[u8], request: &[u8; LENGTH]) -> Option<JoinAnswer> {
        let packet: &[u8; LENGTH] = packet.try_into().ok()?;
        self.keys.open_answer(packet, packet::number(request))
    }

    /// Prints the request for a person to carry, and waits for the answer.
    pub(super) fn wait(mut self) -> Result<Rc<Joined>> {
        let socket = UdpSocket::bind((IpAddr::from(Ipv6Addr::UNSPECIFIED), WAIT_PORT))
            .or_else(|_| UdpSocket::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), WAIT_PORT)))
            .context(|| format!("cannot wait for the answer at UDP port {WAIT_PORT}"))?;
        self.request.addresses = own_addresses();
        let packet = self.seal(self.keys.steady_salt(&self.request).ok_or_else(too_long)?)?;
        let text = paste::to_text(&packet);
        say!("{}", text.as_str());
        output::flush();
        let code = Picture::of(&text)?.for_terminal(Style::for_stderr().is_coloured());
        output::print_error(format_args!("\n{code}\n"));
        complain!(
            "Next, bring this answer to the site that has invited:\n  portals accept {}\nWaiting at UDP port \
             {WAIT_PORT}, which must reach this machine.",
            text.as_str()
        );
        let answer = self.hear(&socket, &packet, WAIT).context(|| "cannot wait for the answer".to_owned())?;
        let Some((answer, from)) = answer else {
            return Err(Error::failed("nobody has accepted the answer for 24 hours: run this command again"));
        };
        // The site stops to send as soon as it has one of these.
        for _ in 0..3 {
            let _ = socket.send_to(&packet, from);
        }
        outcome(answer)
    }
}

/// Returns a socket whose packets go to the door. A name is looked up each time: its address may change.
fn dial(door: &Door) -> io::Result<UdpSocket> {
    let address = match &door.host {
        EndpointHost::Address(address) => *address,
        EndpointHost::Name(name) => {
            let found = resolve(&[name.as_str()].into(), PAUSE * 3);
            *found.get(name).ok_or_else(|| io::Error::other("this name has no address"))?
        }
    };
    socket_to(SocketAddr::new(address, door.port))
}

/// Returns the addresses from which this machine would send to the internet. Nothing is sent.
fn own_addresses() -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for far in [IpAddr::from([192, 0, 2, 1]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])] {
        if let Ok(own) = socket_to(SocketAddr::new(far, WAIT_PORT)).and_then(|socket| socket.local_addr()) {
            addresses.push(own.ip());
        }
    }
    addresses.truncate(MOST);
    addresses
}

/// Returns a socket whose packets go to this address.
fn socket_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let any =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    Ok(socket)
}

/// Reports whether an error means that no packet came: in time, or at all.
fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | Interrupted | TimedOut | WouldBlock)
}

/// Returns the content of the answer of a site that lets this one join.
fn outcome(answer: JoinAnswer) -> Result<Rc<Joined>> {
    let reason = match answer {
        JoinAnswer::Joined(joined) => return Ok(joined),
        JoinAnswer::Used => {
            "this token was used by another machine already: if that was not one of yours, remove its site; \
             get another token with `portals invite`"
                .to_owned()
        }
        JoinAnswer::Expired => {
            "this token is older than 24 hours: get another with `portals invite`".to_owned()
        }
        JoinAnswer::Revoked | JoinAnswer::Waits => {
            "this token was revoked: get another with `portals invite`".to_owned()
        }
        JoinAnswer::Refused(reason) => format!("the site that has invited refuses this one: {reason}"),
    };
    Err(Error::failed(reason))
}

fn silent(door: &Door) -> Error {
    Error::failed(format_args!(
        "{} does not answer at UDP port {}: does its agent run, and does this port reach it? A wrong token \
         gets no answer either, and neither does a token that is two days old",
        door.host, door.port
    ))
}

fn too_long() -> Error {
    Error::wrong("these options are too long for a request: give a shorter --endpoint, or fewer --lan")
}
