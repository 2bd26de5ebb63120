//! Parser of the command line: sorts the words by the arguments of a table.

use super::help;
use super::line::{Argument, CommandLine, Count, HELP};

/// End of the program before any command runs.
#[derive(Debug)]
pub enum EarlyExit {
    /// The help that was asked for.
    Help(String),
    /// The fault of the command line.
    Wrong(String),
}

impl EarlyExit {
    fn wrong(parts: &[&str]) -> Self {
        Self::Wrong(parts.concat())
    }

    fn unrecognized(word: &str) -> Self {
        Self::wrong(&["Unrecognized argument: ", word, "\n"])
    }

    fn bad_option(name: &str, value: &str, fault: &str) -> Self {
        Self::wrong(&["Error parsing option '", name, "' with value '", value, "': ", fault, "\n"])
    }
}

/// Words of a command line, sorted by the arguments of a table.
pub(super) struct Words<'a> {
    line: &'static CommandLine,
    /// Values of each argument of the table; a switch that is given has an empty one.
    values: Vec<Vec<&'a str>>,
    /// Number of the argument whose values are taken next.
    next: usize,
    /// Number of the command, and its words.
    below: Option<(usize, Box<Words<'a>>)>,
    /// First fault of a value.
    fault: Option<EarlyExit>,
}

impl<'a> Words<'a> {
    /// Sorts the words of a command. `path` is the command itself, as in `portals phone`.
    pub(super) fn sort(
        line: &'static CommandLine,
        path: &str,
        words: &[&'a str],
        mut is_help: bool,
    ) -> Result<Self, EarlyExit> {
        let values = vec![Vec::new(); line.arguments.len()];
        let mut sorted = Self { line, values, next: 0, below: None, fault: None };
        let mut options_ended = false;
        let mut rest = words.iter();
        while let Some(&word) = rest.next() {
            if options_ended || !(HELP.contains(&word) || word.starts_with('-')) {
                if let Some(command) = line.commands.iter().position(|command| command.name == word) {
                    let (path, line) = ([path, " ", word].concat(), line.commands[command]);
                    let below = Self::sort(line, &path, rest.as_slice(), is_help)?;
                    sorted.below = Some((command, Box::new(below)));
                    return Ok(sorted);
                }
                sorted.add_positional(word)?;
            } else if HELP.contains(&word) {
                is_help = true;
            } else if word == "--" {
                options_ended = true;
            } else if is_help {
                return Err(EarlyExit::wrong(&["Trailing arguments are not allowed after `help`."]));
            } else {
                sorted.add_option(word, &mut rest)?;
            }
        }
        if is_help {
            return Err(EarlyExit::Help(help::text(line, path)));
        }
        sorted.check_complete()?;
        Ok(sorted)
    }

    fn add_option(&mut self, word: &str, rest: &mut std::slice::Iter<&'a str>) -> Result<(), EarlyExit> {
        let is_this = |argument: &Argument| {
            argument.is_option() && (argument.name() == word || argument.other_name == word)
        };
        let Some(index) = self.line.arguments.iter().position(is_this) else {
            return Err(EarlyExit::unrecognized(word));
        };
        let (count, values) = (self.line.arguments[index].count, &mut self.values[index]);
        let value = match count {
            Count::Switch => "",
            _ => rest
                .next()
                .ok_or_else(|| EarlyExit::wrong(&["No value provided for option '", word, "'.\n"]))?,
        };
        if matches!(count, Count::Required | Count::Optional) && !values.is_empty() {
            return Err(EarlyExit::bad_option(word, value, "duplicate values provided"));
        }
        values.push(value);
        Ok(())
    }

    /// Adds a word to the first positional argument that takes another one.
    fn add_positional(&mut self, word: &'a str) -> Result<(), EarlyExit> {
        for (argument, values) in self.line.arguments.iter().zip(&mut self.values) {
            if !argument.is_option() && (values.is_empty() || argument.count == Count::Repeating) {
                values.push(word);
                return Ok(());
            }
        }
        Err(EarlyExit::unrecognized(word))
    }

    /// Checks that all required arguments are there, and a command where one is needed. The program itself
    /// needs none.
    fn check_complete(&self) -> Result<(), EarlyExit> {
        let mut text = String::new();
        for (is_option, heading) in
            [(false, "Required positional arguments not provided:"), (true, "Required options not provided:")]
        {
            let mut heading = Some(heading);
            for (argument, values) in self.line.arguments.iter().zip(&self.values) {
                if argument.count == Count::Required && values.is_empty() && argument.is_option() == is_option
                {
                    if let Some(heading) = heading.take() {
                        text.push_str(heading);
                    }
                    add_line(&mut text, argument.name());
                }
            }
            if heading.is_none() {
                text.push('\n');
            }
        }
        if self.line.arguments.is_empty() && !self.line.commands.is_empty() {
            text.push_str("One of the following subcommands must be present:");
            add_line(&mut text, "help");
            for command in self.line.commands {
                add_line(&mut text, command.name);
            }
            text.push('\n');
        }
        if text.is_empty() { Ok(()) } else { Err(EarlyExit::Wrong(text)) }
    }

    /// Takes the values of the next argument of the table.
    pub(super) fn next(&mut self) -> Vec<&'a str> {
        self.next += 1;
        std::mem::take(&mut self.values[self.next - 1])
    }

