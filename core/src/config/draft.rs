//! The readable parts of the file, each with the place that a contradiction elsewhere in the file must point
//! to. A draft without faults is complete and becomes the [`Network`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::chain;
use super::fault::{At, Lines, Span};
use super::model::{
    DEFAULT_MTU, EndpointHost, EntranceConfig, ExitRef, FailoverDelays, FirewallChoice, Mtu, Name, Network,
    PhoneConfig, PortalConfig, Ports, ProviderConfig, RpFilter, SharedNetwork, SiteConfig, Subnet6,
};
use crate::base::net::{Cidr, IfName, InterfaceAddress, PublicKey};
use crate::base::sorted::{SortedMap, SortedSet};

/// Default of `port`: the base UDP port of a site.
const DEFAULT_PORT: u16 = 51820;
/// Default of `down_after`: seconds of silence after which an exit is down.
const DEFAULT_DOWN_AFTER: u64 = 3;
/// Default of `up_after`: seconds for which an exit that was down must answer before portals uses it again.
const DEFAULT_UP_AFTER: u64 = 10;
/// Default of `resolve_after`: seconds without a handshake after which portals resolves a name again. A
/// session in use gets a new handshake every two minutes (REKEY_AFTER_TIME in WireGuard's paper, § 6.1).
const DEFAULT_RESOLVE_AFTER: u64 = 120;

/// The whole file.
#[derive(Default)]
pub(super) struct NetworkDraft {
    pub name: Option<At<Name>>,
    pub subnet: Option<At<Cidr>>,
    pub subnet6: Option<At<Cidr>>,
    /// The file has `subnet6`, with a right or a wrong value.
    pub ipv6: bool,
    pub mtu: Option<At<Mtu>>,
    /// Seconds.
    pub down_after: Option<At<u64>>,
    /// Seconds.
    pub up_after: Option<At<u64>>,
    pub probe: Option<At<IpAddr>>,
    /// Seconds.
    pub resolve_after: Option<At<u64>>,
    pub serial: Option<At<u64>>,
    pub admins: Vec<At<PublicKey>>,
    /// Sites in the order of the file.
    pub sites: Vec<SiteDraft>,
    /// Phones in the order of the file.
    pub phones: Vec<PhoneDraft>,
}

/// A `[site.NAME]` section.
pub(super) struct SiteDraft {
    pub name: At<Name>,
    /// The section has unknown keys: one of them may be a key that seems to be missing.
    pub misspelt: bool,
    pub id: Option<At<u8>>,
    pub public_key: Option<At<PublicKey>>,
    /// The section has `endpoint`, with a right or a wrong value.
    pub dialled: bool,
    pub endpoint: Option<At<EndpointHost>>,
    pub port: Option<At<u16>>,
    pub helper_port: Option<At<u16>>,
    pub relay: Option<At<bool>>,
    pub port_mapping: Option<At<bool>>,
    pub exits: Vec<At<Name>>,
    pub links: Vec<At<Name>>,
    pub lan: Vec<At<SharedNetwork>>,
    /// The section has `lan`, with right or wrong values.
    pub shares: bool,
    pub dns: Option<At<IpAddr>>,
    pub uplink: Option<At<IfName>>,
    pub firewall: Option<At<FirewallChoice>>,
    pub fastpath: Option<At<bool>>,
    pub rp_filter: Option<At<RpFilter>>,
    pub hook: Option<At<PathBuf>>,
    pub dyndns: Option<At<PathBuf>>,
    /// Seconds.
    pub confirm_reload: Option<At<u64>>,
    /// Portals in the order of the file.
    pub portals: Vec<PortalDraft>,
    /// Providers in the order of the file.
    pub providers: Vec<ProviderDraft>,
}

/// A `[site.NAME.portal.NAME]` section.
pub(super) struct PortalDraft {
    pub name: At<Name>,
    pub span: Span,
    pub exits: Vec<At<Name>>,
    pub entrance: Option<At<EntranceConfig>>,
    pub to: Vec<At<Cidr>>,
    pub ports: Vec<At<Ports>>,
    pub except: Vec<At<Cidr>>,
    pub address: Option<At<InterfaceAddress>>,
    /// The section has `address`, with a right or a wrong value.
    pub addressed: bool,
    pub dhcp: Option<At<bool>>,
    pub dns: Vec<At<IpAddr>>,
    pub ntp: Option<At<bool>>,
    pub router: Option<At<bool>>,
    pub inbound: Option<At<bool>>,
    pub page: Option<At<bool>>,
}

