//! Files of wg-quick: what is read of them, what is told of broken ones, that what is written is read as it was, and where keys go.

mod broken;
mod exported;
mod imported;
mod oracle;
mod valid;
mod written;
