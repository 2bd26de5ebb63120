#!/usr/bin/env python3
"""Looks at a page with Chromium: browser.py PICTURES NAME URL EXIT

NAME is a key of PAGES. Each page that the first one links to is shown on a screen of 360 and of 1024 pixels,
light and dark. These have to be the pages of PAGES, with their texts. Each page has to fit, to load nothing
from elsewhere, and to run without a complaint of the browser. If EXIT is not empty, the form chooses this
exit, and the page has to show it afterwards. The profile of the browser stays in the home folder.
"""

import base64
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from urllib.parse import urljoin, urlsplit

WIDTHS = (360, 1024)
SCHEMES = ("light", "dark")
LIMIT = 60
# Pages by the last part of their addresses; the first page has none. Each has elements that hold these texts.
PAGES = {
    "portal": {
        "": {
            "h1": "This device comes out",
            "form[action='/exit'] button": "Use this exit",
            "form[action='/exit'] label": "this router's own uplink",
        },
    },
    "router": {
        "": {"h1": "Site nyc of home", "td": "paris", ".card b": "guest", "form button": "Use this exit"},
        "doctor": {"h1": "Findings", ".card p": ""},
        "phones": {"h1": "Phones", "td a": "mike"},
        "phone-mike": {"h1": "Phone mike", ".code svg path": "", "p": "Scan this code"},
    },
}


