//! Faults that `portals doctor` names.

use super::{At, Trouble};

const FAULT: Trouble =
    Trouble { fault: "", command: "portals doctor", words: "", at: At::Router, breaks: "", mends: "" };

/// Faults of the files of a site.
pub(crate) const OF_FILES: &[Trouble] = &[
    Trouble {
        fault: "Other users can read the private key",
        words: "✗ key: Other users of this machine can read /run/demo/private.key.
    Whoever has this key can pretend to be this site.
  → chmod 600 /run/demo/private.key
",
        breaks: "chmod 644 $folder/private.key",
        mends: "chmod 600 $folder/private.key",
        ..FAULT
    },
    Trouble {
        fault: "The private key belongs to another user",
        words: "✗ key: /run/demo/private.key is not read: /run/demo/private.key belongs to user 1000, who could \
                take over this machine through it; run: chown 0 /run/demo/private.key
",
        breaks: "chown 1000 $folder/private.key",
        mends: "chown 0 $folder/private.key",
        ..FAULT
    },
    Trouble {
        fault: "The private key is gone",
        words: "✗ key: /run/demo/private.key: there is no such file; create this site's key with `portals init`
",
        breaks: "mv $folder/private.key $folder/aside",
        mends: "mv $folder/aside $folder/private.key",
        ..FAULT
    },
    Trouble {
        fault: "The private key is damaged",
        words: "✗ key: /run/demo/private.key does not hold a key.
    A key is 44 characters of base64 on one line.
  → Bring back the file from a backup, or make a new key: portals init
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
        words: "✗ file: there is no network file /run/demo/network.toml: create one with `portals init`, or \
                name another with `--config FILE`
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
        words: "✗ file: /run/demo/network.toml is not read: /run/demo/network.toml is writable by all users, \
                who could take over this machine through it; run: chmod o-w /run/demo/network.toml
",
        breaks: "chmod o+w $file",
        mends: "chmod o-w $file",
        ..FAULT
    },
    Trouble {
        fault: "The network file was edited after it was signed",
        words: "✗ signature: The network file was edited by hand after it was signed.
    Other sites take only a signed file, so the sites have different files until then.
  → portals push
    Or drop the change: portals pull
",
        breaks: "cp -p $file $folder/aside; sed -i '1i # by hand' $file",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "The network file has no signature",
        words: "✗ signature: The network file is not signed.
    Other sites take only a signed file, so the sites have different files until then.
  → portals push
",
        breaks: "cp -p $file $folder/aside; sed -i '/^# signature/d; /^# signed/d' $file",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "No site has an endpoint",
        words: "✗ file: /run/demo/network.toml:⟨line⟩: nyc and paris cannot connect: neither has an `endpoint`, \
                and no third site helps
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
        words: "✗ site: site `paris` has the network 192.168.1.0/24, but 192.168.1.0/24 is already connected to \
                this router: write `lan = [\"192.168.1.0/24 as ⟨network⟩\"]` at site `paris`, in the files of \
                all sites
",
        breaks: "cp -p $file $folder/aside
            sed -i 's,^endpoint = \"203.*,&\\nlan = [\"192.168.1.0/24\"],' $file; portals sign",
        mends: "mv $folder/aside $file",
        ..FAULT
    },
    Trouble {
        fault: "The clock goes wrong",
        words: "✗ clock: the clock of this machine shows ⟨time⟩, although it has shown ⟨time⟩ before: other sites \
                refuse its handshakes until it is set, by NTP or `date -s`
    A peer takes a handshake that is older than the last one for a replay.
  → timedatectl set-ntp true
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
  → Look for errors of the disk: dmesg | tail. If there are none: mount -o remount,rw /
",
        breaks: "mount --bind $folder $folder; mount -o remount,bind,ro $folder",
        mends: "umount $folder",
        ..FAULT
    },
];

