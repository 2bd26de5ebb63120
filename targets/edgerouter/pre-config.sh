#!/bin/sh
# EdgeOS runs this before its configuration is loaded: what enters a portal goes nowhere until the agent runs.
[ ! -e /config/portals/network.toml ] || /config/portals/portals guard </dev/null 2>&1 | logger -t portals
