//! Faults that `portals doctor` names.

mod firmware;
mod links;
mod machine;

use super::{At, Trouble};

pub(crate) use firmware::*;
pub(crate) use links::*;
pub(crate) use machine::*;

const FAULT: Trouble =
    Trouble { fault: "", command: "portals doctor", words: "", at: At::Router, breaks: "", mends: "" };

/// Faults of the files of a site.
pub(crate) const OF_FILES: &[Trouble] = &[
    Trouble {
        fault: "Other users can read the private key",
        words: "✗ key: Other users of this machine can read /run/demo/private.key.
    A machine with this key can pretend to be this site.
  → chmod 600 /run/demo/private.key
",
        breaks: "chmod 644 $folder/private.key",
        mends: "chmod 600 $folder/private.key",
        ..FAULT
    },
    Trouble {
        fault: "The private key belongs to another user",
        words: "✗ key: /run/demo/private.key is not read: /run/demo/private.key belongs to user 1000, who \
                could take over this machine through it
  → chown 0 /run/demo/private.key
",
        breaks: "chown 1000 $folder/private.key",
        mends: "chown 0 $folder/private.key",
        ..FAULT
    },
    Trouble {
        fault: "The private key is gone",
        words: "✗ key: /run/demo/private.key: there is no such file
  → Create this site's key with `portals init`
",
        breaks: "mv $folder/private.key $folder/aside",
        mends: "mv $folder/aside $folder/private.key",
        ..FAULT
    },
    Trouble {
        fault: "The private key is damaged",
        words: "✗ key: /run/demo/private.key does not hold a key.
    A key is 44 characters of base64 on one line.
  → Bring back the file from a backup, or make a new key: portals init --config /run/demo/network.toml
",
        breaks: "cp -p $folder/private.key $folder/aside; echo damaged >$folder/private.key",
        mends: "mv $folder/aside $folder/private.key",
        ..FAULT
    },
    Trouble {
        fault: "The private key is of another network",
        words: "✗ key: No site of the file has the public key of this machine, ⟨key⟩.
    A machine knows by its key which site it is.
  → Bring back this site's private.key, or write this public key into its [site.…].
",
        breaks: "cp -p $folder/private.key $folder/aside
            head -c 32 /dev/urandom | base64 >$folder/private.key",
        mends: "mv $folder/aside $folder/private.key",
        ..FAULT
    },
    Trouble {
        fault: "There is no network file",
        words: "✗ file: there is no network file /run/demo/network.toml
  → Create one with `portals init`, or name another with `--config FILE`
",
        breaks: "mv $file $folder/aside",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "A word in the network file is misspelt",
        words: "✗ file: /run/demo/network.toml:⟨line⟩: unknown key `exitz`",
        breaks: "cp -p $file $folder/aside; sed -i 's/^exits =/exitz =/' $file",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "All users can write the network file",
        words:
            "✗ file: /run/demo/network.toml is not read: /run/demo/network.toml is writable by all users, \
                who could take over this machine through it
  → chmod o-w /run/demo/network.toml
",
        breaks: "chmod o+w $file",
        mends: "chmod o-w $file",
        ..FAULT
    },
    Trouble {
        fault: "The network file was edited after it was signed",
        words: "✗ signature: The network file was edited by hand after it was signed.
    Other sites take only a signed file, so the sites have different files until then.
  → portals push --config /run/demo/network.toml
    Or drop the change: portals pull --config /run/demo/network.toml
",
        breaks: "cp -p $file $folder/aside; sed -i '1i # by hand' $file",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "The network file has no signature",
        words: "✗ signature: The network file is not signed.
    Other sites take only a signed file, so the sites have different files until then.
  → portals push --config /run/demo/network.toml
",
        breaks: "cp -p $file $folder/aside; sed -i '/^# signature/d; /^# signed/d' $file",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "No site has an endpoint",
        words: "✗ file: /run/demo/network.toml:⟨line⟩: nyc and paris cannot connect: neither has an \
                `endpoint`, and no third site helps
",
        breaks: "cp -p $file $folder/aside; sed -i /^endpoint/d $file",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "An endpoint is a private address",
        words: "! endpoints: The `endpoint` of paris is 192.168.7.7, a private address.
    Only sites in the same local network can dial it.
  → Write the public address or name into [site.paris], or remove `endpoint`.
",
        breaks: "cp -p $file $folder/aside; sed -i s/203.0.113.9/192.168.7.7/ $file; portals sign",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "Another site shares a network that is at this site, too",
        words:
            "✗ site: site `paris` has the network 192.168.1.0/24, but 192.168.1.0/24 is already connected \
                to this router
  → Write `lan = [\"192.168.1.0/24 as ⟨network⟩\"]` at site `paris`, in the files of all sites
",
        breaks: "cp -p $file $folder/aside
            sed -i 's,^endpoint = \"203.*,&\\nlan = [\"192.168.1.0/24\"],' $file; portals sign",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "The clock goes wrong",
        words: "✗ clock: the clock of this machine shows ⟨time⟩, although it has shown ⟨time⟩ before: other \
                sites refuse its handshakes until it is set, by NTP or `date -s`
    A peer takes a handshake that is older than the last one for a replay.
  → Start a time service, such as chronyd.
",
        breaks: "mv $file.clock $folder/aside 2>/dev/null || true; echo 4000000000 >$file.clock",
        mends: "rm $file.clock; mv $folder/aside $file.clock 2>/dev/null || true",
        ..FAULT
    },
    Trouble {
        fault: "The disk is full",
        words: "✗ disk: Only ⟨number⟩ kB are free in /run/demo.
    Portals keeps a changed network file, a new key and the time of day there.
  → Find large files: df -h; du -xh / | sort -h | tail
",
        breaks: "cp -a $folder /run/aside; mount -t tmpfs -o size=200k,mode=755 none $folder
            cp -a /run/aside/. $folder",
        mends: "umount $folder; rm -r /run/aside",
        ..FAULT
    },
    Trouble {
        fault: "The disk is read-only",
        words: "✗ disk: /run/demo is read-only.
    Portals keeps a changed network file, a new key and the time of day there.
  → Look for errors of the disk: dmesg | tail. If there are none, make the file system \
                writable that `df /run/demo` names: mount -o remount,rw MOUNTPOINT
",
        breaks: "mount --bind $folder $folder; mount -o remount,bind,ro $folder",
        mends: "umount $folder",
        ..FAULT
    },
];