/// Faults of a machine whose agent runs.
pub(crate) const OF_RUNNING: &[Trouble] = &[
    Trouble {
        fault: "The portal's interface is a port of a bridge",
        words: "✗ portals: Portal way is closed.
    Its packets would take another way.
  → portal0 is a port of bridge9, so its packets come in on bridge9; ",
        breaks: "ip link add bridge9 type bridge; ip link set portal0 master bridge9",
        mends: "ip link delete bridge9",
        ..FAULT
    },
    Trouble {
        fault: "The portal's interface got another name",
        words: "✗ portals: Portal way is closed.
    Its packets would take another way.
  → portal0 is now called other: write the new name into the file, or rename the interface back
",
        breaks: "ip link set portal0 down; ip link set portal0 name other; ip link set other up",
        mends: "ip link set other down; ip link set other name portal0; ip link set portal0 up",
        ..FAULT
    },
    Trouble {
        fault: "The portal's interface does not exist",
        words: "✗ portals: Portal way is closed: the entrance, interface eth7, is not here now.
    The portal opens by itself when the interface appears.
  → See which interfaces there are: ip link. Correct the name in the file if it is wrong.
",
        breaks: "sed -i s/portal0/eth7/ $file; portals reload",
        mends: "sed -i s/eth7/portal0/ $file; portals reload",
        ..FAULT
    },
    Trouble {
        fault: "A rule of another program comes first",
        words: "✗ portals: Portal way is closed.
    Its packets would take another way.
  → the rule `50: from all lookup 500` comes before ours: delete it, or give it a priority above 119
",
        breaks: "ip route add default via $gateway table 500; ip rule add priority 50 lookup 500",
        mends: "ip rule delete priority 50; ip route flush table 500",
        ..FAULT
    },
    Trouble {
        fault: "There is no route to the internet",
        words: "✗ uplink: This machine has no route to the internet.
    Links cannot come up, and nothing leaves here.
  → Check the cable, then: ip route
",
        breaks: "ip route delete default",
        mends: "ip route add default via $gateway",
        ..FAULT
    },
    Trouble {
        fault: "Another VPN takes the way to the internet",
        words: "! uplink: The way to the internet is vpn9, a tunnel of another program.
    The tunnels of portals run inside it: they are slower, and down with it.
  → If that is not wanted, write `uplink = \"…\"` with the interface of your provider into this site.
",
        breaks: "ip tuntap add vpn9 mode tun; ip link set vpn9 up; ip route add 192.0.0.0/3 dev vpn9
            ip route add 203.0.113.0/24 via $gateway",
        mends: "ip link delete vpn9; ip route delete 203.0.113.0/24",
        ..FAULT
    },
    Trouble {
        fault: "This machine is behind another router",
        words: "! ports: This machine is behind another router: the address of its uplink is 10.0.9.2.
    Other sites dial the `endpoint`, which is that router.
  → Forward in that router UDP 51822, 52075 to 10.0.9.2.
",
        breaks: "ip address add 10.0.9.2/24 dev uplink; ip route replace default via 10.0.9.1 dev uplink
            ip address delete 198.51.100.2/24 dev uplink; ip route add 203.0.113.0/24 via 10.0.9.1",
        mends: "ip address add 198.51.100.2/24 dev uplink; ip route delete 203.0.113.0/24
            ip route replace default via $gateway; ip address delete 10.0.9.2/24 dev uplink",
        ..FAULT
    },
    Trouble {
        fault: "The endpoint of another site is this machine's own address",
        words: "✗ endpoint: The `endpoint` of paris, 198.51.100.8, is this machine itself.
    This machine would dial itself, and the link never comes up.
  → Write the public address or name of paris into [site.paris]. If both are behind one router, it must \
                forward UDP 51820 to paris.
",
        breaks: "ip address add 198.51.100.8/24 dev uplink; sed -i s/203.0.113.9/198.51.100.8/ $file",
        mends: "ip address delete 198.51.100.8/24 dev uplink; sed -i s/198.51.100.8/203.0.113.9/ $file",
        ..FAULT
    },
    Trouble {
        fault: "The name of an endpoint has no address",
        words: "✗ endpoint: The name paris.invalid, the `endpoint` of paris, has no address.
    This machine cannot dial it; the link waits until the other end dials.
  → Correct `endpoint` in [site.paris], or see why it is not found: nslookup paris.invalid
",
        breaks: "sed -i s/203.0.113.9/paris.invalid/ $file",
        mends: "sed -i s/paris.invalid/203.0.113.9/ $file",
        ..FAULT
    },
    Trouble {
        fault: "This site's own name has no address",
        words: "✗ endpoint: The name nyc.invalid, this site's `endpoint`, has no address.
    Other sites cannot dial this machine.
  → Correct `endpoint`, or see to the name where you have it (dynamic DNS).
",
        breaks: "sed -i s/198.51.100.2/nyc.invalid/ $file",
        mends: "sed -i s/nyc.invalid/198.51.100.2/ $file",
        ..FAULT
    },
    Trouble {
        fault: "Packets have a source that belongs to another interface",
        words: "! rp_filter: Reverse-path filtering is strict, and has dropped packets (⟨number⟩ since the start).
    A packet is dropped if its answer would leave by another interface, such as a forged one.
  → If something does not work, see the packets: sysctl -w net.ipv4.conf.all.log_martians=1; then: dmesg | \
                grep martian
",
        at: At::Guest,
        breaks: "ip address add 192.168.1.77/32 dev eth0
            ping -c 1 -W 1 -I 192.168.1.77 10.77.1.65 >/dev/null || true",
        mends: "ip address delete 192.168.1.77/32 dev eth0",
        ..FAULT
    },
    Trouble {
        fault: "Docker filters, too",
        words: "! firewall: Docker filters here as well.
    It may refuse packets of portals; portals opens its own ways through chains that refuse unknown packets, \
                and does so again after each reload.
  → Nothing, as long as this list has no ✗.
",
        breaks: "touch /run/docker.sock",
        mends: "rm /run/docker.sock",
        ..FAULT
    },
    Trouble {
        fault: "systemd-networkd removes rules of others",
        words: "! networkd: systemd-networkd may remove routes and rules of others.
    After each of its restarts, portals are closed until the agent has put its rules back.
  → mkdir -p /etc/systemd/networkd.conf.d
    printf '[Network]\\nManageForeignRoutes=no\\nManageForeignRoutingPolicyRules=no\\n' \
                >/etc/systemd/networkd.conf.d/portals.conf
    systemctl restart systemd-networkd
",
        breaks: "mkdir -p /run/systemd/netif",
        mends: "rm -r /run/systemd",
        ..FAULT
    },
    Trouble {
        fault: "NetworkManager manages the portal's interface",
        words: "✗ NetworkManager: NetworkManager manages portal0, to which portals gives its address.
    It removes addresses that it did not give, and the portal's devices lose their router.
  → printf '[keyfile]\\nunmanaged-devices=interface-name:portal0\\n' \
                >/etc/NetworkManager/conf.d/portals.conf
    systemctl reload NetworkManager
",
        breaks: "mkdir -p /run/NetworkManager/devices; number=$(ip -o link show portal0 | cut -d: -f1)
            printf '[device]\\nmanaged=true\\n' >/run/NetworkManager/devices/$number",
        mends: "rm -r /run/NetworkManager",
        ..FAULT
    },
    Trouble {
        fault: "The agent does not start at boot",
        words: "✗ boot: Missing or changed, of what starts the agent at boot: /usr/local/bin/portals, \
                /etc/systemd/system/portals.service, ⟨more⟩.
    After the next start of this machine, the portals do not open.
  → portals install
",
        breaks: "mkdir -p /run/systemd/system",
        mends: "rm -r /run/systemd",
        ..FAULT
    },
    Trouble {
        fault: "The other site is off",
        words: "✗ path: paris does not answer through the tunnel, although there was a handshake.
    The link counts as up for three minutes after the last handshake.
  → At paris: portals doctor (is it on? is its link up?)
",
        at: At::Peer,
        breaks: "ip link set uplink down",
        mends: "ip link set uplink up; ip route add default via 203.0.113.1",
        ..FAULT
    },
];

