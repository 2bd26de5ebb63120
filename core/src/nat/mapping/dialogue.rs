//! Dialogue with a router about the mapping of one port: questions in one protocol after the other, until one
//! grants it.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::http::Url;
use super::pcp::{self, Request};
use super::upnp::{self, Call, Service};
use super::{LIFETIME, Mapping, Nonce, Protocol, Refusal, nat_pmp};

/// Number of ports outside of the router that are tried where other devices have the port.
const MOST_PORTS: u8 = 4;

/// First port outside of the router that is tried after the port itself: the ports from here on are private
/// (RFC 6335 § 6).
const FIRST_OTHER_PORT: u16 = 49152;

/// Port to map, and the two hosts that take part.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Address of the router on its inside.
    pub router: Ipv4Addr,
    /// Address of this host.
    pub client: Ipv4Addr,
    /// UDP port of this host.
    pub port: u16,
    /// Nonce of the port's mapping.
    pub nonce: Nonce,
}

/// Question to a router.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Datagram to [`super::PORT`].
    Request(Vec<u8>),
    /// Datagram to [`super::SEARCH_PORT`] of the router and of [`super::SEARCH_GROUP`].
    Search(Vec<u8>),
    /// Request over TCP to this port; the answer ends with the connection.
    Page(u16, Vec<u8>),
}

/// Result of an answer, or of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The message answers no question of this dialogue.
    Foreign,
    /// The dialogue has another question.
    Asks,
    /// The router has granted the mapping.
    Granted(Mapping),
    /// The dialogue has ended: the mapping was refused or given back, or there was no answer.
    Over,
}

/// Dialogue about the mapping of one port.
#[derive(Debug)]
pub struct Dialogue {
    subject: Subject,
    /// Wanted address and port outside of the router.
    wanted: SocketAddrV4,
    /// Lifetime to ask for in seconds; 0 gives the mapping back.
    lifetime: u32,
    step: Step,
    /// Services of the router that are not tried yet, and the one in use last.
    services: Vec<Service>,
    /// Ports that other devices have.
    conflicts: u8,
    /// Set if the router has only mappings that never end.
    is_permanent: bool,
    refusal: Option<Refusal>,
}

#[derive(Debug)]
enum Step {
    Pcp,
    NatPmpAddress,
    NatPmp(Ipv4Addr),
    Search,
    Description(Url),
    UpnpAddress,
    Upnp(Ipv4Addr),
}

impl Dialogue {
    /// Begins to ask for a mapping in this protocol, and goes on with the protocols after it.
    pub fn ask(subject: Subject, wanted: SocketAddrV4, first: Protocol) -> Self {
        let step = match first {
            Protocol::Pcp => Step::Pcp,
            Protocol::NatPmp => Step::NatPmpAddress,
            Protocol::Upnp => Step::Search,
        };
        Self {
            subject,
            wanted,
            lifetime: LIFETIME,
            step,
            services: Vec::new(),
            conflicts: 0,
            is_permanent: false,
            refusal: None,
        }
    }

    /// Begins to give back a mapping.
    pub fn give_back(subject: Subject, mapping: Mapping) -> Self {
        let mut dialogue = Self::ask(subject, mapping.external, mapping.protocol);
        dialogue.lifetime = 0;
        if mapping.protocol == Protocol::NatPmp {
            dialogue.step = Step::NatPmp(*mapping.external.ip());
        }
        dialogue
    }

    /// Returns the port of this host.
    pub fn port(&self) -> u16 {
        self.subject.port
    }

    /// Reports whether the dialogue gives a mapping back.
    pub fn gives_back(&self) -> bool {
        self.lifetime == 0
    }

    /// Returns the refusal that says most, if the router has refused in some protocol.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// Returns the question to ask now.
    pub fn question(&self) -> Question {
        let Subject { router, client, port, .. } = self.subject;
        let external = self.wanted.port();
        let call = match &self.step {
            Step::Pcp => return Question::Request(self.pcp().encode()),
            Step::NatPmpAddress => return Question::Request(nat_pmp::ADDRESS_QUESTION.to_vec()),
            Step::NatPmp(_) => {
                // RFC 6886 § 3.4: zero when a mapping is deleted.
                let suggested = if self.gives_back() { 0 } else { external };
                return Question::Request(nat_pmp::request(port, suggested, self.lifetime));
            }
            Step::Search => return Question::Search(upnp::SEARCH.into()),
            Step::Description(url) => return Question::Page(url.port, url.request(router, &[], "")),
            Step::UpnpAddress => Call::Address,
            Step::Upnp(_) if self.gives_back() => Call::Delete { external },
            Step::Upnp(_) => {
                // 0 is no end.
                let lifetime = if self.is_permanent { 0 } else { self.lifetime };
                Call::Add { external, internal: port, client, lifetime }
            }
        };
        let service = self.services.last().expect("a service was found before it is called");
        Question::Page(service.control.port, service.request(router, call))
    }

