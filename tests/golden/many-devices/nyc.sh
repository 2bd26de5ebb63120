#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set device-addresses {
		type ipv4_addr; flags interval
		elements = { 192.168.1.50, 192.168.1.51, 192.168.1.64/27 }
	}
	set device-macs {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01, aa:bb:cc:dd:ee:02, aa:bb:cc:dd:ee:03, aa:bb:cc:dd:ee:04 }
	}
	set device-macs-bit-0 {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:02, aa:bb:cc:dd:ee:03 }
	}
	set device-macs-bit-1 {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:04 }
	}
	set device-macs6 {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01, aa:bb:cc:dd:ee:02, aa:bb:cc:dd:ee:03, aa:bb:cc:dd:ee:04 }
	}
	set device-marks-ways {
		type ifname . mark
		elements = { "to-oslo" . 0x81000000, "to-oslo" . 0x82000000, "to-paris" . 0x80000000 }
	}
	set device-ways-27 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 192.168.1.64 }
	}
	set device-ways-32 {
		type ifname . ipv4_addr
		elements = { "to-oslo" . 192.168.1.51, "to-paris" . 192.168.1.50 }
	}
	set exits {
		type ifname
		elements = { "to-oslo", "to-paris" }
	}
	set from-desk {
		type ipv4_addr
		elements = { 192.168.1.51 }
	}
	set from-game {
		type ipv4_addr
		elements = { 192.168.1.52 }
	}
	set from-late {
		type ipv4_addr
		elements = { 192.168.1.53 }
	}
	set from-phone {
		type ipv4_addr; flags interval
		elements = { 192.168.1.50, 192.168.1.64/27 }
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
		elements = { "lo", "to-oslo", "to-paris" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set kept-game {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.1.0/24 }
	}
	set kept-tablet {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.1.0/24 }
	}
	set kept-tv {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.1.0/24 }
	}
	set kept-web {
		type ipv4_addr; flags interval
		elements = { 10.77.2.0/24, 10.77.3.0/24, 169.254.0.0/16, 192.168.1.0/24, 224.0.0.0/4, 255.255.255.255 }
	}
	set kept6-tablet {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64 }
	}
	set kept6-tv {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64 }
	}
	set kept6-web {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64, fe80::/10, ff00::/8 }
	}
	set local {
		type ipv4_addr; flags interval
		elements = { 192.168.1.0/24 }
	}
	set local6 {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64 }
	}
	set mac-box {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:02, aa:bb:cc:dd:ee:03 }
	}
	set mac-radio {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:04 }
	}
	set mac-tablet {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:05 }
	}
	set mac-tv {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01 }
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
		elements = { "to-oslo" . 10.77.3.0, "to-paris" . 10.77.2.0 }
	}
	set senders {
		type ifname
		elements = { "to-oslo", "to-paris" }
	}
	set tunnels {
		type ifname
		elements = { "to-oslo", "to-paris" }
	}
	set watched {
		type ifname
		elements = { "to-oslo", "to-paris" }
	}
	set ways {
		type ifname . mark
		elements = { "to-oslo" . 0x24000000, "to-oslo" . 0xa1000000, "to-oslo" . 0xa2000000, "to-oslo" . 0xa3000000, "to-oslo" . 0xa5000000, "to-paris" . 0x23000000, "to-paris" . 0xa0000000, "to-paris" . 0xa4000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		ct mark & 0x60000000 == 0x20000000 ct direction original oifname . ct mark & 0xef000000 @ways accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @local oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @network oifname @tunnels accept
		ip daddr @local oifname != "eth0" ether saddr @device-macs accept
		ip daddr @network oifname @tunnels ether saddr @device-macs accept
		ip saddr @from-phone ip daddr 192.0.2.0/24 accept
		ip6 daddr @local6 oifname != "eth0" ether saddr @device-macs6 accept
		meta nfproto ipv6 ether saddr @device-macs6 reject with icmpx admin-prohibited
		oifname . ip saddr & 255.255.255.224 @device-ways-27 accept
		oifname . ip saddr @device-ways-32 accept
		oifname . ct mark & 0x8f000000 @device-marks-ways accept
		ip saddr @device-addresses reject with icmpx admin-prohibited
		ether saddr @device-macs reject with icmpx admin-prohibited
		ip saddr @from-game ip daddr @local oifname != "eth0" accept
		ip saddr @from-game ip daddr @network oifname @tunnels accept
		ip saddr @from-game udp dport 3478-3481 oifname "to-oslo" accept
		ip saddr @from-game udp dport 3478-3481 reject with icmpx admin-prohibited
		ip saddr @from-late ip daddr @local oifname != "eth0" accept
		ip saddr @from-late ip daddr @network oifname @tunnels accept
		ip saddr @from-late oifname "to-paris" accept
		ip saddr @from-late reject with icmpx admin-prohibited
		ip daddr @local oifname != "eth0" ether saddr @mac-tablet accept
		ip daddr @network oifname @tunnels ether saddr @mac-tablet accept
		ip6 daddr @local6 oifname != "eth0" ether saddr @mac-tablet accept
		meta nfproto ipv6 ether saddr @mac-tablet reject with icmpx admin-prohibited
		oifname "to-paris" ether saddr @mac-tablet accept
		ether saddr @mac-tablet reject with icmpx admin-prohibited
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @tunnels accept
		udp dport 67-68 iifname @tunnels drop
		iifname @tunnels oifname "eth0" ip daddr @network drop
		iifname @tunnels oifname "eth0" ct direction reply ip daddr @homes ip daddr != @outer drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "lo" accept
		udp dport 53 ip saddr @device-addresses reject with icmpx admin-prohibited
		tcp dport 53 ip saddr @device-addresses reject with icmpx admin-prohibited
		udp dport 53 ether saddr @device-macs reject with icmpx admin-prohibited
		tcp dport 53 ether saddr @device-macs reject with icmpx admin-prohibited
		udp dport 53 ip saddr @from-late reject with icmpx admin-prohibited
		tcp dport 53 ip saddr @from-late reject with icmpx admin-prohibited
		udp dport 53 ether saddr @mac-tablet reject with icmpx admin-prohibited
		tcp dport 53 ether saddr @mac-tablet reject with icmpx admin-prohibited
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
		oifname @inner accept
		udp dport 67-68 accept
		ip daddr 10.77.2.0/24 accept
		ip daddr 10.77.3.0/24 accept
		ip daddr 169.254.0.0/16 accept
		ip daddr 192.168.1.0/24 accept
		ip daddr 224.0.0.0/4 accept
		ip daddr 255.255.255.255 accept
		ip6 daddr 2001:db8:1:2::/64 accept
		ip6 daddr fe80::/10 accept
		ip6 daddr ff00::/8 accept
		ct direction original meta mark & 0x10000000 != 0x10000000 meta mark & 0x8f000000 != 0x85000000 tcp dport 443 reject with icmpx admin-prohibited
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		udp dport 53 ip daddr @own ether saddr @mac-tv dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ether saddr @mac-tv dnat ip to 9.9.9.9
		udp dport 53 ip daddr @own ether saddr @mac-box dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ether saddr @mac-box dnat ip to 9.9.9.9
		udp dport 53 ip daddr @own ether saddr @mac-radio dnat ip to 192.168.1.53
		tcp dport 53 ip daddr @own ether saddr @mac-radio dnat ip to 192.168.1.53
		udp dport 53 ip daddr @own ip saddr @from-phone dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ip saddr @from-phone dnat ip to 9.9.9.9
		udp dport 53 ip daddr @own ip saddr @from-desk dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ip saddr @from-desk dnat ip to 9.9.9.9
		udp dport 53 ip daddr @own ip saddr @from-late dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ip saddr @from-late dnat ip to 9.9.9.9
		udp dport 53 ip daddr @own ether saddr @mac-tablet dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ether saddr @mac-tablet dnat ip to 9.9.9.9
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		ip saddr != 10.77.0.0/16 oifname @tunnels masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct mark & 0x80000000 == 0x80000000 iifname @tunnels meta mark set meta mark & 0x70ffffff | 0x80000000
		ct mark & 0x81000000 == 0x81000000 meta mark & 0x80000000 == 0x80000000 meta mark set meta mark & 0xfeffffff | 0x1000000
		ct mark & 0x82000000 == 0x82000000 meta mark & 0x80000000 == 0x80000000 meta mark set meta mark & 0xfdffffff | 0x2000000
		ct mark & 0x84000000 == 0x84000000 meta mark & 0x80000000 == 0x80000000 meta mark set meta mark & 0xfbffffff | 0x4000000
		meta mark & 0x80000000 == 0x0 ip daddr != @kept-tv ether saddr @device-macs meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 ip6 daddr != @kept6-tv ether saddr @device-macs meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 udp dport 53 ip daddr @own ether saddr @device-macs meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 tcp dport 53 ip daddr @own ether saddr @device-macs meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x81000000 == 0x80000000 ether saddr @device-macs-bit-0 meta mark set meta mark & 0xfeffffff | 0x1000000
		meta mark & 0x82000000 == 0x80000000 ether saddr @device-macs-bit-1 meta mark set meta mark & 0xfdffffff | 0x2000000
		meta mark & 0x80000000 == 0x0 udp dport 3478-3481 ip saddr @from-game ip daddr != @kept-game meta mark set meta mark & 0x70ffffff | 0x83000000
		meta mark & 0x80000000 == 0x0 ip daddr != @kept-tablet ether saddr @mac-tablet meta mark set meta mark & 0x70ffffff | 0x84000000
		meta mark & 0x80000000 == 0x0 ip6 daddr != @kept6-tablet ether saddr @mac-tablet meta mark set meta mark & 0x70ffffff | 0x84000000
		meta mark & 0x80000000 == 0x0 udp dport 53 ip daddr @own ether saddr @mac-tablet meta mark set meta mark & 0x70ffffff | 0x84000000
		meta mark & 0x80000000 == 0x0 tcp dport 53 ip daddr @own ether saddr @mac-tablet meta mark set meta mark & 0x70ffffff | 0x84000000
		meta mark & 0x8f000000 == 0x80000000 ct mark set ct mark & 0x70ffffff | 0x80000000
		meta mark & 0x8f000000 == 0x81000000 ct mark set ct mark & 0x70ffffff | 0x81000000
		meta mark & 0x8f000000 == 0x82000000 ct mark set ct mark & 0x70ffffff | 0x82000000
		meta mark & 0x8f000000 == 0x83000000 ct mark set ct mark & 0x70ffffff | 0x83000000
		meta mark & 0x8f000000 == 0x84000000 ct mark set ct mark & 0x70ffffff | 0x84000000
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname . ct mark & 0xef000000 @ways accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != @tunnels drop
		ip daddr != 10.77.0.0/16 iifname != @watched accept
		ip daddr @guarded iifname != @inner drop
		ct direction reply meta nfproto ipv4 iifname @tunnels iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		ct direction original iifname @exits iifname . ip saddr & 255.255.255.0 != @peers-24 drop
	}
	chain own-marks {
		type route hook output priority -150; policy accept;
		ct direction original meta mark & 0x10000000 != 0x10000000 tcp dport 443 ip daddr != @kept-web meta mark set meta mark & 0x70ffffff | 0x85000000
		ct direction original meta mark & 0x10000000 != 0x10000000 tcp dport 443 ip6 daddr != @kept6-web meta mark set meta mark & 0x70ffffff | 0x85000000
		meta mark & 0x8f000000 == 0x85000000 ct mark set ct mark & 0x70ffffff | 0x85000000
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0x60000000 == 0x20000000 oifname . ct mark & 0xef000000 @ways accept
		meta nfproto ipv4 ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		meta mark & 0x80000000 == 0x0 oifname != @tunnels accept
		meta mark & 0x80000000 == 0x80000000 ct direction original oifname != @inner drop
		udp dport 67-68 oifname @tunnels drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 oifname @tunnels ct mark set ct mark & 0x9fffffff | 0x20000000
		ct mark & 0x80000000 == 0x80000000 accept
		oifname @tunnels ct mark set ct mark & 0x90ffffff | 0x20000000
		oifname "to-paris" ct mark set ct mark & 0xfeffffff | 0x1000000
		oifname "to-paris" ct mark set ct mark & 0xfdffffff | 0x2000000
		oifname "to-oslo" ct mark set ct mark & 0xfbffffff | 0x4000000
	}
}
EOF
ip link add to-oslo mtu 1280 type wireguard
ip link set to-oslo alias portals:home
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set to-oslo private-key private.key listen-port 51823 fwmark 0x10000000
wg set to-oslo peer Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= endpoint 192.0.2.5:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.1/32 dev to-oslo
ip address add 10.77.1.1/32 dev to-paris
ip link set to-oslo up
ip link set to-paris up
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add 10.77.3.0/24 dev to-oslo src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.3.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip route add default dev to-oslo src 10.77.1.1 scope global table 7703 protocol 77
ip route add unreachable default table 7703 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.0.2.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.51/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.51/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.53/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.53/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.64/27 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.64/27 to 192.0.2.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.64/27 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x81000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x82000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x84000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x81000000/0x8f000000 iif to-oslo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x82000000/0x8f000000 iif to-oslo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif to-paris goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x84000000/0x8f000000 iif to-paris goto 119
ip rule add priority 112 protocol 77 from all fwmark 0x80000000/0x8f000000 lookup 7702
ip rule add priority 112 protocol 77 from all fwmark 0x81000000/0x8f000000 lookup 7703
ip rule add priority 112 protocol 77 from all fwmark 0x82000000/0x8f000000 lookup 7703
ip rule add priority 112 protocol 77 from all fwmark 0x84000000/0x8f000000 lookup 7702
ip rule add priority 112 protocol 77 from 192.168.1.50/32 lookup 7702
ip rule add priority 112 protocol 77 from 192.168.1.51/32 lookup 7703
ip rule add priority 112 protocol 77 from 192.168.1.52/32 fwmark 0x83000000/0x8f000000 lookup 7703
ip rule add priority 112 protocol 77 from 192.168.1.53/32 lookup 7702
ip rule add priority 112 protocol 77 from 192.168.1.64/27 lookup 7702
ip rule add priority 113 protocol 77 from all fwmark 0x85000000/0x8f000000 iif lo lookup 7703
ip rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x81000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x82000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x84000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.50/32 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.51/32 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.52/32 fwmark 0x83000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.53/32 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.64/27 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x85000000/0x8f000000 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x81000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x82000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x84000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x85000000/0x8f000000 iif lo unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.conf.to-oslo.src_valid_mark=1
sysctl -q -w net.ipv4.conf.to-paris.src_valid_mark=1
sysctl -q -w net.ipv4.ip_forward=1
