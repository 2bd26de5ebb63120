#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
iptables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
-A PORTALS_FORWARD -o to-paris -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -i to-paris -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -o to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_FORWARD -o to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_FORWARD ! -o eth0 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_FORWARD -d 192.168.1.0/24 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:01 -j RETURN
-A PORTALS_FORWARD -d 192.168.1.0/24 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:02 -j RETURN
-A PORTALS_FORWARD -d 10.77.0.0/16 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:01 -j RETURN
-A PORTALS_FORWARD -d 10.77.0.0/16 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:02 -j RETURN
-A PORTALS_FORWARD -d 192.0.2.0/24 -m mac --mac-source aa:bb:cc:dd:ee:01 -j RETURN
-A PORTALS_FORWARD -d 192.0.2.0/24 -m mac --mac-source aa:bb:cc:dd:ee:02 -j RETURN
-A PORTALS_FORWARD -o to-paris -m connmark --mark 0x80000000/0x8f000000 -j RETURN
-A PORTALS_FORWARD -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD -s 10.77.0.0/16 ! -i to-paris -j DROP
-A PORTALS_FORWARD ! -i to-paris -j RETURN
-A PORTALS_FORWARD -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD -d 10.77.0.0/16 -i to-paris -o eth0 -j DROP
-A PORTALS_FORWARD -d 0.0.0.0/8 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 10.0.0.0/8 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 100.64.0.0/10 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 127.0.0.0/8 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 169.254.0.0/16 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 172.16.0.0/12 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 192.0.0.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 192.0.2.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 192.88.99.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 192.168.0.0/16 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 198.18.0.0/15 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 198.51.100.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 203.0.113.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -d 240.0.0.0/4 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD -s 10.77.0.0/16 -i to-paris -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD -i to-paris -j DROP
-A PORTALS_FORWARD_1 -d 198.51.100.0/24 -j RETURN
-A PORTALS_FORWARD_1 -j DROP
-A PORTALS_INPUT -i lo -j RETURN
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-paris -p icmp -j RETURN
-A PORTALS_INPUT -d 10.77.1.1/32 -i to-paris -p udp -m udp --dport 52075 -j RETURN
-A PORTALS_INPUT -s 10.77.0.0/16 -i to-paris -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i to-paris -j DROP
-A PORTALS_OUTPUT -s 10.77.1.1/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT_1 -o lo -j RETURN
-A PORTALS_OUTPUT_1 -o to-paris -j RETURN
-A PORTALS_OUTPUT_1 -j DROP
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
-I OUTPUT 1 -j PORTALS_OUTPUT
COMMIT
*mangle
:PORTALS_POSTROUTING - [0:0]
:PORTALS_POSTROUTING_1 - [0:0]
:PORTALS_POSTROUTING_2 - [0:0]
:PORTALS_PREROUTING - [0:0]
:PORTALS_PREROUTING_1 - [0:0]
:PORTALS_PREROUTING_2 - [0:0]
:PORTALS_PREROUTING_3 - [0:0]
:PORTALS_PREROUTING_4 - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o to-paris -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -o to-paris -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x20000000/0x60000000 -j PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING ! -o to-paris -m mark --mark 0x0/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -m conntrack --ctdir ORIGINAL -m mark --mark 0x80000000/0x8f000000 -j PORTALS_POSTROUTING_2
-A PORTALS_POSTROUTING -o to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING -o to-paris -m connmark --mark 0x80000000/0x80000000 -j CONNMARK --set-xmark 0x20000000/0x60000000
-A PORTALS_POSTROUTING -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -o to-paris -j CONNMARK --set-xmark 0x23000000/0x6f000000
-A PORTALS_POSTROUTING_1 -o lo -j RETURN
-A PORTALS_POSTROUTING_1 -o to-paris -j RETURN
-A PORTALS_POSTROUTING_1 -j DROP
-A PORTALS_POSTROUTING_2 -o lo -j RETURN
-A PORTALS_POSTROUTING_2 -o to-paris -j RETURN
-A PORTALS_POSTROUTING_2 -j DROP
-A PORTALS_PREROUTING -i to-paris -m connmark --mark 0x80000000/0x8f000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x8f000000 -j CONNMARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -i to-paris -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING -i to-paris -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.0.0/16 ! -i to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j DROP
-A PORTALS_PREROUTING ! -i to-paris -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j DROP
-A PORTALS_PREROUTING ! -d 10.77.0.0/16 ! -i to-paris -j RETURN
-A PORTALS_PREROUTING -d 10.77.1.1/32 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -i to-paris -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING -i to-paris -m conntrack --ctdir ORIGINAL -j PORTALS_PREROUTING_4
-A PORTALS_PREROUTING_1 -d 10.77.0.0/16 -j RETURN
-A PORTALS_PREROUTING_1 -d 192.0.2.0/24 -j RETURN
-A PORTALS_PREROUTING_1 -d 192.168.1.0/24 -j RETURN
-A PORTALS_PREROUTING_1 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_2 -i lo -j RETURN
-A PORTALS_PREROUTING_2 -i to-paris -j RETURN
-A PORTALS_PREROUTING_2 -j DROP
-A PORTALS_PREROUTING_3 -i to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_3 -i to-paris -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_3 -j DROP
-A PORTALS_PREROUTING_4 -s 10.77.2.0/24 -i to-paris -j RETURN
-A PORTALS_PREROUTING_4 -j DROP
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
:PORTALS_PREROUTING - [0:0]
-A PORTALS_POSTROUTING -s 10.77.0.0/16 -o eth0 -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o to-paris -j MASQUERADE
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j DNAT --to-destination 9.9.9.9
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
EOF
ip6tables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_INPUT - [0:0]
-A PORTALS_FORWARD -o to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_FORWARD -o to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_FORWARD -d 2001:db8:1:2::/64 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:01 -j RETURN
-A PORTALS_FORWARD -d 2001:db8:1:2::/64 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:02 -j RETURN
-A PORTALS_FORWARD -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD -o to-paris -m connmark --mark 0x80000000/0x8f000000 -j RETURN
-A PORTALS_FORWARD -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD ! -i to-paris -j RETURN
-A PORTALS_FORWARD -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD -i to-paris -j DROP
-A PORTALS_INPUT -i lo -j RETURN
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-paris -j DROP
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
COMMIT
*mangle
:PORTALS_POSTROUTING - [0:0]
:PORTALS_POSTROUTING_1 - [0:0]
:PORTALS_PREROUTING - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o to-paris -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -o to-paris -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING ! -o to-paris -m mark --mark 0x0/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -m conntrack --ctdir ORIGINAL -m mark --mark 0x80000000/0x8f000000 -j PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING -o to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING -j RETURN
-A PORTALS_POSTROUTING -o to-paris -m connmark --mark 0x80000000/0x80000000 -j CONNMARK --set-xmark 0x20000000/0x60000000
-A PORTALS_POSTROUTING -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -o to-paris -j CONNMARK --set-xmark 0x23000000/0x6f000000
-A PORTALS_POSTROUTING_1 -o lo -j RETURN
-A PORTALS_POSTROUTING_1 -o to-paris -j RETURN
-A PORTALS_POSTROUTING_1 -j DROP
-A PORTALS_PREROUTING -i to-paris -m connmark --mark 0x80000000/0x8f000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING ! -d 2001:db8:1:2::/64 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING ! -d 2001:db8:1:2::/64 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x8f000000 -j CONNMARK --set-xmark 0x80000000/0x8f000000
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
EOF
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.1/32 dev to-paris
ip link set to-paris up
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif to-paris goto 119
ip rule add priority 112 protocol 77 from all fwmark 0x80000000/0x8f000000 lookup 7702
ip rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.conf.to-paris.src_valid_mark=1
sysctl -q -w net.ipv4.ip_forward=1
