//! `portals invite`, `portals invites` and `portals accept`: the side of the site that invites. The agent
//! does the work.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{ExitStatus, has_agent, shell_word, this_program};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::cli::input;
use crate::cli::output::{self, complain, say};
use crate::cli::style::Style;
use crate::cli::{AcceptCommand, InviteCommand, InvitesCommand};
use crate::config::{self, model::Name};
use crate::control::{ControlRequest, InvitationStatus, Stage, ask};
use crate::engine::load::Files;
use crate::interop::qr::Picture;
use crate::join::invitations::Terms;
use crate::site;

/// Word in place of a list of exits: there are none.
const NONE: &str = "none";

/// Longest text that a person pastes.
const LONGEST_PASTE: usize = 4096;

/// Time between two looks at an invitation.
const LOOK: Duration = Duration::from_secs(1);

/// Makes an invitation, and prints its token.
pub(super) fn run(file: &Path, options: &InviteCommand) -> Result<ExitStatus, Errors> {
    let name = site_name(&options.name)?;
    let mut exits = Vec::new();
    match options.exits.as_deref() {
        Some(NONE) => {}
        Some(list) => {
            for exit in list.split(',') {
                exits.push(site_name(exit)?);
            }
        }
        None => {
            let files = Files::read(file)?;
            exits.push(site::own_name(&files.network, files.public_key)?.clone());
        }
    }
    let terms = Terms {
        name: name.clone(),
        exits,
        lan: options.lan.clone(),
        portal: options.portal.clone(),
        inviter_uses: options.use_it,
        confirm: options.confirm,
    };
    let fields = ask_agent(&ControlRequest::Invite(terms))?;
    let [token, own, door] = fields.as_slice() else { return Err(other_version().into()) };
    output::keep_private();
    say!("{token}");
    output::flush();
    if !options.no_qr {
        let code = Picture::of(token)?.for_terminal(Style::for_stderr().is_coloured());
        output::print_error(format_args!("\n{code}\n"));
    }
    advise(&name, token, own, door);
    if options.confirm {
        return decide(&name);
    }
    Ok(ExitStatus::Done)
}

/// Prints the next steps.
fn advise(name: &str, token: &str, own: &str, door: &str) {
    let program = this_program().unwrap_or_else(|_| "portals".into());
    complain!(
        "This token lets one machine join as site {name}, within 24 hours. Next, copy the program for its \
         processor to it, and paste the token; NEW is its address:\n  scp {} root@NEW:portals",
        shell_word(&program)
    );
    match door.split_once(' ') {
        Some((host, port)) => {
            complain!(
                "  ssh -t root@NEW ./portals join {token}\nThe new site dials {host}, UDP port {port}."
            );
        }
        None => complain!(
            "  ssh -t root@NEW ./portals join {token} --endpoint NEW\nNo site can dial {own}, so {own} dials \
             the new site, whose UDP ports must be open. `portals join` prints an answer; bring the answer \
             here:\n  portals accept ANSWER"
        ),
    }
}

/// Waits until a site asks, and lets a person decide.
fn decide(name: &str) -> Result<ExitStatus, Errors> {
    complain!("Waiting for the site to ask; after Ctrl-C, `portals invites` goes on.");
    loop {
        let invitations = InvitationStatus::from_fields(&ask_agent(&ControlRequest::Invitations)?)?;
        let Some(invitation) = invitations.iter().rev().find(|known| known.name == name) else {
            return Err(Error::failed(format_args!("the token for {name} is gone")).into());
        };
        match invitation.stage {
            Stage::Open => sleep(LOOK),
            Stage::Waits => {
                complain!("A site wants to join as {name}: {}", invitation.details);
                complain!("Does the new machine show this key, and may it join? [y/N]");
                return answer(name);
            }
            Stage::Used => {
                complain!("{name} has joined: {}", invitation.details);
                return Ok(ExitStatus::Done);
            }
            Stage::Revoked | Stage::Expired => {
                let stage = invitation.stage.as_str();
                return Err(Error::failed(format_args!("the token for {name} is {stage}")).into());
            }
        }
    }
}

