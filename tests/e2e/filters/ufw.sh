# The real ufw, from an unpacked package in $PORTALS_TEST_FIREWALLS, with a separate root below /run.
root=/run/ufw
ufw() { echo y | PYTHONPATH=$root/usr/lib/python3/dist-packages python3 "$root/usr/sbin/ufw" --rootdir=$root --datadir=$root "$@"; }
if [ ! -d $root ]; then
    mkdir -m 755 $root
    cp -r "$PORTALS_TEST_FIREWALLS"/etc "$PORTALS_TEST_FIREWALLS"/lib "$PORTALS_TEST_FIREWALLS"/usr $root
    cp $root/usr/share/ufw/iptables/*.rules $root/usr/share/ufw/ufw.conf $root/etc/ufw
    ufw default deny incoming
    ufw default deny routed
    ufw route allow in on lan0 out on uplink
    ufw allow in on lan0
    ufw enable
else
    ufw reload
fi
