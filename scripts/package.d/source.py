"""The files and facts of this repository from which packages are made."""

import functools
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DIST = ROOT / "dist"


def binary(arch):
    return DIST / f"portals-{arch}"


def manifest(key):
    """Value of a key in Cargo.toml's first section."""
    return re.search(f'^{key} = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]


def version():
    return manifest("version")


@functools.cache
def epoch():
    """Time of the contents, in seconds since 1970: the packages of a commit are the same each time."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or of_last_commit("%ct", "SOURCE_DATE_EPOCH"))


def of_last_commit(what, variable):
    git = ("git", "-C", str(ROOT), "log", "-1", f"--format={what}")
    found = subprocess.run(git, stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    return found or sys.exit(f"package: no commit here to take it from: set {variable}")


def target(path):
    return (ROOT / "targets" / path).read_bytes()


def doc(path):
    return (ROOT / "docs" / path).read_bytes()


def run(*command, stdin=b""):
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True).stdout
