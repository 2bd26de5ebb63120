#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set confined {
		type ifname
		elements = { "eth1", "eth2" }
	}
	set device-addresses {
		type ipv4_addr
		elements = { 192.168.1.50 }
	}
	set device-addresses6 {
		type ipv6_addr
		elements = { 2001:db8:1:2::50 }
	}
	set device-macs {
		type ether_addr
		elements = { aa:bb:cc:dd:ee:01 }
	}
	set device-ways-32 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 192.168.1.50 }
	}
	set device-ways6-128 {
		type ifname . ipv6_addr
		elements = { "to-paris" . 2001:db8:1:2::50 }
	}
	set entrances {
		type ifname
		elements = { "eth1" }
	}
	set far {
		type ipv4_addr; flags interval
		elements = { 10.77.1.2, 10.77.1.3, 10.77.1.64/26, 10.77.1.128/26 }
	}
	set far6 {
		type ipv6_addr; flags interval
		elements = { fd77:1:2:100::2, fd77:1:2:100::3, fd77:1:2:101::/64, fd77:1:2:102::/64 }
	}
	set from-desk {
		type ipv4_addr
		elements = { 192.168.1.50 }
	}
	set guarded {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set guarded6 {
		type ipv6_addr
		elements = { fd77:1:2:100::1 }
	}
	set homes {
		type ipv4_addr; flags interval
		elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 240.0.0.0/4 }
	}
	set homes6 {
		type ipv6_addr; flags interval
		elements = { ::/80, 64:ff9b:1::/48, 100::/63, 2001::/23, 2001:db8::/32, 2002::/16, 3fff::/20, 5f00::/16, fc00::/7, fe80::/10, fec0::/10, ff00::/8 }
	}
	set inner {
		type ifname
		elements = { "lo", "portals0", "to-paris" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set inside6 {
		type ipv6_addr; flags interval
		elements = { fd77:1:2::/48 }
	}
	set kept-tv {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.1.0/24 }
	}
	set kept6-tv {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64, fd77:1:2::/48, fe80::/10, ff00::/8 }
	}
	set known {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.1.0/24 }
	}
	set known6 {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64, fd77:1:2::/48 }
	}
	set lan-26 {
		type ifname . ipv4_addr
		elements = { "eth1" . 10.77.1.64, "eth2" . 10.77.1.128 }
	}
	set lan6-64 {
		type ifname . ipv6_addr
		elements = { "eth1" . fd77:1:2:101::, "eth2" . fd77:1:2:102:: }
	}
	set link-32 {
		type ifname . ipv4_addr
		elements = { "eth1" . 0.0.0.0, "eth2" . 0.0.0.0 }
	}
	set link6-10 {
		type ifname . ipv6_addr
		elements = { "eth1" . fe80::, "eth2" . fe80:: }
	}
	set link6-128 {
		type ifname . ipv6_addr
		elements = { "eth1" . ::, "eth2" . :: }
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
		elements = { aa:bb:cc:dd:ee:01 }
	}
	set near {
		type ipv4_addr; flags interval
		elements = { 192.168.1.0/24 }
	}
	set near6 {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1:2::/64 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set network6 {
		type ipv6_addr; flags interval
		elements = { fd77:1:2::/48 }
	}
	set open {
		type ipv4_addr; flags interval
		elements = { 10.77.1.64/26, 10.77.1.128/26 }
	}
	set open6 {
		type ipv6_addr; flags interval
		elements = { fd77:1:2:101::/64, fd77:1:2:102::/64 }
	}
	set outer {
		type ipv4_addr; flags interval
		elements = { 198.51.100.0/24 }
	}
	set outer6 {
		type ipv6_addr; flags interval
		elements = { 2001:db8:1::/64 }
	}
	set own {
		type ipv4_addr
		elements = { 192.168.1.1, 198.51.100.2 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set own-ends6 {
		type ipv6_addr
		elements = { fd77:1:2:100::1 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 10.77.2.0 }
	}
	set peers6-56 {
		type ifname . ipv6_addr
		elements = { "to-paris" . fd77:1:2:200:: }
	}
	set private {
		type ipv4_addr; flags interval
		elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 240.0.0.0/4 }
	}
	set private6 {
		type ipv6_addr; flags interval
		elements = { ::/80, 64:ff9b:1::/48, 100::/63, 2001::/23, 2001:db8::/32, 2002::/16, 3fff::/20, 5f00::/16, fc00::/7, fe80::/10, fec0::/10, ff00::/8 }
	}
	set resolvers {
		type ipv4_addr
		elements = { 10.77.1.65, 10.77.1.129 }
	}
	set resolvers6 {
		type ipv6_addr
		elements = { fd77:1:2:101::1, fd77:1:2:102::1 }
	}
	set senders {
		type ifname
		elements = { "eth1", "eth2", "portals0", "to-paris" }
	}
	set tunnels {
		type ifname
		elements = { "portals0", "to-paris" }
	}
	set visited {
		type ipv4_addr
		elements = { 10.77.1.65, 10.77.1.129 }
	}
	set visitors {
		type ifname
		elements = { "eth1", "eth2" }
	}
	set watched {
		type ifname
		elements = { "eth0", "eth1", "eth2", "portals0", "to-paris" }
	}
	set ways {
		type ifname . mark
		elements = { "portals0" . 0x21000000, "to-paris" . 0x23000000, "to-paris" . 0xa0000000, "to-paris" . 0xa1000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn oifname @tunnels meta nfproto ipv6 tcp option maxseg size set 1220
		tcp flags & (syn | rst) == syn iifname @tunnels meta nfproto ipv6 tcp option maxseg size set 1220
		ct mark & 0x60000000 == 0x20000000 ct direction original oifname . ct mark & 0xef000000 @ways accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @local oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @network oifname @tunnels accept
		ip daddr @local oifname != "eth0" ether saddr @device-macs accept
		ip daddr @network oifname @tunnels ether saddr @device-macs accept
		ip6 saddr @device-addresses6 ip6 daddr @local6 oifname != "eth0" accept
		ip6 saddr @device-addresses6 ip6 daddr @network6 oifname @tunnels accept
		ip6 daddr @local6 oifname != "eth0" ether saddr @device-macs accept
		ip6 daddr @network6 oifname @tunnels ether saddr @device-macs accept
		oifname . ip saddr @device-ways-32 accept
		oifname . ip6 saddr @device-ways6-128 accept
		ct mark & 0x8f000000 == 0x80000000 oifname "to-paris" accept
		ip saddr @device-addresses reject with icmpx admin-prohibited
		ether saddr @device-macs reject with icmpx admin-prohibited
		ip6 saddr @device-addresses6 reject with icmpx admin-prohibited
		ip saddr 10.77.0.0/16 iifname != @senders drop
		ip6 saddr fd77:1:2::/48 iifname != @senders drop
		iifname != @senders accept
		iifname "eth2" ip daddr 192.0.2.0/24 tcp dport 443 oifname "to-paris" accept
		iifname "eth2" ip daddr 192.0.2.0/24 tcp dport 443 reject with icmpx admin-prohibited
		iifname "eth2" ip6 daddr 2620:4f:8000::/48 tcp dport 443 oifname "to-paris" accept
		iifname "eth2" ip6 daddr 2620:4f:8000::/48 tcp dport 443 reject with icmpx admin-prohibited
		iifname "eth1" oifname "to-paris" accept
		iifname "eth1" reject with icmpx admin-prohibited
		iifname != @tunnels accept
		udp dport 67-68 iifname @tunnels drop
		udp dport 546-547 iifname @tunnels drop
		iifname "portals0" ip saddr 10.77.1.2 ip daddr 192.168.1.0/24 accept
		iifname "portals0" ip saddr 10.77.1.2 oifname "to-paris" accept
		iifname "portals0" ip saddr 10.77.1.2 reject with icmpx admin-prohibited
		iifname "portals0" ip6 saddr fd77:1:2:100::2 ip6 daddr 2001:db8:1:2::/64 accept
		iifname "portals0" ip6 saddr fd77:1:2:100::2 oifname "to-paris" accept
		iifname "portals0" ip6 saddr fd77:1:2:100::2 reject with icmpx admin-prohibited
		iifname @tunnels oifname "eth0" ip daddr @network drop
		iifname @tunnels oifname "eth0" ip6 daddr @network6 drop
		iifname @tunnels oifname "eth0" ct direction reply ip daddr @homes ip daddr != @outer drop
		iifname @tunnels oifname "eth0" ct direction reply ip6 daddr @homes6 ip6 daddr != @outer6 drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels ip daddr 192.168.1.0/24 accept
		iifname @tunnels ip6 daddr 2001:db8:1:2::/64 accept
		iifname "to-paris" oifname "eth0" ip daddr @private reject with icmpx admin-prohibited
		iifname "to-paris" oifname "eth0" ip6 daddr @private6 reject with icmpx admin-prohibited
		iifname "to-paris" oifname "eth0" accept
		iifname "portals0" ip saddr 10.77.1.3 oifname "eth0" ip daddr @private reject with icmpx admin-prohibited
		iifname "portals0" ip saddr 10.77.1.3 oifname "eth0" accept
		iifname "portals0" ip6 saddr fd77:1:2:100::3 oifname "eth0" ip6 daddr @private6 reject with icmpx admin-prohibited
		iifname "portals0" ip6 saddr fd77:1:2:100::3 oifname "eth0" accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels ip6 saddr @inside6 reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		udp dport 53 iifname @entrances reject with icmpx admin-prohibited
		tcp dport 53 iifname @entrances reject with icmpx admin-prohibited
		iifname "lo" accept
		udp dport 53 ip saddr @device-addresses reject with icmpx admin-prohibited
		tcp dport 53 ip saddr @device-addresses reject with icmpx admin-prohibited
		udp dport 53 ether saddr @device-macs reject with icmpx admin-prohibited
		tcp dport 53 ether saddr @device-macs reject with icmpx admin-prohibited
		udp dport 67 iifname @visitors accept
		udp dport 547 iifname @visitors accept
		udp dport 53 iifname @visitors accept
		tcp dport 53 iifname @visitors accept
		udp dport 5053 iifname @visitors accept
		tcp dport 5053 iifname @visitors accept
		meta l4proto icmp ct direction original iifname @visitors ip daddr != @visited reject with icmpx admin-prohibited
		meta l4proto icmp iifname @visitors accept
		meta l4proto icmpv6 iifname @visitors accept
		ct direction original iifname @visitors reject with icmpx admin-prohibited
		ct state established,related iifname @visitors accept
		iifname @visitors reject with icmpx admin-prohibited
		iifname "eth0" accept
		udp dport 67-68 iifname @tunnels drop
		udp dport 546-547 iifname @tunnels drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels ip daddr 192.168.1.0/24 accept
		iifname @tunnels ip6 daddr 2001:db8:1:2::/64 accept
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels meta l4proto icmpv6 accept
		iifname @tunnels ip daddr 10.77.1.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels ip6 saddr @inside6 reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner oifname != @confined drop
		meta mark & 0x10000000 != 0x10000000 ip6 saddr @own-ends6 oifname != @inner oifname != @confined drop
		ip saddr @resolvers ct direction original oifname != @inner oifname != @confined reject with icmpx admin-prohibited
		ip6 saddr @resolvers6 ct direction original oifname != @inner oifname != @confined reject with icmpx admin-prohibited
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		udp dport 53 ip daddr @resolvers redirect to :5053
		tcp dport 53 ip daddr @resolvers redirect to :5053
		udp dport 53 ip6 daddr @resolvers6 redirect to :5053
		tcp dport 53 ip6 daddr @resolvers6 redirect to :5053
		udp dport 53 ip daddr @own ip saddr @from-desk dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ip saddr @from-desk dnat ip to 9.9.9.9
		udp dport 53 ip daddr @own ether saddr @mac-tv dnat ip to 9.9.9.9
		tcp dport 53 ip daddr @own ether saddr @mac-tv dnat ip to 9.9.9.9
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		oifname "eth0" ip6 saddr @inside6 masquerade
		ip saddr != @known oifname @tunnels masquerade
		ip6 saddr != @known6 oifname @tunnels masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct mark & 0x8f000000 == 0x80000000 iifname @tunnels meta mark set meta mark & 0x70ffffff | 0x80000000
		ct mark & 0x8f000000 == 0x81000000 iifname @tunnels meta mark set meta mark & 0x70ffffff | 0x81000000
		meta mark & 0x80000000 == 0x0 ip daddr != @kept-tv ether saddr @mac-tv meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 ip6 daddr != @kept6-tv ether saddr @mac-tv meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 udp dport 53 ip daddr @own ether saddr @mac-tv meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 tcp dport 53 ip daddr @own ether saddr @mac-tv meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 tcp dport 443 iifname "eth2" ip daddr 192.0.2.0/24 meta mark set meta mark & 0x70ffffff | 0x81000000
		meta mark & 0x80000000 == 0x0 tcp dport 443 iifname "eth2" ip6 daddr 2620:4f:8000::/48 meta mark set meta mark & 0x70ffffff | 0x81000000
		meta mark & 0x8f000000 == 0x80000000 ct mark set ct mark & 0x70ffffff | 0x80000000
		meta mark & 0x8f000000 == 0x81000000 ct mark set ct mark & 0x70ffffff | 0x81000000
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname . ct mark & 0xef000000 @ways accept
		ct mark & 0x60000000 == 0x20000000 ct direction original iifname . ip saddr & 255.255.255.192 @lan-26 accept
		ct mark & 0x60000000 == 0x20000000 ct direction original iifname . ip6 saddr & ffff:ffff:ffff:ffff:: @lan6-64 accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct mark & 0x60000000 == 0x20000000 ct direction original ip6 saddr fd77:1:2::/48 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname != @tunnels drop
		ip daddr != 10.77.0.0/16 iifname != @watched accept
		ip6 daddr != fd77:1:2::/48 iifname != @watched accept
		ip daddr @guarded iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 drop
		ip6 daddr @guarded6 iifname != @inner iifname . ip6 daddr & ffff:ffff:ffff:ffff:: != @lan6-64 drop
		ip daddr @open iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 ip saddr != @near drop
		ip6 daddr @open6 iifname != @inner iifname . ip6 daddr & ffff:ffff:ffff:ffff:: != @lan6-64 ip6 saddr != @near6 drop
		ct direction reply iifname @tunnels iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		iifname "eth0" ip daddr @far drop
		iifname "eth0" ip6 daddr @far6 drop
		iifname . ip saddr & 255.255.255.192 @lan-26 accept
		iifname . ip saddr @link-32 accept
		meta nfproto ipv4 iifname @confined drop
		iifname . ip6 saddr & ffff:ffff:ffff:ffff:: @lan6-64 accept
		iifname . ip6 saddr & ffc0:: @link6-10 accept
		iifname . ip6 saddr @link6-128 accept
		meta nfproto ipv6 iifname @confined drop
		ct direction original iifname "to-paris" iifname . ip saddr & 255.255.255.0 != @peers-24 drop
		ct direction original iifname "to-paris" iifname . ip6 saddr & ffff:ffff:ffff:ff00:: != @peers6-56 drop
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0x60000000 == 0x20000000 oifname . ct mark & 0xef000000 @ways accept
		ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		meta mark & 0x80000000 == 0x0 oifname != @tunnels accept
		meta mark & 0x8f000000 == 0x80000000 ct direction original oifname != @inner drop
		meta mark & 0x8f000000 == 0x81000000 ct direction original oifname != @inner drop
		udp dport 67-68 oifname @tunnels drop
		udp dport 546-547 oifname @tunnels drop
		ct mark & 0x80000000 == 0x80000000 oifname @tunnels ct mark set ct mark & 0x9fffffff | 0x20000000
		ct mark & 0x80000000 == 0x80000000 accept
		oifname @tunnels ct mark set ct mark & 0x90ffffff | 0x21000000
		oifname "to-paris" ct mark set ct mark & 0xfdffffff | 0x2000000
	}
}
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer annaannaannaannaannaannaannaannaannaannaanA= allowed-ips 10.77.1.3/32,fd77:1:2:100::3/128
wg set portals0 peer mikemikemikemikemikemikemikemikemikemikemiA= allowed-ips 10.77.1.2/32,fd77:1:2:100::2/128
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51821 persistent-keepalive 25 allowed-ips 0.0.0.0/0,::/0
ip address add 10.77.1.65/26 dev eth1
ip -6 address add fd77:1:2:101::1/64 dev eth1 nodad
ip address add 10.77.1.129/26 dev eth2
ip -6 address add fd77:1:2:102::1/64 dev eth2 nodad
ip address add 10.77.1.1/32 dev portals0
ip -6 address add fd77:1:2:100::1/128 dev portals0 nodad
ip address add 10.77.1.1/32 dev to-paris
ip -6 address add fd77:1:2:100::1/128 dev to-paris nodad
ip link set eth1 up
ip link set eth2 up
ip link set portals0 up
ip link set to-paris up
ip route add 10.77.1.2/32 dev portals0 src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.1.2/32 table main metric 4278198272 protocol 77
ip route add 10.77.1.3/32 dev portals0 src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.1.3/32 table main metric 4278198272 protocol 77
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip -6 route add fd77:1:2:100::2/128 dev portals0 src fd77:1:2:100::1 table main protocol 77
ip -6 route add unreachable fd77:1:2:100::2/128 table main metric 4278198272 protocol 77
ip -6 route add fd77:1:2:100::3/128 dev portals0 src fd77:1:2:100::1 table main protocol 77
ip -6 route add unreachable fd77:1:2:100::3/128 table main metric 4278198272 protocol 77
ip -6 route add fd77:1:2:200::/56 dev to-paris src fd77:1:2:100::1 table main protocol 77
ip -6 route add unreachable fd77:1:2:200::/56 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip -6 route add default dev to-paris src fd77:1:2:100::1 table 7702 protocol 77
ip -6 route add unreachable default table 7702 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip -6 rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 192.168.1.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif to-paris goto 119
ip -6 rule add priority 111 protocol 77 from 2001:db8:1:2::50/128 to 2001:db8:1:2::/64 goto 119
ip -6 rule add priority 111 protocol 77 from 2001:db8:1:2::50/128 to fd77:1:2::/48 goto 119
ip -6 rule add priority 111 protocol 77 from 2001:db8:1:2::50/128 to fe80::/10 goto 119
ip -6 rule add priority 111 protocol 77 from 2001:db8:1:2::50/128 to ff00::/8 goto 119
ip -6 rule add priority 111 protocol 77 from fd77:1:2::/48 to 2001:db8:1:2::/64 iif lo goto 119
ip -6 rule add priority 111 protocol 77 from fd77:1:2::/48 to fd77:1:2::/48 iif lo goto 119
ip -6 rule add priority 111 protocol 77 from fd77:1:2::/48 to fe80::/10 iif lo goto 119
ip -6 rule add priority 111 protocol 77 from fd77:1:2::/48 to ff00::/8 iif lo goto 119
ip -6 rule add priority 111 protocol 77 from fd77:1:2:100::2/128 to 2001:db8:1:2::/64 iif portals0 goto 119
ip -6 rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif to-paris goto 119
ip rule add priority 112 protocol 77 from all fwmark 0x80000000/0x8f000000 lookup 7702
ip rule add priority 112 protocol 77 from 192.168.1.50/32 lookup 7702
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7702
ip rule add priority 112 protocol 77 from 10.77.1.129/32 iif lo lookup 7702
ip rule add priority 112 protocol 77 from 10.77.1.2/32 iif portals0 lookup 7702
ip -6 rule add priority 112 protocol 77 from all fwmark 0x80000000/0x8f000000 lookup 7702
ip -6 rule add priority 112 protocol 77 from 2001:db8:1:2::50/128 lookup 7702
ip -6 rule add priority 112 protocol 77 from fd77:1:2:101::1/128 iif lo lookup 7702
ip -6 rule add priority 112 protocol 77 from fd77:1:2:102::1/128 iif lo lookup 7702
ip -6 rule add priority 112 protocol 77 from fd77:1:2:100::2/128 iif portals0 lookup 7702
ip rule add priority 113 protocol 77 from all iif eth1 lookup 7702
ip rule add priority 113 protocol 77 from all fwmark 0x81000000/0x8f000000 iif eth2 lookup 7702
ip -6 rule add priority 113 protocol 77 from all iif eth1 lookup 7702
ip -6 rule add priority 113 protocol 77 from all fwmark 0x81000000/0x8f000000 iif eth2 lookup 7702
ip rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.50/32 unreachable
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x81000000/0x8f000000 iif eth2 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.1.129/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.1.2/32 iif portals0 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from 2001:db8:1:2::50/128 unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x81000000/0x8f000000 iif eth2 unreachable
ip -6 rule add priority 118 protocol 77 from fd77:1:2:101::1/128 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from fd77:1:2:102::1/128 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from fd77:1:2:100::2/128 iif portals0 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.conf.to-paris.src_valid_mark=1
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth0.accept_ra=2
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
sysctl -q -w net.ipv6.conf.eth2.accept_ra=0
sysctl -q -w net.ipv6.conf.all.forwarding=1
