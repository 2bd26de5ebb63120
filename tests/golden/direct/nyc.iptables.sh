#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
iptables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_INPUT - [0:0]
-A PORTALS_FORWARD -s 10.77.0.0/16 ! -i eth1 -j DROP
-A PORTALS_FORWARD ! -i eth1 -j RETURN
-A PORTALS_FORWARD -i eth1 -o eth0 -j RETURN
-A PORTALS_FORWARD -i eth1 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT ! -d 10.77.1.65/32 -i eth1 -p icmp -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1 -p icmp -j RETURN
-A PORTALS_INPUT -i eth1 -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT -i eth1 -j REJECT --reject-with icmp-admin-prohibited
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
COMMIT
*mangle
:PORTALS_PREROUTING - [0:0]
:PORTALS_PREROUTING_1 - [0:0]
-A PORTALS_PREROUTING ! -d 10.77.0.0/16 ! -i eth1 -j RETURN
-A PORTALS_PREROUTING -d 10.77.1.64/26 ! -i lo -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -s 10.77.1.64/26 -i eth1 -j RETURN
-A PORTALS_PREROUTING -s 0.0.0.0/32 -i eth1 -j RETURN
-A PORTALS_PREROUTING -i eth1 -j DROP
-A PORTALS_PREROUTING_1 -d 10.77.1.64/26 -i eth1 -j RETURN
-A PORTALS_PREROUTING_1 -j DROP
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
:PORTALS_PREROUTING - [0:0]
-A PORTALS_POSTROUTING -s 10.77.0.0/16 -o eth0 -j MASQUERADE
-A PORTALS_PREROUTING -d 10.77.1.65/32 -p udp -m udp --dport 53 -j REDIRECT --to-ports 5053
-A PORTALS_PREROUTING -d 10.77.1.65/32 -p tcp -m tcp --dport 53 -j REDIRECT --to-ports 5053
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
EOF
ip6tables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_INPUT - [0:0]
-A PORTALS_FORWARD ! -i eth1 -j RETURN
-A PORTALS_FORWARD -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD -i eth1 -o eth0 -j RETURN
-A PORTALS_FORWARD -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 67 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 547 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 53 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 5053 -j RETURN
-A PORTALS_INPUT -i eth1 -p ipv6-icmp -j RETURN
-A PORTALS_INPUT -i eth1 -m conntrack --ctdir ORIGINAL -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PORTALS_INPUT -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
COMMIT
EOF
ip address add 10.77.1.65/26 dev eth1
ip link set eth1 up
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
