#!/bin/sh
# What `portals apply` would do at site paris of network home.
set -e
cd '/etc/portals'
iptables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
-A PORTALS_FORWARD -o portals0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -i portals0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -o portals0 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_FORWARD ! -o wan -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_FORWARD -s 10.77.0.0/16 ! -i portals0 -j DROP
-A PORTALS_FORWARD ! -i portals0 -j RETURN
-A PORTALS_FORWARD -i portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD -d 10.77.0.0/16 -i portals0 -o wan -j DROP
-A PORTALS_FORWARD -d 192.168.1.0/24 -i portals0 -o wan -j DROP
-A PORTALS_FORWARD -i portals0 -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD -i portals0 -o wan -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -i portals0 -o wan -j RETURN
-A PORTALS_FORWARD -s 10.77.0.0/16 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD -s 192.168.1.0/24 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD -i portals0 -j DROP
-A PORTALS_FORWARD_1 -d 0.0.0.0/8 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 10.0.0.0/8 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 100.64.0.0/10 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 127.0.0.0/8 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 169.254.0.0/16 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 172.16.0.0/12 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 192.0.0.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 192.0.2.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 192.88.99.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 192.168.0.0/16 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 198.18.0.0/15 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 198.51.100.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 203.0.113.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_1 -d 240.0.0.0/4 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i wan -j RETURN
-A PORTALS_INPUT -i portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i portals0 -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i portals0 -p icmp -j RETURN
-A PORTALS_INPUT -d 10.77.2.1/32 -i portals0 -p udp -m udp --dport 52075 -j RETURN
-A PORTALS_INPUT -s 10.77.0.0/16 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.1.0/24 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i portals0 -j DROP
-A PORTALS_OUTPUT -s 10.77.2.1/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT_1 -o lo -j RETURN
-A PORTALS_OUTPUT_1 -o portals0 -j RETURN
-A PORTALS_OUTPUT_1 -j DROP
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
-I OUTPUT 1 -j PORTALS_OUTPUT
COMMIT
*mangle
:PORTALS_POSTROUTING - [0:0]
:PORTALS_PREROUTING - [0:0]
:PORTALS_PREROUTING_1 - [0:0]
:PORTALS_PREROUTING_2 - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o portals0 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING ! -o portals0 -j RETURN
-A PORTALS_POSTROUTING -o portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -j CONNMARK --set-xmark 0x21000000/0x6f000000
-A PORTALS_PREROUTING -i portals0 -m conntrack --ctdir REPLY -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.0.0/16 ! -i portals0 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j DROP
-A PORTALS_PREROUTING ! -i portals0 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j DROP
-A PORTALS_PREROUTING ! -d 10.77.0.0/16 ! -i portals0 -j RETURN
-A PORTALS_PREROUTING -d 10.77.2.1/32 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -i portals0 -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING_1 -i lo -j RETURN
-A PORTALS_PREROUTING_1 -i portals0 -j RETURN
-A PORTALS_PREROUTING_1 -j DROP
-A PORTALS_PREROUTING_2 -i portals0 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_2 -j DROP
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
-A PORTALS_POSTROUTING -s 10.77.0.0/16 -o wan -j MASQUERADE
-A PORTALS_POSTROUTING -s 192.168.1.0/24 -o wan -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o portals0 -j MASQUERADE
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
EOF
ip6tables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_INPUT - [0:0]
-A PORTALS_FORWARD -o portals0 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_FORWARD ! -i portals0 -j RETURN
-A PORTALS_FORWARD -i portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD -i portals0 -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD -i portals0 -o wan -j RETURN
-A PORTALS_FORWARD -i portals0 -j DROP
-A PORTALS_INPUT -i wan -j RETURN
-A PORTALS_INPUT -i portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i portals0 -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i portals0 -j DROP
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
COMMIT
*mangle
:PORTALS_POSTROUTING - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o portals0 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING ! -o portals0 -j RETURN
-A PORTALS_POSTROUTING -o portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -j CONNMARK --set-xmark 0x21000000/0x6f000000
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
EOF
ip link add portals0 mtu 1280 type wireguard
ip link set portals0 alias portals:home
wg set portals0 private-key private.key listen-port 51820 fwmark 0x10000000
wg set portals0 peer pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk= endpoint 198.51.100.2:51822 persistent-keepalive 25 allowed-ips 10.77.1.0/24,192.168.1.0/24
ip address add 10.77.2.1/32 dev portals0
ip link set portals0 up
ip route add 10.77.1.0/24 dev portals0 src 10.77.2.1 table main protocol 77
ip route add unreachable 10.77.1.0/24 table main metric 4278198272 protocol 77
ip route add 192.168.1.0/24 dev portals0 src 10.77.2.1 table main protocol 77
ip route add unreachable 192.168.1.0/24 table main metric 4278198272 protocol 77
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
