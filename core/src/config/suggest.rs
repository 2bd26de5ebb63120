//! Suggestions for misspelt words: "did you mean …?"

/// Returns help for `wrong`, which is not among `known`: the most similar word, or all of them if none is
/// similar.
pub fn suggest(wrong: &str, known: &[&str]) -> String {
    match closest(wrong, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.len() == 1 => format!("write {}", listed(known)),
        None => format!("write one of {}", listed(known)),
    }
}

/// Returns the words as a list for a sentence: `` `a`, `b` or `c` ``.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Returns the most similar word; `None` if none is similar.
pub fn closest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let rank = |word: &&'a str| {
        let steps = distance(&wrong.to_ascii_lowercase(), &word.to_ascii_lowercase());
        let begun = wrong.len() >= 4 && word.starts_with(wrong);
        let near = begun || steps <= wrong.chars().count().div_ceil(3);
        near.then_some((steps, word.len().abs_diff(wrong.len()), *word))
    };
    known.iter().filter_map(rank).min().map(|(.., word)| word)
}

/// Returns the number of characters to insert, delete, change, or swap with their neighbour to turn `a` into
/// `b` (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut steps = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            steps[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = steps[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                changed.min(steps[i - 1][j] + 1).min(steps[i][j - 1] + 1)
            };
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                steps[i][j] = steps[i][j].min(steps[i - 2][j - 2] + 1);
            }
        }
    }
    steps[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "exits"), 5);
        assert_eq!(distance("exist", "exits"), 1);
        assert_eq!(distance("exits", "exits"), 0);
        assert_eq!(distance("publickey", "public_key"), 1);
    }

    #[test]
    fn the_nearest_wins_and_strangers_get_the_list() {
        assert_eq!(suggest("exist", &["exit", "exits", "id"]), "did you mean `exits`?");
        assert_eq!(suggest("passphrase", &["ssid", "passphrase_file"]), "did you mean `passphrase_file`?");
        assert_eq!(suggest("colour", &["id", "port", "lan"]), "write one of `id`, `port` or `lan`");
        assert_eq!(suggest("colour", &["id"]), "write `id`");
    }
}
