#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set entrances {
		type ifname
		elements = { "eth1" }
	}
	set guarded {
		type ipv4_addr; flags interval
		elements = { 10.77.1.1, 10.77.1.64/26 }
	}
	set inner {
		type ifname
		elements = { "lo", "to-paris" }
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
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set pages {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 10.77.2.0 }
	}
	set readers {
		type ifname . ipv4_addr
		elements = { "eth1" . 10.77.1.65 }
	}
	set resolvers {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set senders {
		type ifname
		elements = { "eth1", "to-paris" }
	}
	set tunnels {
		type ifname
		elements = { "to-paris" }
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
		elements = { "eth1", "to-paris" }
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
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @senders accept
		meta nfproto ipv6 iifname "eth1" reject with icmpx admin-prohibited
		iifname "eth1" oifname "to-paris" accept
		iifname "eth1" reject with icmpx admin-prohibited
		iifname != "to-paris" accept
		udp dport 67-68 iifname "to-paris" drop
		iifname "to-paris" oifname "eth0" ip daddr @network drop
		iifname "to-paris" ct direction reply ct state established,related accept
		iifname "to-paris" ip saddr @inside reject with icmpx admin-prohibited
		iifname "to-paris" drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		tcp dport 10077 iifname . ip daddr @readers accept
		tcp dport 10077 ip daddr @pages reject with icmpx admin-prohibited
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
		tcp dport 80 iifname . ip daddr @readers redirect to :10077
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		ip saddr != 10.77.0.0/16 oifname "to-paris" masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0xef000000 == 0x23000000 iifname "to-paris" accept
		ct mark & 0x60000000 == 0x20000000 ct direction original iifname . ip saddr & 255.255.255.192 @lan-26 accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != "to-paris" drop
		ip daddr != 10.77.0.0/16 iifname != @watched accept
		ip daddr @guarded iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 drop
		ct direction reply meta nfproto ipv4 iifname "to-paris" iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		iifname . ip saddr & 255.255.255.192 @lan-26 accept
		iifname . ip saddr @link-32 accept
		meta nfproto ipv4 iifname "eth1" drop
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
nft -f - <<'EOF'
insert rule inet fw4 forward iifname "eth1" oifname "to-paris" accept comment "portals"
insert rule inet fw4 forward oifname "to-paris" ct state established,related accept comment "portals"
insert rule inet fw4 forward iifname "to-paris" accept comment "portals"
EOF
nft -f - <<'EOF'
insert rule inet fw4 input iifname "eth1" ip daddr 10.77.1.65 tcp dport 10077 accept comment "portals"
insert rule inet fw4 input iifname "eth1" tcp dport 5053 accept comment "portals"
insert rule inet fw4 input iifname "eth1" udp dport 5053 accept comment "portals"
insert rule inet fw4 input iifname "eth1" udp dport 67 accept comment "portals"
insert rule inet fw4 input iifname "to-paris" accept comment "portals"
insert rule inet fw4 input udp dport 52075 accept comment "portals"
insert rule inet fw4 input udp dport 51822 accept comment "portals"
EOF
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.65/26 dev eth1
ip address add 10.77.1.1/32 dev to-paris
ip link set eth1 up
ip link set to-paris up
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7702
ip rule add priority 113 protocol 77 from all iif eth1 lookup 7702
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
