//! dnsmasq for the LAN of a portal: gives addresses to its devices, and resolves names for them through the
//! exit.
//!
//! Each portal has a dnsmasq, which reads no file of the host and is bound to the interface of the portal, so
//! that it does not collide with a dnsmasq of the firmware. If another dnsmasq has taken the DHCP port on all
//! interfaces, the portal's dnsmasq fails, reports this, and is started again later. Its resolver has a port
//! that no other program uses, to which the firewall redirects the devices' queries.
//!
//! One process can serve several LANs, but not keep them apart: it has one list of resolvers and one cache,
//! whatever LAN a query comes from. It could not ask for each portal through that portal's exit, and a device
//! would get answers from the exit of another portal, and could tell which names are looked up there.

mod advertisements;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{Program, Service, ServiceFile, folder};
use crate::base::net::{Family, IfName, InterfaceAddress};
use crate::site::{HomeNames, Portal, RESOLVER_PORT};

/// Time for which a device may keep its address: half a day, so that a guest network has room again the next
/// morning.
const LEASE: &str = "12h";

/// Program for DHCP and DNS. It becomes `nobody` by itself, with the capabilities that it needs.
pub(super) const PROGRAM: Program = Program {
    name: "dnsmasq",
    package: "dnsmasq",
    purpose: "DHCP and DNS",
    capabilities: None,
    asks: false,
    stays: &["--user=root", "--group="],
};

/// Name of the file that dnsmasq reads.
const CONFIGURATION: &str = "dnsmasq.conf";
const LEASES: &str = "leases";

/// Setting that removes IPv6 addresses from answers. dnsmasq has it since 2.87, and does not start with a
/// setting that it does not know. Without it, devices try IPv6 that their exit does not take; the firewall
/// refuses it, and they go on with IPv4.
const WITHOUT_IPV6: &[&str] = &["--filter-AAAA"];

/// Path of a portal's packets through its exit, as far as its devices must know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PortalPath {
    /// Largest packet in bytes that the tunnels carry; `None` if there is no tunnel.
    pub(super) mtu: Option<u32>,
    /// Set if the exit takes IPv4.
    pub(super) ipv4: bool,
    /// Set if the exit takes IPv6; `None` if IPv6 is off at this site.
    pub(super) ipv6: Option<bool>,
}

impl PortalPath {
    fn takes(&self, family: Family) -> bool {
        match family {
            Family::V4 => self.ipv4,
            Family::V6 => self.ipv6 == Some(true),
        }
    }
}

/// Reports whether a portal needs a dnsmasq.
pub(super) fn is_needed(portal: &Portal) -> bool {
    portal.has_wire() && portal.address.is_some() && (portal.dhcp || !portal.resolvers.is_empty())
}

/// Returns the service of a portal whose entrance exists, if the portal needs one.
pub(super) fn of(
    portal: &Portal,
    names: &HomeNames,
    path: &PortalPath,
    run_folder: &Path,
) -> Option<Service> {
    let (interface, address) = (portal.entrance_interface()?, portal.address?);
    if !is_needed(portal) {
        return None;
    }
    let name = service(portal);
    let content = configuration_of(portal, interface, address, names, path, &folder(run_folder, &name));
    let hides_ipv6 = path.ipv6 == Some(false) && !portal.resolvers.is_empty();
    Some(Service {
        if_known: if hides_ipv6 { WITHOUT_IPV6 } else { &[] },
        interface: Some(interface.clone()),
        ..with(name, content, run_folder)
    })
}

/// Returns a service with this name and this configuration, for any version of the program.
#[inline(never)]
pub(super) fn with(name: String, content: String, run_folder: &Path) -> Service {
    let mut configuration = OsString::from("--conf-file=");
    configuration.push(folder(run_folder, &name).join(CONFIGURATION));
    Service {
        name,
        program: &PROGRAM,
        arguments: vec!["--keep-in-foreground".into(), configuration],
        if_known: &[],
        files: vec![ServiceFile { name: CONFIGURATION, content: content.into_bytes().into() }],
        interface: None,
    }
}

