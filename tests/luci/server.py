#!/usr/bin/env python3
"""Stand-in for OpenWrt's uhttpd and rpcd, for one page of LuCI: serves the page of a machine, and runs the
machine's own programs for it. It refuses what the machine's ACL files do not allow, as file.c and session.c
of rpcd did until May 2023. A later rpcd refuses more: an environment, and a command line that is too long.

server.py MACHINE NAMESPACE    MACHINE: root folder of the machine; NAMESPACE: its network namespace

Address: http://127.0.0.1:8080. It ends when a test posts its result, which it prints.
"""

import fnmatch
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
MACHINE, NAMESPACE = pathlib.Path(sys.argv[1]), sys.argv[2]
NETWORK_FILE = MACHINE / "etc/portals/network.toml"
NETWORK = NETWORK_FILE.read_text()
# Name of an exit that would be an element of the page if the page took it for HTML.
MARKUP = "<img src=/none onerror=parent.injected=true>"
OK, NOT_FOUND, PERMISSION_DENIED, TIMEOUT = 0, 4, 6, 7
# Seconds that rpcd gives a program, in OpenWrt's /etc/config/rpcd.
PATIENCE = 30
# Room for the command line that rpcd compares with the ACL, and its largest number of words.
ROOM, MOST_WORDS = 1024, 255
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def groups():
    for path in (MACHINE / "usr/share/rpcd/acl.d").glob("*.json"):
        yield from json.loads(path.read_text()).values()


def may(session, scope, thing, function):
    """Reports whether a session has a right. The session `ro` has the read groups, `rw` also the write groups."""
    kinds = ("read", "write") if session == "rw" else ("read",)
    for rights in (group.get(kind, {}) for group in groups() for kind in kinds):
        for pattern, functions in rights.get(scope, {}).items():
            if fnmatch.fnmatchcase(thing, pattern) and any(fnmatch.fnmatchcase(function, name) for name in functions):
                return True
    return False


def compared(path, words):
    """Command line that rpcd compares with the ACL. It ends before a word that does not fit, but rpcd runs
    the program with all words.
    """
    line = path.encode()
    for word in words[:MOST_WORDS]:
        if len(line) + len(word.encode()) + 1 >= ROOM:
            break
        line += b" " + word.encode()
    return line.decode()


def execute(session, command, words, environment):
    """Result of the call `file exec`."""
    path = os.path.normpath(command)
    if not (MACHINE / path.lstrip("/")).is_file():
        return [NOT_FOUND]
    if not may(session, "file", path, "exec") and not may(session, "file", compared(path, words), "exec"):
        return [PERMISSION_DENIED]
    variables = [f"{name}={value}" for name, value in environment.items()]
    line = ("nsenter", f"--net={NAMESPACE}", "chroot", str(MACHINE), "/usr/bin/env", *variables, path, *words)
    try:
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return [TIMEOUT]
    result = {"code": done.returncode}
    for name, output in (("stdout", done.stdout), ("stderr", done.stderr)):
        if output:
            result[name] = output.decode()
    return [OK, result]


def answer(call):
    """Answer to a call of ubus in JSON-RPC."""
    reply = {"jsonrpc": "2.0", "id": call["id"]}
    session, thing, function, arguments = call["params"]
    if (thing, function) != ("file", "exec") or not may(session, "ubus", thing, function):
        return reply | {"error": {"code": -32002, "message": "Access denied"}}
    words, environment = arguments.get("params") or [], arguments.get("env") or {}
    return reply | {"result": execute(session, arguments["command"], words, environment)}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0].lstrip("/") or "page.html"
        folder = MACHINE / "www" if path.startswith("luci-static/") else HERE
        file = (folder / path).resolve()
        if file.is_relative_to(folder) and file.suffix in TYPES and file.is_file():
            self.reply(file.read_bytes(), TYPES[file.suffix])
        else:
            self.send_error(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/ubus":
            self.reply(json.dumps(answer(json.loads(body))).encode())
            return
        if self.path == "/break":
            NETWORK_FILE.write_text(NETWORK.replace('"paris", "oslo"]', f'"{MARKUP}"]', 1))
        elif self.path == "/repair":
            NETWORK_FILE.write_text(NETWORK)
        elif self.path == "/result":
            print(body.decode(), flush=True)
            threading.Thread(target=self.server.shutdown).start()
        self.reply(b"{}")

    def reply(self, data, kind="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
