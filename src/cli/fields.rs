//! Fields of commands: `command!` and `commands!` define a command as a type, and make its table, whose
//! values the type takes.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::line::{CommandLine, Count};
use super::parse::Words;
use crate::base::net::{Cidr, IfName, PublicKey};
use crate::config::model;

/// Type with a table, which holds the parsed words of a command.
pub(super) trait FromWords {
    /// Table of the command.
    const LINE: &'static CommandLine;

    /// Takes the values of all arguments, in the order of the table.
    fn take(words: &mut Words) -> Self;
}

/// Field that holds the values of an argument.
pub(super) trait Slot {
    const COUNT: Count;

    /// Takes the values of the next argument of the table. A value at fault is noted, and left out.
    fn take(words: &mut Words) -> Self;
}

/// Value of an argument.
pub(super) trait Value: Sized {
    /// Fault of a value, for people.
    type Fault: Display;

    /// Parses a value.
    fn parse(text: &str) -> Result<Self, Self::Fault>;
}

impl Slot for bool {
    const COUNT: Count = Count::Switch;

    fn take(words: &mut Words) -> Self {
        words.next().is_some()
    }
}

impl Slot for String {
    const COUNT: Count = Count::Required;

    fn take(words: &mut Words) -> Self {
        words.next().unwrap_or_default().to_owned()
    }
}

impl Slot for PublicKey {
    const COUNT: Count = Count::Required;

    fn take(words: &mut Words) -> Self {
        <Option<Self> as Slot>::take(words).unwrap_or(Self([0; 32]))
    }
}

impl<T: Value> Slot for Option<T> {
    const COUNT: Count = Count::Optional;

    fn take(words: &mut Words) -> Self {
        let text = words.next()?;
        words.checked(text, T::parse(text))
    }
}

impl<T: Value> Slot for Vec<T> {
    const COUNT: Count = Count::Repeating;

    fn take(words: &mut Words) -> Self {
        let mut values = Self::new();
        for text in &words.all_of_next() {
            values.extend(words.checked(text, T::parse(text)));
        }
        values
    }
}

macro_rules! values {
    ($($type:ty),*) => {$(
        impl Value for $type {
            type Fault = <Self as FromStr>::Err;

            fn parse(text: &str) -> Result<Self, Self::Fault> {
                text.parse()
            }
        }
    )*};
}

values!(Cidr, IfName, IpAddr, PathBuf, PublicKey, String);

impl Value for u8 {
    type Fault = &'static str;

    fn parse(text: &str) -> Result<Self, Self::Fault> {
        text.parse().map_err(|_| "this number is not possible")
    }
}

impl Value for u16 {
    type Fault = &'static str;

    fn parse(text: &str) -> Result<Self, Self::Fault> {
        text.parse().map_err(|_| "this number is not possible")
    }
}

impl Value for Duration {
    type Fault = &'static str;

    /// Parses the seconds of `--confirm`. The key `confirm_reload` of the network file has the same bounds.
    fn parse(text: &str) -> Result<Self, Self::Fault> {
        text.parse().ok().and_then(model::confirmation_time).ok_or("give a number of seconds, 1 to 86400")
    }
}

/// Defines a command: a type with a field for each argument, and the table of the command.
macro_rules! command {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident = $word:literal
            $(, example $example:literal)?
            $(, note $note:literal)?
            $(, status $status:literal $meaning:literal)?
        {
            $($(#[doc = $help:literal])+ pub $field:ident: $slot:ty = $usage:literal;)*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $slot,)*
        }

        impl $crate::cli::fields::FromWords for $name {
            const LINE: &'static $crate::cli::line::CommandLine = &$crate::cli::line::CommandLine {
                name: $word,
                about: concat!($($about),+),
                arguments: &[$($crate::cli::line::Argument {
                    usage: $usage,
                    other_name: "",
                    help: concat!($($help),+),
                    count: <$slot as $crate::cli::fields::Slot>::COUNT,
                }),*],
                commands: &[],
                groups: &[],
                example: concat!($($example)?),
                note: concat!($($note)?),
                status: [$(Some(($status, $meaning)),)? None][0],
            };

            fn take(_words: &mut $crate::cli::parse::Words) -> Self {
                Self { $($field: $crate::cli::fields::Slot::take(_words),)* }
            }
        }
    };
}

/// Defines a choice of commands: an enumeration with a variant for each, and the table of the command above
/// them. A heading begins each group of commands.
macro_rules! commands {
    (
        $(#[doc = $about:literal])+
        pub enum $name:ident = $word:literal {
            $($($group:literal:)? $(#[doc = $help:literal])+ $variant:ident($command:ty),)*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub enum $name {
            $($(#[doc = $help])+ $variant($command),)*
        }

        impl $crate::cli::fields::FromWords for $name {
            const LINE: &'static $crate::cli::line::CommandLine = &$crate::cli::line::CommandLine {
                name: $word,
                about: concat!($($about),+),
                arguments: &[],
                commands: &[$(<$command as $crate::cli::fields::FromWords>::LINE),*],
                groups: &[$(concat!($($group)?)),*],
                example: "",
                note: "",
                status: None,
            };

            fn take(words: &mut $crate::cli::parse::Words) -> Self {
                words.below(Self::of).expect("a command, which the parser demands")
            }
        }

        impl $name {
            fn of(command: usize, words: &mut $crate::cli::parse::Words) -> Self {
                let variants: &[fn(&mut $crate::cli::parse::Words) -> Self] =
                    &[$(|words| Self::$variant($crate::cli::fields::FromWords::take(words))),*];
                variants[command](words)
            }
        }
    };
}

pub(super) use {command, commands};
