#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set device-addresses {
		type ipv4_addr
		elements = { 192.168.1.50 }
	}
	set device-ways-32 {
		type ifname . ipv4_addr
		elements = { "to-oslo" . 192.168.1.50 }
	}
	set entrances {
		type ifname
		elements = { "eth1" }
	}
	set exits {
		type ifname
		elements = { "to-oslo", "to-paris" }
	}
	set guarded {
		type ipv4_addr; flags interval
		elements = { 10.77.1.1, 10.77.1.64/26 }
	}
	set homes {
		type ipv4_addr
		elements = { 192.168.1.50 }
	}
	set inner {
		type ifname
		elements = { "lo", "to-oslo", "to-paris" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set lan-26 {
		type ifname . ipv4_addr
		elements = { "eth1" . 10.77.1.64 }
	}
	set link-32 {
		type ifname . ipv4_addr
		elements = { "eth1" . 0.0.0.0 }
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
	set own-ends {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-oslo" . 10.77.3.0, "to-paris" . 10.77.2.0 }
	}
	set resolvers {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set senders {
		type ifname
		elements = { "eth1", "to-oslo", "to-paris" }
	}
	set tunnels {
		type ifname
		elements = { "to-oslo", "to-paris" }
	}
	set visited {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set visitors {
		type ifname
		elements = { "eth1" }
	}
	set watched {
		type ifname
		elements = { "eth1", "to-oslo", "to-paris" }
	}
	set ways {
		type ifname . mark
		elements = { "to-oslo" . 0x24000000, "to-paris" . 0x23000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		ct mark & 0x60000000 == 0x20000000 ct direction original oifname . ct mark & 0xef000000 @ways accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @local oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @network oifname @tunnels accept
		oifname . ip saddr @device-ways-32 accept
		ip saddr @device-addresses reject with icmpx admin-prohibited
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @senders accept
		meta nfproto ipv6 iifname "eth1" reject with icmpx admin-prohibited
		iifname "eth1" oifname "to-paris" accept
		iifname "eth1" reject with icmpx admin-prohibited
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
		udp dport 53 iifname @entrances reject with icmpx admin-prohibited
		tcp dport 53 iifname @entrances reject with icmpx admin-prohibited
		iifname "lo" accept
		udp dport 53 ip saddr @device-addresses reject with icmpx admin-prohibited
		tcp dport 53 ip saddr @device-addresses reject with icmpx admin-prohibited
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
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner oifname != "eth1" drop
		ip saddr @resolvers ct direction original oifname != @inner oifname != "eth1" reject with icmpx admin-prohibited
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		udp dport 53 ip daddr @resolvers redirect to :5053
		tcp dport 53 ip daddr @resolvers redirect to :5053
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		ip saddr != 10.77.0.0/16 oifname @tunnels masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname . ct mark & 0xef000000 @ways accept
		ct mark & 0x60000000 == 0x20000000 ct direction original iifname . ip saddr & 255.255.255.192 @lan-26 accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != @tunnels drop
		ip daddr != 10.77.0.0/16 iifname != @watched accept
		ip daddr @guarded iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 drop
		ct direction reply meta nfproto ipv4 iifname @tunnels iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		iifname . ip saddr & 255.255.255.192 @lan-26 accept
		iifname . ip saddr @link-32 accept
		meta nfproto ipv4 iifname "eth1" drop
		ct direction original iifname @exits iifname . ip saddr & 255.255.255.0 != @peers-24 drop
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0x60000000 == 0x20000000 oifname . ct mark & 0xef000000 @ways accept
		meta nfproto ipv4 ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		oifname != @tunnels accept
		udp dport 67-68 oifname @tunnels drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 accept
		ct mark set ct mark & 0x90ffffff | 0x20000000
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
ip address add 10.77.1.65/26 dev eth1
ip address add 10.77.1.1/32 dev to-oslo
ip address add 10.77.1.1/32 dev to-paris
ip link set eth1 up
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
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 112 protocol 77 from 192.168.1.50/32 lookup 7703
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7702
ip rule add priority 113 protocol 77 from all iif eth1 lookup 7702
ip rule add priority 118 protocol 77 from 192.168.1.50/32 unreachable
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
