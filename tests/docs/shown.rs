//! Output of commands, compared with the output that a page shows.

use wg_portals::base::error::{Error, Result};

use crate::pages::Page;

/// Checks that a command printed the output that the block of a page shows below it. Line breaks and times do
/// not count, and `…` stands for any words.
pub(crate) fn check(page: &Page, block: usize, printed: &str) -> Result<()> {
    let blocks = page.blocks();
    let block = blocks.iter().find(|other| other.line == block).expect("a block of this page");
    let shown = block.lines.iter().filter(|line| !line.starts_with("$ "));
    let shown = shown.map(String::as_str).collect::<Vec<_>>().join("\n");
    match first_missing(&shown, printed) {
        None => Ok(()),
        Some(part) => {
            let place = format!("{}:{}", page.name, block.line);
            Err(Error::failed(format!("{place}: the page shows\n{part}\nand the output is\n{printed}")))
        }
    }
}

/// Returns the first part of the shown output that is not in the printed output at its place.
fn first_missing(shown: &str, printed: &str) -> Option<String> {
    let (shown, printed) = (masked(shown), masked(printed));
    let mut rest = printed.as_str();
    for (at, part) in shown.split('…').map(str::trim).enumerate() {
        let Some((before, after)) = rest.split_once(part) else { return Some(part.to_owned()) };
        if at == 0 && !before.is_empty() {
            return Some(part.to_owned());
        }
        rest = after;
    }
    // The last part is the end of the output.
    (!rest.is_empty()).then(|| shown.rsplit('…').next().unwrap_or_default().trim().to_owned())
}

/// Returns words with one space between them, and with the same time in place of each number of seconds or
/// minutes.
fn masked(text: &str) -> String {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    for at in 1..words.len() {
        if ["s", "min"].contains(&words[at]) && words[at - 1].parse::<u32>().is_ok() {
            (words[at - 1], words[at]) = ("0", "s");
        }
    }
    words.join(" ")
}

#[test]
fn output_is_compared() {
    let printed = "a  b 12 s ago\nc\nd\ne\n";
    for right in ["a b 3 min\n   ago c d e", "a b\n…\nd\ne", "…\nc\n…\ne", "a b … c … e"] {
        assert_eq!(first_missing(right, printed), None, "{right}");
    }
    for wrong in ["b 12 s ago c d e", "a b 12 s ago c d", "a\n…\nf\n…\ne", "…\nd\n…\nc\n…\ne"] {
        assert!(first_missing(wrong, printed).is_some(), "{wrong}");
    }
}
