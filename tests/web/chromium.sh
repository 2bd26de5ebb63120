# shellcheck shell=bash
# Chromium for the tests in a browser, or the reason why they are skipped: scripts/test.d/luci and web read
# this file.

skip() {
    echo "skipped: $*"
    echo "0 passed, 0 failed, 1 skipped"
    exit
}

need_chromium() {
    command -v chromium >/dev/null || skip "there is no chromium: 'apt-get install chromium' installs it"
    [[ $(realpath "$(command -v chromium)") != */snap ]] || skip "chromium is a snap, which needs the host"
}
