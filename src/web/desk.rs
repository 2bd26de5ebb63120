//! The decision about each request: which page it may see, and the answer.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::request::Request;
use super::settings::Door;
use super::trust::{Tokens, are_same, is_foreign, names_us};
use super::{answer, page};
use crate::base::error::Errors;
use crate::control::{Answer, AskingEnd, PageRequest, PageStatus};

/// Longest wait for an answer of the agent. Other browsers wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest wait for a part of the page of this router: its findings need a look at the whole machine.
const PATIENCE_FOR_PART: Duration = Duration::from_mins(1);

/// Desk at which all requests end.
pub(super) struct Desk {
    /// Channel to the process that knows the answers.
    pub(super) agent: AskingEnd,
    tokens: Tokens,
}

impl Desk {
    /// Begins with the channel to the process that knows the answers.
    pub(super) fn new(agent: AskingEnd, now: Instant) -> Self {
        Self { agent, tokens: Tokens::new(now) }
    }

    /// Answers the request of a browser at a page.
    pub(super) fn serve(
        &mut self,
        door: &Door,
        browser: Ipv4Addr,
        request: &Request,
        now: Instant,
    ) -> Vec<u8> {
        if !door.address().is_some_and(|own| names_us(request.host, own)) {
            return answer::refuse(421);
        }
        if request.is_form && is_foreign(request) {
            return answer::refuse(403);
        }
        match door {
            Door::Portal { name, .. } => self.of_portal(name, browser, request, now),
            Door::Local { key, .. } => self.of_router(key, request),
        }
    }

    fn of_portal(&mut self, name: &str, browser: Ipv4Addr, request: &Request, now: Instant) -> Vec<u8> {
        match (request.is_form, request.path) {
            (false, "/") => match self.status(name) {
                Ok(status) => {
                    let token = self.tokens.token(name, browser, now);
                    answer::page(200, &page::portal(name, browser, &token, &status))
                }
                Err(errors) => refused(503, &errors, "/"),
            },
            (false, "/style.css") => answer::style(),
            (true, "/exit") => {
                let token = request.field("token").unwrap_or_default();
                if self.tokens.is_right(&token, name, browser, now) {
                    self.choose(name.to_owned(), request, "/")
                } else {
                    let words = "This form is too old: go back, and try again.";
                    answer::page(403, &page::refusal(words, "/"))
                }
            }
            _ => answer::refuse(404),
        }
    }

    /// Answers a request for the page of this router. Its path begins with a key that nobody else knows, so
    /// that its forms need no token.
    fn of_router(&mut self, key: &str, request: &Request) -> Vec<u8> {
        let Some((given, part)) = request.path[1..].split_once('/') else { return answer::refuse(404) };
        if !are_same(given, key) {
            return answer::refuse(404);
        }
        let folder = ["/", key, "/"].concat();
        match (request.is_form, part) {
            (false, "style.css") => answer::style(),
            (true, "exit") => self.choose(request.field("portal").unwrap_or_default(), request, &folder),
            (true, _) => answer::refuse(404),
            (false, part) => match self.ask(&PageRequest::Local(part.to_owned())).as_deref() {
                Ok([media_type, text]) => answer::part(media_type, text),
                Ok(_) => answer::refuse(404),
                Err(errors) => refused(503, errors, &folder),
            },
        }
    }

    /// Moves a portal to the exit of a form, and sends the browser to a path.
    fn choose(&mut self, portal: String, request: &Request, next: &str) -> Vec<u8> {
        let Some(exit) = request.field("exit") else { return answer::refuse(400) };
        let exit = (exit != page::AUTO).then_some(exit);
        match self.ask(&PageRequest::Choose { portal, exit }) {
            Ok(_) => answer::go_to(next),
            Err(errors) => refused(409, &errors, next),
        }
    }

    fn status(&mut self, portal: &str) -> Result<PageStatus, Errors> {
        Ok(PageStatus::from_fields(self.ask(&PageRequest::Portal(portal.to_owned()))?)?)
    }

    fn ask(&mut self, request: &PageRequest) -> Answer {
        let is_part = matches!(request, PageRequest::Local(_));
        let patience = if is_part { PATIENCE_FOR_PART } else { PATIENCE };
        self.agent.ask(request, patience)
    }
}

/// Returns an answer with errors in place of a page, and a way back.
fn refused(status: u16, errors: &Errors, back: &str) -> Vec<u8> {
    answer::page(status, &page::refusal(&page::words_of(errors), back))
}
