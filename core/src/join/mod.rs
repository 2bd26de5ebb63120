//! Joining of a new site with one paste: the token of an invitation, the packets of the new site and of the
//! site that invites, the decisions of the latter, and the entries of the network file.
//!
//! A *token* holds a secret, the public key of the inviting site, and its *door*: the host and the UDP port
//! at which that site answers (the port of [helpers](crate::nat::helper)). The new site sends a request with
//! its own public key, sealed with the secret and both keys. The inviting site adds it to the network file,
//! and answers with the little that a first tunnel needs: the *provisional* network file. The signed network
//! file comes through that tunnel.
//!
//! A token without a door is for inviting sites that nobody can dial. The new site then prints its request as
//! a text, which a person pastes at the inviting site, and waits for the answer at [`WAIT_PORT`].

pub mod entry;
mod fields;
pub mod invitations;
pub mod packet;
pub mod paste;
#[cfg(test)]
mod tests;
pub mod token;

/// UDP port at which a new site waits for the answer to a request that was pasted.
pub const WAIT_PORT: u16 = 52075;
