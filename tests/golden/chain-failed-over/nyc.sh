#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set bit-0 {
		type ifname
		elements = { "portals0", "to-paris" }
	}
	set confined {
		type ifname
		elements = { "eth1", "eth2" }
	}
	set device-addresses {
		type ipv4_addr
		elements = { 192.168.1.50 }
	}
	set device-macs {
		type ether_addr
		elements = { 02:00:00:00:00:01 }
	}
	set device-macs6 {
		type ether_addr
		elements = { 02:00:00:00:00:01 }
	}
	set device-ways-32 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 192.168.1.50 }
	}
	set entrances {
		type ifname
		elements = { "eth1", "eth2" }
	}
	set exits {
		type ifname
		elements = { "to-oslo", "to-paris" }
	}
	set far {
		type ipv4_addr; flags interval
		elements = { 10.77.1.2, 10.77.1.64/26, 10.77.1.128/26 }
	}
	set far-lans {
		type ipv4_addr; flags interval
		elements = { 192.168.2.0/24, 192.168.4.0/24 }
	}
	set from-tv {
		type ipv4_addr
		elements = { 192.168.1.50 }
	}
	set guarded {
		type ipv4_addr
		elements = { 10.77.0.1, 10.77.0.2, 10.77.0.3, 10.77.1.1 }
	}
	set homes {
		type ipv4_addr; flags interval
		elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 240.0.0.0/4 }
	}
	set inner {
		type ifname
		elements = { "lo", "portals0", "to-oslo", "to-paris" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set kept-box {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.1.0/24, 192.168.2.0/24, 192.168.4.0/24 }
	}
	set kept-own {
		type ipv4_addr; flags interval
		elements = { 10.77.1.2, 10.77.1.64/26, 10.77.1.128/26, 10.77.2.0/24, 10.77.3.0/24, 10.77.4.0/24, 169.254.0.0/16, 192.168.1.0/24, 192.168.2.0/24, 192.168.4.0/24, 224.0.0.0/4, 255.255.255.255 }
	}
	set kept-tv {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.1.0/24, 192.168.2.0/24, 192.168.4.0/24 }
	}
	set lan-26 {
		type ifname . ipv4_addr
		elements = { "eth1" . 10.77.1.64, "eth2" . 10.77.1.128 }
	}
	set link-32 {
		type ifname . ipv4_addr
		elements = { "eth1" . 0.0.0.0, "eth2" . 0.0.0.0 }
	}
	set local {
		type ipv4_addr; flags interval
		elements = { 192.168.1.0/24 }
	}
	set mac-box {
		type ether_addr
		elements = { 02:00:00:00:00:01 }
	}
	set near {
		type ipv4_addr; flags interval
		elements = { 192.168.4.0/24 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.2.0/24, 192.168.4.0/24 }
	}
	set open {
		type ipv4_addr; flags interval
		elements = { 10.77.1.64/26, 10.77.1.128/26 }
	}
	set outer {
		type ipv4_addr; flags interval
		elements = { 198.51.100.0/24 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.0.1, 10.77.0.2, 10.77.0.3, 10.77.1.1 }
	}
	set paths {
		type ifname . ifname
		elements = { "eth1" . "to-oslo", "eth2" . "to-paris" }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-oslo" . 10.77.3.0, "to-paris" . 10.77.2.0, "to-paris" . 192.168.2.0 }
	}
	set phones {
		type ipv4_addr
		elements = { 10.77.1.2 }
	}
	set resolvers {
		type ipv4_addr
		elements = { 10.77.1.65, 10.77.1.129 }
	}
	set senders {
		type ifname
		elements = { "eth1", "eth2", "portals0", "to-oslo", "to-paris" }
	}
	set tunnels {
		type ifname
		elements = { "portals0", "to-oslo", "to-paris" }
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
		elements = { "eth0", "eth1", "eth2", "portals0", "to-oslo", "to-paris" }
	}
	set ways {
		type ifname . mark
		elements = { "portals0" . 0x21000000, "to-oslo" . 0x24000000, "to-paris" . 0x23000000, "to-paris" . 0xa0000000 }
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
		meta nfproto ipv6 ether saddr @device-macs6 reject with icmpx admin-prohibited
		oifname . ip saddr @device-ways-32 accept
		ct mark & 0x8f000000 == 0x80000000 oifname "to-paris" accept
		ip saddr @device-addresses reject with icmpx admin-prohibited
		ether saddr @device-macs reject with icmpx admin-prohibited
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @senders accept
		iifname "eth2" ip daddr 192.168.4.0/24 accept
		meta nfproto ipv6 iifname @entrances reject with icmpx admin-prohibited
		iifname . oifname @paths accept
		iifname @entrances reject with icmpx admin-prohibited
		iifname != @tunnels accept
		udp dport 67-68 iifname @tunnels drop
		iifname @tunnels ip saddr @phones ip daddr @far-lans oifname @tunnels accept
		iifname "portals0" ip saddr 10.77.1.2 ip daddr 192.168.2.0/24 accept
		iifname "portals0" ip saddr 10.77.1.2 ip daddr 192.168.4.0/24 accept
		iifname "portals0" ip saddr 10.77.1.2 oifname "to-paris" accept
		iifname "portals0" ip saddr 10.77.1.2 reject with icmpx admin-prohibited
		iifname @tunnels oifname "eth0" ip daddr @network drop
		iifname @tunnels oifname "eth0" ct direction reply ip daddr @homes ip daddr != @outer drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
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
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels ip daddr 10.77.1.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner oifname != @confined drop
		ip saddr @resolvers ct direction original oifname != @inner oifname != @confined reject with icmpx admin-prohibited
		oifname @inner accept
		oifname @confined accept
		udp dport 67-68 accept
		ip daddr 10.77.1.2 accept
		ip daddr 10.77.2.0/24 accept
		ip daddr 10.77.3.0/24 accept
		ip daddr 10.77.4.0/24 accept
		ip daddr 169.254.0.0/16 accept
		ip daddr 192.168.1.0/24 accept
		ip daddr 192.168.2.0/24 accept
		ip daddr 192.168.4.0/24 accept
		ip daddr 224.0.0.0/4 accept
		ip daddr 255.255.255.255 accept
		ip6 daddr fe80::/10 accept
		ip6 daddr ff00::/8 accept
		udp dport 123 accept
		ct direction original meta mark & 0x10000000 != 0x10000000 reject with icmpx admin-prohibited
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		udp dport 53 ip daddr @resolvers redirect to :5053
		tcp dport 53 ip daddr @resolvers redirect to :5053
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "to-oslo" ip saddr 10.77.1.64/26 snat ip to 10.77.1.1
		oifname "portals0" ip saddr 10.77.1.128/26 ip daddr 10.77.4.0/24 snat ip to 10.77.1.1
		oifname "portals0" ip saddr 10.77.1.128/26 ip daddr 192.168.4.0/24 snat ip to 10.77.1.1
		oifname "to-paris" ip daddr != @kept-tv ip saddr @from-tv snat ip to 10.77.0.1
		oifname "to-paris" meta nfproto ipv4 meta mark & 0x8f000000 == 0x80000000 snat ip to 10.77.0.2
		oifname "to-paris" ip daddr != @kept-own ip saddr 10.77.1.1 snat ip to 10.77.0.2
		oifname "to-paris" ip saddr != 10.77.0.0/16 snat ip to 10.77.1.1
		oifname "eth0" ip saddr @inside masquerade
		ip saddr != 10.77.0.0/16 oifname @tunnels masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct mark & 0x8f000000 == 0x80000000 iifname @tunnels meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 ip daddr != @kept-box ether saddr @mac-box meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x80000000 == 0x0 meta nfproto ipv6 ether saddr @mac-box meta mark set meta mark & 0x70ffffff | 0x80000000
		meta mark & 0x8f000000 == 0x80000000 ct mark set ct mark & 0x70ffffff | 0x80000000
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname . ct mark & 0xef000000 @ways accept
		ct mark & 0x60000000 == 0x20000000 ct direction original iifname . ip saddr & 255.255.255.192 @lan-26 accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != @tunnels drop
		ip daddr != 10.77.0.0/16 iifname != @watched accept
		ip daddr @guarded iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 drop
		ip daddr @open iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 ip saddr != @near drop
		ct direction reply meta nfproto ipv4 iifname @tunnels iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		iifname "eth0" ip daddr @far drop
		iifname . ip saddr & 255.255.255.192 @lan-26 accept
		iifname . ip saddr @link-32 accept
		meta nfproto ipv4 iifname @confined drop
		ct direction original iifname @exits iifname . ip saddr & 255.255.255.0 != @peers-24 drop
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0x60000000 == 0x20000000 oifname . ct mark & 0xef000000 @ways accept
		meta nfproto ipv4 ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		meta mark & 0x80000000 == 0x0 oifname != @tunnels accept
		meta mark & 0x8f000000 == 0x80000000 ct direction original oifname != @inner drop
		udp dport 67-68 oifname @tunnels drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 oifname @tunnels ct mark set ct mark & 0x9fffffff | 0x20000000
		ct mark & 0x80000000 == 0x80000000 accept
		oifname @tunnels ct mark set ct mark & 0x90ffffff | 0x20000000
		oifname @bit-0 ct mark set ct mark & 0xfeffffff | 0x1000000
		oifname "to-paris" ct mark set ct mark & 0xfdffffff | 0x2000000
		oifname "to-oslo" ct mark set ct mark & 0xfbffffff | 0x4000000
	}
}
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
ip link add to-oslo mtu 1280 type wireguard
ip link set to-oslo alias portals:home
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer mikemikemikemikemikemikemikemikemikemikemiA= allowed-ips 10.77.1.2/32
wg set portals0 peer mikeromemikeromemikeromemikeromemikeromemiA= endpoint 192.0.2.77:51820 persistent-keepalive 25 allowed-ips 10.77.4.0/24,192.168.4.0/24
wg set to-oslo private-key private.key listen-port 51823 fwmark 0x10000000
wg set to-oslo peer Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= endpoint 192.0.2.5:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.65/26 dev eth1
ip address add 10.77.1.129/26 dev eth2
ip address add 10.77.1.1/32 dev portals0
ip address add 10.77.1.1/32 dev to-oslo
ip address add 10.77.0.1/32 dev to-paris
ip address add 10.77.0.2/32 dev to-paris
ip address add 10.77.0.3/32 dev to-paris
ip address add 10.77.1.1/32 dev to-paris
ip link set eth1 up
ip link set eth2 up
ip link set portals0 up
ip link set to-oslo up
ip link set to-paris up
ip route add 10.77.1.2/32 dev portals0 src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.1.2/32 table main metric 4278198272 protocol 77
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add 10.77.3.0/24 dev to-oslo src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.3.0/24 table main metric 4278198272 protocol 77
ip route add 10.77.4.0/24 dev portals0 src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.4.0/24 table main metric 4278198272 protocol 77
ip route add 192.168.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 192.168.2.0/24 table main metric 4278198272 protocol 77
ip route add 192.168.4.0/24 dev portals0 src 10.77.1.1 table main protocol 77
ip route add unreachable 192.168.4.0/24 table main metric 4278198272 protocol 77
ip route add unreachable default table 7699 metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip route add default dev to-oslo src 10.77.1.1 scope global table 7703 protocol 77
ip route add unreachable default table 7703 metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.0.1 scope global table 8700 protocol 77
ip route add unreachable default table 8700 metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.0.2 scope global table 8701 protocol 77
ip route add unreachable default table 8701 metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.0.3 scope global table 8702 protocol 77
ip route add unreachable default table 8702 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip -6 rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 110 protocol 77 from all fwmark 0x10000000/0x10000000 goto 119
ip rule add priority 110 protocol 77 from 10.77.0.1/32 iif lo lookup 8700
ip rule add priority 110 protocol 77 from 10.77.0.2/32 iif lo lookup 8701
ip rule add priority 110 protocol 77 from 10.77.0.3/32 iif lo lookup 8702
ip -6 rule add priority 110 protocol 77 from all fwmark 0x10000000/0x10000000 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.168.2.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.168.4.0/24 goto 119
ip rule add priority 111 protocol 77 from all to 192.168.4.0/24 iif eth2 goto 119
ip rule add priority 111 protocol 77 from all iif lo ipproto 17 dport 123 goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 10.77.1.2/32 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 10.77.1.64/26 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 10.77.1.128/26 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 10.77.2.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 10.77.3.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 10.77.4.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 192.168.2.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 192.168.4.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 255.255.255.255/32 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.2.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.4.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 111 protocol 77 from 198.51.100.2/32 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 192.168.2.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 192.168.4.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif to-paris goto 119
ip -6 rule add priority 111 protocol 77 from all iif lo ipproto 17 dport 123 goto 119
ip -6 rule add priority 111 protocol 77 from all to fe80::/10 iif lo goto 119
ip -6 rule add priority 111 protocol 77 from all to ff00::/8 iif lo goto 119
ip rule add priority 112 protocol 77 from all fwmark 0x80000000/0x8f000000 lookup 8701
ip rule add priority 112 protocol 77 from 192.168.1.50/32 lookup 8700
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7703
ip rule add priority 112 protocol 77 from 10.77.1.129/32 iif lo lookup 8702
ip rule add priority 112 protocol 77 from 10.77.1.2/32 iif portals0 lookup 8701
ip rule add priority 113 protocol 77 from all iif eth1 lookup 7703
ip rule add priority 113 protocol 77 from all iif eth2 lookup 8702
ip rule add priority 113 protocol 77 from all iif lo lookup 8701
ip rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.50/32 unreachable
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from all iif eth2 unreachable
ip rule add priority 118 protocol 77 from all iif lo lookup 7699
ip rule add priority 118 protocol 77 from 10.77.0.1/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.0.2/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.0.3/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.1.129/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.1.2/32 iif portals0 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth2 unreachable
ip -6 rule add priority 118 protocol 77 from all iif lo unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.conf.to-paris.src_valid_mark=1
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
sysctl -q -w net.ipv6.conf.eth2.accept_ra=0
