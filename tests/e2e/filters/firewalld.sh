# The real firewalld, from unpacked packages in $PORTALS_TEST_FIREWALLS: its core, which writes the rules,
# without its D-Bus service.
if [ ! -d /run/firewalld ]; then
    mkdir /run/firewalld
    cp -r "$PORTALS_TEST_FIREWALLS"/etc "$PORTALS_TEST_FIREWALLS"/usr /run/firewalld
    # Since 2.1, its service owns the table, and the table ends with the service: here, right after the rules
    # are written.
    sed -i 's/^NftablesTableOwner=.*/NftablesTableOwner=no/' /run/firewalld/etc/firewalld/firewalld.conf
    # Between zones, firewalld forwards only traffic that a policy accepts.
    cat >/run/firewalld/etc/firewalld/policies/outwards.xml <<'END'
<policy target="ACCEPT"><ingress-zone name="internal"/><egress-zone name="external"/></policy>
END
fi
# First step of its service's reload.
nft 'add table inet firewalld; delete table inet firewalld'
python3 - <<'END'
import sys, types

folder = "/run/firewalld"
sys.path.insert(0, folder + "/usr/lib/python3/dist-packages")


def absent(*_):
    raise ValueError("this test speaks to no other service")


for name in ("gi", "gi.repository", "dbus"):
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].GLib = sys.modules[name].Gio = None
        sys.modules[name].require_version = absent

import firewall.config as config

for name in dir(config):
    value = getattr(config, name)
    if isinstance(value, str) and value.startswith(("/usr/lib/firewalld", "/etc/firewalld")):
        setattr(config, name, folder + value)

from firewall.core.fw import Firewall

firewall = Firewall()
firewall.start()
firewall.zone.add_interface("external", "uplink")
firewall.zone.add_interface("internal", "lan0")
END
