//! Diagnosis: checks of the network file, the host and the live state. Each says what was seen, why it
//! matters, and the way out. Checks only read.

pub mod finding;
pub mod trace;