class Browser:
    """Chromium, driven by the DevTools protocol over two pipes (--remote-debugging-pipe)."""

    def __init__(self, profile):
        ours, theirs = self.pipes()
        self.to, self.out = open(ours[1], "wb", buffering=0), open(ours[0], "rb", buffering=0)
        self.process = subprocess.Popen(
            [
                "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(3, 4), preexec_fn=lambda: [os.dup2(theirs[0], 3), os.dup2(theirs[1], 4)],
        )
        for descriptor in theirs:
            os.close(descriptor)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        self.host, self.open = "", set()

    def attach(self):
        """Takes hold of the browser's first page."""
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    @staticmethod
    def pipes():
        """Two pipes, above the descriptors 3 and 4 that the browser uses."""
        def high(descriptor):
            copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
            os.close(descriptor)
            return copy

        (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()
        ours = high(read_out), high(write_in)
        return ours, (high(read_in), high(write_out))

    def call(self, method, **parameters):
        """Calls a method, and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        while True:
            heard = self.hear()
            if heard.get("id") == self.number:
                if "error" in heard:
                    raise SystemExit(f"{method}: {heard['error']}")
                return heard["result"]
            self.events.append(heard)

    def hear(self):
        """Waits for the next message."""
        while b"\0" not in self.rest:
            piece = self.out.read(65536)
            if not piece:
                raise SystemExit("the browser has ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def wait_for(self, method):
        """Waits for an event."""
        while True:
            heard = self.events.pop(0) if self.events else self.hear()
            self.judge(heard)
            if heard.get("method") == method:
                return

    def settle(self):
        """Judges all that the page does after its load: the answers that it waits for, and what the browser
        reports once it has drawn the page."""
        while self.open:
            self.judge(self.events.pop(0) if self.events else self.hear())
        drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        self.call("Runtime.evaluate", expression=drawn, awaitPromise=True)
        while self.events:
            self.judge(self.events.pop(0))

    def judge(self, event):
        """Refuses requests to other hosts, and complaints of the browser."""
        parameters = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            url = urlsplit(parameters["request"]["url"])
            if url.scheme != "data":
                if url.netloc != self.host:
                    raise SystemExit(f"a request to {url.netloc}")
                self.open.add(parameters["requestId"])
        if event.get("method") == "Network.loadingFinished":
            self.open.discard(parameters["requestId"])
        if event.get("method") == "Network.loadingFailed":
            raise SystemExit(f"a request has failed: {parameters}")
        if event.get("method") == "Network.responseReceived":
            status = parameters["response"]["status"]
            if status >= 400:
                raise SystemExit(f"{parameters['response']['url']} has status {status}")
        if event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            raise SystemExit(f"the browser complains: {parameters['entry']['text']}")

    def value(self, expression):
        """Value of an expression in the page. DevTools run it in spite of the page's policy."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def go(self, url):
        """Loads a page."""
        while self.events:
            self.judge(self.events.pop(0))
        self.host = urlsplit(url).netloc
        error = self.call("Page.navigate", url=url).get("errorText")
        if error:
            raise SystemExit(f"{url}: {error}")
        self.wait_for("Page.loadEventFired")
        self.settle()

    def end(self):
        """Ends the browser."""
        self.process.terminate()
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def look(browser, pictures, name, url, texts):
    """Takes the pictures of a page, and checks that it fits and has texts."""
    for width in WIDTHS:
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=740, mobile=width < 600,
                     deviceScaleFactor=2)
        for scheme in SCHEMES:
            browser.call("Emulation.setEmulatedMedia",
                         features=[{"name": "prefers-color-scheme", "value": scheme}])
            # The page answers four requests a second; this one needs up to three.
            time.sleep(1)
            browser.go(url)
            need_texts(browser, name, texts)
            wide = browser.value("document.documentElement.scrollWidth")
            if wide > width:
                raise SystemExit(f"{name} is {wide} pixels wide, on a screen of {width}")
            small = browser.value("[...document.querySelectorAll('button,label')]"
                                  ".filter(one => one.getBoundingClientRect().height < 44).length")
            if small:
                raise SystemExit(f"{small} parts of {name} are too small for a finger")
            picture = browser.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
            browser.settle()
            file = pictures / f"{name}-{width}-{scheme}.png"
            file.write_bytes(base64.b64decode(picture))
            print(f"ok {file.name}")


def need_texts(browser, name, texts):
    """Fails unless the page has an element with each text."""
    for selector, text in texts.items():
        if not browser.value(f"[...document.querySelectorAll({json.dumps(selector)})]"
                             f".some(one => one.textContent.includes({json.dumps(text)}))"):
            raise SystemExit(f"{name} has no {selector} with the text {text!r}")


def choose(browser, exit_name):
    """Chooses an exit by the form, as a person does."""
    browser.value(f"document.querySelector('input[value={json.dumps(exit_name)}]').click();"
                  "document.querySelector('button').click()")
    browser.wait_for("Page.loadEventFired")
    browser.settle()
    checked = browser.value("document.querySelector('input:checked').value")
    if checked != exit_name:
        raise SystemExit(f"the page shows {checked} after {exit_name} was chosen")
    print(f"ok {exit_name} was chosen")


def visit(browser, pictures, name, url, exit_name):
    """Looks at the first page and at all that it links to."""
    pages = PAGES[name]
    look(browser, pictures, name, url, pages[""])
    if exit_name:
        choose(browser, exit_name)
    seen, parts, new = {url}, {""}, links(browser)
    while new:
        address = urljoin(url, new.pop())
        if address in seen:
            continue
        seen.add(address)
        part = address.rsplit("/", 1)[-1]
        if part not in pages or part in parts:
            raise SystemExit(f"{name} links to a page that nobody expects: {address}")
        parts.add(part)
        look(browser, pictures, f"{name}-{part}", address, pages[part])
        new += links(browser)
    if parts != set(pages):
        raise SystemExit(f"{name} links to no page of these: {sorted(set(pages) - parts)}")


def main():
    pictures, name, url, exit_name = sys.argv[1:]
    browser = Browser(tempfile.mkdtemp(dir=pathlib.Path.home()))
    try:
        browser.attach()
        visit(browser, pathlib.Path(pictures), name, url, exit_name)
    finally:
        browser.end()


def links(browser):
    """Links of the page."""
    return browser.value("[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))")


main()
