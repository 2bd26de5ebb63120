#!/bin/sh
# What `portals apply` would do at site nyc of network home.
set -e
cd '/etc/portals'
iptables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_FORWARD_2 - [0:0]
:PORTALS_FORWARD_3 - [0:0]
:PORTALS_FORWARD_4 - [0:0]
:PORTALS_FORWARD_5 - [0:0]
:PORTALS_FORWARD_6 - [0:0]
:PORTALS_FORWARD_7 - [0:0]
:PORTALS_FORWARD_8 - [0:0]
:PORTALS_FORWARD_9 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
-A PORTALS_FORWARD -o to-oslo -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -o to-paris -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -i to-oslo -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -i to-paris -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1240
-A PORTALS_FORWARD -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -g PORTALS_FORWARD_9
-A PORTALS_FORWARD -g PORTALS_FORWARD_1
-A PORTALS_FORWARD_1 ! -o eth0 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j RETURN
-A PORTALS_FORWARD_1 -s 192.168.1.50/32 -d 192.168.1.0/24 ! -o eth0 -j RETURN
-A PORTALS_FORWARD_1 -s 192.168.1.51/32 -d 192.168.1.0/24 ! -o eth0 -j RETURN
-A PORTALS_FORWARD_1 -s 192.168.1.64/27 -d 192.168.1.0/24 ! -o eth0 -j RETURN
-A PORTALS_FORWARD_1 -d 10.77.0.0/16 -g PORTALS_FORWARD_8
-A PORTALS_FORWARD_1 -g PORTALS_FORWARD_2
-A PORTALS_FORWARD_2 -d 192.168.1.0/24 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:01 -j RETURN
-A PORTALS_FORWARD_2 -d 192.168.1.0/24 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:02 -j RETURN
-A PORTALS_FORWARD_2 -d 192.168.1.0/24 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:03 -j RETURN
-A PORTALS_FORWARD_2 -d 192.168.1.0/24 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:04 -j RETURN
-A PORTALS_FORWARD_2 -d 10.77.0.0/16 -g PORTALS_FORWARD_7
-A PORTALS_FORWARD_2 -g PORTALS_FORWARD_3
-A PORTALS_FORWARD_3 -s 192.168.1.50/32 -d 192.0.2.0/24 -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.64/27 -d 192.0.2.0/24 -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.64/27 -o to-paris -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.51/32 -o to-oslo -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.50/32 -o to-paris -j RETURN
-A PORTALS_FORWARD_3 -o to-oslo -m connmark --mark 0x81000000/0x8f000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-oslo -m connmark --mark 0x82000000/0x8f000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-paris -m connmark --mark 0x80000000/0x8f000000 -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.50/32 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -s 192.168.1.51/32 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -s 192.168.1.64/27 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -m mac --mac-source aa:bb:cc:dd:ee:03 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -m mac --mac-source aa:bb:cc:dd:ee:04 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -s 192.168.1.52/32 -d 192.168.1.0/24 ! -o eth0 -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.52/32 -d 10.77.0.0/16 -o to-oslo -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.52/32 -d 10.77.0.0/16 -o to-paris -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.52/32 -o to-oslo -p udp -m udp --dport 3478:3481 -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.52/32 -p udp -m udp --dport 3478:3481 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -s 192.168.1.53/32 -d 192.168.1.0/24 ! -o eth0 -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.53/32 -d 10.77.0.0/16 -o to-oslo -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.53/32 -d 10.77.0.0/16 -o to-paris -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.53/32 -o to-paris -j RETURN
-A PORTALS_FORWARD_3 -s 192.168.1.53/32 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -d 192.168.1.0/24 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:05 -j RETURN
-A PORTALS_FORWARD_3 -d 10.77.0.0/16 -o to-oslo -m mac --mac-source aa:bb:cc:dd:ee:05 -j RETURN
-A PORTALS_FORWARD_3 -d 10.77.0.0/16 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:05 -j RETURN
-A PORTALS_FORWARD_3 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:05 -j RETURN
-A PORTALS_FORWARD_3 -m mac --mac-source aa:bb:cc:dd:ee:05 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_3 -s 10.77.0.0/16 -j PORTALS_FORWARD_4
-A PORTALS_FORWARD_3 -i to-oslo -g PORTALS_FORWARD_5
-A PORTALS_FORWARD_3 -i to-paris -g PORTALS_FORWARD_5
-A PORTALS_FORWARD_4 -i to-oslo -j RETURN
-A PORTALS_FORWARD_4 -i to-paris -j RETURN
-A PORTALS_FORWARD_4 -j DROP
-A PORTALS_FORWARD_5 -i to-oslo -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_5 -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_5 -d 10.77.0.0/16 -i to-oslo -o eth0 -j DROP
-A PORTALS_FORWARD_5 -d 10.77.0.0/16 -i to-paris -o eth0 -j DROP
-A PORTALS_FORWARD_5 -d 0.0.0.0/8 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 10.0.0.0/8 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 100.64.0.0/10 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 127.0.0.0/8 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 169.254.0.0/16 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 172.16.0.0/12 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 192.0.0.0/24 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 192.0.2.0/24 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 192.88.99.0/24 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 192.168.0.0/16 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 198.18.0.0/15 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 198.51.100.0/24 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 203.0.113.0/24 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 240.0.0.0/4 -i to-oslo -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 0.0.0.0/8 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 10.0.0.0/8 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 100.64.0.0/10 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 127.0.0.0/8 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 169.254.0.0/16 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 172.16.0.0/12 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 192.0.0.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 192.0.2.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 192.88.99.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 192.168.0.0/16 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 198.18.0.0/15 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 198.51.100.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 203.0.113.0/24 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -d 240.0.0.0/4 -i to-paris -o eth0 -m conntrack --ctdir REPLY -j PORTALS_FORWARD_6
-A PORTALS_FORWARD_5 -i to-oslo -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_5 -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_5 -s 10.77.0.0/16 -i to-oslo -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_5 -s 10.77.0.0/16 -i to-paris -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_FORWARD_5 -i to-oslo -j DROP
-A PORTALS_FORWARD_5 -i to-paris -j DROP
-A PORTALS_FORWARD_6 -d 198.51.100.0/24 -j RETURN
-A PORTALS_FORWARD_6 -j DROP
-A PORTALS_FORWARD_7 -o to-oslo -m mac --mac-source aa:bb:cc:dd:ee:01 -j RETURN
-A PORTALS_FORWARD_7 -o to-oslo -m mac --mac-source aa:bb:cc:dd:ee:02 -j RETURN
-A PORTALS_FORWARD_7 -o to-oslo -m mac --mac-source aa:bb:cc:dd:ee:03 -j RETURN
-A PORTALS_FORWARD_7 -o to-oslo -m mac --mac-source aa:bb:cc:dd:ee:04 -j RETURN
-A PORTALS_FORWARD_7 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:01 -j RETURN
-A PORTALS_FORWARD_7 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:02 -j RETURN
-A PORTALS_FORWARD_7 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:03 -j RETURN
-A PORTALS_FORWARD_7 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:04 -j RETURN
-A PORTALS_FORWARD_7 -g PORTALS_FORWARD_3
-A PORTALS_FORWARD_8 -s 192.168.1.50/32 -o to-oslo -j RETURN
-A PORTALS_FORWARD_8 -s 192.168.1.50/32 -o to-paris -j RETURN
-A PORTALS_FORWARD_8 -s 192.168.1.51/32 -o to-oslo -j RETURN
-A PORTALS_FORWARD_8 -s 192.168.1.51/32 -o to-paris -j RETURN
-A PORTALS_FORWARD_8 -s 192.168.1.64/27 -o to-oslo -j RETURN
-A PORTALS_FORWARD_8 -s 192.168.1.64/27 -o to-paris -j RETURN
-A PORTALS_FORWARD_8 -g PORTALS_FORWARD_2
-A PORTALS_FORWARD_9 -o to-oslo -m connmark --mark 0x24000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_9 -o to-oslo -m connmark --mark 0xa1000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_9 -o to-oslo -m connmark --mark 0xa2000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_9 -o to-oslo -m connmark --mark 0xa3000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_9 -o to-oslo -m connmark --mark 0xa5000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_9 -o to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_9 -o to-paris -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_9 -o to-paris -m connmark --mark 0xa4000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_9 -g PORTALS_FORWARD_1
-A PORTALS_INPUT -i lo -j RETURN
-A PORTALS_INPUT -s 192.168.1.50/32 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.1.51/32 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.1.64/27 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.1.50/32 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.1.51/32 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.1.64/27 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.1.53/32 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 192.168.1.53/32 -p tcp -m tcp --dport 53 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i to-oslo -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-oslo -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-oslo -p icmp -j RETURN
-A PORTALS_INPUT -i to-paris -p icmp -j RETURN
-A PORTALS_INPUT -d 10.77.1.1/32 -i to-oslo -p udp -m udp --dport 52075 -j RETURN
-A PORTALS_INPUT -d 10.77.1.1/32 -i to-paris -p udp -m udp --dport 52075 -j RETURN
-A PORTALS_INPUT -s 10.77.0.0/16 -i to-oslo -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -s 10.77.0.0/16 -i to-paris -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_INPUT -i to-oslo -j DROP
-A PORTALS_INPUT -i to-paris -j DROP
-A PORTALS_OUTPUT -s 10.77.1.1/32 -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -o lo -j RETURN
-A PORTALS_OUTPUT -o to-oslo -j RETURN
-A PORTALS_OUTPUT -o to-paris -j RETURN
-A PORTALS_OUTPUT -p udp -m udp --dport 67:68 -j RETURN
-A PORTALS_OUTPUT -d 10.77.2.0/24 -j RETURN
-A PORTALS_OUTPUT -d 10.77.3.0/24 -j RETURN
-A PORTALS_OUTPUT -d 169.254.0.0/16 -j RETURN
-A PORTALS_OUTPUT -d 192.168.1.0/24 -j RETURN
-A PORTALS_OUTPUT -d 224.0.0.0/4 -j RETURN
-A PORTALS_OUTPUT -d 255.255.255.255/32 -j RETURN
-A PORTALS_OUTPUT -p tcp -m tcp --dport 443 -m conntrack --ctdir ORIGINAL -m mark ! --mark 0x10000000/0x10000000 -m mark ! --mark 0x85000000/0x8f000000 -j REJECT --reject-with icmp-admin-prohibited
-A PORTALS_OUTPUT_1 -o lo -j RETURN
-A PORTALS_OUTPUT_1 -o to-oslo -j RETURN
-A PORTALS_OUTPUT_1 -o to-paris -j RETURN
-A PORTALS_OUTPUT_1 -j DROP
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
-I OUTPUT 1 -j PORTALS_OUTPUT
COMMIT
*mangle
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
:PORTALS_POSTROUTING - [0:0]
:PORTALS_POSTROUTING_1 - [0:0]
:PORTALS_POSTROUTING_2 - [0:0]
:PORTALS_POSTROUTING_3 - [0:0]
:PORTALS_POSTROUTING_4 - [0:0]
:PORTALS_POSTROUTING_5 - [0:0]
:PORTALS_POSTROUTING_6 - [0:0]
:PORTALS_PREROUTING - [0:0]
:PORTALS_PREROUTING_1 - [0:0]
:PORTALS_PREROUTING_10 - [0:0]
:PORTALS_PREROUTING_11 - [0:0]
:PORTALS_PREROUTING_12 - [0:0]
:PORTALS_PREROUTING_13 - [0:0]
:PORTALS_PREROUTING_14 - [0:0]
:PORTALS_PREROUTING_2 - [0:0]
:PORTALS_PREROUTING_3 - [0:0]
:PORTALS_PREROUTING_4 - [0:0]
:PORTALS_PREROUTING_5 - [0:0]
:PORTALS_PREROUTING_6 - [0:0]
:PORTALS_PREROUTING_7 - [0:0]
:PORTALS_PREROUTING_8 - [0:0]
:PORTALS_PREROUTING_9 - [0:0]
-A PORTALS_OUTPUT -p tcp -m tcp --dport 443 -m conntrack --ctdir ORIGINAL -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -m mark --mark 0x85000000/0x8f000000 -j CONNMARK --set-xmark 0x85000000/0x8f000000
-A PORTALS_OUTPUT_1 -d 10.77.2.0/24 -j RETURN
-A PORTALS_OUTPUT_1 -d 10.77.3.0/24 -j RETURN
-A PORTALS_OUTPUT_1 -d 169.254.0.0/16 -j RETURN
-A PORTALS_OUTPUT_1 -d 192.168.1.0/24 -j RETURN
-A PORTALS_OUTPUT_1 -d 224.0.0.0/4 -j RETURN
-A PORTALS_OUTPUT_1 -d 255.255.255.255/32 -j RETURN
-A PORTALS_OUTPUT_1 -j MARK --set-xmark 0x85000000/0x8f000000
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x20000000/0x60000000 -g PORTALS_POSTROUTING_6
-A PORTALS_POSTROUTING -g PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING_1 -m connmark --mark 0x20000000/0x60000000 -j PORTALS_POSTROUTING_2
-A PORTALS_POSTROUTING_1 -m mark --mark 0x0/0x80000000 -g PORTALS_POSTROUTING_5
-A PORTALS_POSTROUTING_1 -g PORTALS_POSTROUTING_3
-A PORTALS_POSTROUTING_2 -o lo -j RETURN
-A PORTALS_POSTROUTING_2 -o to-oslo -j RETURN
-A PORTALS_POSTROUTING_2 -o to-paris -j RETURN
-A PORTALS_POSTROUTING_2 -j DROP
-A PORTALS_POSTROUTING_3 -m conntrack --ctdir ORIGINAL -m mark --mark 0x80000000/0x80000000 -j PORTALS_POSTROUTING_4
-A PORTALS_POSTROUTING_3 -o to-oslo -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING_3 -o to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING_3 -o to-oslo -m connmark --mark 0x80000000/0x80000000 -j CONNMARK --set-xmark 0x20000000/0x60000000
-A PORTALS_POSTROUTING_3 -o to-paris -m connmark --mark 0x80000000/0x80000000 -j CONNMARK --set-xmark 0x20000000/0x60000000
-A PORTALS_POSTROUTING_3 -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING_3 -o to-oslo -j CONNMARK --set-xmark 0x20000000/0x6f000000
-A PORTALS_POSTROUTING_3 -o to-paris -j CONNMARK --set-xmark 0x20000000/0x6f000000
-A PORTALS_POSTROUTING_3 -o to-paris -j CONNMARK --set-xmark 0x1000000/0x1000000
-A PORTALS_POSTROUTING_3 -o to-paris -j CONNMARK --set-xmark 0x2000000/0x2000000
-A PORTALS_POSTROUTING_3 -o to-oslo -j CONNMARK --set-xmark 0x4000000/0x4000000
-A PORTALS_POSTROUTING_4 -o lo -j RETURN
-A PORTALS_POSTROUTING_4 -o to-oslo -j RETURN
-A PORTALS_POSTROUTING_4 -o to-paris -j RETURN
-A PORTALS_POSTROUTING_4 -j DROP
-A PORTALS_POSTROUTING_5 -o to-oslo -g PORTALS_POSTROUTING_3
-A PORTALS_POSTROUTING_5 -o to-paris -g PORTALS_POSTROUTING_3
-A PORTALS_POSTROUTING_6 -o to-oslo -m connmark --mark 0x24000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_6 -o to-oslo -m connmark --mark 0xa1000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_6 -o to-oslo -m connmark --mark 0xa2000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_6 -o to-oslo -m connmark --mark 0xa3000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_6 -o to-oslo -m connmark --mark 0xa5000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_6 -o to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_6 -o to-paris -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_6 -o to-paris -m connmark --mark 0xa4000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_6 -g PORTALS_POSTROUTING_1
-A PORTALS_PREROUTING -i to-oslo -m connmark --mark 0x80000000/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -i to-paris -m connmark --mark 0x80000000/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x80000000 -m connmark --mark 0x81000000/0x81000000 -j MARK --set-xmark 0x1000000/0x1000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x80000000 -m connmark --mark 0x82000000/0x82000000 -j MARK --set-xmark 0x2000000/0x2000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x80000000 -m connmark --mark 0x84000000/0x84000000 -j MARK --set-xmark 0x4000000/0x4000000
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:03 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:04 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_1
-A PORTALS_PREROUTING -p udp -m udp --dport 53 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_2
-A PORTALS_PREROUTING -p tcp -m tcp --dport 53 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_3
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x80000000/0x81000000 -j MARK --set-xmark 0x1000000/0x1000000
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:03 -m mark --mark 0x80000000/0x81000000 -j MARK --set-xmark 0x1000000/0x1000000
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:04 -m mark --mark 0x80000000/0x82000000 -j MARK --set-xmark 0x2000000/0x2000000
-A PORTALS_PREROUTING -s 192.168.1.52/32 -p udp -m udp --dport 3478:3481 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_4
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:05 -m mark --mark 0x0/0x80000000 -j PORTALS_PREROUTING_5
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x84000000/0x8f000000
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x84000000/0x8f000000
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x84000000/0x8f000000
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x84000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x8f000000 -j CONNMARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x81000000/0x8f000000 -j CONNMARK --set-xmark 0x81000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x82000000/0x8f000000 -j CONNMARK --set-xmark 0x82000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x83000000/0x8f000000 -j CONNMARK --set-xmark 0x83000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x84000000/0x8f000000 -j CONNMARK --set-xmark 0x84000000/0x8f000000
-A PORTALS_PREROUTING -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -g PORTALS_PREROUTING_14
-A PORTALS_PREROUTING -g PORTALS_PREROUTING_6
-A PORTALS_PREROUTING_1 -d 10.77.0.0/16 -j RETURN
-A PORTALS_PREROUTING_1 -d 192.168.1.0/24 -j RETURN
-A PORTALS_PREROUTING_1 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_10 -i lo -j RETURN
-A PORTALS_PREROUTING_10 -i to-oslo -j RETURN
-A PORTALS_PREROUTING_10 -i to-paris -j RETURN
-A PORTALS_PREROUTING_10 -j DROP
-A PORTALS_PREROUTING_11 -i to-oslo -m connmark --mark 0x24000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_11 -i to-oslo -m connmark --mark 0xa1000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_11 -i to-oslo -m connmark --mark 0xa2000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_11 -i to-oslo -m connmark --mark 0xa3000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_11 -i to-oslo -m connmark --mark 0xa5000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_11 -i to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_11 -i to-paris -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_11 -i to-paris -m connmark --mark 0xa4000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_11 -j DROP
-A PORTALS_PREROUTING_12 -s 10.77.3.0/24 -i to-oslo -j RETURN
-A PORTALS_PREROUTING_12 -s 10.77.2.0/24 -i to-paris -j RETURN
-A PORTALS_PREROUTING_12 -j DROP
-A PORTALS_PREROUTING_13 -i to-oslo -g PORTALS_PREROUTING_9
-A PORTALS_PREROUTING_13 -i to-paris -g PORTALS_PREROUTING_9
-A PORTALS_PREROUTING_14 -i to-oslo -m connmark --mark 0x24000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_14 -i to-oslo -m connmark --mark 0xa1000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_14 -i to-oslo -m connmark --mark 0xa2000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_14 -i to-oslo -m connmark --mark 0xa3000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_14 -i to-oslo -m connmark --mark 0xa5000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_14 -i to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_14 -i to-paris -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_14 -i to-paris -m connmark --mark 0xa4000000/0xef000000 -j RETURN
-A PORTALS_PREROUTING_14 -g PORTALS_PREROUTING_6
-A PORTALS_PREROUTING_2 -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_2 -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_2 -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_2 -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_2 -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_2 -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_2 -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_2 -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_3 -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_3 -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_3 -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_3 -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_3 -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_3 -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_3 -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_3 -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING_4 -d 10.77.0.0/16 -j RETURN
-A PORTALS_PREROUTING_4 -d 192.168.1.0/24 -j RETURN
-A PORTALS_PREROUTING_4 -j MARK --set-xmark 0x83000000/0x8f000000
-A PORTALS_PREROUTING_5 -d 10.77.0.0/16 -j RETURN
-A PORTALS_PREROUTING_5 -d 192.168.1.0/24 -j RETURN
-A PORTALS_PREROUTING_5 -j MARK --set-xmark 0x84000000/0x8f000000
-A PORTALS_PREROUTING_6 -s 10.77.0.0/16 -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -j PORTALS_PREROUTING_7
-A PORTALS_PREROUTING_6 -m conntrack --ctdir REPLY -m connmark --mark 0x20000000/0x60000000 -j PORTALS_PREROUTING_8
-A PORTALS_PREROUTING_6 ! -d 10.77.0.0/16 -g PORTALS_PREROUTING_13
-A PORTALS_PREROUTING_6 -g PORTALS_PREROUTING_9
-A PORTALS_PREROUTING_7 -i to-oslo -j RETURN
-A PORTALS_PREROUTING_7 -i to-paris -j RETURN
-A PORTALS_PREROUTING_7 -j DROP
-A PORTALS_PREROUTING_8 -i to-oslo -j RETURN
-A PORTALS_PREROUTING_8 -i to-paris -j RETURN
-A PORTALS_PREROUTING_8 -j DROP
-A PORTALS_PREROUTING_9 -d 10.77.1.1/32 -j PORTALS_PREROUTING_10
-A PORTALS_PREROUTING_9 -i to-oslo -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_11
-A PORTALS_PREROUTING_9 -i to-paris -m conntrack --ctdir REPLY -m connmark ! --mark 0x20000000/0xef000000 -j PORTALS_PREROUTING_11
-A PORTALS_PREROUTING_9 -i to-oslo -m conntrack --ctdir ORIGINAL -j PORTALS_PREROUTING_12
-A PORTALS_PREROUTING_9 -i to-paris -m conntrack --ctdir ORIGINAL -j PORTALS_PREROUTING_12
-I OUTPUT 1 -j PORTALS_OUTPUT
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
*nat
:PORTALS_POSTROUTING - [0:0]
:PORTALS_PREROUTING - [0:0]
-A PORTALS_POSTROUTING -s 10.77.0.0/16 -o eth0 -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o to-oslo -j MASQUERADE
-A PORTALS_POSTROUTING ! -s 10.77.0.0/16 -o to-paris -j MASQUERADE
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -j DNAT --to-destination 192.168.1.53
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -j DNAT --to-destination 192.168.1.53
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -j DNAT --to-destination 192.168.1.53
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -j DNAT --to-destination 192.168.1.53
-A PORTALS_PREROUTING -s 192.168.1.50/32 -d 192.168.1.1/32 -p udp -m udp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.64/27 -d 192.168.1.1/32 -p udp -m udp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.50/32 -d 198.51.100.2/32 -p udp -m udp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.64/27 -d 198.51.100.2/32 -p udp -m udp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.50/32 -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.64/27 -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.50/32 -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.64/27 -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.51/32 -d 192.168.1.1/32 -p udp -m udp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.51/32 -d 198.51.100.2/32 -p udp -m udp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.51/32 -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.51/32 -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.53/32 -d 192.168.1.1/32 -p udp -m udp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.53/32 -d 198.51.100.2/32 -p udp -m udp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.53/32 -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -s 192.168.1.53/32 -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 192.168.1.1/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -j DNAT --to-destination 9.9.9.9
-A PORTALS_PREROUTING -d 198.51.100.2/32 -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -j DNAT --to-destination 9.9.9.9
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
EOF
ip6tables-restore --noflush <<'EOF'
*filter
:PORTALS_FORWARD - [0:0]
:PORTALS_FORWARD_1 - [0:0]
:PORTALS_FORWARD_2 - [0:0]
:PORTALS_FORWARD_3 - [0:0]
:PORTALS_INPUT - [0:0]
:PORTALS_OUTPUT - [0:0]
-A PORTALS_FORWARD -m conntrack --ctdir ORIGINAL -m connmark --mark 0x20000000/0x60000000 -g PORTALS_FORWARD_3
-A PORTALS_FORWARD -g PORTALS_FORWARD_1
-A PORTALS_FORWARD_1 -d 2001:db8:1:2::/64 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:01 -j RETURN
-A PORTALS_FORWARD_1 -d 2001:db8:1:2::/64 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:02 -j RETURN
-A PORTALS_FORWARD_1 -d 2001:db8:1:2::/64 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:03 -j RETURN
-A PORTALS_FORWARD_1 -d 2001:db8:1:2::/64 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:04 -j RETURN
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:03 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:04 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -o to-oslo -m connmark --mark 0x81000000/0x8f000000 -j RETURN
-A PORTALS_FORWARD_1 -o to-oslo -m connmark --mark 0x82000000/0x8f000000 -j RETURN
-A PORTALS_FORWARD_1 -o to-paris -m connmark --mark 0x80000000/0x8f000000 -j RETURN
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:03 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:04 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -d 2001:db8:1:2::/64 ! -o eth0 -m mac --mac-source aa:bb:cc:dd:ee:05 -j RETURN
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:05 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -o to-paris -m mac --mac-source aa:bb:cc:dd:ee:05 -j RETURN
-A PORTALS_FORWARD_1 -m mac --mac-source aa:bb:cc:dd:ee:05 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_FORWARD_1 -i to-oslo -g PORTALS_FORWARD_2
-A PORTALS_FORWARD_1 -i to-paris -g PORTALS_FORWARD_2
-A PORTALS_FORWARD_2 -i to-oslo -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_2 -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_FORWARD_2 -i to-oslo -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_2 -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_FORWARD_2 -i to-oslo -j DROP
-A PORTALS_FORWARD_2 -i to-paris -j DROP
-A PORTALS_FORWARD_3 -o to-oslo -m connmark --mark 0x24000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-oslo -m connmark --mark 0xa1000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-oslo -m connmark --mark 0xa2000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-oslo -m connmark --mark 0xa3000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-oslo -m connmark --mark 0xa5000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-paris -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_3 -o to-paris -m connmark --mark 0xa4000000/0xef000000 -j RETURN
-A PORTALS_FORWARD_3 -g PORTALS_FORWARD_1
-A PORTALS_INPUT -i lo -j RETURN
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:01 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:02 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:03 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:04 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p udp -m udp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -p tcp -m tcp --dport 53 -m mac --mac-source aa:bb:cc:dd:ee:05 -j REJECT --reject-with icmp6-adm-prohibited
-A PORTALS_INPUT -i eth0 -j RETURN
-A PORTALS_INPUT -i to-oslo -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_INPUT -i to-oslo -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-paris -m conntrack --ctstate RELATED,ESTABLISHED -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_INPUT -i to-oslo -j DROP
-A PORTALS_INPUT -i to-paris -j DROP
-A PORTALS_OUTPUT -o lo -j RETURN
-A PORTALS_OUTPUT -o to-oslo -j RETURN
-A PORTALS_OUTPUT -o to-paris -j RETURN
-A PORTALS_OUTPUT -p udp -m udp --dport 67:68 -j RETURN
-A PORTALS_OUTPUT -d 2001:db8:1:2::/64 -j RETURN
-A PORTALS_OUTPUT -d fe80::/10 -j RETURN
-A PORTALS_OUTPUT -d ff00::/8 -j RETURN
-A PORTALS_OUTPUT -p tcp -m tcp --dport 443 -m conntrack --ctdir ORIGINAL -m mark ! --mark 0x10000000/0x10000000 -m mark ! --mark 0x85000000/0x8f000000 -j REJECT --reject-with icmp6-adm-prohibited
-I FORWARD 1 -j PORTALS_FORWARD
-I INPUT 1 -j PORTALS_INPUT
-I OUTPUT 1 -j PORTALS_OUTPUT
COMMIT
*mangle
:PORTALS_OUTPUT - [0:0]
:PORTALS_OUTPUT_1 - [0:0]
:PORTALS_POSTROUTING - [0:0]
:PORTALS_POSTROUTING_1 - [0:0]
:PORTALS_POSTROUTING_2 - [0:0]
:PORTALS_POSTROUTING_3 - [0:0]
:PORTALS_POSTROUTING_4 - [0:0]
:PORTALS_POSTROUTING_5 - [0:0]
:PORTALS_PREROUTING - [0:0]
-A PORTALS_OUTPUT -p tcp -m tcp --dport 443 -m conntrack --ctdir ORIGINAL -m mark ! --mark 0x10000000/0x10000000 -j PORTALS_OUTPUT_1
-A PORTALS_OUTPUT -m mark --mark 0x85000000/0x8f000000 -j CONNMARK --set-xmark 0x85000000/0x8f000000
-A PORTALS_OUTPUT_1 -d 2001:db8:1:2::/64 -j RETURN
-A PORTALS_OUTPUT_1 -d fe80::/10 -j RETURN
-A PORTALS_OUTPUT_1 -d ff00::/8 -j RETURN
-A PORTALS_OUTPUT_1 -j MARK --set-xmark 0x85000000/0x8f000000
-A PORTALS_POSTROUTING -m conntrack --ctdir REPLY -j RETURN
-A PORTALS_POSTROUTING -m connmark --mark 0x20000000/0x60000000 -g PORTALS_POSTROUTING_5
-A PORTALS_POSTROUTING -g PORTALS_POSTROUTING_1
-A PORTALS_POSTROUTING_1 -m mark --mark 0x0/0x80000000 -g PORTALS_POSTROUTING_4
-A PORTALS_POSTROUTING_1 -g PORTALS_POSTROUTING_2
-A PORTALS_POSTROUTING_2 -m conntrack --ctdir ORIGINAL -m mark --mark 0x80000000/0x80000000 -j PORTALS_POSTROUTING_3
-A PORTALS_POSTROUTING_2 -o to-oslo -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING_2 -o to-paris -p udp -m udp --dport 67:68 -j DROP
-A PORTALS_POSTROUTING_2 -j RETURN
-A PORTALS_POSTROUTING_2 -o to-oslo -m connmark --mark 0x80000000/0x80000000 -j CONNMARK --set-xmark 0x20000000/0x60000000
-A PORTALS_POSTROUTING_2 -o to-paris -m connmark --mark 0x80000000/0x80000000 -j CONNMARK --set-xmark 0x20000000/0x60000000
-A PORTALS_POSTROUTING_2 -m connmark --mark 0x80000000/0x80000000 -j RETURN
-A PORTALS_POSTROUTING_2 -o to-oslo -j CONNMARK --set-xmark 0x20000000/0x6f000000
-A PORTALS_POSTROUTING_2 -o to-paris -j CONNMARK --set-xmark 0x20000000/0x6f000000
-A PORTALS_POSTROUTING_2 -o to-paris -j CONNMARK --set-xmark 0x1000000/0x1000000
-A PORTALS_POSTROUTING_2 -o to-paris -j CONNMARK --set-xmark 0x2000000/0x2000000
-A PORTALS_POSTROUTING_2 -o to-oslo -j CONNMARK --set-xmark 0x4000000/0x4000000
-A PORTALS_POSTROUTING_3 -o lo -j RETURN
-A PORTALS_POSTROUTING_3 -o to-oslo -j RETURN
-A PORTALS_POSTROUTING_3 -o to-paris -j RETURN
-A PORTALS_POSTROUTING_3 -j DROP
-A PORTALS_POSTROUTING_4 -o to-oslo -g PORTALS_POSTROUTING_2
-A PORTALS_POSTROUTING_4 -o to-paris -g PORTALS_POSTROUTING_2
-A PORTALS_POSTROUTING_5 -o to-oslo -m connmark --mark 0x24000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_5 -o to-oslo -m connmark --mark 0xa1000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_5 -o to-oslo -m connmark --mark 0xa2000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_5 -o to-oslo -m connmark --mark 0xa3000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_5 -o to-oslo -m connmark --mark 0xa5000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_5 -o to-paris -m connmark --mark 0x23000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_5 -o to-paris -m connmark --mark 0xa0000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_5 -o to-paris -m connmark --mark 0xa4000000/0xef000000 -j RETURN
-A PORTALS_POSTROUTING_5 -g PORTALS_POSTROUTING_1
-A PORTALS_PREROUTING -i to-oslo -m connmark --mark 0x80000000/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -i to-paris -m connmark --mark 0x80000000/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x80000000 -m connmark --mark 0x81000000/0x81000000 -j MARK --set-xmark 0x1000000/0x1000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x80000000 -m connmark --mark 0x82000000/0x82000000 -j MARK --set-xmark 0x2000000/0x2000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x80000000 -m connmark --mark 0x84000000/0x84000000 -j MARK --set-xmark 0x4000000/0x4000000
-A PORTALS_PREROUTING ! -d 2001:db8:1:2::/64 -m mac --mac-source aa:bb:cc:dd:ee:01 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING ! -d 2001:db8:1:2::/64 -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING ! -d 2001:db8:1:2::/64 -m mac --mac-source aa:bb:cc:dd:ee:03 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING ! -d 2001:db8:1:2::/64 -m mac --mac-source aa:bb:cc:dd:ee:04 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:02 -m mark --mark 0x80000000/0x81000000 -j MARK --set-xmark 0x1000000/0x1000000
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:03 -m mark --mark 0x80000000/0x81000000 -j MARK --set-xmark 0x1000000/0x1000000
-A PORTALS_PREROUTING -m mac --mac-source aa:bb:cc:dd:ee:04 -m mark --mark 0x80000000/0x82000000 -j MARK --set-xmark 0x2000000/0x2000000
-A PORTALS_PREROUTING ! -d 2001:db8:1:2::/64 -m mac --mac-source aa:bb:cc:dd:ee:05 -m mark --mark 0x0/0x80000000 -j MARK --set-xmark 0x84000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x80000000/0x8f000000 -j CONNMARK --set-xmark 0x80000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x81000000/0x8f000000 -j CONNMARK --set-xmark 0x81000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x82000000/0x8f000000 -j CONNMARK --set-xmark 0x82000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x83000000/0x8f000000 -j CONNMARK --set-xmark 0x83000000/0x8f000000
-A PORTALS_PREROUTING -m mark --mark 0x84000000/0x8f000000 -j CONNMARK --set-xmark 0x84000000/0x8f000000
-I OUTPUT 1 -j PORTALS_OUTPUT
-I POSTROUTING 1 -j PORTALS_POSTROUTING
-I PREROUTING 1 -j PORTALS_PREROUTING
COMMIT
EOF
ip link add to-oslo mtu 1280 type wireguard
ip link set to-oslo alias portals:home
ip link add to-paris mtu 1280 type wireguard
ip link set to-paris alias portals:home
wg set to-oslo private-key private.key listen-port 51823 fwmark 0x10000000
wg set to-oslo peer Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI= endpoint 192.0.2.5:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
wg set to-paris private-key private.key listen-port 51822 fwmark 0x10000000
wg set to-paris peer zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk= endpoint 203.0.113.9:51820 persistent-keepalive 25 allowed-ips 0.0.0.0/0
ip address add 10.77.1.1/32 dev to-oslo
ip address add 10.77.1.1/32 dev to-paris
ip link set to-oslo up
ip link set to-paris up
ip route add 10.77.2.0/24 dev to-paris src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.2.0/24 table main metric 4278198272 protocol 77
ip route add 10.77.3.0/24 dev to-oslo src 10.77.1.1 table main protocol 77
ip route add unreachable 10.77.3.0/24 table main metric 4278198272 protocol 77
ip route add default dev to-paris src 10.77.1.1 scope global table 7702 protocol 77
ip route add unreachable default table 7702 metric 4278198272 protocol 77
ip route add default dev to-oslo src 10.77.1.1 scope global table 7703 protocol 77
ip route add unreachable default table 7703 metric 4278198272 protocol 77
ip rule add priority 119 protocol 77 from all lookup 7700
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.0.2.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.50/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.51/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.51/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.53/32 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.53/32 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.64/27 to 10.77.0.0/16 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.64/27 to 192.0.2.0/24 goto 119
ip rule add priority 111 protocol 77 from 192.168.1.64/27 to 192.168.1.0/24 goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x81000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x82000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x84000000/0x8f000000 iif lo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x81000000/0x8f000000 iif to-oslo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x82000000/0x8f000000 iif to-oslo goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x80000000/0x8f000000 iif to-paris goto 119
ip rule add priority 111 protocol 77 from all fwmark 0x84000000/0x8f000000 iif to-paris goto 119
ip rule add priority 112 protocol 77 from all fwmark 0x80000000/0x8f000000 lookup 7702
ip rule add priority 112 protocol 77 from all fwmark 0x81000000/0x8f000000 lookup 7703
ip rule add priority 112 protocol 77 from all fwmark 0x82000000/0x8f000000 lookup 7703
ip rule add priority 112 protocol 77 from all fwmark 0x84000000/0x8f000000 lookup 7702
ip rule add priority 112 protocol 77 from 192.168.1.50/32 lookup 7702
ip rule add priority 112 protocol 77 from 192.168.1.51/32 lookup 7703
ip rule add priority 112 protocol 77 from 192.168.1.52/32 fwmark 0x83000000/0x8f000000 lookup 7703
ip rule add priority 112 protocol 77 from 192.168.1.53/32 lookup 7702
ip rule add priority 112 protocol 77 from 192.168.1.64/27 lookup 7702
ip rule add priority 113 protocol 77 from all fwmark 0x85000000/0x8f000000 iif lo lookup 7703
ip rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x81000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x82000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x84000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.50/32 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.51/32 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.52/32 fwmark 0x83000000/0x8f000000 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.53/32 unreachable
ip rule add priority 118 protocol 77 from 192.168.1.64/27 unreachable
ip rule add priority 118 protocol 77 from all fwmark 0x85000000/0x8f000000 iif lo unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x80000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x81000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x82000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x84000000/0x8f000000 unreachable
ip -6 rule add priority 118 protocol 77 from all fwmark 0x85000000/0x8f000000 iif lo unreachable
sysctl -q -w net.ipv4.conf.all.send_redirects=0
sysctl -q -w net.ipv4.conf.to-oslo.src_valid_mark=1
sysctl -q -w net.ipv4.conf.to-paris.src_valid_mark=1
sysctl -q -w net.ipv4.ip_forward=1
