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
iptables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_FORWARD_2 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
:PORTALS_OUTPUT_2 - [0:0]
-A PORTALS_FORWARD -o to-swiss -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1380
-A PORTALS_FORWARD -i to-swiss -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1380
-A PORTALS_FORWARD -o to-swiss -m conntrack --ctdir ORIGINAL -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_FORWARD ! -o eth0 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_FORWARD -s 10.77.0.0/16 -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -i eth1 -g PORTALS_FORWARD_2
-A PORTALS_FORWARD -i to-swiss -g PORTALS_FORWARD_2
-A PORTALS_FORWARD_1 -i eth1 -j RETURN
-A PORTALS_FORWARD_1 -i to-swiss -j RETURN
-A PORTALS_FORWARD_1 -j DROP
-A PORTALS_FORWARD_2 -i eth1 -o to-swiss -j RETURN
-A PORTALS_FORWARD_2 -i eth1 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 ! -i to-swiss -j RETURN
-A PORTALS_FORWARD_2 -i to-swiss -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_2 -d 10.77.0.0/16 -i to-swiss -o eth0 -j DROP
-A PORTALS_FORWARD_2 -i to-swiss -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_2 -i to-swiss -j DROP
-A PORTALS_FORWARD_2 -s 10.77.0.0/16 -i to-swiss -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -i to-swiss -j DROP
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
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
-A PORTALS_INPUT -i to-swiss -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-swiss -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-swiss -j DROP
-A PORTALS_INPUT -i to-swiss -p icmp -j RETURN
-A PORTALS_INPUT -s 10.77.0.0/16 -i to-swiss -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i to-swiss -j DROP
-A PORTALS_OUTPUT -s 10.8.0.1/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -s 10.8.0.2/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -s 10.64.0.2/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -s 10.77.1.1/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -s 10.200.0.9/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -s 10.77.1.65/32 -m conntrack --ctdir ORIGINAL -j PORTALS_OUTPUT_2
-A PORTALS_OUTPUT_1 -o lo -j RETURN
-A PORTALS_OUTPUT_1 -o to-swiss -j RETURN
-A PORTALS_OUTPUT_1 -o eth1 -j RETURN
-A PORTALS_OUTPUT_1 -j DROP
-A PORTALS_OUTPUT_2 -o lo -j RETURN
-A PORTALS_OUTPUT_2 -o to-swiss -j RETURN
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
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o to-swiss -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x20000000/0x60000000 -j PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING ! -o to-swiss -j RETURN
-A PORTALS_POSTROUTING -o to-swiss -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -j CONNMARK --set-xmark 0x2c000000/0x6f000000
-A PORTALS_POSTROUTING_1 -o lo -j RETURN
-A PORTALS_POSTROUTING_1 -o to-swiss -j RETURN
-A PORTALS_POSTROUTING_1 -j DROP
-A PORTALS_PREROUTING -i to-swiss -m conntrack --ctdir REPLY -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.1.64/26 -i eth1 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.0.0/16 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING ! -i to-swiss -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j DROP
-A PORTALS_PREROUTING -d 10.8.0.1/32 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -d 10.8.0.2/32 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -d 10.64.0.2/32 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -d 10.77.1.1/32 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -d 10.77.1.64/26 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -d 10.200.0.9/32 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -i eth1 -g PORTALS_PREROUTING_3
-A PORTALS_PREROUTING -i to-swiss -g PORTALS_PREROUTING_3
-A PORTALS_PREROUTING_1 -i eth1 -j RETURN
-A PORTALS_PREROUTING_1 -i to-swiss -j RETURN
-A PORTALS_PREROUTING_1 -j DROP
-A PORTALS_PREROUTING_2 -i lo -j RETURN
-A PORTALS_PREROUTING_2 -i to-swiss -j RETURN
-A PORTALS_PREROUTING_2 -d 10.77.1.64/26 -i eth1 -j RETURN
-A PORTALS_PREROUTING_2 -j DROP
-A PORTALS_PREROUTING_3 -i to-swiss -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_4
-A PORTALS_PREROUTING_3 -s 10.77.1.64/26 -i eth1 -j RETURN
-A PORTALS_PREROUTING_3 -s 0.0.0.0/32 -i eth1 -j RETURN
-A PORTALS_PREROUTING_3 -i eth1 -j DROP
-A PORTALS_PREROUTING_3 -i to-swiss -m conntrack --ctdir ORIGINAL -j DROP
-A PORTALS_PREROUTING_4 -i to-swiss -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_4 -j DROP
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
:PORTALS_PREROUTING - [0:0]
-A PORTALS_POSTROUTING -s 10.77.0.0/16 -o eth0 -j MASQUERADE
-A PORTALS_POSTROUTING -d 10.8.0.0/24 -o to-swiss -j SNAT --to-source 10.8.0.2
-A PORTALS_POSTROUTING -o to-swiss -j SNAT --to-source 10.200.0.9
-A PORTALS_POSTROUTING -o to-swiss -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o to-swiss -j MASQUERADE
-A PORTALS_PREROUTING -d 10.77.1.65/32 -p udp -m udp --dport 53 -j REDIRECT --to-ports 5053
-A PORTALS_PREROUTING -d 10.77.1.65/32 -p tcp -m tcp --dport 53 -j REDIRECT --to-ports 5053
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
EOF
ip6tables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_INPUT - [0:0]
-A PORTALS_FORWARD -o to-swiss -m conntrack --ctdir ORIGINAL -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_FORWARD -i eth1 -g PORTALS_FORWARD_1
-A PORTALS_FORWARD -i to-swiss -g PORTALS_FORWARD_1
-A PORTALS_FORWARD_1 -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -i eth1 -o to-swiss -j RETURN
-A PORTALS_FORWARD_1 -i eth1 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 ! -i to-swiss -j RETURN
-A PORTALS_FORWARD_1 -i to-swiss -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_1 -i to-swiss -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_1 -i to-swiss -j DROP
-A PORTALS_FORWARD_1 -i to-swiss -j DROP
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i eth1 -p udp -m udp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth1 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp6-adm-prohibited
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
-A PORTALS_INPUT -i to-swiss -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-swiss -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-swiss -j DROP
-A PORTALS_INPUT -i to-swiss -j DROP
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
COMMIT
*mangle
:PORTALS_POSTROUTING - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o to-swiss -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING ! -o to-swiss -j RETURN
-A PORTALS_POSTROUTING -o to-swiss -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING -j CONNMARK --set-xmark 0x2c000000/0x6f000000
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
-A PORTALS_POSTROUTING -o to-swiss -j MASQUERADE
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
EOF
ip link add to-swiss mtu 1420 type wireguard
ip link set to-swiss alias portals:home
key 'swiss.conf' PrivateKey | wg set to-swiss private-key /dev/stdin listen-port 52071 fwmark 0x10000000
key 'swiss.conf' PresharedKey Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= | wg set to-swiss peer Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= preshared-key /dev/stdin endpoint 192.0.2.5:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.65/26 dev eth1
ip address add 10.8.0.1/32 dev to-swiss
ip address add 10.8.0.2/32 dev to-swiss
ip address add 10.64.0.2/32 dev to-swiss
ip address add 10.200.0.9/32 dev to-swiss
ip link set eth1 up
ip link set to-swiss up
ip route add default dev to-swiss src 10.200.0.9 scope global table 7951 protocol 77
ip route add unreachable default table 7951 metric 4278198272 protocol 77
ip route add 10.8.0.0/24 dev to-swiss src 10.8.0.2 scope global table 7951 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 10.77.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 169.254.0.0/16 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 192.168.1.0/24 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 224.0.0.0/4 iif lo goto 119
ip rule add priority 111 protocol 77 from 10.77.0.0/16 to 255.255.255.255/32 iif lo goto 119
ip rule add priority 112 protocol 77 from 10.77.1.65/32 iif lo lookup 7951
ip rule add priority 113 protocol 77 from all iif eth1 lookup 7951
ip rule add priority 118 protocol 77 from all iif eth1 unreachable
ip rule add priority 118 protocol 77 from 10.77.1.65/32 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from all iif eth1 unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.ip_forward=1
sysctl -q -w net.ipv6.conf.eth1.accept_ra=0
