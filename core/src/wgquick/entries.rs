//! The keys with a meaning here, and how each value gets into the draft.

use super::draft::{PeerSectionDraft, WgQuickDraft};
use super::values::{self, Dns, Noted};
use crate::config::fault::FaultWords;

/// Parts of the text behind a key that are a value each.
#[derive(Clone, Copy)]
pub(super) enum Parts {
    /// All of it.
    Whole,
    /// All of it, without the white space inside, which wg ignores.
    Compact,
    /// The words between commas and white space.
    Words,
    /// The parts between commas, each without the white space inside.
    Items,
}

/// Function that reads a value into the draft. Returns a remark on a meaning that a person may not expect.
pub(super) type Read = fn(&mut WgQuickDraft, &str) -> Result<Option<String>, FaultWords>;

/// The keys, with the parts of their values.
const ENTRIES: &[(&str, Parts, Read)] = &[
    ("PrivateKey", Parts::Compact, private_key),
    ("ListenPort", Parts::Compact, listen_port),
    ("FwMark", Parts::Compact, fwmark),
    ("Address", Parts::Words, address),
    ("DNS", Parts::Words, name_server),
    ("MTU", Parts::Whole, mtu),
    ("Table", Parts::Whole, table),
    ("PublicKey", Parts::Compact, public_key),
    ("PresharedKey", Parts::Compact, preshared_key),
    ("Endpoint", Parts::Compact, endpoint),
    ("AllowedIPs", Parts::Items, allowed_ips),
    ("PersistentKeepalive", Parts::Compact, keepalive),
];

/// Returns the parts of the value of a known key, and the function that reads them.
pub(super) fn reader(key: &str) -> (Parts, Read) {
    let (_, parts, read) = ENTRIES.iter().find(|(known, ..)| *known == key).expect("a known key");
    (*parts, *read)
}

fn private_key(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    draft.interface.private_key = Some(values::private_key(text)?);
    Ok(None)
}

fn listen_port(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    let Noted(port, note) = values::listen_port(text)?;
    draft.interface.listen_port = port;
    Ok(remark("ListenPort", note))
}

fn fwmark(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    draft.interface.fwmark = Some(values::fwmark(text)?);
    Ok(None)
}

fn address(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    draft.interface.addresses.push(values::address(text)?);
    Ok(None)
}

fn name_server(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    let what = match values::dns(text)? {
        Dns::Server(address) => {
            draft.interface.dns.push(address);
            return Ok(None);
        }
        Dns::Search(domain) => {
            draft.interface.search.push(domain);
            "a search domain, which the resolver of each device must know itself"
        }
        Dns::Neither => "not the address of a name server",
    };
    Ok(Some(["`", text, "` under `DNS` is left out: it is ", what].concat()))
}

fn mtu(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    let Noted(mtu, note) = if text.is_empty() { Noted(None, None) } else { values::mtu(text)? };
    draft.interface.mtu = mtu;
    Ok(remark("MTU", note))
}

fn table(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    draft.interface.table = values::table(text)?;
    Ok(None)
}

fn public_key(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    peer(draft).public_key = Some(values::public_key(text)?);
    Ok(None)
}

fn preshared_key(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    peer(draft).preshared_key = values::preshared_key(text)?;
    Ok(None)
}

fn endpoint(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    let Noted(endpoint, note) = values::endpoint(text)?;
    peer(draft).endpoint = Some(endpoint);
    Ok(remark("Endpoint", note))
}

fn allowed_ips(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    let (network, had_host_bits) = values::allowed(text)?;
    peer(draft).allowed_ips.push(network);
    let note = || format!("an address in `AllowedIPs` has host bits set: the network is {network}");
    Ok(had_host_bits.then(note))
}

fn keepalive(draft: &mut WgQuickDraft, text: &str) -> Result<Option<String>, FaultWords> {
    peer(draft).keepalive = values::keepalive(text)?;
    Ok(None)
}

fn peer(draft: &mut WgQuickDraft) -> &mut PeerSectionDraft {
    draft.peers.last_mut().expect("in a peer")
}

fn remark(key: &str, note: Option<String>) -> Option<String> {
    note.map(|note| ["`", key, "` ", &note].concat())
}
