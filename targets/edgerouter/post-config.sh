#!/bin/sh
# EdgeOS runs this when its configuration is loaded. A firmware upgrade keeps /config alone: all else is put back here, and
# the agent started if it does not run. In the background, so that nothing waits for it.
/config/portals/portals install </dev/null 2>&1 | logger -t portals &
