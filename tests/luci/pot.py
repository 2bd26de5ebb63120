#!/usr/bin/env python3
"""Template of the translations of luci-app-portals, as LuCI's own scan of the sources makes it.

pot.py           prints the template
pot.py --check   compares it with the file, and fails if they differ
pot.py --write   writes the file
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
APP = ROOT / "targets/openwrt/luci-app-portals"
TEMPLATE = APP / "po/templates/portals.pot"
# Place of the application in the feed.
FEED = "applications/luci-app-portals"


def main(arguments):
    text = template()
    if arguments == ["--write"]:
        TEMPLATE.write_text(text)
    elif arguments != ["--check"]:
        print(text, end="")
    elif TEMPLATE.read_text() != text:
        sys.exit(f"{TEMPLATE.relative_to(ROOT)} is old: run 'scripts/test.d/luci --pot'")


def template():
    places = {}
    for path in sorted(APP.rglob("*")):
        for line, text in texts(path):
            places.setdefault(text, []).append(f"#: {FEED}/{path.relative_to(APP)}:{line}\n")
    parts = ['msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n']
    for text in sorted(places):
        parts.append("".join(places[text]) + f'msgid {json.dumps(text, ensure_ascii=False)}\nmsgstr ""\n')
    return "\n".join(parts)


def texts(path):
    """Line and text of each string of a file that people read."""
    if path.suffix == ".js":
        found = re.compile(r"\b_\('((?:[^'\\]|\\.)*)'\)")
    elif path.suffix == ".json":
        found = re.compile(r'"(?:title|description)": "([^"]*)"')
    else:
        return
    text = path.read_text()
    # A call that the expression misses, such as one with a text in double quotes, must not go unseen.
    assert path.suffix != ".js" or len(found.findall(text)) == len(re.findall(r"\b_\(", text)), path
    for match in found.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1]


main(sys.argv[1:])