/// Faults that nobody repairs, because no agent runs.
pub(crate) const OF_STOPPED: &[Trouble] = &[
    Trouble {
        fault: "No agent runs",
        words: "✗ agent: No agent runs.
    Nothing repairs the portals, gives addresses to devices, or follows other sites.
  → portals run
",
        ..FAULT
    },
    Trouble {
        fault: "Another program switched forwarding off",
        words: "✗ forwarding: This machine does not forward packets (net.ipv4.ip_forward is 0).
    Nothing that enters a portal gets any further.
  → portals apply
    If it is off again later, find who sets it: grep -r ip_forward /etc/sysctl*
",
        breaks: "echo 0 >/proc/sys/net/ipv4/ip_forward",
        ..FAULT
    },
    Trouble {
        fault: "Another program deleted rules of portals",
        words: "✗ kernel: The kernel differs from the file in ⟨number⟩ points:
⋮
    add rule 113: from all iif portal0 lookup 7702
⋮
    Portals stay closed, or their traffic takes another way, until it is put right.
  → Start the agent; or, once: portals apply
",
        breaks: "ip rule delete priority 113",
        ..FAULT
    },
    Trouble {
        fault: "Another program deleted the firewall rules of portals",
        words: "✗ kernel: The kernel differs from the file in ⟨number⟩ points:
    ⟨word⟩ the firewall table
⋮
    Portals stay closed, or their traffic takes another way, until it is put right.
  → Start the agent; or, once: portals apply
",
        breaks: "nft delete table inet portals 2>/dev/null || iptables-legacy -F",
        ..FAULT
    },
];

