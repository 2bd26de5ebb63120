#!/bin/sh
# EdgeOS runs this script before it loads its configuration: the portals stay closed until the agent runs.
[ ! -e /config/portals/network.toml ] || /config/portals/portals guard </dev/null 2>&1 | logger -t portals
