//! Pages of portals: the requests of the process that shows them, and the answers. That process has no
//! privileges; each request is checked here.

use std::mem;
use std::time::{Duration, Instant};

use super::{Agent, log_errors};
use crate::base::error::{Error, Errors, Result};
use crate::base::moment::{after, is_due};
use crate::config::model::Name;
use crate::control::{Answer, PageRequest, PageStatus};
use crate::engine::status::PortalState;
use crate::site::Site;
use crate::web;

/// Time between two choices of an exit by the pages of a portal. Each choice changes routes and firewall.
const PAUSE: Duration = Duration::from_secs(3);

/// Pages of this site's portals.
#[derive(Debug, Default)]
pub(super) struct Pages {
    portals: Vec<ShownPortal>,
    /// Set once a process has shown pages.
    have_opened: bool,
}

/// Portal with a page.
#[derive(Debug)]
struct ShownPortal {
    name: Name,
    status: PageStatus,
    /// End of the pause after a choice.
    paused_until: Option<Instant>,
}

impl Pages {
    /// Takes over the portals with pages, and the exits that they use.
    pub(super) fn follow(&mut self, site: &Site) {
        let old = mem::take(&mut self.portals);
        for portal in site.portals.iter().filter(|portal| portal.page) {
            let known = old.iter().find(|known| known.name == portal.name);
            let state = PortalState::of(&portal.exit, &portal.exits).as_str();
            self.portals.push(ShownPortal {
                name: portal.name.clone(),
                status: PageStatus::of(portal, &portal.exit.to_string(), state),
                paused_until: known.and_then(|known| known.paused_until),
            });
        }
    }

    /// Returns the portal of this name, if it has a page.
    fn shown(&mut self, name: &str) -> Result<&mut ShownPortal, Errors> {
        let shown = self.portals.iter_mut().find(|portal| portal.name == name);
        shown.ok_or_else(|| Error::wrong("this portal has no page").into())
    }
}

impl ShownPortal {
    /// Begins the pause after a choice of an exit of the list, unless the last one goes on.
    fn begin_choice(&mut self, exit: Option<&Name>, now: Instant) -> Result<()> {
        if exit.is_some_and(|exit| self.status.exits.iter().all(|(known, _)| known != exit)) {
            return Err(Error::wrong("this portal has no such exit"));
        }
        if self.paused_until.is_some() && !is_due(self.paused_until, now) {
            return Err(Error::failed("the exit of this portal has just changed: try again in 3 seconds"));
        }
        self.paused_until = Some(after(now, PAUSE));
        Ok(())
    }
}

impl Agent {
    /// Answers a request for a page. Refusals are not logged: a device may cause any number of them.
    pub(super) fn answer_page(&mut self, request: PageRequest) {
        let answer = match request {
            PageRequest::Opened { errno } => {
                if !mem::replace(&mut self.pages.have_opened, true) {
                    web::warn_without_filter(errno);
                }
                Ok(Vec::new())
            }
            PageRequest::Portal(portal) => self.page_status(&portal),
            PageRequest::Choose { portal, exit } => self.choose_on_page(&portal, exit.as_ref()),
            PageRequest::Local(_) => Err(Error::wrong("only root sees the page of this router").into()),
        };
        if let Some(channel) = self.sources.services.channel() {
            // An honest process has one or two short answers open, for which there is always room.
            channel.tell(&answer, Duration::ZERO);
        }
    }

    fn page_status(&mut self, portal: &str) -> Answer {
        let (portals, exits) = self.sources.exits.tell(Instant::now());
        let status = &mut self.pages.shown(portal)?.status;
        status.learn(portal, &portals, &exits);
        Ok(status.to_fields())
    }

    fn choose_on_page(&mut self, portal: &str, exit: Option<&Name>) -> Answer {
        self.pages.shown(portal)?.begin_choice(exit, Instant::now())?;
        match self.choose_exit(portal, exit) {
            Ok(_) => Ok(Vec::new()),
            // Its words are for the person who runs the router.
            Err(errors) => {
                log_errors::<()>(&Err(errors));
                Err(Error::failed("the router could not move this portal: its log tells why").into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> ShownPortal {
        let status = PageStatus {
            exit: "paris".to_owned(),
            state: "open".to_owned(),
            since: 0,
            why: String::new(),
            obstacle: String::new(),
            is_part: false,
            exits: vec![("paris".to_owned(), String::new())],
        };
        ShownPortal { name: "guest".to_owned(), status, paused_until: None }
    }

    #[test]
    fn only_portals_with_a_page_are_shown() {
        let mut pages = Pages::default();
        pages.portals.push(guest());
        assert!(pages.shown("guest").is_ok());
        for other in ["tv", "", "guest "] {
            assert_eq!(pages.shown(other).unwrap_err().to_string(), "this portal has no page", "{other}");
        }
    }

    #[test]
    fn a_choice_is_followed_by_a_pause() {
        let (mut guest, now) = (guest(), Instant::now());
        let (paris, oslo) = ("paris".to_owned(), "oslo".to_owned());
        assert!(guest.begin_choice(Some(&oslo), now).is_err(), "it is no exit of the list");
        assert!(guest.begin_choice(Some(&paris), now).is_ok(), "a wrong exit begins no pause");
        assert!(guest.begin_choice(None, now).is_err() && guest.begin_choice(None, now + PAUSE / 2).is_err());
        assert!(guest.begin_choice(None, now + PAUSE).is_ok(), "a refused choice does not prolong the pause");
        assert!(guest.begin_choice(None, now + PAUSE).is_err());
    }
}
