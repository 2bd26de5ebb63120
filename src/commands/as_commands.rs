//! Shell script of `ip`, `wg`, `nft` and `sysctl` commands that carries out the steps of a plan by hand.
//!
//! The script is more than documentation: a test runs it with the real programs, after which the kernel must
//! be in the same state as after `apply`.

use std::fmt::{self, Write as _};

use crate::base::net::{Family, IfName, PublicKey};
use crate::base::sorted::SortedMap;
use crate::cli::shell::quoted;
use crate::engine::load::Files;
use crate::firewall::text;
use crate::firewall::xtables;
use crate::firewall::{ForeignChain, PINHOLE_COMMENT};
use crate::site::Site;
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
        let mut providers = SortedMap::new();
        for (interface, tunnel) in &site.tunnels {
            if let Some(own) = &tunnel.provider {
                providers.insert(interface.clone(), quoted(&own.config.to_string_lossy()));
            }
        }
        Self {
            providers,
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
        for step in steps {
            let _ = self.write_step(&mut script, step);
        }
        script
    }

    /// Writes the commands that do the same as a step.
    fn write_step(&self, script: &mut String, step: &Step) -> fmt::Result {
        match step {
            Step::AddLink(NamedLink { name, link }) => {
                write_added_link(script, name, link)?;
                write_alias(script, name, link)
            }
            Step::RemoveLink(NamedLink { name, .. }) => writeln!(script, "ip link delete {name}"),
            // The interface is about to be removed, and its settings go with it.
            Step::ChangeTunnel(TunnelChange { to: Tunnel { private_key: None, .. }, .. }) => Ok(()),
            Step::ChangeTunnel(TunnelChange { name, from, to }) => {
                self.write_tunnel(script, name, &delta(from, to))
            }
            Step::Routing(step) => write_routing(script, step),
            Step::Firewall(step) => {
                write_firewall(script, step);
                Ok(())
            }
            Step::SetSysctl(SysctlChange { key, to, .. }) => {
                writeln!(script, "sysctl -q -w {}={to}", dotted(key))
            }
        }
    }

    fn write_tunnel(&self, script: &mut String, name: &IfName, delta: &TunnelDelta) -> fmt::Result {
        let (mut before, mut settings) = (String::new(), String::new());
        match self.providers.get(name) {
            _ if delta.private_key == Change::Keep => {}
            Some(file) => {
                before = format!("key {file} PrivateKey | ");
                settings.push_str(" private-key /dev/stdin");
            }
            None => {
                settings.push_str(" private-key ");
                settings.push_str(key_files::PRIVATE_KEY_FILE);
            }
        }
        if let Some(port) = delta.port.number::<u16>() {
            write!(settings, " listen-port {port}")?;
        }
        if let Some(fwmark) = delta.fwmark.number::<u32>() {
            write!(settings, " fwmark {fwmark:#x}")?;
        }
        if !settings.is_empty() {
            writeln!(script, "{before}wg set {name}{settings}")?;
        }
        for key in &delta.removed {
            writeln!(script, "wg set {name} peer {key} remove")?;
        }
        for (key, peer) in &delta.added {
            self.write_peer(script, name, *key, &PeerDelta::of_new(peer))?;
        }
        for (key, peer) in &delta.changed {
            self.write_peer(script, name, *key, peer)?;
        }
        Ok(())
    }

    fn derives_keys(&self, step: &Step) -> bool {
        let has_key = |peer: &Peer| peer.preshared_key.is_some();
        matches!(step, Step::ChangeTunnel(TunnelChange { name, to, .. })
            if !self.providers.contains_key(name) && to.peers.values().any(has_key))
    }

    fn needs_providers_keys(&self, step: &Step) -> bool {
        matches!(step, Step::ChangeTunnel(change) if self.providers.contains_key(&change.name))
    }

    /// Writes the command that sets a peer. The script derives a pre-shared key or reads it from a
    /// provider's file, and pipes it in, so that the key appears in no argument list.
    fn write_peer(
        &self,
        script: &mut String,
        name: &IfName,
        key: PublicKey,
        delta: &PeerDelta,
    ) -> fmt::Result {
        let preshared_key = match delta.preshared_key {
            Change::Keep => "",
            Change::Clear => " preshared-key /dev/null",
            Change::Set(_) => {
                if let Some(file) = self.providers.get(name) {
                    write!(script, "key {file} PresharedKey {key} | ")?;
                } else {
                    let (mut one, mut other) = (self.own_key.to_string(), key.to_string());
                    if one > other {
                        (one, other) = (other, one);
                    }
                    write!(script, "psk {one} {other} | ")?;
                }
                " preshared-key /dev/stdin"
            }
        };
        write!(script, "wg set {name} peer {key}{preshared_key}")?;
        if let Some(endpoint) = delta.endpoint {
            write!(script, " endpoint {endpoint}")?;
        }
        if let Some(seconds) = delta.keepalive.number::<u16>() {
            write!(script, " persistent-keepalive {seconds}")?;
        }
        if let Some(networks) = &delta.allowed_ips {
            let mut before = " allowed-ips ";
            for network in networks {
                write!(script, "{before}{network}")?;
                before = ",";
            }
        }
        script.push('\n');
        Ok(())
    }
}

