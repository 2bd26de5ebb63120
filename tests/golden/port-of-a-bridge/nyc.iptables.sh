#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
nft -f - <<'EOF'
table netdev portals {
	chain port-1 { type filter hook ingress device "eth1" priority -500; policy drop; }
}
EOF
iptables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_FORWARD_2 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_INPUT_1 - [0:0]
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
-A PORTALS_FORWARD -o to-paris -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -i to-paris -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -o to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_FORWARD ! -o eth0 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_FORWARD -i br-kids -o br-kids -j RETURN
-A PORTALS_FORWARD -s 10.77.0.0/16 -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -i br-kids -g PORTALS_FORWARD_2
-A PORTALS_FORWARD -i eth1 -g PORTALS_FORWARD_2
-A PORTALS_FORWARD -i eth1.30 -g PORTALS_FORWARD_2
-A PORTALS_FORWARD -i to-paris -g PORTALS_FORWARD_2
-A PORTALS_FORWARD_1 -i br-kids -j RETURN
-A PORTALS_FORWARD_1 -i eth1 -j RETURN
-A PORTALS_FORWARD_1 -i eth1.30 -j RETURN
-A PORTALS_FORWARD_1 -i to-paris -j RETURN
-A PORTALS_FORWARD_1 -j DROP
-A PORTALS_FORWARD_2 -i br-kids -o to-paris -j RETURN
-A PORTALS_FORWARD_2 -i br-kids -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -i eth1 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -i eth1.30 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 ! -i to-paris -j RETURN
-A PORTALS_FORWARD_2 -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_2 -d 10.77.0.0/16 -i to-paris -o eth0 -j DROP
-A PORTALS_FORWARD_2 -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_2 -s 10.77.0.0/16 -i to-paris -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -i to-paris -j DROP
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i br-kids -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1.30 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT -i br-kids -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT -i br-kids -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT -i br-kids -p icmp -m conntrack --ctdir ORIGINAL -j PORTALS_INPUT_1
-A PORTALS_INPUT -i eth1 -p icmp -m conntrack --ctdir ORIGINAL -j PORTALS_INPUT_1
-A PORTALS_INPUT -i eth1.30 -p icmp -m conntrack --ctdir ORIGINAL -j PORTALS_INPUT_1
-A PORTALS_INPUT -i br-kids -p icmp -j RETURN
-A PORTALS_INPUT -i eth1 -p icmp -j RETURN
-A PORTALS_INPUT -i eth1.30 -p icmp -j RETURN
-A PORTALS_INPUT -i br-kids -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1 -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1.30 -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i br-kids -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT -i eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT -i eth1.30 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT -i br-kids -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1.30 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-paris -p icmp -j RETURN
-A PORTALS_INPUT -d 10.77.1.1/32 -i to-paris -p udp -m udp --dport 52075 -j RETURN
-A PORTALS_INPUT -s 10.77.0.0/16 -i to-paris -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i to-paris -j DROP
-A PORTALS_INPUT_1 -d 10.77.1.65/32 -j RETURN
-A PORTALS_INPUT_1 -d 10.77.1.129/32 -j RETURN
-A PORTALS_INPUT_1 -d 10.77.1.193/32 -j RETURN
-A PORTALS_INPUT_1 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_OUTPUT -s 10.77.1.1/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT_1 -o lo -j RETURN
-A PORTALS_OUTPUT_1 -o to-paris -j RETURN
-A PORTALS_OUTPUT_1 -o br-kids -j RETURN
-A PORTALS_OUTPUT_1 -o eth1 -j RETURN
-A PORTALS_OUTPUT_1 -o eth1.30 -j RETURN
-A PORTALS_OUTPUT_1 -j DROP
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
-A PORTALS_PREROUTING -s 10.77.1.192/26 -i br-kids -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.1.64/26 -i eth1 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.1.128/26 -i eth1.30 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.0.0/16 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING ! -i to-paris -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j DROP
-A PORTALS_PREROUTING ! -d 10.77.0.0/16 -g PORTALS_PREROUTING_6
-A PORTALS_PREROUTING -g PORTALS_PREROUTING_2
-A PORTALS_PREROUTING_1 -i br-kids -j RETURN
-A PORTALS_PREROUTING_1 -i eth1 -j RETURN
-A PORTALS_PREROUTING_1 -i eth1.30 -j RETURN
-A PORTALS_PREROUTING_1 -i to-paris -j RETURN
-A PORTALS_PREROUTING_1 -j DROP
-A PORTALS_PREROUTING_2 -d 10.77.1.1/32 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING_2 -d 10.77.1.64/26 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING_2 -d 10.77.1.128/26 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING_2 -d 10.77.1.192/26 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING_2 -i to-paris -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_4
-A PORTALS_PREROUTING_2 -s 10.77.1.192/26 -i br-kids -j RETURN
-A PORTALS_PREROUTING_2 -s 10.77.1.64/26 -i eth1 -j RETURN
-A PORTALS_PREROUTING_2 -s 10.77.1.128/26 -i eth1.30 -j RETURN
-A PORTALS_PREROUTING_2 -s 0.0.0.0/32 -i br-kids -j RETURN
-A PORTALS_PREROUTING_2 -s 0.0.0.0/32 -i eth1 -j RETURN
-A PORTALS_PREROUTING_2 -s 0.0.0.0/32 -i eth1.30 -j RETURN
-A PORTALS_PREROUTING_2 -i br-kids -j DROP
-A PORTALS_PREROUTING_2 -i eth1 -j DROP
-A PORTALS_PREROUTING_2 -i eth1.30 -j DROP
-A PORTALS_PREROUTING_2 -i to-paris -m conntrack --ctdir ORIGINAL -j PORTALS_PREROUTING_5
-A PORTALS_PREROUTING_3 -i lo -j RETURN
-A PORTALS_PREROUTING_3 -i to-paris -j RETURN
-A PORTALS_PREROUTING_3 -d 10.77.1.192/26 -i br-kids -j RETURN
-A PORTALS_PREROUTING_3 -d 10.77.1.64/26 -i eth1 -j RETURN
-A PORTALS_PREROUTING_3 -d 10.77.1.128/26 -i eth1.30 -j RETURN
-A PORTALS_PREROUTING_3 -j DROP
-A PORTALS_PREROUTING_4 -i to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_4 -j DROP
-A PORTALS_PREROUTING_5 -s 10.77.2.0/24 -i to-paris -j RETURN
-A PORTALS_PREROUTING_5 -j DROP
-A PORTALS_PREROUTING_6 -i br-kids -g PORTALS_PREROUTING_2
-A PORTALS_PREROUTING_6 -i eth1 -g PORTALS_PREROUTING_2
-A PORTALS_PREROUTING_6 -i eth1.30 -g PORTALS_PREROUTING_2
-A PORTALS_PREROUTING_6 -i to-paris -g PORTALS_PREROUTING_2
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
-A PORTALS_POSTROUTING -s 10.77.0.0/16 -o eth0 -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o to-paris -j MASQUERADE
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
EOF
ip6tables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_INPUT - [0:0]
-A PORTALS_FORWARD -o to-paris -m conntrack --ctdir ORIGINAL -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_FORWARD -i br-kids -o br-kids -j RETURN
-A PORTALS_FORWARD -i br-kids -g PORTALS_FORWARD_1
-A PORTALS_FORWARD -i eth1 -g PORTALS_FORWARD_1
-A PORTALS_FORWARD -i eth1.30 -g PORTALS_FORWARD_1
-A PORTALS_FORWARD -i to-paris -g PORTALS_FORWARD_1
-A PORTALS_FORWARD_1 -i br-kids -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -i eth1.30 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -i br-kids -o to-paris -j RETURN
-A PORTALS_FORWARD_1 -i br-kids -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -i eth1.30 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 ! -i to-paris -j RETURN
-A PORTALS_FORWARD_1 -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_1 -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_1 -i to-paris -j DROP
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i br-kids -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1.30 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT -i br-kids -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT -i br-kids -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT -i br-kids -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1.30 -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT -i br-kids -p ipv6-icmp -j RETURN
-A PORTALS_INPUT -i eth1 -p ipv6-icmp -j RETURN
-A PORTALS_INPUT -i eth1.30 -p ipv6-icmp -j RETURN
-A PORTALS_INPUT -i br-kids -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1 -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1.30 -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i br-kids -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT -i eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT -i eth1.30 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT -i br-kids -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1.30 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-paris -j DROP
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
ip link add link eth1 name eth1.30 mtu 1500 type vlan id 30 loose_binding on
ip link set eth1.30 alias portals:home
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.193/26 dev br-kids
ip address add 10.77.1.129/26 dev eth1.30
ip address add 10.77.1.1/32 dev to-paris
ip link set br-kids up
ip link set eth1 up
ip link set eth1.30 up
ip link set to-paris up
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip rule add priority 113 protocol 77 from all iif br-kids lookup 7702
ip rule add priority 118 protocol 77 from all iif br-kids unreachable
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from all iif eth1.30 unreachable
ip -6 rule add priority 118 protocol 77 from all iif br-kids unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1.30 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.br-kids.accept_ra=0
sysctl -q -w net.ipv6.conf.eth1/30.accept_ra=0