/// Faults of links and of programs, each of which takes a world of its own.
pub(crate) const OF_LINKS: &[Trouble] = &[
    NEVER_UP,
    NO_EXIT,
    SILENT_PEER,
    UNKNOWN_KEY,
    KEY_OF_THIS_SITE,
    NARROW,
    MOVED,
    EDITED_THERE,
    DNSMASQ,
    DHCP_PORT,
    PORT,
    NO_CARD,
];

pub(crate) const NEVER_UP: Trouble = Trouble {
    fault: "The other site cannot be reached",
    words:
        "✗ links: The link to paris is down: 203.0.113.9:51820 does not answer; there was never a handshake.
    This machine dials, and nothing comes back.
  → At paris: portals doctor (does its agent run? is it the same file?)
    UDP 51820 must reach it: forward that port in the router in front of paris, and let it through firewalls \
            there.
    Both sites must name each other's present key.
",
    ..FAULT
};

pub(crate) const NO_EXIT: Trouble = Trouble {
    fault: "The only exit of a portal is down",
    words: "✗ portals: Portal way is closed: no exit of its list is up (paris).
    Nothing that enters a portal leaves by this machine's own uplink instead.
  → See `links` above. A second exit in the list takes over: exit = [\"…\", \"…\"]
",
    ..FAULT
};

pub(crate) const SILENT_PEER: Trouble = Trouble {
    fault: "A site without an endpoint does not dial",
    words: "✗ links: The link to paris is down: it has no `endpoint`, and it does not dial this machine.
    A site without an `endpoint` has to dial the others.
  → At paris: portals doctor. Or give paris an `endpoint` here.
",
    ..FAULT
};

pub(crate) const UNKNOWN_KEY: Trouble = Trouble {
    fault: "Another site has a key that this file does not have",
    words: "✗ unknown keys: 203.0.113.9 knocks with a key that is not in the file: ⟨key⟩.
    This machine does not answer unknown keys. It may be a site with a new or a wrong key.
  → If you know the site, write this `public_key` into its [site.…], at all sites: portals push
",
    ..FAULT
};

pub(crate) const KEY_OF_THIS_SITE: Trouble = Trouble {
    fault: "Another site has an old key of this site",
    words: "✗ unknown keys: 203.0.113.9 knocks, and means another key than this site's.
    The other site has an old or a wrong `public_key` of this site.
  → Write this site's present `public_key` into the file at all sites: portals push
",
    ..FAULT
};

pub(crate) const NARROW: Trouble = Trouble {
    fault: "A path swallows large packets",
    words: "✗ path: Packets of 1280 bytes vanish on the way to paris; those of ⟨number⟩ bytes pass.
    Small requests work, and large transfers hang.
  → Write `mtu = ⟨number⟩` or `mtu = \"auto\"` under [network], at all sites.
",
    at: At::Internet,
    ..FAULT
};

pub(crate) const MOVED: Trouble = Trouble {
    fault: "The address of this site has changed",
    words: "✗ endpoint: oslo sees this machine as 198.51.100.2, but its `endpoint` is 198.51.100.77.
    Other sites dial an address that is no longer, or not only, this machine's.
  → Write `endpoint = \"198.51.100.2\"`, or better a name that follows the address.
",
    ..FAULT
};

pub(crate) const EDITED_THERE: Trouble = Trouble {
    fault: "The file of another site was edited there",
    words: "✗ same file: paris has a file that was edited and not signed.
    Sites with different files may disagree about keys, ports and networks.
  → Run at that site: portals push
",
    ..FAULT
};

pub(crate) const DNSMASQ: Trouble = Trouble {
    fault: "dnsmasq is not installed",
    words: "✗ programs: dnsmasq-way does not run: the program dnsmasq is missing: install ⟨package⟩
",
    ..FAULT
};

pub(crate) const DHCP_PORT: Trouble = Trouble {
    fault: "Another DHCP server runs on this machine",
    words: "! ports: UDP 67, for DHCP, is used by dnsmasq (process ⟨number⟩), too.
    Devices of a portal get no address if that program takes the port on all interfaces.
  → If it is a dnsmasq, write `bind-dynamic` into its configuration, and restart it.
",
    ..FAULT
};

pub(crate) const PORT: Trouble = Trouble {
    fault: "Another program has the port of a tunnel",
    words: "✗ ports: UDP 51822, the port of to-paris, belongs to ⟨program⟩ (process ⟨number⟩).
    The tunnel cannot start without its port.
  → End that program, or write another `port` into this site, at all sites.
",
    ..FAULT
};

pub(crate) const NO_CARD: Trouble = Trouble {
    fault: "A Wi-Fi portal names an interface that is no Wi-Fi card",
    words: "✗ Wi-Fi: portal `way`: ",
    ..FAULT
};

/// Faults of firmware.
pub(crate) const OF_FIRMWARE: &[Trouble] =
    &[HWNAT, FLOW_OFFLOADING, WITHOUT_UDM_BOOT, HOOK_OF_EDGEOS, HOOK_OF_UNIFI, KEPT_BY_OPENWRT];

pub(crate) const HWNAT: Trouble = Trouble {
    fault: "EdgeOS: hardware NAT is on",
    words: "✗ offload: Hardware NAT (hwnat) is on.
    Offloaded packets pass the rules of portals by, and can leave by the wrong way.
  → configure
    set system offload hwnat disable
    commit; save; exit
",
    breaks: "printf 'system {\n    offload {\n        hwnat enable\n    }\n}\n' >/config/config.boot",
    ..FAULT
};

pub(crate) const HOOK_OF_EDGEOS: Trouble = Trouble {
    fault: "EdgeOS: the boot hook is gone",
    words: "✗ boot: Missing or changed, of what starts the agent at boot: \
            /config/scripts/post-config.d/portals.sh.
    After the next start of this machine, the portals do not open.
  → portals install
",
    breaks: "rm /config/scripts/post-config.d/portals.sh",
    ..FAULT
};

pub(crate) const FLOW_OFFLOADING: Trouble = Trouble {
    fault: "OpenWrt: flow offloading is on",
    words: "✗ offload: Flow offloading is on.
    Offloaded packets pass the rules of portals by, and can leave by the wrong way.
  → uci set firewall.@defaults[0].flow_offloading=0
    uci set firewall.@defaults[0].flow_offloading_hw=0
    uci commit firewall; /etc/init.d/firewall restart
",
    breaks: "printf \"config defaults\\n\\toption flow_offloading '1'\\n\" >/etc/config/firewall",
    ..FAULT
};

pub(crate) const KEPT_BY_OPENWRT: Trouble = Trouble {
    fault: "OpenWrt: an upgrade would remove portals",
    words: "✗ boot: Missing or changed, of what starts the agent at boot: /lib/upgrade/keep.d/portals.
    After the next start of this machine, the portals do not open.
  → portals install
",
    breaks: "rm /lib/upgrade/keep.d/portals",
    ..FAULT
};

pub(crate) const WITHOUT_UDM_BOOT: Trouble = Trouble {
    fault: "UniFi: an upgrade may remove the unit of portals",
    words: "! boot: An upgrade of the firmware may remove what starts the agent.
    UniFi OS keeps /data alone, and on-boot-script (udm-boot), which would put it back, is not here.
  → /data/portals/portals install    (after each upgrade)
",
    ..FAULT
};

pub(crate) const HOOK_OF_UNIFI: Trouble = Trouble {
    fault: "UniFi: an upgrade has removed the unit of portals",
    words:
        "✗ boot: Missing or changed, of what starts the agent at boot: /etc/systemd/system/portals.service, \
            /etc/systemd/system/multi-user.target.wants/portals.service.
    After the next start of this machine, the portals do not open.
  → portals install
",
    breaks: "rm /etc/systemd/system/portals.service
        rm /etc/systemd/system/multi-user.target.wants/portals.service",
    ..FAULT
};
