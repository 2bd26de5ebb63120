#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
key() {
  tr -d ' \t\r' < "$1" | awk -F '=' -v wanted="$(echo "$2" | tr A-Z a-z)" -v peer="$3" '
    function end() { if (found && public == peer) print found; found = public = "" }
    { sub(/#.*/, ""); value = substr($0, length($1) + 2); name = tolower($1) }
    /^\[/ { end() }
    name == wanted { found = value }
    name == "publickey" { public = value }
    END { end() }'
}
nft -f - <<'EOF'
table inet portals {
	set entrances {
		type ifname
		elements = { "eth1" }
	}
	set guarded {
		type ipv4_addr; flags interval
		elements = { 10.8.0.1, 10.8.0.2, 10.64.0.2, 10.77.1.1, 10.77.1.64/26, 10.200.0.9 }
	}
	set inner {
		type ifname
		elements = { "lo", "to-swiss" }
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
		elements = { 10.8.0.1, 10.8.0.2, 10.64.0.2, 10.77.1.1, 10.200.0.9 }
	}
	set providers {
		type ifname
		elements = { "to-swiss" }
	}
	set resolvers {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set senders {
		type ifname
		elements = { "eth1", "to-swiss" }
	}
	set tunnels {
		type ifname
		elements = { "to-swiss" }
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
		elements = { "eth1", "to-swiss" }
	}
	set ways {
		type ifname . mark
		elements = { "to-swiss" . 0x2c000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname "to-swiss" meta nfproto ipv4 tcp option maxseg size set 1380
		tcp flags & (syn | rst) == syn iifname "to-swiss" meta nfproto ipv4 tcp option maxseg size set 1380
		ct mark & 0xef000000 == 0x2c000000 ct direction original oifname "to-swiss" accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "eth0" accept
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @senders accept
		meta nfproto ipv6 iifname "eth1" reject with icmpx admin-prohibited
		iifname "eth1" oifname "to-swiss" accept
		iifname "eth1" reject with icmpx admin-prohibited
		iifname != "to-swiss" accept
		udp dport 67-68 iifname "to-swiss" drop
		iifname "to-swiss" oifname "eth0" ip daddr @network drop
		iifname "to-swiss" ct direction reply ct state established,related accept
		iifname "to-swiss" drop
		iifname "to-swiss" ip saddr @inside reject with icmpx admin-prohibited
		iifname "to-swiss" drop
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
		iifname @providers drop
		iifname @tunnels meta l4proto icmp accept
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
		oifname "to-swiss" ip daddr 10.8.0.0/24 snat ip to 10.8.0.2
		oifname "to-swiss" meta nfproto ipv4 snat ip to 10.200.0.9
		oifname "to-swiss" masquerade
		ip saddr != 10.77.0.0/16 oifname "to-swiss" masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0xef000000 == 0x2c000000 iifname "to-swiss" accept
		ct mark & 0x60000000 == 0x20000000 ct direction original iifname . ip saddr & 255.255.255.192 @lan-26 accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != "to-swiss" drop
		ip daddr @guarded iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 drop
		iifname != @watched accept
		ct direction reply meta nfproto ipv4 iifname "to-swiss" iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		iifname . ip saddr & 255.255.255.192 @lan-26 accept
		iifname . ip saddr @link-32 accept
		meta nfproto ipv4 iifname "eth1" drop
		ct direction original iifname "to-swiss" meta nfproto ipv4 drop
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0xef000000 == 0x2c000000 oifname "to-swiss" accept
		meta nfproto ipv4 ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		oifname != "to-swiss" accept
		udp dport 67-68 oifname "to-swiss" drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 accept
		ct mark set ct mark & 0x90ffffff | 0x2c000000
	}
}
EOF
ip link add to-swiss mtu 1420 type wireguard
ip link set to-swiss alias portals:home
key 'swiss.conf' PrivateKey | wg set to-swiss private-key /dev/stdin listen-port 52071 fwmark 0x10000000
key 'swiss.conf' PresharedKey Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= | wg set to-swiss peer Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= preshared-key /dev/stdin endpoint 192.0.2.5:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.65/26 dev eth1
ip address add 10.8.0.1/32 dev to-swiss
ip address add 10.8.0.2/32 dev to-swiss
ip address add 10.64.0.2/32 dev to-swiss
ip address add 10.200.0.9/32 dev to-swiss
ip link set eth1 up
ip link set to-swiss up
ip route add default dev to-swiss src 10.200.0.9 scope global table 7951 protocol 77
ip route add unreachable default table 7951 metric 4278198272 protocol 77
ip route add 10.8.0.0/24 dev to-swiss src 10.8.0.2 scope global table 7951 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7951
ip rule add priority 113 protocol 77 from all iif eth1 lookup 7951
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
