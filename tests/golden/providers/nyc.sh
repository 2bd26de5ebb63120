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
	set bit-0 {
		type ifname
		elements = { "portals0", "to-paris", "to-work" }
	}
	set bit-2 {
		type ifname
		elements = { "to-swiss", "to-work" }
	}
	set bit-3 {
		type ifname
		elements = { "to-swiss", "to-work" }
	}
	set device-addresses {
		type ipv4_addr
		elements = { 192.168.1.50 }
	}
	set device-ways-32 {
		type ifname . ipv4_addr
		elements = { "to-work" . 192.168.1.50 }
	}
	set entrances {
		type ifname
		elements = { "eth1" }
	}
	set exits {
		type ifname
		elements = { "to-paris", "to-swiss", "to-work" }
	}
	set far {
		type ipv4_addr; flags interval
		elements = { 10.77.1.2, 10.77.1.64/26 }
	}
	set guarded {
		type ipv4_addr
		elements = { 10.2.0.2, 10.77.1.1 }
	}
	set homes {
		type ipv4_addr
		elements = { 192.168.1.50 }
	}
	set inner {
		type ifname
		elements = { "lo", "portals0", "to-paris", "to-swiss", "to-work" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set known {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.1.0/24 }
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
	set mtu-1280 {
		type ifname
		elements = { "portals0", "to-paris" }
	}
	set near {
		type ipv4_addr; flags interval
		elements = { 192.168.1.0/24 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set open {
		type ipv4_addr; flags interval
		elements = { 10.77.1.64/26 }
	}
	set outer {
		type ipv4_addr; flags interval
		elements = { 198.51.100.0/24 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.2.0.2, 10.77.1.1 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-paris" . 10.77.2.0 }
	}
	set providers {
		type ifname
		elements = { "to-swiss", "to-work" }
	}
	set resolvers {
		type ipv4_addr
		elements = { 10.77.1.65 }
	}
	set senders {
		type ifname
		elements = { "eth1", "portals0", "to-paris", "to-swiss", "to-work" }
	}
	set tunnels {
		type ifname
		elements = { "portals0", "to-paris", "to-swiss", "to-work" }
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
		elements = { "eth0", "eth1", "portals0", "to-paris", "to-swiss", "to-work" }
	}
	set ways {
		type ifname . mark
		elements = { "portals0" . 0x21000000, "to-paris" . 0x23000000, "to-swiss" . 0x2c000000, "to-work" . 0x2d000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname @mtu-1280 meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname @mtu-1280 meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn oifname "to-work" meta nfproto ipv4 tcp option maxseg size set 1340
		tcp flags & (syn | rst) == syn iifname "to-work" meta nfproto ipv4 tcp option maxseg size set 1340
		tcp flags & (syn | rst) == syn oifname "to-swiss" meta nfproto ipv4 tcp option maxseg size set 1380
		tcp flags & (syn | rst) == syn iifname "to-swiss" meta nfproto ipv4 tcp option maxseg size set 1380
		ct mark & 0x60000000 == 0x20000000 ct direction original oifname . ct mark & 0xef000000 @ways accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @local oifname != "eth0" accept
		ip saddr @device-addresses ip daddr @network oifname @tunnels accept
		oifname . ip saddr @device-ways-32 accept
		ip saddr @device-addresses reject with icmpx admin-prohibited
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @senders accept
		meta nfproto ipv6 iifname "eth1" reject with icmpx admin-prohibited
		iifname "eth1" oifname "to-swiss" accept
		iifname "eth1" reject with icmpx admin-prohibited
		iifname != @tunnels accept
		udp dport 67-68 iifname @tunnels drop
		iifname "portals0" ip saddr 10.77.1.2 ip daddr 192.168.1.0/24 accept
		iifname "portals0" ip saddr 10.77.1.2 oifname "to-swiss" accept
		iifname "portals0" ip saddr 10.77.1.2 reject with icmpx admin-prohibited
		iifname @tunnels oifname "eth0" ip daddr @network drop
		iifname @tunnels oifname "eth0" ct direction reply ip daddr @homes ip daddr != @outer drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @providers drop
		iifname @tunnels ip daddr 192.168.1.0/24 accept
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
		iifname @providers drop
		iifname @tunnels ip daddr 192.168.1.0/24 accept
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
		oifname @providers masquerade
		ip saddr != @known oifname @tunnels masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname . ct mark & 0xef000000 @ways accept
		ct mark & 0x60000000 == 0x20000000 ct direction original iifname . ip saddr & 255.255.255.192 @lan-26 accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != @tunnels drop
		ip daddr @guarded iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 drop
		ip daddr @open iifname != @inner iifname . ip daddr & 255.255.255.192 != @lan-26 ip saddr != @near drop
		iifname != @watched accept
		ct direction reply meta nfproto ipv4 iifname @tunnels iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		iifname "eth0" ip daddr @far drop
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
		oifname @bit-0 ct mark set ct mark & 0xfeffffff | 0x1000000
		oifname "to-paris" ct mark set ct mark & 0xfdffffff | 0x2000000
		oifname @bit-2 ct mark set ct mark & 0xfbffffff | 0x4000000
		oifname @bit-3 ct mark set ct mark & 0xf7ffffff | 0x8000000
	}
}
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
ip link add to-swiss mtu 1420 type wireguard
ip link set to-swiss alias portals:home
ip link add to-work mtu 1380 type wireguard
ip link set to-work alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer mikemikemikemikemikemikemikemikemikemikemiA= allowed-ips 10.77.1.2/32
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
key 'swiss.conf' PrivateKey | wg set to-swiss private-key /dev/stdin listen-port 52071 fwmark 0x10000000
key 'swiss.conf' PresharedKey Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= | wg set to-swiss peer Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= preshared-key /dev/stdin endpoint 192.0.2.5:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
key 'work.conf' PrivateKey | wg set to-work private-key /dev/stdin listen-port 52072 fwmark 0x10000000
wg set to-work peer B0mqHZYpOEvwJwDbPvc9k/hEnK8tC4Hd06eh0p0CCUg= endpoint 192.0.2.66:1194 persistent-keepalive 10 allowed-ips 172.20.0.0/16,203.0.113.64/26
wg set to-work peer 9NhGnhmGNV2JYVvHQ6Z2Lw3dTtQvGf6CnTTdcjcx+DQ= endpoint 192.0.2.77:1194 persistent-keepalive 25 allowed-ips 198.18.0.0/15
ip address add 10.77.1.65/26 dev eth1
ip address add 10.77.1.1/32 dev portals0
ip address add 10.77.1.1/32 dev to-paris
ip address add 10.2.0.2/32 dev to-swiss
ip address add 10.2.0.2/32 dev to-work
ip link set eth1 up
ip link set portals0 up
ip link set to-paris up
ip link set to-swiss up
ip link set to-work up
ip route add 10.77.1.2/32 dev portals0 src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.1.2/32 table main metric 4278198272 protocol 77
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip route add default dev to-swiss src 10.2.0.2 scope global table 7951 protocol 77
ip route add unreachable default table 7951 metric 4278198272 protocol 77
ip route add unreachable default table 7952 metric 4278198272 protocol 77
ip route add 172.20.0.0/16 dev to-work src 10.2.0.2 scope global table 7952 protocol 77
ip route add 198.18.0.0/15 dev to-work src 10.2.0.2 scope global table 7952 protocol 77
ip route add 203.0.113.64/26 dev to-work src 10.2.0.2 scope global table 7952 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 192.168.1.0/24 iif portals0 goto 119
ip rule add priority 112 protocol 77 from 192.168.1.50/32 lookup 7952
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7951
ip rule add priority 112 protocol 77 from 10.77.1.2/32 iif portals0 lookup 7951
ip rule add priority 113 protocol 77 from all iif eth1 lookup 7951
ip rule add priority 118 protocol 77 from 192.168.1.50/32 unreachable
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip rule add priority 118 protocol 77 from 10.77.1.2/32 iif portals0 unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
