//! wg-quick files: the content of valid ones, the messages about broken ones, a round trip of written ones,
//! and the places of keys.

mod broken;
mod exported;
mod imported;
mod mesh;
mod oracle;
mod valid;
mod written;
