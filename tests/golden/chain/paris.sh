#!/bin/sh
# What `portals apply` would do at site paris of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set bit-0 {
		type ifname
		elements = { "portals0", "to-rome" }
	}
	set bit-2 {
		type ifname
		elements = { "to-oslo", "to-rome" }
	}
	set exits {
		type ifname
		elements = { "to-oslo", "to-rome" }
	}
	set guarded {
		type ipv4_addr
		elements = { 10.77.2.1 }
	}
	set inner {
		type ifname
		elements = { "lo", "portals0", "to-oslo", "to-rome" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set known {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.2.0/24 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.4.0/24 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.2.1 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-oslo" . 10.77.3.0, "to-rome" . 10.77.4.0, "to-rome" . 192.168.4.0 }
	}
	set private {
		type ipv4_addr; flags interval
		elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 240.0.0.0/4 }
	}
	set relayed-1 {
		type ipv4_addr; flags interval
		elements = { 10.77.0.1, 10.77.0.2, 10.77.1.2, 10.77.1.64/26 }
	}
	set relayed-2 {
		type ipv4_addr; flags interval
		elements = { 10.77.0.3, 10.77.1.128/26 }
	}
	set senders {
		type ifname
		elements = { "portals0", "to-oslo", "to-rome" }
	}
	set tunnels {
		type ifname
		elements = { "portals0", "to-oslo", "to-rome" }
	}
	set watched {
		type ifname
		elements = { "portals0", "to-oslo", "to-rome" }
	}
	set ways {
		type ifname . mark
		elements = { "portals0" . 0x21000000, "to-oslo" . 0x24000000, "to-rome" . 0x25000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname @tunnels meta nfproto ipv4 tcp option maxseg size set 1240
		ct mark & 0x60000000 == 0x20000000 ct direction original oifname . ct mark & 0xef000000 @ways accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "wan" accept
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @tunnels accept
		udp dport 67-68 iifname @tunnels drop
		iifname "portals0" ip saddr @relayed-1 ip daddr 192.168.2.0/24 accept
		iifname "portals0" ip saddr @relayed-1 oifname "to-oslo" accept
		iifname "portals0" ip saddr @relayed-1 reject with icmpx admin-prohibited
		iifname "portals0" ip saddr @relayed-2 ip daddr 192.168.2.0/24 accept
		iifname "portals0" ip saddr @relayed-2 oifname "to-rome" accept
		iifname "portals0" ip saddr @relayed-2 reject with icmpx admin-prohibited
		iifname @tunnels oifname "wan" ip daddr @network drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels ip daddr 192.168.2.0/24 accept
		iifname "portals0" oifname "wan" ip daddr @private reject with icmpx admin-prohibited
		iifname "portals0" oifname "wan" accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "wan" accept
		udp dport 67-68 iifname @tunnels drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels ip daddr 192.168.2.0/24 accept
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels ip daddr 10.77.2.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner drop
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "wan" ip saddr @inside masquerade
		ip saddr != @known oifname @tunnels masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname . ct mark & 0xef000000 @ways accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != @tunnels drop
		ip daddr != 10.77.0.0/16 iifname != @watched accept
		ip daddr @guarded iifname != @inner drop
		ct direction reply meta nfproto ipv4 iifname @tunnels iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
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
		oifname @bit-2 ct mark set ct mark & 0xfbffffff | 0x4000000
	}
}
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
ip link add to-oslo mtu 1280 type wireguard
ip link set to-oslo alias portals:home
ip link add to-rome mtu 1280 type wireguard
ip link set to-rome alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk= endpoint 198.51.100.2:51822 persistent-keepalive 25 allowed-ips 10.77.0.1/32,10.77.0.2/32,10.77.0.3/32,10.77.1.0/24
wg set to-oslo private-key private.key listen-port 51823 fwmark 0x10000000
wg set to-oslo peer Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= endpoint 192.0.2.5:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
wg set to-rome private-key private.key listen-port 51824 fwmark 0x10000000
wg set to-rome peer mikeromemikeromemikeromemikeromemikeromemiA= endpoint 192.0.2.77:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.2.1/32 dev portals0
ip address add 10.77.2.1/32 dev to-oslo
ip address add 10.77.2.1/32 dev to-rome
ip link set portals0 up
ip link set to-oslo up
ip link set to-rome up
ip route add 10.77.0.1/32 dev portals0 src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.0.1/32 table main metric 4278198272 protocol 77
ip route add 10.77.0.2/32 dev portals0 src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.0.2/32 table main metric 4278198272 protocol 77
ip route add 10.77.0.3/32 dev portals0 src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.0.3/32 table main metric 4278198272 protocol 77
ip route add 10.77.1.0/24 dev portals0 src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.1.0/24 table main metric 4278198272 protocol 77
ip route add 10.77.3.0/24 dev to-oslo src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.3.0/24 table main metric 4278198272 protocol 77
ip route add 10.77.4.0/24 dev to-rome src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.4.0/24 table main metric 4278198272 protocol 77
ip route add 192.168.4.0/24 dev to-rome src 10.77.2.1 table main protocol 77
ip route add unreachable 192.168.4.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-oslo src 10.77.2.1 scope global table 7703 protocol 77
ip route add unreachable default table 7703 metric 4278198272 protocol 77
ip route add default dev to-rome src 10.77.2.1 scope global table 7704 protocol 77
ip route add unreachable default table 7704 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 10.77.0.1/32 to 192.168.2.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.0.2/32 to 192.168.2.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.0.3/32 to 192.168.2.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.1.2/32 to 192.168.2.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.1.64/26 to 192.168.2.0/24 iif portals0 goto 119
ip rule add priority 111 protocol 77 from 10.77.1.128/26 to 192.168.2.0/24 iif portals0 goto 119
ip rule add priority 112 protocol 77 from 10.77.0.1/32 iif portals0 lookup 7703
ip rule add priority 112 protocol 77 from 10.77.0.2/32 iif portals0 lookup 7703
ip rule add priority 112 protocol 77 from 10.77.0.3/32 iif portals0 lookup 7704
ip rule add priority 112 protocol 77 from 10.77.1.2/32 iif portals0 lookup 7703
ip rule add priority 112 protocol 77 from 10.77.1.64/26 iif portals0 lookup 7703
ip rule add priority 112 protocol 77 from 10.77.1.128/26 iif portals0 lookup 7704
ip rule add priority 118 protocol 77 from 10.77.0.1/32 iif portals0 unreachable
ip rule add priority 118 protocol 77 from 10.77.0.2/32 iif portals0 unreachable
ip rule add priority 118 protocol 77 from 10.77.0.3/32 iif portals0 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.2/32 iif portals0 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.64/26 iif portals0 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.128/26 iif portals0 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
