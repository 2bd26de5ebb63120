#!/bin/sh
# What `portals apply` would do at site oslo of network home.
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
	set guarded {
		type ipv4_addr
		elements = { 10.2.0.2, 10.77.3.1 }
	}
	set inner {
		type ifname
		elements = { "lo", "portals0", "to-mullvad" }
	}
	set inside {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.2.0/24 }
	}
	set network {
		type ipv4_addr; flags interval
		elements = { 10.77.0.0/16, 192.168.2.0/24 }
	}
	set own-ends {
		type ipv4_addr
		elements = { 10.2.0.2, 10.77.3.1 }
	}
	set private {
		type ipv4_addr; flags interval
		elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24, 240.0.0.0/4 }
	}
	set providers {
		type ifname
		elements = { "to-mullvad" }
	}
	set relayed-1 {
		type ipv4_addr
		elements = { 10.77.0.1 }
	}
	set senders {
		type ifname
		elements = { "portals0", "to-mullvad" }
	}
	set tunnels {
		type ifname
		elements = { "portals0", "to-mullvad" }
	}
	set watched {
		type ifname
		elements = { "portals0", "to-mullvad" }
	}
	set ways {
		type ifname . mark
		elements = { "portals0" . 0x21000000, "to-mullvad" . 0x2c000000 }
	}
	chain forward {
		type filter hook forward priority 0; policy accept;
		tcp flags & (syn | rst) == syn oifname "portals0" meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn iifname "portals0" meta nfproto ipv4 tcp option maxseg size set 1240
		tcp flags & (syn | rst) == syn oifname "to-mullvad" meta nfproto ipv4 tcp option maxseg size set 1380
		tcp flags & (syn | rst) == syn iifname "to-mullvad" meta nfproto ipv4 tcp option maxseg size set 1380
		ct mark & 0x60000000 == 0x20000000 ct direction original oifname . ct mark & 0xef000000 @ways accept
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 oifname != "eth0" accept
		ip saddr 10.77.0.0/16 iifname != @senders drop
		iifname != @tunnels accept
		udp dport 67-68 iifname @tunnels drop
		iifname "portals0" ip saddr @relayed-1 oifname "to-mullvad" accept
		iifname "portals0" ip saddr @relayed-1 reject with icmpx admin-prohibited
		iifname @tunnels oifname "eth0" ip daddr @network drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname "to-mullvad" drop
		iifname "portals0" oifname "eth0" ip daddr @private reject with icmpx admin-prohibited
		iifname "portals0" oifname "eth0" accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain input {
		type filter hook input priority 0; policy accept;
		iifname "eth0" accept
		udp dport 67-68 iifname @tunnels drop
		iifname @tunnels ct direction reply ct state established,related accept
		iifname @providers drop
		iifname @tunnels meta l4proto icmp accept
		iifname @tunnels ip daddr 10.77.3.1 udp dport 52075 accept
		iifname @tunnels ip saddr @inside reject with icmpx admin-prohibited
		iifname @tunnels drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		meta mark & 0x10000000 != 0x10000000 ip saddr @own-ends oifname != @inner drop
	}
	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		oifname "eth0" ip saddr @inside masquerade
		oifname "to-mullvad" masquerade
		ip saddr != 10.77.0.0/16 oifname @tunnels masquerade
	}
	chain marks {
		type filter hook prerouting priority -150; policy accept;
		ct direction reply ct mark & 0x60000000 == 0x20000000 iifname . ct mark & 0xef000000 @ways accept
		ct mark & 0x60000000 == 0x20000000 ct direction original ip saddr 10.77.0.0/16 iifname != @senders drop
		ct direction reply ct mark & 0x60000000 == 0x20000000 meta nfproto ipv4 iifname != @tunnels drop
		ip daddr @guarded iifname != @inner drop
		iifname != @watched accept
		ct direction reply meta nfproto ipv4 iifname @tunnels iifname . ct mark & 0xef000000 != @ways ct mark & 0xef000000 != 0x20000000 drop
		ct direction original iifname "to-mullvad" meta nfproto ipv4 drop
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
		oifname "portals0" ct mark set ct mark & 0xfeffffff | 0x1000000
		oifname "to-mullvad" ct mark set ct mark & 0xfbffffff | 0x4000000
		oifname "to-mullvad" ct mark set ct mark & 0xf7ffffff | 0x8000000
	}
}
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
ip link add to-mullvad mtu 1420 type wireguard
ip link set to-mullvad alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk= endpoint 198.51.100.2:51823 persistent-keepalive 25 allowed-ips 10.77.1.0/24
wg set portals0 peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51823 persistent-keepalive 25 allowed-ips 10.77.0.1/32,10.77.0.2/32,10.77.1.2/32,10.77.1.64/26,10.77.2.0/24,192.168.2.0/24
key 'mullvad-ch.conf' PrivateKey | wg set to-mullvad private-key /dev/stdin listen-port 52071 fwmark 0x10000000
key 'mullvad-ch.conf' PresharedKey Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= | wg set to-mullvad peer Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= preshared-key /dev/stdin endpoint 192.0.2.5:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.3.1/32 dev portals0
ip address add 10.2.0.2/32 dev to-mullvad
ip link set portals0 up
ip link set to-mullvad up
ip route add 10.77.0.1/32 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 10.77.0.1/32 table main metric 4278198272 protocol 77
ip route add 10.77.0.2/32 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 10.77.0.2/32 table main metric 4278198272 protocol 77
ip route add 10.77.1.0/24 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 10.77.1.0/24 table main metric 4278198272 protocol 77
ip route add 10.77.1.2/32 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 10.77.1.2/32 table main metric 4278198272 protocol 77
ip route add 10.77.1.64/26 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 10.77.1.64/26 table main metric 4278198272 protocol 77
ip route add 10.77.2.0/24 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add 192.168.2.0/24 dev portals0 src 10.77.3.1 table main protocol 77
ip route add unreachable 192.168.2.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-mullvad src 10.2.0.2 scope global table 7951 protocol 77
ip route add unreachable default table 7951 metric 4278198272 protocol 77
ip rule add priority 112 protocol 77 from 10.77.0.1/32 iif portals0 lookup 7951
ip rule add priority 118 protocol 77 from 10.77.0.1/32 iif portals0 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
