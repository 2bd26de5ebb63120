#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set guarded {
		type ipv4_addr; flags interval
		elements = { 10.77.1.64/26 }
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
	set visited {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set visitors {
		type ifname
		elements = { "eth1" }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		ip saddr 10.77.0.0/16 iifname != "eth1" drop
		iifname != "eth1" accept
		meta nfproto ipv6 iifname "eth1" reject with icmpx admin-prohibited
		iifname "eth1" oifname "eth0" accept
		iifname "eth1" reject with icmpx admin-prohibited
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "eth0" accept
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
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		udp dport 53 ip daddr 10.77.1.65 redirect to :5053
		tcp dport 53 ip daddr 10.77.1.65 redirect to :5053
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ip daddr != 10.77.0.0/16 iifname != "eth1" accept
		ip daddr @guarded iifname != "lo" iifname . ip daddr & 255.255.255.192 != @lan-26 drop
		iifname . ip saddr & 255.255.255.192 @lan-26 accept
		iifname . ip saddr @link-32 accept
		meta nfproto ipv4 iifname "eth1" drop
	}
}
EOF
ip address add 10.77.1.65/26 dev eth1
ip link set eth1 up
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
