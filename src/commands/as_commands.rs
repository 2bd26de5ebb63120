//! Shell script of `ip`, `wg`, `nft` and `sysctl` commands that carries out the steps of a plan by hand.
//!
//! The script is more than documentation: a test runs it with the real programs, after which the kernel must
//! be in the same state as after `apply`.

use std::fmt::Write as _;

use crate::base::net::{Cidr, Family, IfName, PublicKey};
use crate::base::sorted::SortedMap;
use crate::engine::load::Files;
use crate::firewall::text;
use crate::firewall::xtables;
use crate::firewall::{ForeignChain, PINHOLE_COMMENT};
use crate::site::{self, Site};
use crate::state::step::{FirewallStep, NamedLink, RoutingStep, Step, SysctlChange, TunnelChange};
use crate::state::tunnel_delta::{Change, PeerDelta, TunnelDelta, delta};
use crate::state::words::dotted;
use crate::state::words::{self, ActionWords, SelectorWords};
use crate::state::{Link, LinkKind, PROTOCOL, Peer, Route, Rule, Tunnel, WireGuardBackend};
use crate::system::key_files;

/// Facts that a script needs in addition to the steps. Secrets stay in their files; the script only names the
/// files.
#[derive(Debug)]
pub struct Script {
    network: String,
    site: String,
    folder: String,
    own_key: PublicKey,
    backend: WireGuardBackend,
    /// Files of providers (wg-quick), by the interface that leads to the provider.
    providers: SortedMap<IfName, String>,
}

impl Script {
    /// Collects the facts for a script at this site.
    pub fn new(files: &Files, site: &Site) -> Self {
        let file = |(interface, tunnel): (&IfName, &site::SiteTunnel)| {
            let own = tunnel.provider.as_ref()?;
            Some((interface.clone(), quoted(&own.config.display().to_string())))
        };
        Self {
            providers: site.tunnels.iter().filter_map(file).collect(),
            network: site.network.clone(),
            site: site.name.clone(),
            folder: files.folder.display().to_string(),
            own_key: files.public_key,
            backend: site.host.wireguard,
        }
    }

    /// Returns the whole script, for any POSIX shell, run as root.
    pub fn write(&self, steps: &[Step]) -> String {
        let mut script = String::from("#!/bin/sh\n");
        let _ = writeln!(
            script,
            "# What `portals apply` would do at site {} of network {}.",
            self.site, self.network
        );
        if self.backend == WireGuardBackend::BuiltIn {
            script.push_str(
                "# These commands need the kernel's WireGuard; this site uses the built-in WireGuard, \
                 which exists only in `portals run`.\n",
            );
        }
        script.push_str("set -e\n");
        if steps.is_empty() {
            script.push_str("# Nothing to do.\n");
            return script;
        }
        let _ = writeln!(script, "cd {}", quoted(&self.folder));
        if steps.iter().any(|step| self.derives_keys(step)) {
            script.push_str(PRESHARED_KEY_FUNCTION);
        }
        if steps.iter().any(|step| self.needs_providers_keys(step)) {
            script.push_str(PROVIDERS_KEY_FUNCTION);
        }
        for line in steps.iter().flat_map(|step| self.lines(step)) {
            script.push_str(&line);
            script.push('\n');
        }
        script
    }

    /// Returns the commands that do the same as a step.
    fn lines(&self, step: &Step) -> Vec<String> {
        match step {
            Step::AddLink(NamedLink { name, link }) => vec![add_link(name, link), set_alias(name, link)],
            Step::RemoveLink(NamedLink { name, .. }) => vec![format!("ip link delete {name}")],
            // The interface is about to be removed, and its settings go with it.
            Step::ChangeTunnel(TunnelChange { to: Tunnel { private_key: None, .. }, .. }) => Vec::new(),
            Step::ChangeTunnel(TunnelChange { name, from, to }) => self.tunnel(name, &delta(from, to)),
            Step::Routing(step) => routing_lines(step),
            Step::Firewall(step) => firewall_lines(step),
            Step::SetSysctl(SysctlChange { key, to, .. }) => {
                vec![format!("sysctl -q -w {}={to}", dotted(key))]
            }
        }
    }

