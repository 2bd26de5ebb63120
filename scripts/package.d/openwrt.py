"""Packages for OpenWrt: .ipk and .apk with the program, and with the page in LuCI."""

import functools
import re

import apk3
from archive import compressed, fields, tar
from source import ROOT, binary, manifest, target, version

# Names of the binaries' processors. A static binary for the plainest processor runs on similar ones.
NAMES = {
    "x86_64": ["x86_64"],
    "aarch64": ["aarch64_generic", "aarch64_cortex-a53", "aarch64_cortex-a72", "aarch64_cortex-a76"],
    "mipsel": ["mipsel_24kc", "mipsel_74kc"],
}
# Package with the page in OpenWrt's web interface.
LUCI = "luci-app-portals"


def release():
    """Version in OpenWrt's notation. apk refuses the notation of Cargo for versions before a release."""
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)*", version()), f"no version for apk: {version()}"
    return f"{version()}-r1"


def openwrt_files(arch):
    """Files of both kinds of packages: contents and mode by path.

    The packages depend on no other package: kmod-wireguard fits one build of the kernel, which a self-made
    image may not have, or which may have WireGuard without a package. OpenWrt knows no recommended packages.
    """
    return {
        "usr/sbin/portals": (binary(arch).read_bytes(), 0o755),
        "etc/init.d/portals": (target("openwrt/portals.init"), 0o755),
        "etc/init.d/portals-guard": (target("openwrt/portals-guard.init"), 0o755),
        "etc/uci-defaults/90-portals": (target("openwrt/portals.defaults"), 0o755),
        "lib/upgrade/keep.d/portals": (target("openwrt/portals.keep"), 0o644),
    }


@functools.cache
def openwrt_data(arch):
    """Archive of the files, which all .ipk packages of a processor share."""
    return compressed(tar(openwrt_files(arch)))


# Last lines of scripts, by package.
OWN_LINES = {
    # An upgrade leaves the portals open, and the new agent takes them over. A removal closes them while the
    # program still exists, once the agent has ended: procd does not wait for that.
    ("portals", "prerm"): [
        '[ "${PKG_UPGRADE}" = "1" ] || [ -n "${IPKG_INSTROOT}" ] || {',
        "    /usr/sbin/portals stop >/dev/null 2>&1",
        "    /usr/sbin/portals down",
        "}",
        "exit 0",
    ],
    # As in LuCI's luci.mk: LuCI reads its menu again, and rpcd the rights.
    (LUCI, "postinst"): [
        '[ -n "${IPKG_INSTROOT}" ] || {',
        "    rm -f /tmp/luci-indexcache.*",
        "    rm -rf /tmp/luci-modulecache/",
        "    killall -HUP rpcd 2>/dev/null",
        "}",
        "exit 0",
    ],
}


def openwrt_script(package, what, is_apk_upgrade=False):
    """Script as in OpenWrt's own packages (include/package-pack.mk): its library enables and starts the
    services and runs the defaults, or removes the services. opkg itself says that it upgrades; apk has a
    script for it.
    """
    lines = [
        "#!/bin/sh",
        *(["export PKG_UPGRADE=1"] if is_apk_upgrade else []),
        '[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0',
        "[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0",
        ". ${IPKG_INSTROOT}/lib/functions.sh",
        'export root="${IPKG_INSTROOT}"',
        f'export pkgname="{package}"',
        f"default_{what} $0 $@",
        *OWN_LINES.get((package, what), []),
    ]
    return "\n".join(lines) + "\n"


def ipk(arch, name):
    files = openwrt_files(arch)
    control = fields(
        Package="portals",
        Version=release(),
        License=manifest("license"),
        Section="net",
        Architecture=name,
        Installed_Size=installed_size(files),
        Description=manifest("description"),
    )
    return ipk_of("portals", control, openwrt_data(arch))


def ipk_of(package, control, data):
    """Bytes of a package, whose files are in the archive `data`."""
    scripts = {what: (openwrt_script(package, what).encode(), 0o755) for what in ("postinst", "prerm")}
    return compressed(
        tar(
            {
                "debian-binary": (b"2.0\n", 0o644),
                "data.tar.gz": (data, 0o644),
                "control.tar.gz": (compressed(tar({"control": (control, 0o644), **scripts})), 0o644),
            }
        )
    )


def installed_size(files):
    return sum(len(data) for data, _ in files.values())


def apk(arch, name):
    return apk_of("portals", name, manifest("description"), openwrt_files(arch))


def apk_of(package, arch, description, files, depends=()):
    # OpenWrt's library looks here for the files of a package.
    listed = "".join(f"/{path}\n" for path in sorted(files))
    files[f"lib/apk/packages/{package}.list"] = (listed.encode(), 0o644)
    info = {
        "name": package,
        "version": release(),
        "description": description,
        "arch": arch,
        "license": manifest("license"),
        "origin": "portals",
    }
    scripts = {
        "post-install": openwrt_script(package, "postinst"),
        "pre-deinstall": openwrt_script(package, "prerm"),
        "post-upgrade": openwrt_script(package, "postinst", is_apk_upgrade=True),
    }
    return apk3.package(info, scripts, files, depends)


def feed(package, key):
    """Value of a key in the Makefile of a package for the feed."""
    text = target(f"openwrt/{package}/Makefile").decode()
    return re.search(f"^{key}:=(.*)$", text, re.MULTILINE)[1]


def luci_files():
    """Files of the page in LuCI, in the places where LuCI's luci.mk installs them: contents and mode by path.
    As there, a file that is executable here stays executable.
    """
    app = ROOT / "targets/openwrt" / LUCI
    files = {}
    for folder, place in (("htdocs", "www"), ("root", "")):
        for path in sorted((app / folder).rglob("*")):
            if path.is_file():
                mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                files[str(place / path.relative_to(app / folder))] = (path.read_bytes(), mode)
    return files


def luci_depends():
    return [name.removeprefix("+") for name in feed(LUCI, "LUCI_DEPENDS").split()]


def luci_ipk():
    files = luci_files()
    control = fields(
        Package=LUCI,
        Version=release(),
        Depends=", ".join(luci_depends()),
        License=manifest("license"),
        Section="luci",
        Architecture="all",
        Installed_Size=installed_size(files),
        Description=feed(LUCI, "LUCI_DESCRIPTION"),
    )
    return ipk_of(LUCI, control, compressed(tar(files)))


def luci_apk():
    return apk_of(LUCI, "noarch", feed(LUCI, "LUCI_DESCRIPTION"), luci_files(), luci_depends())
