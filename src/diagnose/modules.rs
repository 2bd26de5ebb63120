//! Packages of OpenWrt for modules that the kernel lacks. Other kernels load all modules that they have by
//! themselves, and no package adds one.

use crate::site::facts::Firmware;
use crate::system::{packages, platform};

/// Beginnings of the names of modules in messages, and the packages that contain them (OpenWrt's
/// include/netfilter.mk and package/kernel/linux/modules/netfilter.mk). The first that fits counts.
const PACKAGES: &[(&str, &str)] = &[
    ("/dev/net/tun", "kmod-tun"),
    ("nft_chain_nat", "kmod-nft-nat"),
    ("nft_masq", "kmod-nft-nat"),
    ("nft_nat", "kmod-nft-nat"),
    ("nft_redir", "kmod-nft-nat"),
    ("module nf", "kmod-nft-core"),
    ("modules nf", "kmod-nft-core"),
    ("module ip6table_nat", "kmod-ipt-nat6"),
    ("xt_NETMAP", "kmod-ipt-nat-extra"),
    ("xt_MASQUERADE", "kmod-ipt-nat"),
    ("xt_REDIRECT", "kmod-ipt-nat"),
    ("xt_DNAT", "kmod-ipt-nat"),
    ("xt_connmark", "kmod-ipt-conntrack-extra"),
    ("xt_CONNMARK", "kmod-ipt-conntrack-extra"),
    ("xt_conntrack", "kmod-ipt-conntrack"),
    ("module xt_", "kmod-ipt-core"),
];

/// Returns the way out for a message about a module that the kernel lacks; empty if there is none.
pub(super) fn way_out(message: &str) -> String {
    match package_for(message) {
        Some(package) if platform::firmware() == Some(Firmware::OpenWrt) => {
            packages::manager().how_to_install(package)
        }
        _ => String::new(),
    }
}

fn package_for(message: &str) -> Option<&'static str> {
    PACKAGES.iter().find(|(part, _)| message.contains(part)).map(|(_, package)| *package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_modules_have_packages() {
        for (message, package) in [
            ("this kernel has no connection tracking (module nft_ct): No such file", Some("kmod-nft-core")),
            ("such sets (before Linux 5.2: modules nft_set_hash and nft_set_rbtree)", Some("kmod-nft-core")),
            ("this kernel has no nftables (module nf_tables)", Some("kmod-nft-core")),
            ("inet NAT chains (needs Linux 5.2 or newer, with module nft_chain_nat)", Some("kmod-nft-nat")),
            ("the target `TCPMSS` (module xt_TCPMSS, ipt_TCPMSS or ip6t_TCPMSS)", Some("kmod-ipt-core")),
            ("the target `CONNMARK` (module xt_CONNMARK, ipt_CONNMARK)", Some("kmod-ipt-conntrack-extra")),
            ("the key does not belong to a site", None),
        ] {
            assert_eq!(package_for(message), package, "{message}");
        }
    }
}
