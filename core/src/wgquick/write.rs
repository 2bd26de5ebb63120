//! Writer for wg-quick files.

use std::fmt::{self, Display, Write};

use zeroize::Zeroizing;

use super::{InterfaceSection, PeerSection, RoutingTable, WgQuickFile};

/// Placeholder for an unknown private key. It is not a key, so wg-quick refuses the file until a person
/// replaces it.
const NO_KEY: &str = "<the private key goes here>";

impl WgQuickFile {
    /// Returns the text of the file, in memory that is wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut length = Length(0);
        // Neither counting nor writing to a String can fail.
        let _ = self.write(&mut length);
        // A String that grows leaves its old memory behind without wiping it.
        let mut text = Zeroizing::new(String::with_capacity(length.0));
        let _ = self.write(&mut *text);
        text
    }

    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        interface(&self.interface, out)?;
        self.peers.iter().try_for_each(|entry| peer(entry, out))
    }
}

/// Counter of written bytes.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn interface(interface: &InterfaceSection, out: &mut dyn Write) -> fmt::Result {
    out.write_str("[Interface]\n")?;
    match &interface.private_key {
        Some(key) => entry(out, "PrivateKey", &key.to_base64().as_str())?,
        None => entry(out, "PrivateKey", &NO_KEY)?,
    }
    list(out, "Address", &mut interface.addresses.iter().map(|address| address as &dyn Display))?;
    let servers = interface.dns.iter().map(|server| server as &dyn Display);
    list(out, "DNS", &mut servers.chain(interface.search.iter().map(|domain| domain as &dyn Display)))?;
    if let Some(mtu) = interface.mtu {
        entry(out, "MTU", &mtu)?;
    }
    if let Some(port) = interface.listen_port {
        entry(out, "ListenPort", &port)?;
    }
    match interface.fwmark {
        Some(0) => entry(out, "FwMark", &"off")?,
        Some(mark) => entry(out, "FwMark", &format_args!("{mark:#x}"))?,
        None => {}
    }
    match &interface.table {
        RoutingTable::Auto => Ok(()),
        RoutingTable::Off => entry(out, "Table", &"off"),
        RoutingTable::Named(table) => entry(out, "Table", table),
    }
}

fn peer(peer: &PeerSection, out: &mut dyn Write) -> fmt::Result {
    out.write_str("\n[Peer]\n")?;
    entry(out, "PublicKey", &peer.public_key)?;
    if let Some(key) = &peer.preshared_key {
        entry(out, "PresharedKey", &key.to_base64().as_str())?;
    }
    if let Some(endpoint) = &peer.endpoint {
        entry(out, "Endpoint", endpoint)?;
    }
    list(out, "AllowedIPs", &mut peer.allowed_ips.iter().map(|network| network as &dyn Display))?;
    if let Some(seconds) = peer.keepalive {
        entry(out, "PersistentKeepalive", &seconds)?;
    }
    Ok(())
}

/// Writes a line with a list, unless the list is empty.
fn list(out: &mut dyn Write, key: &str, values: &mut dyn Iterator<Item = &dyn Display>) -> fmt::Result {
    let Some(first) = values.next() else { return Ok(()) };
    write!(out, "{key} = {first}")?;
    for value in values {
        write!(out, ", {value}")?;
    }
    out.write_str("\n")
}

fn entry(out: &mut dyn Write, key: &str, value: &dyn Display) -> fmt::Result {
    writeln!(out, "{key} = {value}")
}
