#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
iptables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_GUARD - [0:0]
:PORTALS_FORWARD_GUARD_1 - [0:0]
:PORTALS_FORWARD_GUARD_2 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_INPUT_GUARD - [0:0]
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
:PORTALS_OUTPUT_2 - [0:0]
-A PORTALS_FORWARD -j PORTALS_FORWARD_GUARD
-A PORTALS_FORWARD -i to-paris -j ACCEPT
-A PORTALS_FORWARD -o to-paris -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A PORTALS_FORWARD -i eth1 -o to-paris -j ACCEPT
-A PORTALS_FORWARD_GUARD -o to-paris -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD_GUARD -i to-paris -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD_GUARD -o to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_GUARD ! -o eth0 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_FORWARD_GUARD -s 10.77.0.0/16 -j PORTALS_FORWARD_GUARD_1
-A PORTALS_FORWARD_GUARD -i eth1 -g PORTALS_FORWARD_GUARD_2
-A PORTALS_FORWARD_GUARD -i to-paris -g PORTALS_FORWARD_GUARD_2
-A PORTALS_FORWARD_GUARD_1 -i eth1 -j RETURN
-A PORTALS_FORWARD_GUARD_1 -i to-paris -j RETURN
-A PORTALS_FORWARD_GUARD_1 -j DROP
-A PORTALS_FORWARD_GUARD_2 -i eth1 -o to-paris -j RETURN
-A PORTALS_FORWARD_GUARD_2 -i eth1 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_GUARD_2 ! -i to-paris -j RETURN
-A PORTALS_FORWARD_GUARD_2 -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_GUARD_2 -d 10.77.0.0/16 -i to-paris -o eth0 -j DROP
-A PORTALS_FORWARD_GUARD_2 -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_GUARD_2 -s 10.77.0.0/16 -i to-paris -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_GUARD_2 -i to-paris -j DROP
-A PORTALS_INPUT -j PORTALS_INPUT_GUARD
-A PORTALS_INPUT -p udp -m udp --dport 51822 -j ACCEPT
-A PORTALS_INPUT -p udp -m udp --dport 52075 -j ACCEPT
-A PORTALS_INPUT -i to-paris -j ACCEPT
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 67 -j ACCEPT
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 5053 -j ACCEPT
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 5053 -j ACCEPT
-A PORTALS_INPUT -d 10.77.1.65/32 -i eth1 -p tcp -m tcp --dport 10077 -j ACCEPT
-A PORTALS_INPUT_GUARD -d 10.77.1.65/32 -i eth1 -p tcp -m tcp --dport 10077 -j RETURN
-A PORTALS_INPUT_GUARD -d 10.77.1.65/32 -p tcp -m tcp --dport 10077 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT_GUARD -i eth0 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT_GUARD -i eth1 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT_GUARD ! -d 10.77.1.65/32 -i eth1 -p icmp -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT_GUARD -i eth1 -p icmp -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT_GUARD -i eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT_GUARD -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT_GUARD -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT_GUARD -i to-paris -p icmp -j RETURN
-A PORTALS_INPUT_GUARD -d 10.77.1.1/32 -i to-paris -p udp -m udp --dport 52075 -j RETURN
-A PORTALS_INPUT_GUARD -s 10.77.0.0/16 -i to-paris -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT_GUARD -i to-paris -j DROP
-A PORTALS_OUTPUT -s 10.77.1.1/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -s 10.77.1.65/32 -m conntrack --ctdir ORIGINAL -j PORTALS_OUTPUT_2
-A PORTALS_OUTPUT_1 -o lo -j RETURN
-A PORTALS_OUTPUT_1 -o to-paris -j RETURN
-A PORTALS_OUTPUT_1 -o eth1 -j RETURN
-A PORTALS_OUTPUT_1 -j DROP
-A PORTALS_OUTPUT_2 -o lo -j RETURN
-A PORTALS_OUTPUT_2 -o to-paris -j RETURN
-A PORTALS_OUTPUT_2 -o eth1 -j RETURN
-A PORTALS_OUTPUT_2 -j REJECT --reject-with icmp-admin-prohibited
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
-I OUTPUT 1 -j PORTALS_OUTPUT
COMMIT
*mangle
:PORTALS_POSTROUTING - [0:0]
:PORTALS_POSTROUTING_1 - [0:0]
:PORTALS_PREROUTING - [0:0]
:PORTALS_PREROUTING_1 - [0:0]
:PORTALS_PREROUTING_2 - [0:0]
:PORTALS_PREROUTING_3 - [0:0]
:PORTALS_PREROUTING_4 - [0:0]
:PORTALS_PREROUTING_5 - [0:0]
:PORTALS_PREROUTING_6 - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x20000000/0x60000000 -j PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING ! -o to-paris -j RETURN
-A PORTALS_POSTROUTING -o to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -j CONNMARK --set-xmark 0x23000000/0x6f000000
-A PORTALS_POSTROUTING_1 -o lo -j RETURN
-A PORTALS_POSTROUTING_1 -o to-paris -j RETURN
-A PORTALS_POSTROUTING_1 -j DROP
-A PORTALS_PREROUTING -i to-paris -m conntrack --ctdir REPLY -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.1.64/26 -i eth1 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.0.0/16 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING ! -i to-paris -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j DROP
-A PORTALS_PREROUTING ! -d 10.77.0.0/16 -g PORTALS_PREROUTING_6
-A PORTALS_PREROUTING -g PORTALS_PREROUTING_2
-A PORTALS_PREROUTING_1 -i eth1 -j RETURN
-A PORTALS_PREROUTING_1 -i to-paris -j RETURN
-A PORTALS_PREROUTING_1 -j DROP
-A PORTALS_PREROUTING_2 -d 10.77.1.1/32 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING_2 -d 10.77.1.64/26 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING_2 -i to-paris -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_4
-A PORTALS_PREROUTING_2 -s 10.77.1.64/26 -i eth1 -j RETURN
-A PORTALS_PREROUTING_2 -s 0.0.0.0/32 -i eth1 -j RETURN
-A PORTALS_PREROUTING_2 -i eth1 -j DROP
-A PORTALS_PREROUTING_2 -i to-paris -m conntrack --ctdir ORIGINAL -j PORTALS_PREROUTING_5
-A PORTALS_PREROUTING_3 -i lo -j RETURN
-A PORTALS_PREROUTING_3 -i to-paris -j RETURN
-A PORTALS_PREROUTING_3 -d 10.77.1.64/26 -i eth1 -j RETURN
-A PORTALS_PREROUTING_3 -j DROP
-A PORTALS_PREROUTING_4 -i to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_4 -j DROP
-A PORTALS_PREROUTING_5 -s 10.77.2.0/24 -i to-paris -j RETURN
-A PORTALS_PREROUTING_5 -j DROP
-A PORTALS_PREROUTING_6 -i eth1 -g PORTALS_PREROUTING_2
-A PORTALS_PREROUTING_6 -i to-paris -g PORTALS_PREROUTING_2
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
:PORTALS_PREROUTING - [0:0]
-A PORTALS_POSTROUTING -s 10.77.0.0/16 -o eth0 -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o to-paris -j MASQUERADE
-A PORTALS_PREROUTING -d 10.77.1.65/32 -p udp -m udp --dport 53 -j REDIRECT --to-ports 5053
-A PORTALS_PREROUTING -d 10.77.1.65/32 -p tcp -m tcp --dport 53 -j REDIRECT --to-ports 5053
-A PORTALS_PREROUTING -d 10.77.1.65/32 -i eth1 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 10077
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
EOF
ip6tables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_GUARD - [0:0]
:PORTALS_FORWARD_GUARD_1 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_INPUT_GUARD - [0:0]
-A PORTALS_FORWARD -j PORTALS_FORWARD_GUARD
-A PORTALS_FORWARD -i to-paris -j ACCEPT
-A PORTALS_FORWARD -o to-paris -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A PORTALS_FORWARD -i eth1 -o to-paris -j ACCEPT
-A PORTALS_FORWARD_GUARD -o to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_GUARD -i eth1 -g PORTALS_FORWARD_GUARD_1
-A PORTALS_FORWARD_GUARD -i to-paris -g PORTALS_FORWARD_GUARD_1
-A PORTALS_FORWARD_GUARD_1 -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_GUARD_1 -i eth1 -o to-paris -j RETURN
-A PORTALS_FORWARD_GUARD_1 -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_GUARD_1 ! -i to-paris -j RETURN
-A PORTALS_FORWARD_GUARD_1 -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_GUARD_1 -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_GUARD_1 -i to-paris -j DROP
-A PORTALS_INPUT -j PORTALS_INPUT_GUARD
-A PORTALS_INPUT -p udp -m udp --dport 51822 -j ACCEPT
-A PORTALS_INPUT -p udp -m udp --dport 52075 -j ACCEPT
-A PORTALS_INPUT -i to-paris -j ACCEPT
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 67 -j ACCEPT
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 5053 -j ACCEPT
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 5053 -j ACCEPT
-A PORTALS_INPUT_GUARD -i eth0 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT_GUARD -i eth1 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -p ipv6-icmp -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT_GUARD -i eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT_GUARD -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT_GUARD -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT_GUARD -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT_GUARD -i to-paris -j DROP
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
COMMIT
*mangle
:PORTALS_POSTROUTING - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING ! -o to-paris -j RETURN
-A PORTALS_POSTROUTING -o to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -j CONNMARK --set-xmark 0x23000000/0x6f000000
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
EOF
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.65/26 dev eth1
ip address add 10.77.1.1/32 dev to-paris
ip link set eth1 up
ip link set to-paris up
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7702
ip rule add priority 113 protocol 77 from all iif eth1 lookup 7702
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
