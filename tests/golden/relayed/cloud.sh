#!/bin/sh
# What `portals apply` would do at site cloud of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set guarded {
		type ipv4_addr
		elements = { 10.77.3.1 }
	}
	set guarded6 {
		type ipv6_addr
		elements = { fd77:1:2:300::1 }
	}
	set inner {
		type ifname
		elements = { "lo", "portals0" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set inside6 {
		type ipv6_addr; flags interval
		elements = { fd77:1:2::/48 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set network6 {
		type ipv6_addr; flags interval
		elements = { fd77:1:2::/48 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.3.1 }
	}
	set own-ends6 {
		type ipv6_addr
		elements = { fd77:1:2:300::1 }
	}
	set tunnels {
		type ifname
		elements = { "portals0" }
	}
	set ways {
		type ifname . mark
		elements = { "portals0" . 0x21000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname "portals0" meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname "portals0" meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn oifname "portals0" meta nfproto ipv6 tcp option maxseg size set 1220
		tcp flags & (syn | rst) == syn iifname "portals0" meta nfproto ipv6 tcp option maxseg size set 1220
		ct mark & 0xef000000 == 0x21000000 ct direction original oifname "portals0" accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 oifname != "eth0" accept
		ip saddr 10.77.0.0/16 iifname != "portals0" drop
		ip6 saddr fd77:1:2::/48 iifname != "portals0" drop
		iifname != "portals0" accept
		udp dport 67-68 iifname "portals0" drop
		udp dport 546-547 iifname "portals0" drop
		iifname "portals0" oifname "eth0" ip daddr @network drop
		iifname "portals0" oifname "eth0" ip6 daddr @network6 drop
		iifname "portals0" ct direction reply ct state established,related accept
		iifname "portals0" ip saddr @inside reject with icmpx admin-prohibited
		iifname "portals0" ip6 saddr @inside6 reject with icmpx admin-prohibited
		iifname "portals0" drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "eth0" accept
		udp dport 67-68 iifname @tunnels drop
		udp dport 546-547 iifname @tunnels drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels meta l4proto icmpv6 accept
		iifname @tunnels ip daddr 10.77.3.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels ip6 saddr @inside6 reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner drop
		meta mark & 0x10000000 != 0x10000000 ip6 saddr @own-ends6 oifname != @inner drop
	}
	chain relayed-to {
		type nat hook prerouting priority -110; policy accept;
		ip saddr 198.51.100.1 udp sport 40001 udp dport 52079 ip daddr 203.0.113.9 dnat ip to 198.51.100.2:40002
		ip saddr 198.51.100.2 udp sport 40002 udp dport 52079 ip daddr 203.0.113.9 dnat ip to 198.51.100.1:40001
		ip saddr 198.51.100.2 udp sport 40012 udp dport 443 ip daddr 203.0.113.9 dnat ip to 198.51.100.4:51822
		ip saddr 198.51.100.4 udp sport 51822 udp dport 443 ip daddr 203.0.113.9 dnat ip to 198.51.100.2:40012
		ip6 saddr 2001:db8:1::1 udp sport 51822 udp dport 52079 ip6 daddr 2001:db8:3::9 dnat ip6 to [2001:db8:2::2]:51821
		ip6 saddr 2001:db8:2::2 udp sport 51821 udp dport 443 ip6 daddr 2001:db8:3::9 dnat ip6 to [2001:db8:1::1]:51822
	}
	chain relayed-from {
		type nat hook postrouting priority 90; policy accept;
		ct status dnat ip saddr 198.51.100.1 udp sport 40001 udp dport 40002 ip daddr 198.51.100.2 snat ip to 203.0.113.9:52079
		ct status dnat ip saddr 198.51.100.2 udp sport 40002 udp dport 40001 ip daddr 198.51.100.1 snat ip to 203.0.113.9:52079
		ct status dnat ip saddr 198.51.100.2 udp sport 40012 udp dport 51822 ip daddr 198.51.100.4 snat ip to 203.0.113.9:443
		ct status dnat ip saddr 198.51.100.4 udp sport 51822 udp dport 40012 ip daddr 198.51.100.2 snat ip to 203.0.113.9:443
		ct status dnat ip6 saddr 2001:db8:1::1 udp sport 51822 udp dport 51821 ip6 daddr 2001:db8:2::2 snat ip6 to [2001:db8:3::9]:443
		ct status dnat ip6 saddr 2001:db8:2::2 udp sport 51821 udp dport 51822 ip6 daddr 2001:db8:1::1 snat ip6 to [2001:db8:3::9]:52079
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		oifname "eth0" ip6 saddr @inside6 masquerade
		ip saddr != 10.77.0.0/16 oifname "portals0" masquerade
		ip6 saddr != fd77:1:2::/48 oifname "portals0" masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0xef000000 == 0x21000000 iifname "portals0" accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != "portals0" drop
		ct mark & 0x60000000 == 0x20000000 ct direction original ip6 saddr fd77:1:2::/48 iifname != "portals0" drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname != "portals0" drop
		ip daddr != 10.77.0.0/16 iifname != "portals0" accept
		ip6 daddr != fd77:1:2::/48 iifname != "portals0" accept
		ip daddr @guarded iifname != @inner drop
		ip6 daddr @guarded6 iifname != @inner drop
		ct direction reply iifname "portals0" iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0xef000000 == 0x21000000 oifname "portals0" accept
		oifname != "portals0" accept
		udp dport 67-68 oifname "portals0" drop
		udp dport 546-547 oifname "portals0" drop
		ct mark & 0x80000000 == 0x80000000 accept
		ct mark set ct mark & 0x90ffffff | 0x21000000
	}
}
EOF
nft -f - <<'EOF'
insert rule inet fw4 forward ct status dnat ip6 saddr 2001:db8:2::2 udp sport 51821 udp dport 51822 ip6 daddr 2001:db8:1::1 accept comment "portals"
insert rule inet fw4 forward ct status dnat ip6 saddr 2001:db8:1::1 udp sport 51822 udp dport 51821 ip6 daddr 2001:db8:2::2 accept comment "portals"
insert rule inet fw4 forward ct status dnat ip saddr 198.51.100.4 udp sport 51822 udp dport 40012 ip daddr 198.51.100.2 accept comment "portals"
insert rule inet fw4 forward ct status dnat ip saddr 198.51.100.2 udp sport 40012 udp dport 51822 ip daddr 198.51.100.4 accept comment "portals"
insert rule inet fw4 forward ct status dnat ip saddr 198.51.100.2 udp sport 40002 udp dport 40001 ip daddr 198.51.100.1 accept comment "portals"
insert rule inet fw4 forward ct status dnat ip saddr 198.51.100.1 udp sport 40001 udp dport 40002 ip daddr 198.51.100.2 accept comment "portals"
insert rule inet fw4 forward oifname "portals0" ct state established,related accept comment "portals"
insert rule inet fw4 forward iifname "portals0" accept comment "portals"
EOF
nft -f - <<'EOF'
insert rule inet fw4 input iifname "portals0" accept comment "portals"
insert rule inet fw4 input udp dport 52082 accept comment "portals"
insert rule inet fw4 input udp dport 52079 accept comment "portals"
insert rule inet fw4 input udp dport 52075 accept comment "portals"
insert rule inet fw4 input udp dport 443 accept comment "portals"
insert rule inet fw4 input udp dport 51820 accept comment "portals"
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk= allowed-ips 10.77.1.0/24,fd77:1:2:100::/56
wg set portals0 peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= allowed-ips 10.77.2.0/24,fd77:1:2:200::/56
ip address add 10.77.3.1/32 dev portals0
ip -6 address add fd77:1:2:300::1/128 dev portals0 nodad
ip link set portals0 up
ip route add 10.77.1.0/24 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 10.77.1.0/24 table main metric 4278198272 protocol 77
ip route add 10.77.2.0/24 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip -6 route add fd77:1:2:100::/56 dev portals0 src fd77:1:2:300::1 table main protocol 77
ip -6 route add unreachable fd77:1:2:100::/56 table main metric 4278198272 protocol 77
ip -6 route add fd77:1:2:200::/56 dev portals0 src fd77:1:2:300::1 table main protocol 77
ip -6 route add unreachable fd77:1:2:200::/56 table main metric 4278198272 protocol 77
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.all.forwarding=1