    /// Takes an answer to the question. The answer to a request over TCP is never foreign.
    pub fn answer(&mut self, bytes: &[u8]) -> Progress {
        match &self.step {
            Step::Pcp => match self.pcp().answer(bytes) {
                None => Progress::Foreign,
                Some(Ok((external, lifetime))) => self.granted(external, lifetime),
                Some(Err(code)) => self.refused(code),
            },
            Step::NatPmpAddress => match nat_pmp::address(bytes) {
                None => Progress::Foreign,
                Some(Ok(address)) => self.go_on(Step::NatPmp(address)),
                Some(Err(code)) => self.refused(code),
            },
            Step::NatPmp(address) => match nat_pmp::mapping(bytes, self.subject.port) {
                None => Progress::Foreign,
                Some(Ok((port, lifetime))) => self.granted(SocketAddrV4::new(*address, port), lifetime),
                Some(Err(code)) => self.refused(code),
            },
            Step::Search => match upnp::location(bytes, self.subject.router) {
                None => Progress::Foreign,
                Some(url) => self.go_on(Step::Description(url)),
            },
            Step::Description(url) => {
                self.services = upnp::services(bytes, url, self.subject.router);
                self.next_service()
            }
            Step::UpnpAddress => match upnp::result(bytes).map(|text| upnp::address(&text)) {
                Ok(address) if !address.is_unspecified() => self.go_on(Step::Upnp(address)),
                result => {
                    self.note(result.err().unwrap_or(0));
                    self.services.pop();
                    self.next_service()
                }
            },
            Step::Upnp(address) => {
                let address = *address;
                self.called(address, upnp::result(bytes).err())
            }
        }
    }

    /// Takes it that nothing answers the question any more.
    pub fn silence(&mut self) -> Progress {
        let next = match self.step {
            Step::Pcp => Step::NatPmpAddress,
            Step::NatPmpAddress | Step::NatPmp(_) => Step::Search,
            _ => return Progress::Over,
        };
        if self.gives_back() { Progress::Over } else { self.go_on(next) }
    }

    fn go_on(&mut self, step: Step) -> Progress {
        self.step = step;
        Progress::Asks
    }

    fn pcp(&self) -> Request {
        let Subject { client, port, nonce, .. } = self.subject;
        let zeros = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        // RFC 6887 § 15: zeros when a mapping is deleted.
        let suggested = if self.gives_back() { zeros } else { self.wanted };
        Request { client, nonce, port, suggested, lifetime: self.lifetime }
    }

    fn protocol(&self) -> Protocol {
        match self.step {
            Step::Pcp => Protocol::Pcp,
            Step::NatPmpAddress | Step::NatPmp(_) => Protocol::NatPmp,
            _ => Protocol::Upnp,
        }
    }

    /// Takes a refusal, and goes on with the next protocol.
    fn refused(&mut self, code: u16) -> Progress {
        // Of another version: the router does not speak the protocol.
        if code != pcp::OTHER_VERSION {
            self.note(code);
        }
        self.silence()
    }

    /// Keeps the first refusal, unless this one says more: miniupnpd behind a second NAT has "no resources"
    /// in PCP.
    fn note(&mut self, code: u16) {
        let refusal = Refusal { protocol: self.protocol(), code };
        if self.refusal.is_none_or(|first| refusal.is_about_address() && !first.is_about_address()) {
            self.refusal = Some(refusal);
        }
    }

    /// Takes a mapping, unless it leads nowhere.
    fn granted(&mut self, external: SocketAddrV4, lifetime: u32) -> Progress {
        if self.gives_back() {
            Progress::Over
        } else if external.ip().is_unspecified() {
            self.refused(0)
        } else if external.port() == 0 || lifetime == 0 {
            self.refused(Refusal::NOTHING)
        } else {
            Progress::Granted(Mapping { protocol: self.protocol(), external, lifetime })
        }
    }

    /// Takes the services in turn: a router may list one for each kind of uplink, of which it has one.
    fn next_service(&mut self) -> Progress {
        match self.services.last() {
            None => Progress::Over,
            Some(_) if self.gives_back() => self.go_on(Step::Upnp(*self.wanted.ip())),
            Some(_) => self.go_on(Step::UpnpAddress),
        }
    }

    /// Takes the result of a call that adds or deletes a mapping.
    fn called(&mut self, address: Ipv4Addr, error: Option<u16>) -> Progress {
        match error {
            None => self.granted(SocketAddrV4::new(address, self.wanted.port()), LIFETIME),
            Some(_) if self.gives_back() => {
                // Another service may have the mapping.
                self.services.pop();
                self.next_service()
            }
            Some(upnp::ONLY_PERMANENT) if !self.is_permanent => {
                self.is_permanent = true;
                Progress::Asks
            }
            Some(upnp::CONFLICT) if self.conflicts < MOST_PORTS - 1 => {
                self.wanted.set_port(self.other_port());
                self.conflicts += 1;
                Progress::Asks
            }
            Some(code) => {
                self.note(code);
                Progress::Over
            }
        }
    }

    /// Returns a port that other sites behind the router hardly try: it follows from the nonce.
    fn other_port(&self) -> u16 {
        let place = usize::from(self.conflicts) * 2;
        let number = u16::from_be_bytes([self.subject.nonce[place], self.subject.nonce[place + 1]]);
        FIRST_OTHER_PORT + number % (u16::MAX - FIRST_OTHER_PORT)
    }
}
