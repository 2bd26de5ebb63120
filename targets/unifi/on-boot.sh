#!/bin/sh
# udm-boot runs this script at every boot. A firmware upgrade may have wiped everything outside this file
# system: `portals install` restores the missing files, and starts the agent if it does not run. It runs in
# the background, so that the boot does not wait for it.
"${0%/*}/../portals/portals" install </dev/null 2>&1 | logger -t portals &
