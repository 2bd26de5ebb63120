//! Faults of a machine, with an agent and without.

use super::super::{At, Trouble};
use super::FAULT;

/// Faults of a machine whose agent runs.
pub(crate) const OF_RUNNING: &[Trouble] = &[
    Trouble {
        fault: "The portal's interface is a port of a bridge",
        words: "✗ portals: Portal way is closed.
    Its packets would take another way.
  → portal0 is a port of bridge9, so its packets come in on bridge9; ⟨result⟩: take the port \
                out (`ip link set portal0 nomaster`), or let all traffic of bridge9 enter: \
                `interface = \"bridge9\"`
",
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
        fault: "The file was edited, and is not in force",
        words: "✗ kernel: The kernel differs from the file in ⟨number⟩ points:
    ⟨change⟩
⋮
    Portals stay closed, or their traffic takes another way, until it is put right.
  → If the file was edited: portals reload --config /run/demo/network.toml
    Else another program may undo it; see the log: ⟨command⟩
",
        breaks: "sed -i 's,^dhcp = false,&\\naddress = \"10.77.1.193/26\",' $file",
        mends: "sed -i /^address/d $file",
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
        fault: "A rule of another program takes some packets first",
        words:
            "! rules: The rule `50: from 10.9.9.9/32 lookup 500` of another program comes before those of \
                portals.
    Packets that it matches go its way, even if they come from a portal's device.
  → Nothing, if that is meant so. Else give it a priority above 119.
",
        breaks: "ip rule add from 10.9.9.9 priority 50 lookup 500",
        mends: "ip rule delete priority 50",
        ..FAULT
    },
    Trouble {
        fault: "Another program has removed rules of portals, and the agent has put them back",
        words: "! agent: ⟨age⟩ ago the agent put back 1 policy rule that ⟨program⟩ had removed.
    Until then, one layer of protection less kept portals closed.
  → Nothing, unless it happens again: the log has the time of each repair.
",
        breaks: "ip rule delete priority 118",
        ..FAULT
    },
    Trouble {
        fault: "DNS queries do not enter a portal",
        words: "! DNS: DNS queries of portal way do not enter it: its `ports` leaves them out.
    They leave by this site's own uplink, and tell which names the devices look for.
  → Add \"udp/53\" and \"tcp/53\" to its `ports`, unless that is meant so.
",
        breaks: "sed -i 's,^dhcp = false,&\\nports = [\"tcp/443\"],' $file; portals reload",
        mends: "sed -i /^ports/d $file; portals reload",
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
        words: "! rp_filter: Strict; packets were dropped (⟨number⟩ since the start).
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
        fault: "firewalld filters, too",
        words: "! firewall: firewalld filters here as well.
    It may refuse packets of portals; portals opens its own ways through chains that refuse unknown packets, \
                and does so again after each reload.
  → Nothing, as long as this list has no ✗.
",
        breaks: "mkdir /run/other; mkfifo /run/other/queue
            printf '#!/bin/sh\nread line </run/other/queue\n' >/run/other/firewalld
            chmod +x /run/other/firewalld; /run/other/firewalld >/dev/null 2>&1 & echo $! >/run/other/pid",
        mends: "kill $(cat /run/other/pid); rm -r /run/other",
        ..FAULT
    },
    Trouble {
        fault: "ufw filters, too",
        words: "! firewall: ufw filters here as well.
    It may refuse packets of portals; portals opens its own ways through chains that refuse unknown packets, \
                and does so again after each reload.
  → Nothing, as long as this list has no ✗.
",
        breaks: "mkdir /run/etc; cp -a /etc/. /run/etc; mount --bind /run/etc /etc
            mkdir -p /etc/ufw; echo ENABLED=yes >/etc/ufw/ufw.conf",
        mends: "umount /etc; rm -r /run/etc",
        ..FAULT
    },
    Trouble {
        fault: "systemd-networkd removes rules of others",
        words: "! networkd: systemd-networkd may remove routes and rules of others.
    After each of its restarts, portals are closed until the agent has put its rules back.
  → mkdir -p /etc/systemd/networkd.conf.d
    printf '[Network]\\nManageForeignRoutes=no\\nManageForeignRoutingPolicyRules=no\\n' \
                >/etc/systemd/networkd.conf.d/portals.conf
    systemctl try-restart systemd-networkd
",
        breaks: "mkdir -p /run/systemd/netif; touch /run/systemd/netif/state",
        mends: "rm -r /run/systemd",
        ..FAULT
    },
    Trouble {
        fault: "NetworkManager manages the portal's interface",
        words: "✗ NetworkManager: NetworkManager manages portal0, to which portals gives its address.
    It removes addresses that it did not give, and the portal's devices lose their router.
  → printf '[device-portals]\\nmatch-device=interface-name:portal0;\\nmanaged=0\\n' \
                >/etc/NetworkManager/conf.d/portals.conf
    nmcli device set portal0 managed no
",
        breaks: "mkdir -p /run/NetworkManager/devices; number=$(ip -o link show portal0 | cut -d: -f1)
            printf '[device]\\nmanaged=true\\n' >/run/NetworkManager/devices/$number",
        mends: "rm -r /run/NetworkManager",
        ..FAULT
    },
    Trouble {
        fault: "The agent does not start at boot",
        words: "✗ boot: Missing, of what starts the agent at boot: /usr/local/bin/portals, \
                /etc/systemd/system/portals.service, ⟨more⟩.
    After the next start of this machine, the portals do not open.
  → portals install
",
        breaks: "mkdir -p /run/systemd/system",
        mends: "rm -r /run/systemd",
        ..FAULT
    },
    Trouble {
        fault: "A firewall of this machine drops pings into a tunnel",
        words: "✗ path: This machine sends no pings to paris out of to-paris: its own firewall refuses them.
    Nothing is known about the path; portals measures with pings.
  → Find the reason: portals trace self 10.77.2.1 --config /run/demo/network.toml
",
        breaks: "nft 'add table inet mine; add chain inet mine out { type filter hook output priority 0; }
            add rule inet mine out oifname to-paris icmp type echo-request drop' 2>/dev/null ||
            iptables-legacy -A OUTPUT -o to-paris -p icmp -j DROP",
        mends: "nft delete table inet mine 2>/dev/null ||
            iptables-legacy -D OUTPUT -o to-paris -p icmp -j DROP",
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
  → portals run --config /run/demo/network.toml
",
        ..FAULT
    },
    Trouble {
        fault: "Another program deleted the tunnel",
        words: "✗ links: The link to paris is down: its tunnel, to-paris, does not exist.
    Nothing reaches the other end.
  → See `agent` and `kernel` above.
",
        breaks: "ip link delete to-paris 2>/dev/null || true",
        ..FAULT
    },
    Trouble {
        fault: "Another program switched forwarding off",
        words: "✗ forwarding: This machine does not forward packets (net.ipv4.ip_forward is 0).
    Nothing that enters a portal gets any further.
  → sysctl -w net.ipv4.ip_forward=1
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
  → portals run --config /run/demo/network.toml
",
        breaks: "ip rule delete priority 113",
        ..FAULT
    },
    Trouble {
        fault: "Another program deleted the firewall rules of portals",
        words: "✗ kernel: The kernel differs from the file in ⟨number⟩ points:
    ⟨add or change⟩ the ⟨table or chains⟩
⋮
    Portals stay closed, or their traffic takes another way, until it is put right.
  → portals run --config /run/demo/network.toml
",
        breaks: "nft delete table inet portals 2>/dev/null || iptables-legacy -F",
        ..FAULT
    },
];
