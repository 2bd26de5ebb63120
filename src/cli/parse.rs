//! Parser of the command line: sorts the words by the arguments of a table.

use std::fmt::Display;

use super::line::{ARROW, CommandLine, Count, HELP};
use super::{CLI, help};
use crate::config::suggest;

/// End of the program before any command runs.
#[derive(Debug)]
pub enum EarlyExit {
    /// The help that was asked for.
    Help(String),
    /// The fault of the command line.
    Wrong(String),
}

impl EarlyExit {
    /// Returns the fault of a command or an option, which the message quotes.
    fn wrong(name: &str, fault: &str, rest: &str) -> Self {
        Self::Wrong(["`", name, "`", fault, rest].concat())
    }
}

/// Values, each with the number of its argument in the table; a switch that is given has an empty one.
type Values<'a> = Vec<(usize, &'a str)>;

/// Words of a command line, sorted by the arguments of a table.
pub(super) struct Words<'a> {
    line: &'static CommandLine,
    /// The command itself, as in `portals phone`.
    path: String,
    values: Values<'a>,
    /// Number of the argument whose values are taken next.
    next: usize,
    /// Number of the command, and its words.
    below: Option<(usize, Box<Words<'a>>)>,
    /// First fault of a value.
    fault: Option<EarlyExit>,
}

impl<'a> Words<'a> {
    /// Sorts the words of a command line. Global options may come anywhere.
    pub(super) fn of(words: &[&'a str]) -> Result<Self, EarlyExit> {
        let mut globals = Values::new();
        let mut sorted = Self::sort(CLI, CLI.name.to_owned(), words, false, &mut globals)?;
        sorted.values = globals;
        Ok(sorted)
    }

    /// Sorts the words of a command. `path` is the command itself, `globals` takes the values of the global
    /// options.
    fn sort(
        line: &'static CommandLine,
        path: String,
        words: &[&'a str],
        mut is_help: bool,
        globals: &mut Values<'a>,
    ) -> Result<Self, EarlyExit> {
        let mut sorted = Self { line, path, values: Values::new(), next: 0, below: None, fault: None };
        let mut options_ended = false;
        let mut rest = words.iter();
        while let Some(&word) = rest.next() {
            if word == ARROW {
                continue;
            }
            if options_ended || word == "-" || !(HELP.contains(&word) || word.starts_with('-')) {
                if let Some(command) = line.commands.iter().position(|command| command.name == word) {
                    let (path, line) = ([&sorted.path, " ", word].concat(), line.commands[command]);
                    let below = Self::sort(line, path, rest.as_slice(), is_help, globals)?;
                    sorted.below = Some((command, Box::new(below)));
                    return Ok(sorted);
                }
                sorted.add_positional(word)?;
            } else if HELP.contains(&word) {
                is_help = true;
            } else if word == "--" {
                options_ended = true;
            } else {
                sorted.add_option(word, &mut rest, globals)?;
            }
        }
        if is_help {
            return Err(EarlyExit::Help(help::text(line, &sorted.path)));
        }
        sorted.check_complete()?;
        Ok(sorted)
    }

    fn add_option(
        &mut self,
        word: &'a str,
        rest: &mut std::slice::Iter<&'a str>,
        globals: &mut Values<'a>,
    ) -> Result<(), EarlyExit> {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let (line, index, values) = if let Some(index) = CLI.option(name) {
            (CLI, index, globals)
        } else if let Some(index) = self.line.option(name) {
            (self.line, index, &mut self.values)
        } else {
            return Err(self.no_option(name));
        };
        let argument = &line.arguments[index];
        if !argument.takes_value() {
            if value.is_some() {
                return Err(EarlyExit::wrong(name, " takes no value", ""));
            }
            value = Some("");
        }
        let Some(value) = value.or_else(|| rest.next().copied()) else {
            return Err(EarlyExit::wrong(name, " needs a value\n", &help::of_argument(argument)));
        };
        if matches!(argument.count, Count::Required | Count::Optional) && has(values, index) {
            return Err(EarlyExit::wrong(name, " is given twice", ""));
        }
        values.push((index, value));
        Ok(())
    }

    /// Adds a word to the first positional argument that takes another one.
    fn add_positional(&mut self, word: &'a str) -> Result<(), EarlyExit> {
        for (index, argument) in self.line.arguments.iter().enumerate() {
            let takes_another = argument.count == Count::Repeating || !has(&self.values, index);
            if !argument.is_option() && takes_another {
                self.values.push((index, word));
                return Ok(());
            }
        }
        let path = self.path.as_str();
        if self.line.commands.is_empty() {
            let fault = [" does not take `", word, "`\n"].concat();
            return Err(EarlyExit::wrong(path, &fault, &help::usage(self.line, path)));
        }
        let names: Vec<&str> = self.line.commands.iter().map(|command| command.name).collect();
        Err(self.unknown(" has no command `", word, &names))
    }

    fn no_option(&self, word: &str) -> EarlyExit {
        let mut names = vec![HELP[0]];
        for argument in self.line.arguments.iter().chain(CLI.arguments) {
            if argument.is_option() {
                names.push(argument.name());
                names.push(argument.other_name);
            }
        }
        self.unknown(" has no option `", word, &names)
    }

    /// Returns the fault of a word that is none of `names`.
    fn unknown(&self, fault: &str, word: &str, names: &[&str]) -> EarlyExit {
        let (hint, meant, end) = match suggest::closest(word, names) {
            Some(meant) => ("`: did you mean `", meant, "`?"),
            None => ("`: see `", self.path.as_str(), " --help`"),
        };
        EarlyExit::wrong(&self.path, fault, &[word, hint, meant, end].concat())
    }

    /// Checks that all required arguments are there, and a command where one is needed. The program itself
    /// needs none.
    fn check_complete(&self) -> Result<(), EarlyExit> {
        let mut missing = String::new();
        for (index, argument) in self.line.arguments.iter().enumerate() {
            if argument.count == Count::Required && !has(&self.values, index) {
                missing.push_str(if missing.is_empty() { " needs " } else { " and " });
                missing.push_str(argument.usage);
            }
        }
        if !missing.is_empty() {
            let usage = help::usage(self.line, &self.path);
            missing.push('\n');
            return Err(EarlyExit::wrong(&self.path, &missing, &usage));
        }
        if self.line.arguments.is_empty() && !self.line.commands.is_empty() {
            let commands = help::of_commands(self.line);
            return Err(EarlyExit::wrong(&self.path, " needs one of its commands", &commands));
        }
        Ok(())
    }

    /// Returns the whole command, without its arguments.
    pub(super) fn path(&self) -> &str {
        self.below.as_ref().map_or(&self.path, |(_, below)| below.path())
    }

    /// Takes the value of the next argument of the table; `None` if it has none.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        self.all_of_next().first().copied()
    }

    /// Takes all values of the next argument of the table.
    pub(super) fn all_of_next(&mut self) -> Vec<&'a str> {
        let mut values = Vec::new();
        for (index, value) in &self.values {
            if *index == self.next {
                values.push(*value);
            }
        }
        self.next += 1;
        values
    }