    fn tunnel(&self, name: &IfName, delta: &TunnelDelta) -> Vec<String> {
        let (mut before, mut settings) = (String::new(), String::new());
        match self.providers.get(name) {
            _ if delta.private_key == Change::Keep => {}
            Some(file) => {
                before = format!("key {file} PrivateKey | ");
                settings.push_str(" private-key /dev/stdin");
            }
            None => {
                let _ = write!(settings, " private-key {}", key_files::PRIVATE_KEY_FILE);
            }
        }
        if let Some(port) = delta.port.number::<u16>() {
            let _ = write!(settings, " listen-port {port}");
        }
        if let Some(fwmark) = delta.fwmark.number::<u32>() {
            let _ = write!(settings, " fwmark {fwmark:#x}");
        }
        let settings = (!settings.is_empty()).then(|| format!("{before}wg set {name}{settings}"));
        let removed = delta.removed.iter().map(|key| format!("wg set {name} peer {key} remove"));
        let added = delta.added.iter().map(|(key, peer)| self.peer(name, *key, &PeerDelta::of_new(peer)));
        let changed = delta.changed.iter().map(|(key, peer)| self.peer(name, *key, peer));
        let mut lines = Vec::from_iter(settings);
        lines.extend(removed);
        lines.extend(added);
        lines.extend(changed);
        lines
    }

    fn derives_keys(&self, step: &Step) -> bool {
        let has_key = |peer: &Peer| peer.preshared_key.is_some();
        matches!(step, Step::ChangeTunnel(TunnelChange { name, to, .. })
            if !self.providers.contains_key(name) && to.peers.values().any(has_key))
    }

    fn needs_providers_keys(&self, step: &Step) -> bool {
        matches!(step, Step::ChangeTunnel(change) if self.providers.contains_key(&change.name))
    }

    /// Returns the command that sets a peer. The script derives a pre-shared key or reads it from a
    /// provider's file, and pipes it in, so that the key appears in no argument list.
    fn peer(&self, name: &IfName, key: PublicKey, delta: &PeerDelta) -> String {
        let (before, preshared_key) = match delta.preshared_key {
            Change::Keep => (String::new(), ""),
            Change::Clear => (String::new(), " preshared-key /dev/null"),
            Change::Set(_) => {
                let source = if let Some(file) = self.providers.get(name) {
                    format!("key {file} PresharedKey {key} | ")
                } else {
                    let mut ends = [self.own_key.to_string(), key.to_string()];
                    ends.sort();
                    format!("psk {} {} | ", ends[0], ends[1])
                };
                (source, " preshared-key /dev/stdin")
            }
        };
        let mut line = format!("{before}wg set {name} peer {key}{preshared_key}");
        if let Some(endpoint) = delta.endpoint {
            let _ = write!(line, " endpoint {endpoint}");
        }
        if let Some(seconds) = delta.keepalive.number::<u16>() {
            let _ = write!(line, " persistent-keepalive {seconds}");
        }
        if let Some(networks) = &delta.allowed_ips {
            let networks: Vec<String> = networks.iter().map(Cidr::to_string).collect();
            let _ = write!(line, " allowed-ips {}", networks.join(","));
        }
        line
    }
}

/// Returns the commands that change an interface that exists, an address, a route or a rule.
fn routing_lines(step: &RoutingStep) -> Vec<String> {
    match step {
        RoutingStep::ChangeLink { name, from, to } => {
            let mtu = (from.mtu != to.mtu).then(|| format!("ip link set {name} mtu {}", to.mtu));
            let alias = (from.alias != to.alias).then(|| set_alias(name, to));
            mtu.into_iter().chain(alias).collect()
        }
        RoutingStep::AddAddress(name, address) => match address.network().family() {
            Family::V4 => vec![format!("ip address add {address} dev {name}")],
            // Without duplicate address detection, the address is usable at once: routes that name it as
            // their source follow.
            Family::V6 => vec![format!("ip -6 address add {address} dev {name} nodad")],
        },
        RoutingStep::RemoveAddress(name, address) => {
            let option = family_option(address.network().family());
            vec![format!("ip {option}address delete {address} dev {name}")]
        }
        RoutingStep::BringUp(name) => vec![format!("ip link set {name} up")],
        RoutingStep::BringDown(name) => vec![format!("ip link set {name} down")],
        RoutingStep::AddRoute(entry) => vec![route("add", entry)],
        RoutingStep::RemoveRoute(entry) => vec![route("delete", entry)],
        RoutingStep::AddRule(entry) => vec![rule("add", entry)],
        RoutingStep::RemoveRule(entry) => vec![rule("delete", entry)],
    }
}

