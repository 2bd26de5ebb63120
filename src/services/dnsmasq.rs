//! dnsmasq for the LAN of a portal: gives addresses to its devices, and resolves names for them through the
//! exit.
//!
//! Each portal has a dnsmasq, which reads no file of the host and is bound to the interface of the portal, so
//! that it does not collide with a dnsmasq of the firmware. If another dnsmasq has taken the DHCP port on all
//! interfaces, the portal's dnsmasq fails, reports this, and is started again later. Its resolver has a port
//! that no other program uses, to which the firewall redirects the devices' queries.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Program, Service, ServiceFile, folder};
use crate::base::net::{IfName, InterfaceAddress};
use crate::site::{Portal, RESOLVER_PORT};

/// Time for which a device may keep its address: half a day, so that a guest network has room again the next
/// morning.
const LEASE: &str = "12h";

/// Program for DHCP and DNS. It becomes `nobody` by itself, with the capabilities that it needs.
pub(super) const PROGRAM: Program = Program {
    name: "dnsmasq",
    package: "dnsmasq",
    purpose: "DHCP and DNS",
    capabilities: None,
    stays: &["--user=root", "--group="],
};

const CONFIGURATION: &str = "dnsmasq.conf";
const LEASES: &str = "leases";

/// Reports whether a portal needs a dnsmasq.
pub(super) fn is_needed(portal: &Portal) -> bool {
    portal.has_wire() && portal.address.is_some() && (portal.dhcp || !portal.resolvers.is_empty())
}

/// Returns the service of a portal whose entrance exists, if the portal needs one. With `mtu`, its devices
/// send no packets of more than this number of bytes.
pub(super) fn of(portal: &Portal, mtu: Option<u32>, run_folder: &Path) -> Option<Service> {
    let (interface, address) = (portal.entrance_interface()?, portal.address?);
    if !is_needed(portal) {
        return None;
    }
    let name = service(portal);
    let folder = folder(run_folder, &name);
    let mut configuration = OsString::from("--conf-file=");
    configuration.push(folder.join(CONFIGURATION));
    let content = configuration_of(portal, interface, address, mtu, &folder);
    Some(Service {
        name,
        program: &PROGRAM,
        arguments: vec!["--keep-in-foreground".into(), configuration],
        files: vec![ServiceFile { name: CONFIGURATION, content: content.into_bytes().into() }],
        interface: Some(interface.clone()),
    })
}

/// Returns the path of the file with the leases of a portal. The file exists while the portal has leases.
pub(super) fn lease_file(run_folder: &Path, portal: &Portal) -> PathBuf {
    folder(run_folder, &service(portal)).join(LEASES)
}

fn service(portal: &Portal) -> String {
    format!("dnsmasq-{}", portal.name)
}

/// Returns the configuration. Nothing in it is free text: names of interfaces have no blanks, commas or
/// quotes, and all other values are numbers.
fn configuration_of(
    portal: &Portal,
    interface: &IfName,
    lan: InterfaceAddress,
    mtu: Option<u32>,
    folder: &Path,
) -> String {
    let own = lan.address;
    let mut text = format!(
        "interface={interface}\nexcept-interface=lo\nbind-dynamic\nno-resolv\nno-poll\nno-hosts\npid-file=\n\
         log-facility=-\n"
    );
    let port = if portal.resolvers.is_empty() { 0 } else { RESOLVER_PORT };
    let _ = writeln!(text, "port={port}");
    for resolver in &portal.resolvers {
        // Policy rules route queries from this address through the exit.
        let _ = writeln!(text, "server={resolver}@{own}");
    }
    // Queries that no public resolver can answer would only reveal details about this site.
    text.push_str("domain-needed\nbogus-priv\ncache-size=1000\n");
    if portal.dhcp {
        text.push_str(&dhcp(portal, lan, mtu, folder));
    }
    text
}