    /// Returns the value of the argument that was taken last. A fault is noted.
    pub(super) fn checked<T, F: Display>(&mut self, text: &str, value: Result<T, F>) -> Option<T> {
        value.map_err(|fault| self.note(text, &fault)).ok()
    }

    fn note(&mut self, text: &str, fault: &dyn Display) {
        if self.fault.is_none() {
            let argument = &self.line.arguments[self.next - 1];
            let (help, fault) = (help::of_argument(argument), fault.to_string());
            let parts = ["`", argument.name(), " ", text, "`: ", &fault, "\n", &help];
            self.fault = Some(EarlyExit::Wrong(parts.concat()));
        }
    }

    /// Returns the command that `take` makes of its number and its words; `None` if no command is given.
    pub(super) fn below<T>(&mut self, take: impl FnOnce(usize, &mut Self) -> T) -> Option<T> {
        let (command, words) = self.below.as_mut()?;
        let taken = take(*command, words);
        let fault = words.fault.take();
        if self.fault.is_none() {
            self.fault = fault;
        }
        Some(taken)
    }

    /// Returns the first fault that was noted.
    pub(super) fn fault(self) -> Option<EarlyExit> {
        self.fault
    }
}

/// Reports whether an argument has a value.
fn has(values: &Values, argument: usize) -> bool {
    values.iter().any(|(index, _)| *index == argument)
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command, EarlyExit, SiteAction};

    fn parse(line: &str) -> Result<&'static Cli, EarlyExit> {
        Cli::parse(&line.split_terminator(' ').collect::<Vec<_>>())
    }

    #[test]
    fn a_wrong_line_is_refused() {
        let id = "  --id: number of this site, 1 to 250, unique in the network (default: 1)";
        for (line, fault) in [
            ("dance", "`portals` has no command `dance`: see `portals --help`"),
            ("satus", "`portals` has no command `satus`: did you mean `status`?"),
            ("phone lst", "`portals phone` has no command `lst`: did you mean `list`?"),
            ("help phoen", "`portals` has no command `phoen`: did you mean `phone`?"),
            ("plan --dance", "`portals plan` has no option `--dance`: see `portals plan --help`"),
            ("plan --chekc", "`portals plan` has no option `--chekc`: did you mean `--check`?"),
            ("plan --chekc=x", "`portals plan` has no option `--chekc`: did you mean `--check`?"),
            ("plan --verbos", "`portals plan` has no option `--verbos`: did you mean `--verbose`?"),
            ("plan --check=yes", "`--check` takes no value"),
            ("plan foo", "`portals plan` does not take `foo`\nUsage: portals plan [--commands] [--check]"),
            ("plan --help --chekc", "`portals plan` has no option `--chekc`: did you mean `--check`?"),
            ("init --id", &["`--id` needs a value\n", id].concat()),
            ("init --id 300", &["`--id 300`: this number is not possible\n", id].concat()),
            ("init --id 1 --id=2", "`--id` is given twice"),
            (
                "apply --confirm 0",
                "`--confirm 0`: give a number of seconds, 1 to 86400\n  --confirm: undo the change unless \
                 `portals confirm` follows within SECONDS, 1 to 86400; the change is undone even if this \
                 shell ends or the machine restarts in the meantime",
            ),
            ("exit guest", "`portals exit` needs <exit>\nUsage: portals exit [--] <portal> <exit>"),
            ("exit", "`portals exit` needs <portal> and <exit>\nUsage: portals exit [--] <portal> <exit>"),
        ] {
            match parse(line) {
                Err(EarlyExit::Wrong(text)) => assert_eq!(text, fault, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
        let Err(EarlyExit::Wrong(text)) = parse("site add") else { panic!("a site without a name") };
        assert!(
            text.starts_with("`portals site add` needs <name> and --key <key>\nUsage: portals"),
            "{text}"
        );
        let Err(EarlyExit::Wrong(text)) = parse("site") else { panic!("no command") };
        assert!(
            text.starts_with("`portals site` needs one of its commands\n\nCommands:\n  add    "),
            "{text}"
        );
    }

    #[test]
    fn values_reach_their_fields() {
        let cli = parse("-v -c x.toml invite paris --lan 10.0.0.0/24 --use --lan 10.1.0.0/24 --portal eth1");
        let cli = cli.unwrap();
        assert_eq!((&cli.config, cli.verbose, cli.version), (&Some("x.toml".into()), true, false));
        let Some(Command::Invite(options)) = &cli.command else { panic!("{:?}", cli.command) };
        assert_eq!((options.name.as_str(), &options.exits), ("paris", &None));
        assert_eq!(options.lan, ["10.0.0.0/24", "10.1.0.0/24"].map(|lan| lan.parse().unwrap()));
        assert_eq!(options.portal, Some("eth1".parse().unwrap()));
        assert_eq!((options.use_it, options.confirm, options.no_qr), (true, false, false));
        let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let site = &parse(&format!("site add --key {key} -- --odd")).unwrap().command;
        let Some(Command::Site(SiteAction::Add(options))) = site else { panic!("{site:?}") };
        assert_eq!((options.name.as_str(), options.key.0), ("--odd", [1; 32]));
        assert!(parse("").unwrap().command.is_none(), "the caller tells which commands there are");
    }

    #[test]
    fn help_is_made_from_the_table() {
        let expected = "\
Usage: portals site add --key <key> [--id <id>] [--endpoint <endpoint>] [--exits <sites>] [--links <sites>] \
[--lan <network...>] [--] <name>

Add a site whose key exists already, for example on a box that cannot run
`portals join`.

Positional Arguments:
  name              name of the site, up to 12 characters of a-z, 0-9 and -

Options:
  --key             public key of the site, as `portals init` prints it there
  --id              number of the site, 1 to 250, never reused (default: the
                    next free one)
  --endpoint        host name or address, without a port, at which other sites
                    reach it; leave it out behind NAT
  --exits           sites that it uses as exits, with commas between them
                    (default: none)
  --links           sites that it is linked to for access to their computers,
                    with commas between them (default: none)
  --lan             network behind the site that linked sites may reach; may be
                    given several times (default: none)
  --help, -h, help  display usage information

Examples:
  portals site add rome --key KEY --endpoint rome.example.net --exits nyc

Notes:
  `portals invite` is easier: the new site brings its own key.
";
        for line in ["site add --help", "site add -h", "site help add", "help site add"] {
            assert!(matches!(parse(line), Err(EarlyExit::Help(text)) if text == expected), "{line}");
        }
        let Err(EarlyExit::Help(all)) = parse("--help") else { panic!("no help") };
        assert!(
            all.starts_with("Usage: portals [-c <file>] [-v] [-V] [<command>] [<args>]\n\nTraffic"),
            "{all}"
        );
        assert!(all.contains("\n  -v, --verbose     show each change as it is made\n"), "{all}");
        for group in ["Set up:\n  demo              Show portals at work", "Every day:\n  status  "] {
            assert!(all.contains(&["\n\n", group].concat()), "{all}");
        }
        let Err(EarlyExit::Help(push)) = parse("push --help") else { panic!("no help") };
        assert!(push.contains("\n\nError codes:\n  1 the file is in force here"), "{push}");
    }
}
