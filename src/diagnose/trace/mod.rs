//! `portals trace`: follows one flow through this router, and says where it stops.
//!
//! The firewall's part comes from packets: the kernel reports each step of a packet (nftables), or counts the
//! packets that met each rule (iptables). The routes' part comes from the kernel's answer to a route lookup
//! with the interface, the source and the mark of the packet. The picture puts both together.

mod both;
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

use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::cli::style::Style;
use crate::engine::journal::{Journal, lock_within};
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::site::Site;
use both::Far;
use conclude::conclude;

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
    /// Seconds that the trace waits for packets of the device, and sends none; `None` if it sends packets.
    pub live: Option<u8>,
    /// Set if the site at the other end of the tunnel watches as well.
    pub is_both: bool,
}

/// Time for another trace to end. One that was killed leaves a process behind that ends soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// Traces a flow. The portals of `site` must have the exits that are in use.
pub fn run(site: &Site, kernel: &mut Linux, links: &Links, choices: Choices, style: Style) -> Result<Trace> {
    if choices.is_both && choices.live.is_some() {
        let words = "--both follows a packet of portals, and --live one of the device: give one of the two";
        return Err(Error::wrong(words.to_owned()));
    }
    let _lock = lock_within(&Journal::open()?.folder().join("trace"), PATIENCE)?.ok_or_else(|| {
        Error::failed("another `portals trace` is at work on this machine: wait until it ends, for a minute")
    })?;
    let (flow, portal) = flow::read(site, kernel, links, choices)?;
    let mut far = None;
    if choices.is_both {
        // A first packet tells the tunnel, and the addresses in the tunnel.
        let mut watched = watch::watch(kernel, links, &flow, None)?;
        let evidence = gather::evidence(site, kernel, links, (flow.clone(), portal), &mut watched);
        far = Some(Far::begin(site, &evidence));
    }
    let mut watched = watch::watch(kernel, links, &flow, choices.live)?;
    let evidence = gather::evidence(site, kernel, links, (flow, portal), &mut watched);
    let mut conclusion = conclude(&evidence);
    let mut text = picture::draw(&evidence, &conclusion, style);
    if let Some(far) = far {
        far.finish(&mut text, &mut conclusion, site.name.as_str(), evidence.outgoing());
    }
    conclusion.words.write(&mut text, style);
    Ok(Trace { text, is_good: conclusion.words.is_good })
}
