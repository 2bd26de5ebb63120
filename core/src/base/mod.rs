//! Types and helpers that every other module builds on.

pub mod duration;
pub mod error;
pub mod json;
pub mod keys;
pub mod listed;
pub mod moment;
pub mod net;
pub mod package_manager;
pub mod path;
pub mod random;
pub mod sorted;
pub mod text;
