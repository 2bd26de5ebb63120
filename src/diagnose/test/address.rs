//! Public address at the exit, as the helper of a third site sees it: the first question to a helper brings
//! nothing but that, and changes nothing there.

use std::net::IpAddr;

use super::{Subject, Words, add, not_checked};
use crate::diagnose::finding::{Finding, Verdict};
use crate::nat::packet::{Ask, Header, Message};
use crate::nat::seal::PairKey;
use crate::nat::search::HelperView;
use crate::site::SearchedLink;
use crate::state::words::append;
use crate::system::key_files;
use crate::system::resolver::exchange;

/// Name of the check.
const ADDRESS: &str = "address";

/// Tests the address at which the portal's packets come out.
pub(super) fn test(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(source) = subject.source() else {
        return not_checked(findings, ADDRESS, "The portal has no resolver here, whose packets go its way.");
    };
    let exit = subject.portal.exit.to_string();
    let place = subject.site.chain(&subject.portal.exit).and_then(|chain| chain.hops.last()).unwrap_or(&exit);
    let (mut asked, mut names) = (Vec::new(), String::new());
    for (link, helper) in helpers(subject) {
        let name = link.helper_names.get(&helper.id).map_or("?", String::as_str);
        // The exit would see an address inside the tunnel.
        if name == place || asked.contains(&helper.id) {
            continue;
        }
        asked.push(helper.id);
        append(&mut names, &name);
        let Some(seen) = ask(subject, link, helper, Some(source)) else { continue };
        let (verdict, words): (Verdict, &Words) = if ask(subject, link, helper, None) == Some(seen) {
            let why = "That is the public address of this site itself, unless both share a home.";
            (Verdict::Wrong, &[ADDRESS, why, ""])
        } else {
            (Verdict::Ok, &[ADDRESS, "", ""])
        };
        return add(findings, verdict, words, [name, " sees ", &seen.to_string(), "."].concat());
    }
    if asked.is_empty() {
        return not_checked(
            findings,
            ADDRESS,
            "Only a third site with an `endpoint` can tell the public address.",
        );
    }
    let seen = ["No answer came through ", &exit, " from the helper of ", &names, "."].concat();
    let why = "The exit may reach no internet, or block UDP.";
    add(findings, Verdict::Wrong, &[ADDRESS, why, "Test from a computer at the exit."], seen);
}

/// Returns the helpers of all links of this site, some of them several times.
fn helpers<'a>(subject: &Subject<'a>) -> Vec<(&'a SearchedLink, &'a HelperView)> {
    let mut all = Vec::new();
    for link in &subject.site.nat.links {
        for helper in &link.view.helpers {
            all.push((link, helper));
        }
    }
    all
}

/// Asks a helper under which address it sees this source; without a source, this site itself.
fn ask(
    subject: &Subject,
    link: &SearchedLink,
    helper: &HelperView,
    source: Option<IpAddr>,
) -> Option<IpAddr> {
    let key = subject.site.nat.helper_keys.get(&helper.id)?;
    let key = PairKey::derive(&subject.files.private_key, *key)?;
    let view = &link.view;
    let question = Message::Ask(Ask {
        peer: view.peer,
        has_opened: false,
        relay_here: false,
        port: view.port,
        peer_port: view.peer_port,
        cookie: [0; 8],
        addresses: Vec::new(),
    });
    let salt = *key_files::generate().bytes()[8..].first_chunk()?;
    let question = key.seal(view.own, helper.id, salt, &question);
    let mut seen = None;
    for place in [Some(helper.port), helper.extra_port, Some(helper.port)].into_iter().flatten() {
        exchange(source, place, &question, &mut |packet| {
            let answer = Header::decode(packet).and_then(|header| key.open(&header, packet));
            if let Some(Message::Answer(answer)) = answer
                && answer.question == salt[..8]
            {
                seen = Some(answer.seen.ip());
            }
            seen.is_some()
        });
        if seen.is_some() {
            break;
        }
    }
    seen
}
