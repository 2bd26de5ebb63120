#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set device-addresses {
		type ipv4_addr; flags interval
		elements = { 192.168.1.50, 192.168.1.64/27 }
	}
	set device-macs6 {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01 }
	}
	set device-ways-27 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 192.168.1.64 }
	}
	set device-ways-32 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 192.168.1.50 }
	}
	set from-tv {
		type ipv4_addr; flags interval
		elements = { 192.168.1.50, 192.168.1.64/27 }
	}
	set guarded {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set homes {
		type ipv4_addr; flags interval
		elements = { 192.168.1.50, 192.168.1.64/27 }
	}
	set inner {
		type ifname
		elements = { "lo", "to-paris" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set local {
		type ipv4_addr; flags interval
		elements = { 192.168.1.0/24 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set outer {
		type ipv4_addr; flags interval
		elements = { 198.51.100.0/24 }
	}
	set own {
		type ipv4_addr
		elements = { 192.168.1.1, 198.51.100.2 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 10.77.2.0 }
	}
	set tunnels {
		type ifname
		elements = { "to-paris" }
	}
	set visiting {
		type ipv4_addr; flags interval
		elements = { 192.168.1.50, 192.168.1.64/27 }
	}
	set visiting6-mac {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01 }
	}
	set ways {
		type ifname . mark
		elements = { "to-paris" . 0x23000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname "to-paris" meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname "to-paris" meta nfproto ipv4 tcp option maxseg size set 1240
		ct mark & 0xef000000 == 0x23000000 ct direction original oifname "to-paris" accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @local oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @network oifname "to-paris" accept
		meta nfproto ipv6 ether saddr @device-macs6 reject with icmpx admin-prohibited
		oifname . ip saddr & 255.255.255.224 @device-ways-27 accept
		oifname . ip saddr @device-ways-32 accept
		ip saddr @device-addresses reject with icmpx admin-prohibited
		ip saddr 10.77.0.0/16 iifname != "to-paris" drop
		iifname != "to-paris" accept
		udp dport 67-68 iifname "to-paris" drop
		iifname "to-paris" oifname "eth0" ip daddr @network drop
		iifname "to-paris" oifname "eth0" ct direction reply ip daddr @homes ip daddr != @outer drop
		iifname "to-paris" ct direction reply ct state established,related accept
		iifname "to-paris" ip saddr @inside reject with icmpx admin-prohibited
		iifname "to-paris" drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "lo" accept
		udp dport 53 ip saddr @device-addresses reject with icmpx admin-prohibited
		tcp dport 53 ip saddr @device-addresses reject with icmpx admin-prohibited
		meta nfproto ipv6 udp dport 53 ether saddr @device-macs6 reject with icmpx admin-prohibited
		meta nfproto ipv6 tcp dport 53 ether saddr @device-macs6 reject with icmpx admin-prohibited
		iifname "lo" accept
		udp dport 67 ip saddr @visiting accept
		udp dport 53 ip saddr @visiting accept
		tcp dport 53 ip saddr @visiting accept
		udp dport 5053 ip saddr @visiting accept
		tcp dport 5053 ip saddr @visiting accept
		meta l4proto icmp ip saddr @visiting accept
		ct direction original ip saddr @visiting reject with icmpx admin-prohibited
		ct state established,related ip saddr @visiting accept
		ip saddr @visiting reject with icmpx admin-prohibited
		udp dport 547 meta nfproto ipv6 ether saddr @visiting6-mac accept
		udp dport 53 meta nfproto ipv6 ether saddr @visiting6-mac accept
		tcp dport 53 meta nfproto ipv6 ether saddr @visiting6-mac accept
		udp dport 5053 meta nfproto ipv6 ether saddr @visiting6-mac accept
		tcp dport 5053 meta nfproto ipv6 ether saddr @visiting6-mac accept
		meta l4proto icmpv6 ether saddr @visiting6-mac accept
		ct direction original meta nfproto ipv6 ether saddr @visiting6-mac reject with icmpx admin-prohibited
		ct state established,related meta nfproto ipv6 ether saddr @visiting6-mac accept
		meta nfproto ipv6 ether saddr @visiting6-mac reject with icmpx admin-prohibited
		iifname "eth0" accept
		udp dport 67-68 iifname @tunnels drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels ip daddr 10.77.1.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner drop
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		udp dport 53 ip daddr @own ip saddr @from-tv dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ip saddr @from-tv dnat ip to 9.9.9.9
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		ip saddr != 10.77.0.0/16 oifname "to-paris" masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0xef000000 == 0x23000000 iifname "to-paris" accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != "to-paris" drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != "to-paris" drop
		ip daddr != 10.77.0.0/16 iifname != "to-paris" accept
		ip daddr @guarded iifname != @inner drop
		ct direction reply meta nfproto ipv4 iifname "to-paris" iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		ct direction original iifname "to-paris" iifname . ip saddr & 255.255.255.0 != @peers-24 drop
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0xef000000 == 0x23000000 oifname "to-paris" accept
		meta nfproto ipv4 ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		oifname != "to-paris" accept
		udp dport 67-68 oifname "to-paris" drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 accept
		ct mark set ct mark & 0x90ffffff | 0x23000000
	}
}
EOF
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.1/32 dev to-paris
ip link set to-paris up
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from all to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from all to 192.168.1.0/24 goto 119
ip rule add priority 112 protocol 77 from 192.168.1.50/32 lookup 7702
ip rule add priority 112 protocol 77 from 192.168.1.64/27 lookup 7702
ip rule add priority 118 protocol 77 from 192.168.1.50/32 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.64/27 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
