//! Texts of chains of exits: `"oslo via paris"` leads to paris first, and leaves at oslo.

/// Word between the names of a chain.
const VIA: &str = "via";

/// Separator of the names of a chain. Names have no blanks, so no name contains it.
const SEPARATOR: &str = " via ";

/// Reports whether a value of `exit` is a chain, well written or not.
pub(super) fn is_chain(text: &str) -> bool {
    text.contains(char::is_whitespace)
}

/// Returns the hops of a chain in the order of travel; `None` if the chain is not well written. The text
/// names the last hop first, and then the other hops in the order of travel.
pub(super) fn hops(text: &str) -> Option<Vec<&str>> {
    let (last, others) = text.split_once(SEPARATOR)?;
    let hops: Vec<&str> = others.split(SEPARATOR).chain([last]).collect();
    let is_name = |hop: &&str| !hop.is_empty() && !is_chain(hop) && **hop != *VIA;
    hops.iter().all(is_name).then_some(hops)
}

/// Returns the text of a chain with these hops in the order of travel; a single hop is its own text.
pub(super) fn text<T: AsRef<str>>(hops: &[T]) -> String {
    let Some((last, others)) = hops.split_last() else { return String::new() };
    let words: Vec<&str> = [last].into_iter().chain(others).map(AsRef::as_ref).collect();
    words.join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hop_comes_first_in_the_text() {
        for (text, expected) in [
            ("oslo via paris", &["paris", "oslo"][..]),
            ("oslo via paris via berlin", &["paris", "berlin", "oslo"]),
        ] {
            assert_eq!(hops(text).as_deref(), Some(expected));
            assert_eq!(super::text(expected), text);
        }
        assert_eq!(text(&["oslo"]), "oslo");
        for wrong in [
            "oslo",
            "oslo paris",
            "oslo via",
            "via paris",
            "oslo  via paris",
            "oslo via via via paris",
            " via ",
        ] {
            assert_eq!(hops(wrong), None, "{wrong}");
        }
    }
}
