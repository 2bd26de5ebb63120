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
iptables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_FORWARD_2 - [0:0]
:PORTALS_FORWARD_3 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
-A PORTALS_FORWARD -o portals0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -i portals0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -o to-mullvad -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1380
-A PORTALS_FORWARD -i to-mullvad -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1380
-A PORTALS_FORWARD -o portals0 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_FORWARD -o to-mullvad -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_FORWARD ! -o eth0 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_FORWARD -s 10.77.0.0/16 -j PORTALS_FORWARD_1
-A PORTALS_FORWARD -i portals0 -g PORTALS_FORWARD_2
-A PORTALS_FORWARD -i to-mullvad -g PORTALS_FORWARD_2
-A PORTALS_FORWARD_1 -i portals0 -j RETURN
-A PORTALS_FORWARD_1 -i to-mullvad -j RETURN
-A PORTALS_FORWARD_1 -j DROP
-A PORTALS_FORWARD_2 -i portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_2 -i to-mullvad -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_2 -s 10.77.0.1/32 -i portals0 -o to-mullvad -j RETURN
-A PORTALS_FORWARD_2 -s 10.77.0.1/32 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -d 10.77.0.0/16 -i portals0 -o eth0 -j DROP
-A PORTALS_FORWARD_2 -d 192.168.2.0/24 -i portals0 -o eth0 -j DROP
-A PORTALS_FORWARD_2 -d 10.77.0.0/16 -i to-mullvad -o eth0 -j DROP
-A PORTALS_FORWARD_2 -d 192.168.2.0/24 -i to-mullvad -o eth0 -j DROP
-A PORTALS_FORWARD_2 -i portals0 -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_2 -i to-mullvad -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_2 -i to-mullvad -j DROP
-A PORTALS_FORWARD_2 -i portals0 -o eth0 -j PORTALS_FORWARD_3
-A PORTALS_FORWARD_2 -i portals0 -o eth0 -j RETURN
-A PORTALS_FORWARD_2 -s 10.77.0.0/16 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -s 192.168.2.0/24 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -s 10.77.0.0/16 -i to-mullvad -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -s 192.168.2.0/24 -i to-mullvad -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_2 -i portals0 -j DROP
-A PORTALS_FORWARD_2 -i to-mullvad -j DROP
-A PORTALS_FORWARD_3 -d 0.0.0.0/8 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 10.0.0.0/8 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 100.64.0.0/10 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 127.0.0.0/8 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 169.254.0.0/16 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 172.16.0.0/12 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 192.0.0.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 192.0.2.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 192.88.99.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 192.168.0.0/16 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 198.18.0.0/15 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 198.51.100.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 203.0.113.0/24 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 240.0.0.0/4 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-mullvad -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i portals0 -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-mullvad -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-mullvad -j DROP
-A PORTALS_INPUT -i portals0 -p icmp -j RETURN
-A PORTALS_INPUT -i to-mullvad -p icmp -j RETURN
-A PORTALS_INPUT -d 10.77.3.1/32 -i portals0 -p udp -m udp --dport 52075 -j RETURN
-A PORTALS_INPUT -d 10.77.3.1/32 -i to-mullvad -p udp -m udp --dport 52075 -j RETURN
-A PORTALS_INPUT -s 10.77.0.0/16 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.2.0/24 -i portals0 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 10.77.0.0/16 -i to-mullvad -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.2.0/24 -i to-mullvad -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i portals0 -j DROP
-A PORTALS_INPUT -i to-mullvad -j DROP
-A PORTALS_OUTPUT -s 10.2.0.2/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -s 10.77.3.1/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT_1 -o lo -j RETURN
-A PORTALS_OUTPUT_1 -o portals0 -j RETURN
-A PORTALS_OUTPUT_1 -o to-mullvad -j RETURN
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
:PORTALS_PREROUTING_5 - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o portals0 -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -o to-mullvad -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x20000000/0x60000000 -j PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING -o portals0 -g PORTALS_POSTROUTING_2
-A PORTALS_POSTROUTING -o to-mullvad -g PORTALS_POSTROUTING_2
-A PORTALS_POSTROUTING_1 -o lo -j RETURN
-A PORTALS_POSTROUTING_1 -o portals0 -j RETURN
-A PORTALS_POSTROUTING_1 -o to-mullvad -j RETURN
-A PORTALS_POSTROUTING_1 -j DROP
-A PORTALS_POSTROUTING_2 -o portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING_2 -o to-mullvad -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING_2 -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING_2 -j CONNMARK --set-xmark 0x20000000/0x6f000000
-A PORTALS_POSTROUTING_2 -o portals0 -j CONNMARK --set-xmark 0x1000000/0x1000000
-A PORTALS_POSTROUTING_2 -o to-mullvad -j CONNMARK --set-xmark 0x4000000/0x4000000
-A PORTALS_POSTROUTING_2 -o to-mullvad -j CONNMARK --set-xmark 0x8000000/0x8000000
-A PORTALS_PREROUTING -i portals0 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING -i to-mullvad -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING -s 10.77.0.0/16 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -d 10.2.0.2/32 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING -d 10.77.3.1/32 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING -i portals0 -g PORTALS_PREROUTING_4
-A PORTALS_PREROUTING -i to-mullvad -g PORTALS_PREROUTING_4
-A PORTALS_PREROUTING_1 -i portals0 -j RETURN
-A PORTALS_PREROUTING_1 -i to-mullvad -j RETURN
-A PORTALS_PREROUTING_1 -j DROP
-A PORTALS_PREROUTING_2 -i portals0 -j RETURN
-A PORTALS_PREROUTING_2 -i to-mullvad -j RETURN
-A PORTALS_PREROUTING_2 -j DROP
-A PORTALS_PREROUTING_3 -i lo -j RETURN
-A PORTALS_PREROUTING_3 -i portals0 -j RETURN
-A PORTALS_PREROUTING_3 -i to-mullvad -j RETURN
-A PORTALS_PREROUTING_3 -j DROP
-A PORTALS_PREROUTING_4 -i portals0 -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_5
-A PORTALS_PREROUTING_4 -i to-mullvad -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_5
-A PORTALS_PREROUTING_4 -i to-mullvad -m conntrack --ctdir ORIGINAL -j DROP
-A PORTALS_PREROUTING_5 -i portals0 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_5 -i to-mullvad -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_5 -j DROP
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
-A PORTALS_POSTROUTING -s 10.77.0.0/16 -o eth0 -j MASQUERADE
-A PORTALS_POSTROUTING -s 192.168.2.0/24 -o eth0 -j MASQUERADE
-A PORTALS_POSTROUTING -o to-mullvad -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o portals0 -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o to-mullvad -j MASQUERADE
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
EOF
ip6tables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_INPUT - [0:0]
-A PORTALS_FORWARD -o portals0 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_FORWARD -o to-mullvad -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_FORWARD -i portals0 -g PORTALS_FORWARD_1
-A PORTALS_FORWARD -i to-mullvad -g PORTALS_FORWARD_1
-A PORTALS_FORWARD_1 -i portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_1 -i to-mullvad -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_1 -i portals0 -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_1 -i to-mullvad -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_1 -i to-mullvad -j DROP
-A PORTALS_FORWARD_1 -i portals0 -o eth0 -j RETURN
-A PORTALS_FORWARD_1 -i portals0 -j DROP
-A PORTALS_FORWARD_1 -i to-mullvad -j DROP
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-mullvad -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i portals0 -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-mullvad -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-mullvad -j DROP
-A PORTALS_INPUT -i portals0 -j DROP
-A PORTALS_INPUT -i to-mullvad -j DROP
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
COMMIT
*mangle
:PORTALS_POSTROUTING - [0:0]
:PORTALS_POSTROUTING_1 - [0:0]
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -o portals0 -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x21000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -o to-mullvad -m connmark --mark 0x20000000/0x60000000 -m connmark --mark 0x2c000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING -o portals0 -g PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING -o to-mullvad -g PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING_1 -o portals0 -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING_1 -o to-mullvad -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING_1 -j RETURN
-A PORTALS_POSTROUTING_1 -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING_1 -j CONNMARK --set-xmark 0x20000000/0x6f000000
-A PORTALS_POSTROUTING_1 -o portals0 -j CONNMARK --set-xmark 0x1000000/0x1000000
-A PORTALS_POSTROUTING_1 -o to-mullvad -j CONNMARK --set-xmark 0x4000000/0x4000000
-A PORTALS_POSTROUTING_1 -o to-mullvad -j CONNMARK --set-xmark 0x8000000/0x8000000
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
-A PORTALS_POSTROUTING -o to-mullvad -j MASQUERADE
-I POSTROUTING 1 -j PORTALS_POSTROUTING
COMMIT
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