/// Returns the commands of a step that changes a firewall.
fn firewall_lines(step: &FirewallStep) -> Vec<String> {
    match step {
        FirewallStep::ClosePorts { from, to } => vec![nft(&text::ports(from.is_some(), to.as_ref()))],
        FirewallStep::ChangeFirewall { from, to } => vec![nft(&text::to_text(from.as_ref(), to.as_ref()))],
        FirewallStep::ChangeIptables { program, from, to } => {
            let restore = |family| {
                let script = xtables::text::script(from, to, family);
                let program = program.name(family, "-restore");
                (!script.is_empty()).then(|| format!("{program} --noflush <<'EOF'\n{script}EOF"))
            };
            [Family::V4, Family::V6].into_iter().filter_map(restore).collect()
        }
        FirewallStep::ChangePinholes { chain, from, to } => {
            let mut lines = Vec::new();
            if !from.rules.is_empty() {
                lines.push(clear_pinholes(chain));
            }
            if !to.rules.is_empty() {
                lines.push(nft(&text::pinholes(chain, &to.rules)));
            }
            lines
        }
    }
}

/// Returns the command that passes rules to nft, without line breaks at their end.
fn nft(rules: &str) -> String {
    format!("nft -f - <<'EOF'\n{}\nEOF", rules.trim_end())
}

/// Shell function that derives the pre-shared key of a link, as the documentation of the network's secret
/// describes.
const PRESHARED_KEY_FUNCTION: &str = r#"psk() {
  printf 'portals psk 1\n%s\n%s\n%s\n' "$(cat network.secret)" "$1" "$2" |
    b2sum -l 256 | cut -c 1-64 | tr a-f A-F | basenc --base16 -d | base64
}
"#;

/// Shell function that prints a key of a wg-quick file: a key of its `[Interface]`, or of the `[Peer]` with
/// the given public key.
const PROVIDERS_KEY_FUNCTION: &str = r#"key() {
  tr -d ' \t\r' < "$1" | awk -F '=' -v wanted="$(echo "$2" | tr A-Z a-z)" -v peer="$3" '
    function end() { if (found && public == peer) print found; found = public = "" }
    { sub(/#.*/, ""); value = substr($0, length($1) + 2); name = tolower($1) }
    /^\[/ { end() }
    name == wanted { found = value }
    name == "publickey" { public = value }
    END { end() }'
}
"#;

fn add_link(name: &IfName, link: &Link) -> String {
    let mtu = link.mtu;
    match &link.kind {
        LinkKind::WireGuard(_) => format!("ip link add {name} mtu {mtu} type wireguard"),
        LinkKind::Vlan { parent, id } => {
            format!("ip link add link {parent} name {name} mtu {mtu} type vlan id {id} loose_binding on")
        }
    }
}

fn set_alias(name: &IfName, link: &Link) -> String {
    format!("ip link set {name} alias {}", link.alias)
}

/// Returns the command that removes our rules from a foreign chain. nft removes rules only by their handle; a
/// comment marks our rules.
fn clear_pinholes(chain: &ForeignChain) -> String {
    let by_handle =
        format!(r#"s/.* comment "{PINHOLE_COMMENT}" # handle \([0-9]*\)$/delete rule {chain} handle \1/p"#);
    format!("nft -a list chain {chain} | sed -n '{by_handle}' | nft -f -")
}

/// Returns the option of `ip` for an address family: IPv4 needs none.
fn family_option(family: Family) -> &'static str {
    if family == Family::V6 { "-6 " } else { "" }
}

fn route(verb: &str, route: &Route) -> String {
    format!(
        "ip {}route {verb} {} protocol {PROTOCOL}",
        family_option(route.destination.family()),
        words::route(route)
    )
}

fn rule(verb: &str, rule: &Rule) -> String {
    let option = family_option(rule.family);
    let (selector, action) = (SelectorWords(&rule.selector), ActionWords(&rule.action));
    format!("ip {option}rule {verb} priority {} protocol {PROTOCOL} {selector} {action}", rule.priority)
}

/// Quotes a text as one word for any POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
