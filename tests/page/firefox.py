"""A headless Firefox, driven by its Marionette protocol through a socket."""

import json
import os
import shutil
import socket
import subprocess
import time

NAMES = ("firefox-esr", "firefox")
TIMEOUT_S = 120.0

PREFERENCES = {
    "marionette.port": 0,  # any free port, which Firefox writes to a file of the profile
    "media.autoplay.default": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.download.folderList": 2,
}
PORT_FILE = "MarionetteActivePort"

KEYS = {"Space": " ", "Tab": "\ue004", "Enter": "\ue007", "ArrowLeft": "\ue012"}
KEYS["ArrowRight"] = "\ue014"

LIST_ERRORS = """return Services.console.getMessageArray()
    .filter((message) => message instanceof Ci.nsIScriptError)
    .filter((error) => error.sourceName.endsWith(".html"))
    .map((error) => error.message);"""


def find_firefox():
    """Return the path of Firefox, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Firefox:
    """A browser with one tab, which has the methods of `tests.page.browser.Browser`.

    Each message is JSON after its length in bytes and a colon. No library is needed.
    """

    can_read_clipboard = False

    def __init__(self, path, profile):
        profile.mkdir(parents=True)
        self.downloads = profile / "downloads"
        preferences = PREFERENCES | {"browser.download.dir": str(self.downloads)}
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in preferences.items()]
        (profile / "user.js").write_text("\n".join(lines))
        arguments = ["--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
        self._process = subprocess.Popen(
            [path, *arguments, "--profile", str(profile)],
            env=os.environ | {"HOME": str(profile)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._buffer, self._number = b"", 0
        try:
            port = self._wait_for_port(profile / PORT_FILE)
            self._socket = socket.create_connection(("127.0.0.1", port))
            self._read()
            self.send("WebDriver:NewSession")
        except OSError:
            self._end()
            raise

    def _wait_for_port(self, file):
        deadline = time.monotonic() + TIMEOUT_S
        while not (file.exists() and (text := file.read_text())):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise OSError("Firefox does not start")
            time.sleep(0.05)
        return int(text)

    def _end(self):
        self._process.kill()
        self._process.wait()

    def close(self):
        self._socket.close()
        self._end()

    def send(self, command, **parameters):
        """Send a command and return its result."""
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def _read(self):
        while b":" not in self._buffer:
            self._receive()
        length, self._buffer = self._buffer.split(b":", 1)
        while len(self._buffer) < int(length):
            self._receive()
        message, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
        return json.loads(message)

    def _receive(self):
        octets = self._socket.recv(1 << 16)
        if not octets:
            raise BrokenPipeError("the browser has ended")
        self._buffer += octets

    def open(self, path):
        """Open a page and wait until it is drawn."""
        self._run_privileged("Services.console.reset();")
        self.send("WebDriver:Navigate", url=path.absolute().as_uri())
        self.wait_until("!!window.ngate && !ngate.page.isDrawing")

    def evaluate(self, script):
        """Return the value of an expression in the page, as JSON."""
        script = f"return ({script});"
        return self.send("WebDriver:ExecuteScript", script=script, args=[], sandbox=None)["value"]

    def _run_privileged(self, script):
        """Run a script with the rights of the browser."""
        self.send("Marionette:SetContext", value="chrome")
        result = self.send("WebDriver:ExecuteScript", script=script, args=[])
        self.send("Marionette:SetContext", value="content")
        return result["value"]

    def wait_until(self, condition):
        """Wait until an expression in the page is true."""
        deadline = time.monotonic() + TIMEOUT_S
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def press(self, key):
        """Press a key, as a person does."""
        value = KEYS.get(key, key)
        actions = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        keys = {"type": "key", "id": "keys", "actions": actions}
        self.send("WebDriver:PerformActions", actions=[keys])

    def drag(self, start, end):
        """Drag the mouse from one point to another one, both (x, y) in pixels."""
        middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
        points = [
            {"type": "pointerMove", "x": round(x), "y": round(y)} for x, y in (start, middle, end)
        ]
        actions = [points[0], {"type": "pointerDown", "button": 0}, *points[1:]]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        mouse["actions"] = [*actions, {"type": "pointerUp", "button": 0}]
        self.send("WebDriver:PerformActions", actions=[mouse])

    def read_errors(self):
        """Return the errors and warnings in the console since the page was opened."""
        return self._run_privileged(LIST_ERRORS)

    def set_screen(self, width, height, dark=False, touch=False):
        """Set the size of the window and the color scheme; the mouse remains a mouse."""
        self.send("WebDriver:SetWindowRect", width=width, height=height)
        scheme = 0 if dark else 1
        name = "layout.css.prefers-color-scheme.content-override"
        self._run_privileged(f"Services.prefs.setIntPref('{name}', {scheme});")
