#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set confined {
		type ifname
		elements = { "eth1" }
	}
	set entrances {
		type ifname
		elements = { "eth1" }
	}
	set guarded {
		type ipv4_addr; flags interval
		elements = { 10.77.1.64/26 }
	}
	set inner {
		type ifname
		elements = { "lo" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set lan-26 {
		type ifname . ipv4_addr
		elements = { "eth1" . 0.0.0.0, "eth1" . 10.77.1.64 }
	}
	set paths {
		type ifname . ifname
		elements = { "eth1" . "eth0" }
	}
	set visited {
		type ipv4_addr; flags interval
		elements = { 10.77.1.65 }
	}
	set visitors {
		type ifname
		elements = { "eth1" }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		iifname @entrances meta nfproto ipv6 reject with icmpx admin-prohibited
		iifname . oifname @paths accept
		iifname @entrances reject with icmpx admin-prohibited
		ip saddr 10.77.0.0/16 drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname @visitors udp dport 67 accept
		iifname @visitors udp dport 547 accept
		iifname @visitors udp dport 53 accept
		iifname @visitors tcp dport 53 accept
		iifname @visitors udp dport 5053 accept
		iifname @visitors tcp dport 5053 accept
		iifname @visitors ct direction original ip daddr != @visited meta l4proto icmp reject with icmpx admin-prohibited
		iifname @visitors meta l4proto icmp accept
		iifname @visitors meta l4proto icmpv6 accept
		iifname @visitors ct direction original reject with icmpx admin-prohibited
		iifname @visitors ct state established,related accept
		iifname @visitors reject with icmpx admin-prohibited
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		ip daddr 10.77.1.65 udp dport 53 redirect to :5053
		ip daddr 10.77.1.65 tcp dport 53 redirect to :5053
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		iifname @confined iifname . ip saddr & 255.255.255.192 != @lan-26 drop
		ip daddr @guarded iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 drop
	}
}
EOF
ip address add 10.77.1.65/26 dev eth1
ip link set eth1 up
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
