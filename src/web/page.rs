//! Page of a portal: where this device comes out, and a form that chooses another exit. The page of this
//! router shows its portals with the same parts.

use std::net::Ipv4Addr;

use super::html::Html;
use crate::base::duration::duration;
use crate::base::error::Errors;
use crate::base::text::push_all;
use crate::control::{BY_HAND, PageStatus};

/// Value of the form in place of an exit: the agent chooses.
pub(super) const AUTO: &str = "auto";

/// Exit at the uplink of this router, and the state of a portal that uses it.
const DIRECT: &str = "direct";

/// Exit of a portal that is blocked.
const NOWHERE: &str = "nowhere";

/// Page of a portal in the browser at an address. `token` belongs in its form.
pub(super) fn portal(name: &str, browser: Ipv4Addr, token: &str, status: &PageStatus) -> String {
    let mut page = Html::new(&[name, " → ", &status.exit].concat(), "/");
    let (place, state) = (place(&status.exit), words_of_state(&status.state));
    let at = if status.exit == NOWHERE { "" } else { "at " };
    let what = if status.is_part { "Part of this device's traffic" } else { "This device" };
    page.put("<h1>~ comes out ~<span class=\"~\">~</span></h1>", &[what, at, &status.state, place]);
    page.put(
        "<div class=\"card\"><p>Portal ~, <span class=\"~\">~</span></p>",
        &[name, &status.state, state],
    );
    situation(&mut page, status);
    page.put("<p class=\"soft\">Address of this device: ~</p></div>", &[&browser.to_string()]);
    form(&mut page, "/", ("token", token), status);
    page.put("<p><a href=\"/\">Look again</a></p>", &[]);
    page.finish()
}

/// Adds the obstacle and the reason of a portal's state.
pub fn situation(page: &mut Html, status: &PageStatus) {
    page.put("<p class=\"down\">~</p>", &[&status.obstacle]);
    if !status.why.is_empty() {
        page.put("<p>~ ago: ~</p>", &[&duration(status.since), &status.why]);
    }
}

/// Adds the form that chooses an exit, if there are several. It goes to `exit` in a folder, with another
/// field and its value.
pub fn form(page: &mut Html, folder: &str, (field, value): (&str, &str), status: &PageStatus) {
    if status.exits.len() < 2 {
        return;
    }
    page.put(
        "<form method=\"post\" action=\"~exit\"><input type=\"hidden\" name=\"~\" value=\"~\"><fieldset>\
         <legend>Exits</legend>",
        &[folder, field, value],
    );
    let by_hand = status.why == BY_HAND;
    choice(page, AUTO, "the first that is up", "", !by_hand);
    for (exit, state) in &status.exits {
        choice(page, exit, place(exit), state, by_hand && *exit == status.exit);
    }
    page.put(
        "</fieldset><button>Use this exit</button><p class=\"soft\">An exit that you choose stays until the \
         router reads its network file again, for all devices of this portal. If it does not answer, nothing \
         passes.</p></form>",
        &[],
    );
}

fn choice(page: &mut Html, value: &str, words: &str, state: &str, is_chosen: bool) {
    page.put("<label><input type=\"radio\" name=\"exit\" value=\"~\"", &[value]);
    page.put(if is_chosen { " checked>" } else { ">" }, &[]);
    page.put("~<span class=\"~\">~</span></label>", &[words, state, state]);
}

/// Returns the words for the place of an exit.
fn place(exit: &str) -> &str {
    if exit == DIRECT { "this router's own uplink" } else { exit }
}

/// Page with the words of errors in place of another page, which is at the path `back`.
pub(super) fn refusal(words: &str, back: &str) -> String {
    let mut page = Html::new("portals", back);
    page.put(
        "<h1>That did not work</h1><p class=\"card\">~</p><p><a href=\"~\">Back</a></p>",
        &[words, back],
    );
    page.finish()
}

/// Returns the words of errors, for a page.
pub(super) fn words_of(errors: &Errors) -> String {
    let mut words = String::new();
    for error in errors {
        push_all(&mut words, &[&error.to_string(), " "]);
    }
    words
}

fn words_of_state(state: &str) -> &'static str {
    match state {
        "open" => "open",
        "failed-over" => "open, at a later exit of its list",
        DIRECT => "open, without a tunnel",
        _ => "blocked: nothing passes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TV: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 70);

    fn status() -> PageStatus {
        let exits = [("paris", "up"), ("oslo via paris", "down"), ("direct", "")];
        PageStatus {
            exit: "paris".to_owned(),
            state: "open".to_owned(),
            since: 90,
            why: "it is the first exit that is up".to_owned(),
            obstacle: String::new(),
            is_part: false,
            exits: exits.map(|(exit, state)| (exit.to_owned(), state.to_owned())).into(),
        }
    }

    fn checked(page: &str) -> Vec<&str> {
        let inputs = page.split("<input ").filter(|input| input.contains(" checked>"));
        inputs.map(|input| input.split("value=\"").nth(1).unwrap().split('"').next().unwrap()).collect()
    }

    #[test]
    fn the_page_shows_the_exit_in_use_and_all_others() {
        let page = portal("guest", TV, "0f", &status());
        for part in [
            "<title>guest → paris</title>",
            "comes out at <span class=\"open\">paris</span>",
            "90 s ago: it is the first exit that is up",
            "Address of this device: 10.77.1.70",
            "name=\"token\" value=\"0f\"",
            "value=\"oslo via paris\">oslo via paris<span class=\"down\">down</span>",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert_eq!(checked(&page), [AUTO]);
        let by_hand = PageStatus { why: BY_HAND.to_owned(), ..status() };
        assert_eq!(checked(&portal("guest", TV, "0f", &by_hand)), ["paris"]);
        let part = PageStatus { is_part: true, ..status() };
        let page = portal("guest", TV, "0f", &part);
        assert!(page.contains("<h1>Part of this device's traffic comes out at "), "{page}");
        let alone = PageStatus { exits: status().exits[..1].to_vec(), ..status() };
        assert!(!portal("guest", TV, "0f", &alone).contains("<form"), "there is nothing to choose");
        let direct = PageStatus { exit: DIRECT.to_owned(), state: DIRECT.to_owned(), ..status() };
        let page = portal("guest", TV, "0f", &direct);
        assert!(page.contains("out at <span class=\"direct\">this router's own uplink</span>"), "{page}");
        let blocked = PageStatus { exit: NOWHERE.to_owned(), state: "blocked".to_owned(), ..status() };
        let page = portal("guest", TV, "0f", &blocked);
        assert!(page.contains("comes out <span class=\"blocked\">nowhere</span>"), "{page}");
    }

    #[test]
    fn a_page_brings_nothing_in_from_elsewhere() {
        let pages = [portal("guest", TV, "0f", &status()), refusal("a <b>", "/")];
        for page in pages {
            assert!(!page.contains("//") && !page.contains("<script"), "{page}");
        }
        assert!(!include_str!("style.css").contains("url("));
    }
}
