#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table netdev portals {
	chain port-1 { type filter hook ingress device "eth1" priority -500; policy drop; }
}
EOF
nft -f - <<'EOF'
table inet portals {
	set confined {
		type ifname
		elements = { "br-kids", "eth1", "eth1.30" }
	}
	set entrances {
		type ifname
		elements = { "br-kids", "eth1", "eth1.30" }
	}
	set guarded {
		type ipv4_addr; flags interval
		elements = { 10.77.1.1, 10.77.1.64/26, 10.77.1.128/26, 10.77.1.192/26 }
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
		elements = { "br-kids" . 10.77.1.192, "eth1" . 10.77.1.64, "eth1.30" . 10.77.1.128 }
	}
	set link-32 {
		type ifname . ipv4_addr
		elements = { "br-kids" . 0.0.0.0, "eth1" . 0.0.0.0, "eth1.30" . 0.0.0.0 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.1.1 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 10.77.2.0 }
	}
	set senders {
		type ifname
		elements = { "br-kids", "eth1", "eth1.30", "to-paris" }
	}
	set tunnels {
		type ifname
		elements = { "to-paris" }
	}
	set visited {
		type ipv4_addr
		elements = { 10.77.1.65, 10.77.1.129, 10.77.1.193 }
	}
	set visitors {
		type ifname
		elements = { "br-kids", "eth1", "eth1.30" }
	}
	set watched {
		type ifname
		elements = { "br-kids", "eth1", "eth1.30", "to-paris" }
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
		iifname "br-kids" oifname "br-kids" accept
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @senders accept
		meta nfproto ipv6 iifname @entrances reject with icmpx admin-prohibited
		iifname "br-kids" oifname "to-paris" accept
		iifname @entrances reject with icmpx admin-prohibited
		iifname != "to-paris" accept
		udp dport 67-68 iifname "to-paris" drop
		iifname "to-paris" oifname "eth0" ip daddr @network drop
		iifname "to-paris" ct direction reply ct state established,related accept
		iifname "to-paris" ip saddr @inside reject with icmpx admin-prohibited
		iifname "to-paris" drop
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
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels ip daddr 10.77.1.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner oifname != @confined drop
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
		meta nfproto ipv4 iifname @confined drop
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
ip link add link eth1 name eth1.30 mtu 1500 type vlan id 30 loose_binding on
ip link set eth1.30 alias portals:home
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.193/26 dev br-kids
ip address add 10.77.1.129/26 dev eth1.30
ip address add 10.77.1.1/32 dev to-paris
ip link set br-kids up
ip link set eth1 up
ip link set eth1.30 up
ip link set to-paris up
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip rule add priority 113 protocol 77 from all iif br-kids lookup 7702
ip rule add priority 118 protocol 77 from all iif br-kids unreachable
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from all iif eth1.30 unreachable
ip -6 rule add priority 118 protocol 77 from all iif br-kids unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1.30 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.br-kids.accept_ra=0
sysctl -q -w net.ipv6.conf.eth1/30.accept_ra=0
