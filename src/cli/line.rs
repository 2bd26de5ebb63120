//! Tables of the command line: one for each command. Parser, help, man page and completions read them.

/// Words that ask for help.
pub(super) const HELP: [&str; 3] = ["--help", "-h", "help"];

/// Word between two names that is for the eye alone. A shell would take an arrow of ASCII for a redirection.
pub(super) const ARROW: &str = "→";

/// Command, or the program itself, with its arguments.
#[derive(Debug)]
pub struct CommandLine {
    /// Name of the command.
    pub name: &'static str,
    /// Description, with a space in front.
    pub about: &'static str,
    /// Options and positional arguments.
    pub arguments: &'static [Argument],
    /// Commands below this one.
    pub commands: &'static [&'static CommandLine],
    /// Heading of the group that begins with each of these commands; empty for a command that goes on with
    /// the group of the one before.
    pub groups: &'static [&'static str],
    /// Lines with examples; may be empty.
    pub example: &'static str,
    /// Note; may be empty.
    pub note: &'static str,
    /// Exit status with a special meaning, and that meaning.
    pub status: Option<(u8, &'static str)>,
}

/// Option or positional argument.
#[derive(Debug)]
pub struct Argument {
    /// Usage: `--confirm`, `--lan <network...>`, or `<name>` for a positional argument.
    pub usage: &'static str,
    /// Other name of an option; may be empty.
    pub other_name: &'static str,
    /// Description, with a space in front.
    pub help: &'static str,
    /// Number of values that it takes.
    pub count: Count,
}

/// Number of values of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// None: the option itself says all.
    Switch,
    /// One, which must be given.
    Required,
    /// One or none.
    Optional,
    /// Any number.
    Repeating,
}

impl CommandLine {
    /// Returns the place of the option with this name among the arguments.
    pub(super) fn option(&self, name: &str) -> Option<usize> {
        let is_this = |argument: &Argument| {
            argument.is_option() && (argument.name() == name || argument.other_name == name)
        };
        self.arguments.iter().position(is_this)
    }

    /// Reports whether this is an option that takes a value.
    pub(super) fn takes_value(&self, name: &str) -> bool {
        self.option(name).is_some_and(|index| self.arguments[index].takes_value())
    }
}

impl Argument {
    /// Returns the long name of an option.
    pub(super) fn long_name(&self) -> &'static str {
        if self.other_name.is_empty() { self.name() } else { self.other_name }
    }

    /// Reports whether an option takes a value.
    pub(super) fn takes_value(&self) -> bool {
        self.count != Count::Switch
    }

    /// Returns the name of an option with its dashes, or of a positional argument.
    pub fn name(&self) -> &'static str {
        if !self.is_option() {
            return self.value();
        }
        self.usage.split_once(' ').map_or(self.usage, |(name, _)| name)
    }

    /// Returns the name of the value; empty for a switch.
    pub fn value(&self) -> &'static str {
        let value = self.usage.split_once('<').map_or("", |(_, value)| value).trim_end_matches('>');
        value.strip_suffix("...").unwrap_or(value)
    }

    /// Reports whether this is an option, and not a positional argument.
    pub fn is_option(&self) -> bool {
        self.usage.starts_with('-')
    }
}