/// Returns the settings for DHCP. The range is all addresses of the LAN; dnsmasq leaves out its own.
fn dhcp(portal: &Portal, lan: InterfaceAddress, mtu: Option<u32>, folder: &Path) -> String {
    let network = lan.network();
    let size = 1 << (network.family().bits() - network.length());
    let host = |number| network.nth(number).expect("validated: a LAN has room for devices");
    let mut text = format!(
        "dhcp-range={},{},{LEASE}\ndhcp-leasefile={}\n",
        host(1),
        host(size - 2),
        folder.join(LEASES).display()
    );
    // This is the only DHCP server here, and it gives no address twice. Without these settings, a device that
    // comes from another network gets no answer for a while, and each new device waits three seconds for a
    // ping.
    text.push_str("dhcp-authoritative\nno-ping\n");
    let own = lan.address;
    let _ = writeln!(text, "dhcp-option=3,{own}");
    if !portal.resolvers.is_empty() {
        let _ = writeln!(text, "dhcp-option=6,{own}");
    }
    // Devices then send no packet that is too large for the tunnel (RFC 2132 § 5.1).
    if let Some(mtu) = mtu {
        let _ = writeln!(text, "dhcp-option=26,{mtu}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{Entrance, Exit, ReplyPath, RouterAccess};

    fn portal() -> Portal {
        Portal {
            name: "guest".to_owned(),
            entrance: Entrance::Interface("eth1".parse().unwrap()),
            is_here: true,
            obstacle: None,
            router: RouterAccess::Basics,
            answers: ReplyPath::ByExit,
            exits: vec![Exit::Direct],
            exit: Exit::Direct,
            address: Some("10.77.1.65/26".parse().unwrap()),
            address6: None,
            dhcp: true,
            resolvers: vec!["9.9.9.9".parse().unwrap(), "1.1.1.1".parse().unwrap()],
            asks_by_exit: false,
            to: Vec::new(),
            except: Vec::new(),
            behind: [].into(),
            ports: None,
        }
    }

    fn text(portal: &Portal) -> Option<String> {
        let service = of(portal, Some(1280), Path::new("/run/portals"))?;
        Some(String::from_utf8(service.files[0].content.to_vec()).unwrap())
    }

    #[test]
    fn a_lan_has_leases_and_a_resolver() {
        let expected = "\
            interface=eth1\nexcept-interface=lo\nbind-dynamic\nno-resolv\nno-poll\nno-hosts\npid-file=\n\
            log-facility=-\nport=5053\nserver=9.9.9.9@10.77.1.65\nserver=1.1.1.1@10.77.1.65\n\
            domain-needed\nbogus-priv\ncache-size=1000\ndhcp-range=10.77.1.65,10.77.1.126,12h\n\
            dhcp-leasefile=/run/portals/services/dnsmasq-guest/leases\ndhcp-authoritative\nno-ping\n\
            dhcp-option=3,10.77.1.65\ndhcp-option=6,10.77.1.65\ndhcp-option=26,1280\n";
        assert_eq!(text(&portal()).unwrap(), expected);
    }

    #[test]
    fn dhcp_and_dns_work_without_each_other() {
        let without_dhcp = text(&Portal { dhcp: false, ..portal() }).unwrap();
        assert!(without_dhcp.contains("server=") && !without_dhcp.contains("dhcp"), "{without_dhcp}");
        let without_dns = text(&Portal { resolvers: Vec::new(), ..portal() }).unwrap();
        assert!(without_dns.contains("port=0") && !without_dns.contains("dhcp-option=6"), "{without_dns}");
        assert_eq!(text(&Portal { dhcp: false, resolvers: Vec::new(), ..portal() }), None);
        assert_eq!(text(&Portal { is_here: false, ..portal() }), None);
        let direct = of(&portal(), None, Path::new("/run/portals")).unwrap();
        let direct = String::from_utf8_lossy(&direct.files[0].content).into_owned();
        assert!(
            !direct.contains("dhcp-option=26"),
            "without a tunnel, packets need not be smaller: {direct}"
        );
    }

    #[test]
    fn no_interface_name_becomes_another_setting() {
        for name in ["eth1,lo", "eth1*", "eth1 x", "eth\"1", "eth1\ndhcp-script=/bin/sh", "#eth1", "eth1\\"] {
            assert!(name.parse::<IfName>().is_err(), "{name:?}");
        }
        let strange = Portal { entrance: Entrance::Interface("a+@._-b".parse().unwrap()), ..portal() };
        assert!(text(&strange).unwrap().starts_with("interface=a+@._-b\n"));
    }
}