    /// Returns the value of the argument that was taken last. A fault is noted.
    pub(super) fn checked<T>(&mut self, text: &str, value: Result<T, String>) -> Option<T> {
        value.map_err(|fault| self.note(text, &fault)).ok()
    }

    fn note(&mut self, text: &str, fault: &str) {
        let name = self.line.arguments[self.next - 1].name();
        self.fault.get_or_insert_with(|| EarlyExit::bad_option(name, text, fault));
    }

    /// Returns the command that `take` makes of its number and its words; `None` if no command is given.
    pub(super) fn below<T>(&mut self, take: impl FnOnce(usize, &mut Self) -> T) -> Option<T> {
        let (command, mut words) = self.below.take()?;
        let taken = take(command, &mut words);
        self.fault = self.fault.take().or(words.fault);
        Some(taken)
    }

    /// Returns the first fault that was noted.
    pub(super) fn fault(self) -> Option<EarlyExit> {
        self.fault
    }
}

fn add_line(text: &mut String, line: &str) {
    text.push_str("\n    ");
    text.push_str(line);
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command, EarlyExit, SiteAction};

    fn parse(line: &str) -> Result<Cli, EarlyExit> {
        Cli::parse(&line.split_terminator(' ').collect::<Vec<_>>())
    }

    #[test]
    fn a_wrong_line_is_refused() {
        for (line, fault) in [
            ("dance", "Unrecognized argument: dance"),
            ("plan --dance", "Unrecognized argument: --dance"),
            ("plan --check=1", "Unrecognized argument: --check=1"),
            ("exit guest oslo paris", "Unrecognized argument: paris"),
            ("init --id", "No value provided for option '--id'."),
            (
                "init --id 300",
                "Error parsing option '--id' with value '300': number too large to fit in target type",
            ),
            ("init --id 1 --id 2", "Error parsing option '--id' with value '2': duplicate values provided"),
            (
                "apply --confirm 0",
                "Error parsing option '--confirm' with value '0': give a number of seconds, 1 to 86400",
            ),
            ("exit guest", "Required positional arguments not provided:\n    exit"),
            ("exit", "Required positional arguments not provided:\n    portal\n    exit"),
            (
                "site add",
                "Required positional arguments not provided:\n    name\nRequired options not provided:\n    --key",
            ),
            (
                "site",
                "One of the following subcommands must be present:\n    help\n    add\n    remove\n    list",
            ),
        ] {
            match parse(line) {
                Err(EarlyExit::Wrong(text)) => assert_eq!(text, format!("{fault}\n"), "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
        let trailing = "Trailing arguments are not allowed after `help`.";
        assert!(matches!(parse("plan --help --check"), Err(EarlyExit::Wrong(text)) if text == trailing));
    }

    #[test]
    fn values_reach_their_fields() {
        let cli = parse("-v -c x.toml invite paris --lan 10.0.0.0/24 --use --lan 10.1.0.0/24 --portal eth1");
        let cli = cli.unwrap();
        assert_eq!((cli.config, cli.verbose, cli.version), (Some("x.toml".into()), true, false));
        let Some(Command::Invite(options)) = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!((options.name.as_str(), options.exits), ("paris", None));
        assert_eq!(options.lan, ["10.0.0.0/24", "10.1.0.0/24"].map(|lan| lan.parse().unwrap()));
        assert_eq!(options.portal, Some("eth1".parse().unwrap()));
        assert_eq!((options.use_it, options.confirm, options.no_qr), (true, false, false));
        let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let site = parse(&format!("site add --key {key} -- --odd")).unwrap().command;
        let Some(Command::Site(SiteAction::Add(options))) = site else { panic!("{site:?}") };
        assert_eq!((options.name.as_str(), options.key.0), ("--odd", [1; 32]));
        assert!(parse("").unwrap().command.is_none(), "the caller tells which commands there are");
    }

    #[test]
    fn help_is_made_from_the_table() {
        let expected = "\
Usage: portals site add --key <key> [--id <id>] [--endpoint <endpoint>] [--exits <sites>] [--links <sites>] \
[--lan <network...>] [--] <name>

Add a site whose key exists already, for example on a box that cannot run `portals join`.

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
  --help, help      display usage information

Examples:
  portals site add rome --key KEY --endpoint rome.example.net --exits nyc

Notes:
  `portals invite` is easier: the new site brings its own key.
";
        for line in ["site add --help", "site help add", "help site add"] {
            assert!(matches!(parse(line), Err(EarlyExit::Help(text)) if text == expected), "{line}");
        }
        let Err(EarlyExit::Help(all)) = parse("--help") else { panic!("no help") };
        assert!(
            all.starts_with("Usage: portals [-c <file>] [-v] [-V] [<command>] [<args>]\n\nTraffic"),
            "{all}"
        );
        assert!(all.contains("\n  -v, --verbose     show each change as it is made\n"), "{all}");
        assert!(all.contains("\n\nCommands:\n  demo              Show portals at work"), "{all}");
        let Err(EarlyExit::Help(push)) = parse("push --help") else { panic!("no help") };
        assert!(push.contains("\n\nError codes:\n  1 the file is in force here"), "{push}");
    }
}