/// Returns the path of the file with the leases of a portal. The file exists while the portal has leases.
pub(super) fn lease_file(run_folder: &Path, portal: &Portal) -> PathBuf {
    folder(run_folder, &service(portal)).join(LEASES)
}

fn service(portal: &Portal) -> String {
    ["dnsmasq-", &portal.name].concat()
}

/// Returns the configuration. Nothing in it is free text: names of interfaces have no blanks, commas or
/// quotes, and all other values are numbers.
fn configuration_of(
    portal: &Portal,
    interface: &IfName,
    lan: InterfaceAddress,
    names: &HomeNames,
    path: &PortalPath,
    folder: &Path,
) -> String {
    let port = if portal.resolvers.is_empty() { 0 } else { RESOLVER_PORT };
    let mut text = format!(
        "interface={interface}\nexcept-interface=lo\nbind-dynamic\nno-resolv\nno-poll\nno-hosts\npid-file=\n\
         log-facility=-\nport={port}\n"
    );
    resolvers(&mut text, portal, path);
    if !portal.resolvers.is_empty() {
        of_homes(&mut text, names, lan.address);
    }
    // Queries that no public resolver can answer would only reveal details about this site.
    text.push_str("domain-needed\nbogus-priv\ncache-size=1000\n");
    if let Some(range) = portal.leased() {
        dhcp(&mut text, portal, lan, range, path.mtu, folder);
        if let Some(lan) = portal.address6 {
            advertisements::settings(&mut text, portal, interface, lan, path);
        }
    }
    text
}

/// Adds the resolvers that the exit reaches, or all resolvers if it reaches none of them; each with the
/// address of its family from which to ask. Policy rules route queries from that address through the exit.
fn resolvers(text: &mut String, portal: &Portal, path: &PortalPath) {
    for needs_exit in [true, false] {
        let begin = text.len();
        for resolver in &portal.resolvers {
            let family = Family::of(*resolver);
            let own = portal.resolver().find(|own| Family::of(*own) == family);
            if let Some(own) = own.filter(|_| path.takes(family) || !needs_exit) {
                let _ = writeln!(text, "server={resolver}@{own}");
            }
        }
        if text.len() > begin {
            return;
        }
    }
}

/// Adds the settings for names of computers in homes. Names of other homes do not go to the resolvers beyond
/// the exit.
fn of_homes(text: &mut String, names: &HomeNames, own: IpAddr) {
    let _ = writeln!(text, "local=/{}/", HomeNames::DOMAIN);
    for (site, address) in &names.sites {
        let domain = HomeNames::domain(site);
        // This router reaches its own home under the home's own addresses, and so do the devices that may
        // reach it: the home's resolver is asked without a translation.
        let _ = match names.resolver.filter(|_| names.own == *site) {
            Some(resolver) => writeln!(text, "server=/{domain}/{resolver}"),
            None => writeln!(text, "server=/{domain}/{address}#{RESOLVER_PORT}@{own}"),
        };
    }
}

/// Adds the settings for DHCP. dnsmasq leaves out its own address.
fn dhcp(
    text: &mut String,
    portal: &Portal,
    lan: InterfaceAddress,
    (first, last): (IpAddr, IpAddr),
    mtu: Option<u32>,
    folder: &Path,
) {
    let (own, leases) = (lan.address, folder.join(LEASES));
    // This is the only DHCP server here, and it gives no address twice. Without `dhcp-authoritative` and
    // `no-ping`, a device that comes from another network gets no answer for a while, and each new device
    // waits three seconds for a ping.
    let _ = write!(
        text,
        "dhcp-range={first},{last},{LEASE}\ndhcp-leasefile={}\ndhcp-authoritative\nno-ping\n\
         dhcp-option=3,{own}\n",
        leases.display()
    );
    if !portal.resolvers.is_empty() {
        let _ = writeln!(text, "dhcp-option=6,{own}");
    }
    // Devices then send no packet that is too large for the tunnel (RFC 2132 § 5.1).
    if let Some(mtu) = mtu {
        let _ = writeln!(text, "dhcp-option=26,{mtu}");
    }
}