/// Writes the commands that change an interface that exists, an address, a route or a rule.
fn write_routing(script: &mut String, step: &RoutingStep) -> fmt::Result {
    match step {
        RoutingStep::ChangeLink { name, from, to } => {
            if from.mtu != to.mtu {
                writeln!(script, "ip link set {name} mtu {}", to.mtu)?;
            }
            if from.alias == to.alias { Ok(()) } else { write_alias(script, name, to) }
        }
        RoutingStep::AddAddress(name, address) => match address.network().family() {
            Family::V4 => writeln!(script, "ip address add {address} dev {name}"),
            // Without duplicate address detection, the address is usable at once: routes that name it as
            // their source follow.
            Family::V6 => writeln!(script, "ip -6 address add {address} dev {name} nodad"),
        },
        RoutingStep::RemoveAddress(name, address) => {
            let option = family_option(address.network().family());
            writeln!(script, "ip {option}address delete {address} dev {name}")
        }
        RoutingStep::BringUp(name) => writeln!(script, "ip link set {name} up"),
        RoutingStep::BringDown(name) => writeln!(script, "ip link set {name} down"),
        RoutingStep::AddRoute(route) => write_route(script, "add", route),
        RoutingStep::RemoveRoute(route) => write_route(script, "delete", route),
        RoutingStep::AddRule(rule) => write_rule(script, "add", rule),
        RoutingStep::RemoveRule(rule) => write_rule(script, "delete", rule),
    }
}

/// Writes the commands of a step that changes a firewall.
fn write_firewall(script: &mut String, step: &FirewallStep) {
    match step {
        FirewallStep::ClosePorts { from, to } => put_nft(script, &text::ports(from.is_some(), to.as_ref())),
        FirewallStep::ChangeFirewall { from, to } => {
            put_nft(script, &text::to_text(from.as_ref(), to.as_ref()));
        }
        FirewallStep::ChangeIptables { program, from, to } => {
            for family in [Family::V4, Family::V6] {
                let rules = xtables::text::script(from, to, family);
                if !rules.is_empty() {
                    let program = program.name(family, "-restore");
                    let _ = write!(script, "{program} --noflush <<'EOF'\n{rules}EOF\n");
                }
            }
        }
        FirewallStep::ChangePinholes { chain, from, to } => {
            if !from.rules.is_empty() {
                script.push_str(&clear_pinholes(chain));
            }
            if !to.rules.is_empty() {
                put_nft(script, &text::pinholes(chain, &to.rules));
            }
        }
    }
}

/// Writes the command that passes rules to nft, without line breaks at their end.
fn put_nft(script: &mut String, rules: &str) {
    let _ = writeln!(script, "nft -f - <<'EOF'\n{}\nEOF", rules.trim_end());
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

fn write_added_link(script: &mut String, name: &IfName, link: &Link) -> fmt::Result {
    let mtu = link.mtu;
    match &link.kind {
        LinkKind::WireGuard(_) => writeln!(script, "ip link add {name} mtu {mtu} type wireguard"),
        LinkKind::Vlan { parent, id } => writeln!(
            script,
            "ip link add link {parent} name {name} mtu {mtu} type vlan id {id} loose_binding on"
        ),
    }
}

fn write_alias(script: &mut String, name: &IfName, link: &Link) -> fmt::Result {
    writeln!(script, "ip link set {name} alias {}", link.alias)
}

/// Returns the command that removes our rules from a foreign chain. nft removes rules only by their handle; a
/// comment marks our rules.
fn clear_pinholes(chain: &ForeignChain) -> String {
    let by_handle =
        format!(r#"s/.* comment "{PINHOLE_COMMENT}" # handle \([0-9]*\)$/delete rule {chain} handle \1/p"#);
    format!("nft -a list chain {chain} | sed -n '{by_handle}' | nft -f -\n")
}

/// Returns the option of `ip` for an address family: IPv4 needs none.
fn family_option(family: Family) -> &'static str {
    if family == Family::V6 { "-6 " } else { "" }
}

fn write_route(script: &mut String, verb: &str, route: &Route) -> fmt::Result {
    writeln!(
        script,
        "ip {}route {verb} {} protocol {PROTOCOL}",
        family_option(route.destination.family()),
        words::route(route)
    )
}

fn write_rule(script: &mut String, verb: &str, rule: &Rule) -> fmt::Result {
    let option = family_option(rule.family);
    let (selector, action) = (SelectorWords(&rule.selector), ActionWords(&rule.action));
    writeln!(
        script,
        "ip {option}rule {verb} priority {} protocol {PROTOCOL} {selector} {action}",
        rule.priority
    )
}
