#!/bin/sh
# EdgeOS runs this script after it has loaded its configuration. A firmware upgrade keeps only /config:
# `portals install` restores the missing files, and starts the agent if it does not run. It runs in the
# background, so that the boot does not wait for it.
/config/portals/portals install </dev/null 2>&1 | logger -t portals &