/// A `[site.NAME.exit.NAME]` section.
pub(super) struct ProviderDraft {
    pub name: At<Name>,
    pub span: Span,
    pub config: Option<At<PathBuf>>,
}

/// A `[phone.NAME]` section.
pub(super) struct PhoneDraft {
    pub name: At<Name>,
    pub span: Span,
    pub id: Option<At<u8>>,
    pub at: Option<At<Name>>,
    pub exit: Option<At<Name>>,
    pub public_key: Option<At<PublicKey>>,
    pub preshared_key_file: Option<At<PathBuf>>,
    pub dns: Vec<At<IpAddr>>,
}

impl NetworkDraft {
    /// Returns the site with that name.
    pub(super) fn site(&self, name: &str) -> Option<&SiteDraft> {
        self.sites.iter().find(|site| site.name.value == name)
    }

    /// Returns the names of all sites, in the order of the file.
    pub(super) fn site_names(&self) -> Vec<&str> {
        self.sites.iter().map(|site| site.name.value.as_str()).collect()
    }

    /// Returns the portals of all sites, in the order of the file.
    pub(super) fn portals(&self) -> Vec<&PortalDraft> {
        let mut portals = Vec::new();
        for site in &self.sites {
            portals.extend(&site.portals);
        }
        portals
    }

    /// Returns the networks that sites share, with their sites, in the order of the file.
    pub(super) fn lans(&self) -> Vec<(&SiteDraft, &At<SharedNetwork>)> {
        let mut lans = Vec::new();
        for site in &self.sites {
            for lan in &site.lan {
                lans.push((site, lan));
            }
        }
        lans
    }

    /// Returns the network of a draft without faults. `text` is the file that the spans refer to.
    pub(super) fn finish(self, text: &str) -> Network {
        let providers: SortedMap<Name, SortedSet<Name>> =
            self.sites.iter().map(|site| (site.name.value.clone(), site.provider_names())).collect();
        let lines = Lines::of(text);
        let (mut sites, mut phones) = (SortedMap::new(), SortedMap::new());
        for site in self.sites {
            let (name, site) = site.finish(&lines);
            sites.insert(name, site);
        }
        for phone in self.phones {
            let (name, phone) = phone.finish(&lines, &providers);
            phones.insert(name, phone);
        }
        let subnet6 = self
            .subnet6
            .map(|At { value, span }| Subnet6 { network: value, position: lines.position(span.start) });
        Network {
            name: required(self.name),
            subnet: required(self.subnet),
            subnet6,
            mtu: self.mtu.map_or(Mtu::Fixed(DEFAULT_MTU), |mtu| mtu.value),
            failover: FailoverDelays {
                down_after: seconds(self.down_after, DEFAULT_DOWN_AFTER),
                up_after: seconds(self.up_after, DEFAULT_UP_AFTER),
            },
            probe: self.probe.map(|probe| probe.value),
            resolve_after: seconds(self.resolve_after, DEFAULT_RESOLVE_AFTER),
            serial: self.serial.map_or(0, |serial| serial.value),
            admins: values(self.admins),
            sites,
            phones,
        }
    }
}

impl SiteDraft {
    /// Returns the base UDP port.
    pub(super) fn base_port(&self) -> u16 {
        self.port.as_ref().map_or(DEFAULT_PORT, |port| port.value)
    }

    /// Returns the names of the site's exits that are a provider's file.
    pub(super) fn provider_names(&self) -> SortedSet<Name> {
        self.providers.iter().map(|provider| provider.name.value.clone()).collect()
    }

