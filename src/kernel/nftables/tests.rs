//! Tests without a kernel. `tests/nftables.rs` has the tests with a kernel.

#[path = "../../../tests/support/firewalls.rs"]
mod firewalls;

use nix::errno::Errno;
use proptest::prelude::*;

use super::{snapshot, transaction};
use crate::firewall::edit::{FirewallEdit, edits};
use crate::firewall::{Action, Chain, Condition, Firewall, FirewallRule};
use crate::kernel::netlink::in_one_piece;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(firewall in firewalls::firewall()) {
        let batch = in_one_piece(transaction::encode(&edits(None, Some(&firewall))).messages(), 1);
        prop_assert_eq!(snapshot::decode(&batch), Some(firewall));
    }

    #[test]
    fn damage_is_no_firewall_and_no_panic(
        firewall in firewalls::firewall(),
        place in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let mut batch = in_one_piece(transaction::encode(&edits(None, Some(&firewall))).messages(), 1);
        let place = place.index(batch.len());
        batch[place] ^= 1_u8 << bit;
        snapshot::decode(&batch);
        snapshot::decode(&batch[..place]);
    }
}

#[test]
fn a_flowtable_is_read_back() {
    for devices in [&[][..], &["eth1", "to-paris"]] {
        let rule = FirewallRule { conditions: vec![Condition::FromOriginator], action: Action::Offload };
        let flows = Some(devices.iter().map(|device| device.parse().unwrap()).collect());
        let firewall =
            Firewall { chains: [(Chain::Forward, vec![rule])].into(), flows, ..Firewall::default() };
        let batch = in_one_piece(transaction::encode(&edits(None, Some(&firewall))).messages(), 1);
        assert_eq!(snapshot::decode(&batch), Some(firewall));
    }
}

#[test]
fn an_empty_table_is_none_of_ours() {
    let empty = Firewall::default();
    let batch = in_one_piece(transaction::encode(&edits(None, Some(&empty))).messages(), 1);
    assert_eq!(snapshot::decode(&batch), Some(empty));
}

#[test]
fn a_kernel_without_the_family_has_no_table_of_it() {
    for errno in [Errno::ENOENT, Errno::EAFNOSUPPORT, Errno::EPROTONOSUPPORT, Errno::EOPNOTSUPP] {
        assert!(snapshot::means_no_table(errno), "{errno}");
    }
    assert!(!snapshot::means_no_table(Errno::EPERM));
}

#[test]
fn refusals_name_the_object_and_what_the_kernel_lacks() {
    let tracked = FirewallRule { conditions: vec![Condition::Established], action: Action::Accept };
    let masquerade = FirewallRule { conditions: vec![], action: Action::Masquerade };
    let edits = [
        FirewallEdit::AddTable,
        FirewallEdit::AddChain(Chain::Postrouting),
        FirewallEdit::AddRule(Chain::Forward, 3, &tracked),
        FirewallEdit::AddRule(Chain::Postrouting, 1, &masquerade),
    ];
    let cases = [
        (None, Errno::EPERM, "cannot change the firewall: Operation not permitted"),
        (
            None,
            Errno::EOPNOTSUPP,
            "cannot change the firewall: this kernel has no nftables (module nf_tables): \
             Operation not supported on transport endpoint",
        ),
        (Some(0), Errno::EBUSY, "cannot add table portals: Device or resource busy"),
        (
            Some(1),
            Errno::ENOENT,
            "cannot add chain postrouting: this kernel has no inet NAT chains \
             (needs Linux 5.2 or newer, with module nft_chain_nat): No such file or directory",
        ),
        (
            Some(2),
            Errno::ENOENT,
            "cannot add rule 3 of chain forward: this kernel has no connection tracking (module nft_ct): \
             No such file or directory",
        ),
        (
            Some(3),
            Errno::ENOENT,
            "cannot add rule 1 of chain postrouting: this kernel has no masquerade (module nft_masq): \
             No such file or directory",
        ),
    ];
    // The kernel is older than Linux 4.17 and lacks the module of the family.
    let (no_family, nothing) = (Errno::EAFNOSUPPORT, Errno::ENOENT);
    let refusals =
        |errnos: [Errno; 4]| transaction::lacking(&edits, &(0..).map(Some).zip(errnos).collect::<Vec<_>>());
    assert_eq!(
        refusals([no_family; 4]),
        ["tables for both families (before Linux 4.17: module nf_tables_inet)"]
    );
    // The kernel is older than Linux 5.2: the chain is missing, not the content of the chain.
    assert_eq!(
        refusals([Errno::EBUSY, nothing, Errno::EBUSY, nothing]),
        ["inet NAT chains (needs Linux 5.2 or newer, with module nft_chain_nat)"]
    );
    for (index, errno, expected) in cases {
        let error = transaction::explain(&edits, index, errno.into());
        assert_eq!(error.to_string(), expected);
        assert!(expected.ends_with(errno.desc()));
    }
}

#[test]
fn a_kernel_that_does_not_know_the_flag_cannot_translate_networks() {
    let network = "10.78.1.0/24".parse().unwrap();
    let translated = FirewallRule { conditions: vec![], action: Action::SourcePrefix(network) };
    let alone = FirewallRule { conditions: vec![], action: Action::Drop };
    let edits = [
        FirewallEdit::AddRule(Chain::Postrouting, 1, &translated),
        FirewallEdit::AddRule(Chain::Forward, 1, &alone),
    ];
    let lack = "translation of networks (needs Linux 5.8 or newer, with module nft_nat)";
    // Before Linux 5.8, and where the module is missing.
    for errno in [Errno::EINVAL, Errno::EOPNOTSUPP, Errno::ENOENT] {
        assert_eq!(transaction::lacking(&edits, &[(Some(0), errno)]), [lack], "{errno}");
        let error = transaction::explain(&edits, Some(0), errno.into()).to_string();
        assert!(error.contains(&format!("this kernel has no {lack}")), "{error}");
    }
    assert_eq!(transaction::lacking(&edits, &[(Some(1), Errno::EINVAL)]), Vec::<&str>::new());
}
