"""The package for Debian and Ubuntu."""

import email.utils
import functools
import hashlib
import lzma
import os

from archive import ar_member, compressed, fields, tar
from source import ROOT, binary, doc, epoch, manifest, of_last_commit, run, target, version

# Names of the binaries' processors.
NAMES = {"x86_64": "amd64", "aarch64": "arm64", "mipsel": "mipsel"}


def package_version():
    return f"{version()}-1"


@functools.cache
def maintainer():
    if address := os.environ.get("DEBEMAIL"):
        return email.utils.formataddr((os.environ.get("DEBFULLNAME", "The portals authors"), address))
    return of_last_commit("%an <%ae>", "DEBFULLNAME and DEBEMAIL")


@functools.cache
def completion(shell):
    """Completions as the binary for this machine prints them, or else a build for this machine."""
    own = binary(os.uname().machine)
    cargo = ("cargo", "run", "--quiet", "--manifest-path", str(ROOT / "Cargo.toml"), "--")
    return run(*([str(own)] if own.exists() else cargo), "completions", shell)


def deb(arch):
    def unit(name):
        text = target(f"linux/{name}.service")
        return text.replace(b"@PROGRAM@", b"/usr/bin/portals").replace(b"@FOLDER@", b"/etc/portals"), 0o644

    files = {
        "usr/bin/portals": (binary(arch).read_bytes(), 0o755),
        "usr/lib/systemd/system/portals.service": unit("portals"),
        "usr/lib/systemd/system/portals-guard.service": unit("portals-guard"),
        "usr/share/doc/portals/copyright": (debian_copyright(), 0o644),
        "usr/share/doc/portals/changelog.gz": (compressed((ROOT / "CHANGELOG.md").read_bytes()), 0o644),
        "usr/share/doc/portals/changelog.Debian.gz": (compressed(debian_changelog()), 0o644),
        "usr/share/lintian/overrides/portals": (target("linux/deb.overrides"), 0o644),
        "usr/share/portals/portals.schema.json": (doc("portals.schema.json"), 0o644),
        "usr/share/man/man5/portals.toml.5.gz": (compressed(doc("portals.toml.5")), 0o644),
        "usr/share/man/man8/portals.8.gz": (compressed(doc("portals.8")), 0o644),
        "usr/share/bash-completion/completions/portals": (completion("bash"), 0o644),
        "usr/share/fish/vendor_completions.d/portals.fish": (completion("fish"), 0o644),
        "usr/share/zsh/vendor-completions/_portals": (completion("zsh"), 0o644),
    }
    control = fields(
        Package="portals",
        Version=package_version(),
        Architecture=NAMES[arch],
        Maintainer=maintainer(),
        Installed_Size=sum(-(-len(data) // 1024) for data, _ in files.values()),
        Recommends="dnsmasq-base",
        Suggests="hostapd, inadyn, iptables",
        Section="net",
        Priority="optional",
        Description=target("linux/deb.description").decode().strip(),
    )
    sums = "".join(f"{hashlib.md5(data).hexdigest()}  {path}\n" for path, (data, _) in sorted(files.items()))
    scripts = {what: (target(f"linux/deb.{what}"), 0o755) for what in ("postinst", "prerm", "postrm")}
    described = {"control": (control, 0o644), "md5sums": (sums.encode(), 0o644), **scripts}
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", compressed(tar(described))),
        ("data.tar.xz", lzma.compress(tar(files), preset=9 | lzma.PRESET_EXTREME)),
    ]
    return b"!<arch>\n" + b"".join(ar_member(name, data) for name, data in members)


def debian_copyright():
    """The licence that Debian does not ship follows in full, indented, with dots in place of empty lines."""
    text = (ROOT / "LICENSE-MIT").read_text().partition("\n\n")[2].partition("\n\n")[2].strip()
    return target("linux/deb.copyright") + "".join(f" {line or '.'}\n" for line in text.split("\n")).encode()


def debian_changelog():
    return (
        f"portals ({package_version()}) unstable; urgency=medium\n\n"
        f"  * Packaged version {version()}; changelog.gz lists its changes.\n\n"
        f" -- {maintainer()}  {email.utils.formatdate(epoch())}\n"
    ).encode()
