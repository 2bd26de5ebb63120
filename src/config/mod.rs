//! The network file: from TOML to [`Network`], or to all its faults at once.

pub mod model;
