//! Files of wg-quick: what is read of them, what is told of broken ones, and that what is written is read as it was.

mod broken;
mod imported;
mod valid;
mod written;
