"""A headless Chromium, driven by the DevTools protocol through a pipe."""

import json
import os
import shutil
import subprocess
import time
from contextlib import suppress

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIMEOUT_S = 120.0

OPTIONS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # as root in a container
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--mute-audio",
]


def find_browser():
    """Return the path of a browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser with one tab.

    With `--remote-debugging-pipe` Chromium reads commands from its file descriptor 3 and writes
    answers and events to 4; each message is JSON and ends in NUL. No library is needed.
    """

    can_read_clipboard = True
    """Whether a page reads the clipboard without a question to the user."""

    def __init__(self, path, profile):
        command_reader, self._commands = os.pipe()
        self._answers, answer_writer = os.pipe()
        shell = f'exec "$0" "$@" 3<&{command_reader} 4>&{answer_writer}'
        arguments = [*OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", shell, path, *arguments],
            pass_fds=(command_reader, answer_writer),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_reader)
        os.close(answer_writer)
        self._buffer, self._number, self._session = b"", 0, None
        self.events = []
        self.downloads = profile / "downloads"
        try:
            self._open_tab()
        except OSError:
            self.close()
            raise

    def _open_tab(self):
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self._set_downloads()

    def close(self):
        with suppress(OSError, AssertionError):
            self._session = None
            self.send("Browser.close")
        os.close(self._commands)
        os.close(self._answers)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def send(self, method, **parameters):
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        octets = json.dumps(message).encode() + b"\0"
        while octets:
            octets = octets[os.write(self._commands, octets) :]
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def wait_for_event(self, method):
        """Wait for an event that has not been used yet, and return its parameters."""
        while True:
            for event in self.events:
                if event.get("method") == method:
                    self.events.remove(event)
                    return event["params"]
            self.events.append(self._read())

    def _read(self):
        while b"\0" not in self._buffer:
            octets = os.read(self._answers, 1 << 16)
            if not octets:
                raise BrokenPipeError("the browser has ended")
            self._buffer += octets
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path):
        """Open a page and wait until it is drawn."""
        self.events.clear()
        self.send("Page.navigate", url=path.absolute().as_uri())
        self.wait_for_event("Page.loadEventFired")
        self.wait_until("window.ngate && !ngate.page.isDrawing")

    def evaluate(self, script):
        """Return the value of an expression in the page, as JSON."""
        answer = self.send(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_until(self, condition):
        """Wait until an expression in the page is true."""
        deadline = time.monotonic() + TIMEOUT_S
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def press(self, key, modifiers=0):
        """Press a key, as a person does."""
        code = {"Space": " "}.get(key, key)
        virtual = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39}.get(code, 0)
        text = {"Enter": "\r"}.get(code, code if len(code) == 1 else "")
        event = {"key": code, "modifiers": modifiers, "windowsVirtualKeyCode": virtual}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def drag(self, start, end):
        """Drag the mouse from one point to another one, both (x, y) in pixels."""
        mouse = {"button": "left", "clickCount": 1}
        middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
        for kind, (x, y), buttons in (
            ("mousePressed", start, 1),
            ("mouseMoved", middle, 1),
            ("mouseMoved", end, 1),
            ("mouseReleased", end, 0),
        ):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=buttons, **mouse)

    def read_errors(self):
        """Return the errors and warnings in the console since the page was opened."""
        self.evaluate("0")
        return [
            event
            for event in self.events
            if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
            or (
                event.get("method") == "Runtime.consoleAPICalled"
                and event["params"]["type"] in ("error", "warning", "assert")
            )
        ]

    def requested_urls(self):
        """Return the addresses that the page has requested."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def _set_downloads(self):
        """Save downloads in a folder, and let pages write to the clipboard."""
        session, self._session = self._session, None
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))
        self.send(
            "Browser.grantPermissions",
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )
        self._session = session

    def set_screen(self, width, height, dark=False, touch=False):
        """Set the size of the screen and the color scheme."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=touch,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