    fn finish(self, lines: &Lines) -> (Name, SiteConfig) {
        let names = self.provider_names();
        let (mut portals, mut providers) = (Vec::new(), SortedMap::new());
        for portal in self.portals {
            portals.push(portal.finish(lines, &names));
        }
        for provider in self.providers {
            let (name, provider) = provider.finish(lines);
            providers.insert(name, provider);
        }
        let site = SiteConfig {
            id: required(self.id),
            public_key: required(self.public_key),
            port: self.port.map_or(DEFAULT_PORT, |port| port.value),
            endpoint: self.endpoint.map(|endpoint| endpoint.value),
            helper_port: self.helper_port.map(|port| port.value),
            relay: self.relay.is_none_or(|relay| relay.value),
            port_mapping: self.port_mapping.is_none_or(|port_mapping| port_mapping.value),
            exits: values(self.exits),
            links: values(self.links),
            lan: values(self.lan),
            dns: self.dns.map(|dns| dns.value),
            uplink: self.uplink.map(|uplink| uplink.value),
            firewall: self.firewall.map_or(FirewallChoice::Auto, |firewall| firewall.value),
            fastpath: self.fastpath.is_some_and(|fastpath| fastpath.value),
            rp_filter: self.rp_filter.map_or(RpFilter::Keep, |rp_filter| rp_filter.value),
            hook: self.hook.map(|hook| hook.value),
            dyndns: self.dyndns.map(|dyndns| dyndns.value),
            confirm_reload: self.confirm_reload.map(|time| Duration::from_secs(time.value)),
            portals,
            providers,
        };
        (self.name.value, site)
    }
}

impl PortalDraft {
    fn finish(self, lines: &Lines, providers: &SortedSet<Name>) -> PortalConfig {
        PortalConfig {
            name: self.name.value,
            exits: values(self.exits).into_iter().map(|name| exit_ref(name, providers)).collect(),
            entrance: required(self.entrance),
            to: values(self.to),
            ports: values(self.ports),
            except: values(self.except),
            address: self.address.map(|address| address.value),
            dhcp: self.dhcp.map(|dhcp| dhcp.value),
            router: self.router.map(|router| router.value),
            inbound: self.inbound.is_some_and(|inbound| inbound.value),
            page: self.page.is_some_and(|page| page.value),
            dns: values(self.dns),
            ntp: self.ntp.is_none_or(|ntp| ntp.value),
            position: lines.position(self.span.start),
        }
    }
}

impl ProviderDraft {
    fn finish(self, lines: &Lines) -> (Name, ProviderConfig) {
        let position = lines.position(self.span.start);
        (self.name.value, ProviderConfig { config: required(self.config), position })
    }
}

impl PhoneDraft {
    /// Returns the phone. As `exit`, the site that the phone dials and `direct` both mean the same as no
    /// `exit`.
    fn finish(self, lines: &Lines, providers: &SortedMap<Name, SortedSet<Name>>) -> (Name, PhoneConfig) {
        let at = required(self.at);
        let elsewhere = self.exit.map(|exit| exit.value).filter(|exit| *exit != at && exit != DIRECT);
        let phone = PhoneConfig {
            id: required(self.id),
            exit: elsewhere.map(|name| exit_ref(name, &providers[&at])),
            public_key: required(self.public_key),
            preshared_key_file: self.preshared_key_file.map(|file| file.value),
            dns: values(self.dns),
            position: lines.position(self.span.start),
            at,
        };
        (self.name.value, phone)
    }
}

/// Name of the exit that every site has: its own uplink.
pub(super) const DIRECT: &str = "direct";

fn exit_ref(name: Name, providers: &SortedSet<Name>) -> ExitRef {
    if let Some(hops) = chain::hops(&name) {
        return ExitRef::Chain(hops.into_iter().map(str::to_owned).collect());
    }
    match name {
        name if name == DIRECT => ExitRef::Direct,
        name if providers.contains(&name) => ExitRef::Provider(name),
        name => ExitRef::Site(name),
    }
}

fn seconds(written: Option<At<u64>>, default: u64) -> Duration {
    Duration::from_secs(written.map_or(default, |seconds| seconds.value))
}

/// Returns a value that a draft without faults has.
fn required<T>(value: Option<At<T>>) -> T {
    value.expect("a draft without faults is complete").value
}

fn values<T>(list: Vec<At<T>>) -> Vec<T> {
    list.into_iter().map(|item| item.value).collect()
}