fn answer(name: &str) -> Result<ExitStatus, Errors> {
    let mut line = [0; 64];
    let length = input::read_line(&mut line).context(|| "cannot read the answer".to_owned())?;
    if is_yes(&line[..length]) {
        return allow(name);
    }
    ask_agent(&ControlRequest::Revoke(name.to_owned()))?;
    complain!("no: the token for {name} is useless now");
    Ok(ExitStatus::Failed)
}

/// Reports whether a person has said yes. Anything else is a no.
fn is_yes(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.eq_ignore_ascii_case(b"y") || line.eq_ignore_ascii_case(b"yes")
}

fn allow(name: &str) -> Result<ExitStatus, Errors> {
    let joined = ask_agent(&ControlRequest::Allow(name.to_owned()))?;
    complain!("site {} has joined", joined.concat());
    Ok(ExitStatus::Done)
}

/// Lists the tokens, or changes one.
pub(super) fn invites(options: &InvitesCommand) -> Result<ExitStatus, Errors> {
    if let Some(name) = &options.allow {
        return allow(name);
    }
    if let Some(name) = &options.revoke {
        ask_agent(&ControlRequest::Revoke(name.clone()))?;
        say!("revoked: the token for {name} is useless now");
        return Ok(ExitStatus::Done);
    }
    let invitations = InvitationStatus::from_fields(&ask_agent(&ControlRequest::Invitations)?)?;
    if invitations.is_empty() {
        say!("no tokens: `portals invite NAME` makes one");
    }
    for InvitationStatus { name, stage, left, details } in invitations {
        let left = match stage {
            Stage::Open | Stage::Waits => format!("{} h {} min left", left / 3600, left / 60 % 60),
            _ => String::new(),
        };
        say!("{name:12}  {:15}  {left:14}  {details}", stage.as_str());
    }
    Ok(ExitStatus::Done)
}

/// Lets the site join that has printed an answer.
pub(super) fn accept(options: &AcceptCommand) -> Result<ExitStatus, Errors> {
    let answer = pasted(&options.answer)?;
    let joined = ask_agent(&ControlRequest::Accept(answer.trim().to_owned()))?.concat();
    say!("site {joined} has joined; the agent tells it so at its addresses until it has heard, for 24 hours");
    Ok(ExitStatus::Done)
}

/// Returns the text that a person pastes as an argument, or through standard input.
pub(super) fn pasted(argument: &str) -> Result<Zeroizing<String>> {
    if argument != "-" {
        return Ok(Zeroizing::new(argument.to_owned()));
    }
    let mut text = Zeroizing::new([0; LONGEST_PASTE]);
    let length = input::read_all(&mut *text).context(|| "cannot read standard input".to_owned())?;
    Ok(Zeroizing::new(String::from_utf8_lossy(&text[..length]).into_owned()))
}

/// Returns a text that can be the name of a site.
pub(super) fn site_name(text: &str) -> Result<Name> {
    config::check_name("site", text).map(|()| text.to_owned())
}

fn ask_agent(request: &ControlRequest) -> Result<Vec<String>, Errors> {
    if !has_agent()? {
        return Err(Error::failed(
            "no agent is at work on this machine, and only the agent lets sites join: start it with `portals \
             install` or `portals run`",
        )
        .into());
    }
    ask(request)
}

fn other_version() -> Error {
    Error::failed("the agent has another version: end it, and start it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Y\n", "yes\r\n", " Yes ", "YES"] {
            assert!(is_yes(yes.as_bytes()), "{yes}");
        }
        for no in ["", "\n", "n\n", "yesterday\n", "ye\n", "y y\n"] {
            assert!(!is_yes(no.as_bytes()), "{no}");
        }
    }
}
