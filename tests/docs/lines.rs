//! Words of command lines, as a shell splits them.

/// Splits a command line into its simple commands, and each of these into words, without comments and
/// redirections.
pub(crate) fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None);
    let mut is_target = false;
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '#' if word.is_none() => break,
            '\'' | '"' => {
                let quoted = rest.by_ref().take_while(|other| *other != character);
                word.get_or_insert_with(String::new).extend(quoted);
            }
            '<' if rest.peek() == Some(&'(') => {
                word.get_or_insert_with(String::new).extend(rest.by_ref().take_while(|other| *other != ')'));
            }
            ' ' | '|' | '&' | ';' | '(' | ')' | '<' | '>' => {
                let was_target = is_target;
                // The name of a file follows a redirection, after spaces.
                is_target =
                    matches!(character, '<' | '>') || (was_target && word.is_none() && character == ' ');
                let ended = word.take().filter(|_| !was_target);
                words.extend(ended);
                if !matches!(character, ' ' | '<' | '>') {
                    commands.push(std::mem::take(&mut words));
                }
            }
            _ => word.get_or_insert_with(String::new).push(character),
        }
    }
    words.extend(word.filter(|_| !is_target));
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

/// Returns the arguments that a simple command gives portals, here, at another machine or in a container;
/// `None` if it runs another program.
pub(crate) fn arguments_of_portals(command: &[String]) -> Option<Vec<&str>> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let mut words = words.as_slice();
    loop {
        words = match words {
            ["sudo", rest @ ..] | ["docker", "exec", _, rest @ ..] => rest,
            ["ssh", rest @ ..] => {
                let host = rest.iter().position(|word| !word.starts_with('-'))?;
                &rest[host + 1..]
            }
            ["docker", "run", rest @ ..] => {
                let image = rest.iter().rposition(|word| *word == "portals")?;
                &rest[image..]
            }
            [program, rest @ ..] => {
                let is_portals = *program == "portals" || program.ends_with("/portals");
                return is_portals.then(|| rest.to_vec());
            }
            [] => return None,
        };
    }
}

#[test]
fn command_lines_are_split() {
    for (line, words) in [
        ("portals plan   # shows", vec!["portals plan"]),
        ("a 'b c' | d > e; f < g h && i", vec!["a b c", "d", "f h", "i"]),
        ("(umask 077; echo x > y)", vec!["umask 077", "echo x"]),
        ("portals import <(…) --keys", vec!["portals import (… --keys"]),
        ("add --key \"$(wg pubkey < x)\"", vec!["add --key $(wg pubkey < x)"]),
    ] {
        let split: Vec<String> = commands(line).iter().map(|words| words.join(" ")).collect();
        assert_eq!(split, words, "{line}");
    }
}

#[test]
fn portals_is_found_in_a_command() {
    for (line, arguments) in [
        ("sudo /tmp/portals join x", Some("join x")),
        ("ssh -t root@paris portals plan", Some("plan")),
        ("docker run --name portals -v a:b portals join x", Some("join x")),
        ("docker exec portals /portals status", Some("status")),
        ("scp portals root@nyc:", None),
        ("chmod +x /tmp/portals", None),
        ("ssh root@box", None),
    ] {
        let commands = commands(line);
        let found = arguments_of_portals(&commands[0]).map(|words| words.join(" "));
        assert_eq!(found.as_deref(), arguments, "{line}");
    }
}
