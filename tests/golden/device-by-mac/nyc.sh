#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set device-macs {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01, aa:bb:cc:dd:ee:02 }
	}
	set device-macs6 {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01, aa:bb:cc:dd:ee:02 }
	}
	set guarded {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set homes {
		type ipv4_addr; flags interval
		elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 240.0.0.0/4 }
	}
	set inner {
		type ifname
		elements = { "lo", "to-paris" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set kept-tv {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.0.2.0/24, 192.168.1.0/24 }
	}
	set kept6-tv {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64 }
	}
	set local {
		type ipv4_addr; flags interval
		elements = { 192.168.1.0/24 }
	}
	set local6 {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64 }
	}
	set mac-tv {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01, aa:bb:cc:dd:ee:02 }
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
	set ways {
		type ifname . mark
		elements = { "to-paris" . 0x23000000, "to-paris" . 0xa0000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname "to-paris" meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname "to-paris" meta nfproto ipv4 tcp option maxseg size set 1240
		ct mark & 0x60000000 == 0x20000000 ct direction original oifname . ct mark & 0xef000000 @ways accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "eth0" accept
		ip daddr @local oifname != "eth0" ether saddr @device-macs accept
		ip daddr @network oifname "to-paris" ether saddr @device-macs accept
		ip daddr 192.0.2.0/24 ether saddr @mac-tv accept
		ip6 daddr @local6 oifname != "eth0" ether saddr @device-macs6 accept
		meta nfproto ipv6 ether saddr @device-macs6 reject with icmpx admin-prohibited
		ct mark & 0x8f000000 == 0x80000000 oifname "to-paris" accept
		ether saddr @device-macs reject with icmpx admin-prohibited
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
		udp dport 53 ether saddr @device-macs reject with icmpx admin-prohibited
		tcp dport 53 ether saddr @device-macs reject with icmpx admin-prohibited
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
		udp dport 53 ip daddr @own ether saddr @mac-tv dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ether saddr @mac-tv dnat ip to 9.9.9.9
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		ip saddr != 10.77.0.0/16 oifname "to-paris" masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct mark & 0x8f000000 == 0x80000000 iifname "to-paris" meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 ip daddr != @kept-tv ether saddr @mac-tv meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 ip6 daddr != @kept6-tv ether saddr @mac-tv meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 udp dport 53 ip daddr @own ether saddr @mac-tv meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 tcp dport 53 ip daddr @own ether saddr @mac-tv meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x8f000000 == 0x80000000 ct mark set ct mark & 0x70ffffff | 0x80000000
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname . ct mark & 0xef000000 @ways accept
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
		ct mark & 0x60000000 == 0x20000000 oifname . ct mark & 0xef000000 @ways accept
		meta nfproto ipv4 ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		meta mark & 0x80000000 == 0x0 oifname != "to-paris" accept
		meta mark & 0x8f000000 == 0x80000000 ct direction original oifname != @inner drop
		udp dport 67-68 oifname "to-paris" drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 oifname "to-paris" ct mark set ct mark & 0x9fffffff | 0x20000000
		ct mark & 0x80000000 == 0x80000000 accept
		oifname "to-paris" ct mark set ct mark & 0x90ffffff | 0x23000000
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
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif to-paris goto 119
ip rule add priority 112 protocol 77 from all fwmark 0x80000000/0x8f000000 lookup 7702
ip rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.conf.to-paris.src_valid_mark=1
sysctl -q -w net.ipv4.ip_forward=1
