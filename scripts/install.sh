#!/bin/sh
# Installs portals: downloads the binary for this processor, checks its SHA-256 sum and, where that is
# possible, the signature, and hands over to `portals install` with the same arguments.
#
#   curl -fsSL $PORTALS_URL/install.sh | sudo PORTALS_URL=$PORTALS_URL sh
#
# PORTALS_URL       address or folder with the files of a release (a release may bring its own address)
# PORTALS_SIGNERS   file with the keys that may sign a release, as for `ssh-keygen -Y verify`; with it,
#                   nothing unsigned is installed
# PORTALS_VERSION   version to install, such as 1.2.3; otherwise the one that this file was released with
# TMPDIR            folder for the download, from which programs may be run; otherwise /tmp
set -eu

# scripts/release fills these in.
default_url=''
default_signer=''
default_version=''

say() { echo "install.sh: $*" >&2; }

die() {
    say "$*"
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Everything is in functions, and the call of this one in braces, so that a download of this file that was cut
# off runs nothing.
main() {
    url=${PORTALS_URL:-$default_url}
    url=${url%/}
    case ${1-} in
    -h | --help) say "downloads portals and runs 'portals install' with all arguments" && exit ;;
    esac
    [ "$(id -u)" = 0 ] || die "must run as root: put 'sudo' before 'sh', or log in as root"
    [ -n "$url" ] || die "needs the address or the folder of a release in the variable PORTALS_URL"
    file=portals-$(processor)
    fetch=$(fetcher)

    folder=
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    folder=$(mktemp -d "${TMPDIR:-/tmp}/portals.XXXXXX") || die "cannot make a folder in ${TMPDIR:-/tmp}"

    say "getting $file from $url"
    "$fetch" SHA256SUMS
    check_signature
    "$fetch" VERSION
    check_sum VERSION
    check_version
    "$fetch" "$file"
    check_sum "$file"
    chmod 755 "$folder/$file"
    "$folder/$file" version >/dev/null 2>&1 ||
        die "$file does not run from $folder: if no program may run from there, set TMPDIR to another folder"
    "$folder/$file" install "$@"
}

# Prints the part of the binary's name that names the processor.
processor() {
    system=$(uname -s)
    [ "$system" = Linux ] || die "portals runs on Linux only, and this is $system"
    machine=$(uname -m)
    case $machine in
    x86_64 | amd64) echo x86_64 ;;
    aarch64 | arm64) echo aarch64 ;;
    mips | mipsel)
        order=$(byte_order)
        [ "$order" = little ] ||
            die "there is no portals for big-endian MIPS processors: docs/install.md says why"
        echo mipsel
        ;;
    *) die "there is no portals for the processor $machine: docs/install.md names those that there are" ;;
    esac
}

# Prints the byte order of this machine's programs, which the sixth byte of each tells (EI_DATA of elf(5)):
# `uname -m` is `mips` in both.
byte_order() {
    case $(dd if=/bin/sh bs=1 skip=5 count=1 2>/dev/null | tr '\001\002' 'lb') in
    l) echo little ;;
    b) echo big ;;
    *) die "cannot find out the byte order of this processor: /bin/sh is no program" ;;
    esac
}

# Prints the function that gets files from the address.
fetcher() {
    case $url in
    file://* | /* | .*) echo by_copy ;;
    *) for program in curl wget uclient-fetch; do
        if has "$program"; then
            echo "by_$program" | tr - _
            return
        fi
    done
    die "needs curl, wget or uclient-fetch" ;;
    esac
}

by_copy() { cp "${url#file://}/$1" "$folder/$1" || failed "$1"; }
by_curl() {
    # No redirection leads from https to an address that anyone on the way can answer for.
    case $url in
    https:*) curl -fsSL --proto =https -o "$folder/$1" "$url/$1" || failed "$1" ;;
    *) curl -fsSL -o "$folder/$1" "$url/$1" || failed "$1" ;;
    esac
}
by_wget() { wget -q -O "$folder/$1" "$url/$1" || failed "$1"; }
by_uclient_fetch() { uclient-fetch -q -O "$folder/$1" "$url/$1" || failed "$1"; }

failed() { die "cannot get $url/$1"; }

# Checks the signature of the sums, if this machine can, and the keys that may sign are known.
check_signature() {
    signers=${PORTALS_SIGNERS-}
    if [ -z "$signers" ]; then
        if [ -z "$default_signer" ]; then
            say "the signature is not checked: PORTALS_SIGNERS names no file with keys"
            return
        fi
        signers=$folder/signers
        echo "$default_signer" >"$signers"
    fi
    if ! can_verify; then
        [ -z "${PORTALS_SIGNERS-}" ] || die "needs ssh-keygen of OpenSSH 8.1 or later to check the signature"
        say "the signature is not checked: there is no ssh-keygen of OpenSSH 8.1 or later"
        return
    fi
    "$fetch" SHA256SUMS.sig
    ssh-keygen -Y verify -f "$signers" -I portals -n portals -s "$folder/SHA256SUMS.sig" \
        <"$folder/SHA256SUMS" >/dev/null 2>&1 ||
        die "SHA256SUMS is not signed by a known key: nothing was installed"
    say "the signature is right"
}

# Reports whether there is an ssh-keygen that knows signatures of files.
can_verify() {
    has ssh-keygen || return 1
    case $(ssh-keygen -Y 2>&1) in
    *'requires an argument'*) return 0 ;;
    *) return 1 ;;
    esac
}

# Checks the version of the release: the sums of an older one have a right signature, too.
check_version() {
    found=$(sed -n 1p "$folder/VERSION")
    expected=${PORTALS_VERSION:-${default_version:-$found}}
    [ "$found" = "$expected" ] ||
        die "this release is $found, and not $expected: nothing was installed; use its install.sh, or set" \
            "PORTALS_VERSION=$found"
    say "the version is $found"
}

# Checks the SHA-256 sum of a file.
check_sum() {
    expected=$(sed -n "s/^\([0-9a-f]\{64\}\) [ *]$1\$/\1/p" "$folder/SHA256SUMS")
    [ -n "$expected" ] || die "SHA256SUMS does not name $1: nothing was installed"
    found=$(sum_of "$folder/$1")
    [ "$found" = "$expected" ] ||
        die "$1 has the SHA-256 sum $found, and should have $expected: nothing was installed"
    say "the SHA-256 sum of $1 is right"
}

# Prints the SHA-256 sum of a file.
sum_of() {
    if has sha256sum; then
        sum=$(sha256sum <"$1")
    elif has busybox && busybox sha256sum </dev/null >/dev/null 2>&1; then
        sum=$(busybox sha256sum <"$1")
    elif has openssl; then
        sum=$(openssl dgst -sha256 -r <"$1")
    else
        die "needs sha256sum, busybox or openssl to check the download"
    fi
    echo "${sum%% *}"
}

{ main "$@"; }
