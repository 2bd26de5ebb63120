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
		elements = { "lo", "portals0" }
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
	set private {
		type ipv4_addr; flags interval
		elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 240.0.0.0/4 }
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
		ct mark & 0xef000000 == 0x21000000 ct direction original oifname "portals0" accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "wan" accept
		ip saddr 10.77.0.0/16 iifname != "portals0" drop
		iifname != "portals0" accept
		udp dport 67-68 iifname "portals0" drop
		iifname "portals0" oifname "wan" ip daddr @network drop
		iifname "portals0" ct direction reply ct state established,related accept
		iifname "portals0" oifname "wan" ip daddr @private reject with icmpx admin-prohibited
		iifname "portals0" oifname "wan" accept
		iifname "portals0" ip saddr @inside reject with icmpx admin-prohibited
		iifname "portals0" drop
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
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "wan" ip saddr @inside masquerade
		ip saddr != 10.77.0.0/16 oifname "portals0" masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0xef000000 == 0x21000000 iifname "portals0" accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != "portals0" drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != "portals0" drop
		ip daddr != 10.77.0.0/16 iifname != "portals0" accept
		ip daddr @guarded iifname != @inner drop
		ct direction reply meta nfproto ipv4 iifname "portals0" iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
	}
	chain leaving {
		type filter hook postrouting priority -150; policy accept;
		ct direction reply accept
		ct mark & 0xef000000 == 0x21000000 oifname "portals0" accept
		oifname != "portals0" accept
		udp dport 67-68 oifname "portals0" drop
		meta nfproto ipv6 accept
		ct mark & 0x80000000 == 0x80000000 accept
		ct mark set ct mark & 0x90ffffff | 0x21000000
	}
}
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk= endpoint 198.51.100.2:51822 persistent-keepalive 25 allowed-ips 10.77.1.0/24
ip address add 10.77.2.1/32 dev portals0
ip link set portals0 up
ip route add 10.77.1.0/24 dev portals0 src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.1.0/24 table main metric 4278198272 protocol 77
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
