#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set apart {
		type ipv4_addr; flags interval
		elements = { 10.78.1.0/24, 10.78.2.0/24, 10.79.2.9 }
	}
	set askers {
		type ipv4_addr; flags interval
		elements = { 10.77.2.0/24 }
	}
	set entrances {
		type ifname
		elements = { "eth2" }
	}
	set far {
		type ipv4_addr; flags interval
		elements = { 10.77.1.2, 10.77.1.64/26 }
	}
	set far-lans {
		type ipv4_addr; flags interval
		elements = { 10.78.2.0/24, 10.79.2.9, 192.168.3.0/24 }
	}
	set guarded {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set hidden {
		type ipv4_addr; flags interval
		elements = { 192.168.1.0/24 }
	}
	set inner {
		type ifname
		elements = { "lo", "portals0", "to-paris" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set lan-26 {
		type ifname . ipv4_addr
		elements = { "eth2" . 10.77.1.64 }
	}
	set link-32 {
		type ifname . ipv4_addr
		elements = { "eth2" . 0.0.0.0 }
	}
	set near {
		type ipv4_addr; flags interval
		elements = { 192.168.1.0/24 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 10.78.2.0/24, 10.79.2.9, 192.168.3.0/24 }
	}
	set open {
		type ipv4_addr; flags interval
		elements = { 10.77.1.64/26 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 10.77.2.0, "to-paris" . 10.78.2.0, "to-paris" . 192.168.3.0 }
	}
	set peers-32 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 10.79.2.9 }
	}
	set phones {
		type ipv4_addr
		elements = { 10.77.1.2 }
	}
	set resolvers {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set senders {
		type ifname
		elements = { "eth2", "portals0", "to-paris" }
	}
	set tunnels {
		type ifname
		elements = { "portals0", "to-paris" }
	}
	set visited {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set visitors {
		type ifname
		elements = { "eth2" }
	}
	set watched {
		type ifname
		elements = { "eth0", "eth2", "portals0", "to-paris" }
	}
	set ways {
		type ifname . mark
		elements = { "portals0" . 0x21000000, "to-paris" . 0x23000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		ct mark & 0x60000000 == 0x20000000 ct direction original oifname . ct mark & 0xef000000 @ways accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "eth0" accept
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @senders accept
		meta nfproto ipv6 iifname "eth2" reject with icmpx admin-prohibited
		iifname "eth2" oifname "to-paris" accept
		iifname "eth2" reject with icmpx admin-prohibited
		iifname != @tunnels accept
		udp dport 67-68 iifname @tunnels drop
		iifname @tunnels ip saddr @phones ip daddr @far-lans oifname @tunnels accept
		iifname "portals0" ip saddr 10.77.1.2 ip daddr 192.168.1.0/24 accept
		iifname "portals0" ip saddr 10.77.1.2 ip daddr 10.78.2.0/24 accept
		iifname "portals0" ip saddr 10.77.1.2 ip daddr 10.79.2.9 accept
		iifname "portals0" ip saddr 10.77.1.2 ip daddr 192.168.3.0/24 accept
		iifname "portals0" ip saddr 10.77.1.2 oifname "to-paris" accept
		iifname "portals0" ip saddr 10.77.1.2 reject with icmpx admin-prohibited
		iifname @tunnels oifname "eth0" ip daddr @network drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels ip saddr @hidden drop
		iifname @tunnels ip daddr 192.168.1.0/24 ct status dnat accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "eth0" accept
		udp dport 53 iifname @entrances reject with icmpx admin-prohibited
		tcp dport 53 iifname @entrances reject with icmpx admin-prohibited
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
		udp dport 67-68 iifname @tunnels drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels ip saddr @hidden drop
		iifname @tunnels ip daddr 192.168.1.0/24 ct status dnat accept
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels ip saddr @askers ip daddr 10.77.1.1 udp dport 5053 accept
		iifname @tunnels ip saddr @askers ip daddr 10.77.1.1 tcp dport 5053 accept
		iifname @tunnels ip daddr 10.77.1.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner oifname != "eth2" drop
		ip saddr @resolvers ct direction original oifname != @inner oifname != "eth2" reject with icmpx admin-prohibited
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		udp dport 53 ip daddr @resolvers redirect to :5053
		tcp dport 53 ip daddr @resolvers redirect to :5053
		iifname @tunnels ip daddr 10.78.1.0/24 dnat ip prefix to 192.168.1.0/24
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		oifname @tunnels ip saddr 192.168.1.0/24 snat ip prefix to 10.78.1.0/24
		ip saddr != 10.77.0.0/16 oifname @tunnels masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ip daddr @hidden iifname @tunnels drop
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
		meta nfproto ipv4 iifname "eth2" drop
		ct direction original iifname "to-paris" iifname . ip saddr & 255.255.255.0 != @peers-24 iifname . ip saddr != @peers-32 drop
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ip daddr @apart oifname != @tunnels drop
		ct direction reply accept
		ct mark & 0x60000000 == 0x20000000 oifname . ct mark & 0xef000000 @ways accept
		meta nfproto ipv4 ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		oifname != @tunnels accept
		udp dport 67-68 oifname @tunnels drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 accept
		ct mark set ct mark & 0x90ffffff | 0x21000000
		oifname "to-paris" ct mark set ct mark & 0xfdffffff | 0x2000000
	}
}
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer mikemikemikemikemikemikemikemikemikemikemiA= allowed-ips 10.77.1.2/32
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.65/26 dev eth2
ip address add 10.77.1.1/32 dev portals0
ip address add 10.77.1.1/32 dev to-paris
ip link set eth2 up
ip link set portals0 up
ip link set to-paris up
ip route add 10.77.1.2/32 dev portals0 src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.1.2/32 table main metric 4278198272 protocol 77
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add unreachable 10.78.1.0/24 table main metric 4278198272 protocol 77
ip route add 10.78.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.78.2.0/24 table main metric 4278198272 protocol 77
ip route add 10.79.2.9/32 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.79.2.9/32 table main metric 4278198272 protocol 77
ip route add 192.168.3.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 192.168.3.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.78.2.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.79.2.9/32 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.3.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 10.78.2.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 10.79.2.9/32 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 192.168.1.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 192.168.3.0/24 iif portals0 goto 119
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7702
ip rule add priority 112 protocol 77 from 10.77.1.2/32 iif portals0 lookup 7702
ip rule add priority 113 protocol 77 from all iif eth2 lookup 7702
ip rule add priority 118 protocol 77 from all iif eth2 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.1.2/32 iif portals0 unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth2 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth2.accept_ra=0
