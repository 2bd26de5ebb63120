//! `portals trace`: follows one flow through this router, and says where it stops.
//!
//! The firewall's part comes from packets: the kernel reports each step of a packet (nftables), or counts the
//! packets that met each rule (iptables). The routes' part comes from the kernel's answer to a route lookup
//! with the interface, the source and the mark of the packet. The picture puts both together.

mod causes;
mod conclude;
mod evidence;
mod faults;
mod flow;
mod gather;
mod picture;
#[cfg(test)]
mod tests;
mod watch;
mod way;

use crate::base::error::Result;
use crate::cli::style::Style;
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::site::Site;

/// Result of a trace.
#[derive(Debug)]
pub struct Trace {
    /// Picture for people.
    pub text: String,
    /// Set if the flow works, as far as this router is concerned.
    pub is_good: bool,
}

/// Choices of a trace.
#[derive(Debug, Clone, Copy)]
pub struct Choices<'a> {
    /// Sender: the name of a portal, the address of a device, or `self`.
    pub from: &'a str,
    /// Destination, with a port or without.
    pub to: &'a str,
    /// Set if the destination's port is one of UDP.
    pub is_udp: bool,
    /// Set if the trace waits for packets of the device, and sends none.
    pub is_live: bool,
}

/// Traces a flow. The portals of `site` must have the exits that are in use.
pub fn run(site: &Site, kernel: &mut Linux, links: &Links, choices: Choices, style: Style) -> Result<Trace> {
    let (flow, portal) = flow::read(site, kernel, links, choices)?;
    let mut watched = watch::watch(kernel, links, &flow, choices.is_live)?;
    let evidence = gather::evidence(site, kernel, links, (flow, portal), &mut watched);
    let (text, conclusion) = picture::draw(&evidence, style);
    Ok(Trace { text, is_good: conclusion.is_good() })
}
