//! The operating system, apart from the network: files, processes, clocks, logs, packages and platforms.

pub mod child;
pub mod clock;
pub mod command;
pub mod disk;
pub mod entropy;
pub mod key_files;
mod libc_overrides;
pub mod logging;
#[cfg(test)]
pub(crate) mod loopback;
pub mod notify;
pub mod open_files;
pub mod packages;
pub mod platform;
pub mod port_mapping;
pub mod privileges;
pub mod resolver;
pub mod seccomp;
pub(crate) mod threads;
pub mod wait;
pub mod wall_clock;
