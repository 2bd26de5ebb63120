#!/bin/sh
# What `portals apply` would do at site paris of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table inet portals {
	set guarded {
		type ipv4_addr
		elements = { 10.77.2.1 }
	}
	set inner {
		type ifname
		elements = { "lo", "to-nyc" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.77.2.1 }
	}
	set peers-24 {
		type ifname . ipv4_addr
		elements = { "to-nyc" . 10.77.1.0 }
	}
	set private {
		type ipv4_addr; flags interval
		elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 240.0.0.0/4 }
	}
	set tunnels {
		type ifname
		elements = { "to-nyc" }
	}
	set ways {
		type ifname . mark
		elements = { "to-nyc" . 0x22000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname "to-nyc" meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname "to-nyc" meta nfproto ipv4 tcp option maxseg size set 1240
		ct mark & 0xef000000 == 0x22000000 ct direction original oifname "to-nyc" accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "wan" accept
		ip saddr 10.77.0.0/16 iifname != "to-nyc" drop
		iifname != "to-nyc" accept
		udp dport 67-68 iifname "to-nyc" drop
		iifname "to-nyc" oifname "wan" ip daddr @network drop
		iifname "to-nyc" ct direction reply ct state established,related accept
		iifname "to-nyc" oifname "wan" ip daddr @private reject with icmpx admin-prohibited
		iifname "to-nyc" oifname "wan" accept
		iifname "to-nyc" ip saddr @inside reject with icmpx admin-prohibited
		iifname "to-nyc" drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "wan" accept
		udp dport 67-68 iifname @tunnels drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels ip daddr 10.77.2.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner drop
		oifname @inner accept
		udp dport 67-68 accept
		ip daddr 10.77.1.0/24 accept
		ip daddr 169.254.0.0/16 accept
		ip daddr 192.168.1.0/24 accept
		ip daddr 198.18.7.0/24 accept
		ip daddr 224.0.0.0/4 accept
		ip daddr 255.255.255.255 accept
		ip6 daddr fe80::/10 accept
		ip6 daddr ff00::/8 accept
		udp dport 123 accept
		ct direction original meta mark & 0x10000000 != 0x10000000 ip daddr 198.18.0.0/15 reject with icmpx admin-prohibited
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "wan" ip saddr @inside masquerade
		ip saddr != 10.77.0.0/16 oifname "to-nyc" masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0xef000000 == 0x22000000 iifname "to-nyc" accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != "to-nyc" drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != "to-nyc" drop
		ip daddr != 10.77.0.0/16 iifname != "to-nyc" accept
		ip daddr @guarded iifname != @inner drop
		ct direction reply meta nfproto ipv4 iifname "to-nyc" iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		ct direction original iifname "to-nyc" iifname . ip saddr & 255.255.255.0 != @peers-24 drop
	}
	chain own-marks {
		type route hook output priority -150; policy accept;
		ct direction original meta mark & 0x10000000 != 0x10000000 udp dport 123 meta mark set meta mark & 0xefffffff | 0x10000000
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0xef000000 == 0x22000000 oifname "to-nyc" accept
		meta nfproto ipv4 ct mark & 0x60000000 == 0x20000000 oifname != @inner drop
		oifname != "to-nyc" accept
		udp dport 67-68 oifname "to-nyc" drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 accept
		ct mark set ct mark & 0x90ffffff | 0x22000000
	}
}
EOF
ip link add to-nyc mtu 1280 type wireguard
ip link set to-nyc alias portals:home
wg set to-nyc private-key private.key listen-port 51821 fwmark 0x10000000
wg set to-nyc peer pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk= endpoint 198.51.100.2:51822 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.2.1/32 dev to-nyc
ip link set to-nyc up
ip route add 10.77.1.0/24 dev to-nyc src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.1.0/24 table main metric 4278198272 protocol 77
ip route add unreachable default table 7699 metric 4278198272 protocol 77
ip route add default dev to-nyc src 10.77.2.1 scope global table 7701 protocol 77
ip route add unreachable default table 7701 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip -6 rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 110 protocol 77 from all fwmark 0x10000000/0x10000000 goto 119
ip -6 rule add priority 110 protocol 77 from all fwmark 0x10000000/0x10000000 goto 119
ip rule add priority 111 protocol 77 from all to 10.77.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 198.18.7.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from all to 255.255.255.255/32 iif lo goto 119
ip rule add priority 111 protocol 77 from 203.0.113.9/32 iif lo goto 119
ip -6 rule add priority 111 protocol 77 from all to fe80::/10 iif lo goto 119
ip -6 rule add priority 111 protocol 77 from all to ff00::/8 iif lo goto 119
ip rule add priority 113 protocol 77 from all to 198.18.0.0/15 iif lo lookup 7701
ip rule add priority 118 protocol 77 from all to 198.18.0.0/15 iif lo lookup 7699
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
