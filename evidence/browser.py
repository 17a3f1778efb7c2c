"""A real browser, driven over pipes by the Chrome DevTools Protocol.

The protocol over pipes has a JSON message, ended by a NUL byte, in each direction. It needs neither
a port nor a library of WebSockets.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "OPTIONS", "Browser", "browsing"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
)
LIMIT_SECONDS = 60.0
POLL_SECONDS = 0.05
# The browser reads commands from descriptor 3 and writes answers to descriptor 4.
_LAUNCH = "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 3); os.dup2(w, 4); "
_LAUNCH += "os.execv(sys.argv[3], sys.argv[3:])"
_HIGH = 10
"""Descriptors from here on are not among the two that the browser takes."""


class Browser:
    """A page in a browser; not thread-safe."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._rest = b""
        self._count = 0
        # None until there is a page, to which later commands are sent.
        self._session: str | None = None
        self.problems: list[str] = []
        """What the page logged as an error: exceptions, and breaches of its policy."""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result. Raises RuntimeError if it fails."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                found: dict[str, Any] = answer["result"]
                return found
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        """Return the next message. Raises TimeoutError if none comes."""
        while b"\0" not in self._rest:
            if not select.select([self._answers], [], [], LIMIT_SECONDS)[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise RuntimeError("the browser has ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        """Keep what the page logged as an error."""
        given = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(given["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.problems.append(f"{given['entry']['source']}: {given['entry']['text']}")

    def show(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """Set the size of the window in CSS pixels, and the colour scheme."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale}
        self._send("Emulation.setDeviceMetricsOverride", **metrics, mobile=width < height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Open a page."""
        self._send("Page.navigate", url=url)

    def eval(self, expression: str) -> Any:
        """Return the value of an expression, which may be a promise. Raises RuntimeError."""
        done = self._send(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in done:
            raise RuntimeError(f"{expression}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression is true, and return its value; True for an element.

        Raises TimeoutError.
        """
        wanted = f"(v => v instanceof Node || v)({expression})"
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            # A page that is being replaced has no context for a moment.
            with contextlib.suppress(RuntimeError):
                if found := self.eval(wanted):
                    return found
            select.select([], [], [], POLL_SECONDS)
        raise TimeoutError(f"never true: {expression}\n{self.eval('document.body.innerText')}")

    def press(self, key: str, text: str = "") -> None:
        """Press a key, such as Tab or Enter; ``text`` is the character that it types."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        pressed = {"key": key, "windowsVirtualKeyCode": codes.get(key, 0), "text": text}
        self._send("Input.dispatchKeyEvent", type="keyDown", **pressed)
        self._send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text: str) -> None:
        """Type a string into the element that has the focus."""
        self._send("Input.insertText", text=text)

    def picture(self) -> bytes:
        """Return a picture of the window as PNG."""
        return b64decode(self._send("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Run a browser with its profile in a folder while the block runs."""
    if CHROMIUM is None:
        raise RuntimeError("Chromium is not installed; install the package chromium")
    ends = [*os.pipe(), *os.pipe()]
    high = [fcntl.fcntl(each, fcntl.F_DUPFD, _HIGH) for each in ends]
    for each in ends:
        os.close(each)
    reads, commands, answers, writes = high
    process = subprocess.Popen(  # noqa: S603 - our own page
        [
            *(sys.executable, "-c", _LAUNCH, str(reads), str(writes), CHROMIUM, *OPTIONS),
            *("--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={folder}"),
        ],
        pass_fds=(reads, writes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(reads)
    os.close(writes)
    try:
        yield Browser(commands, answers)
    finally:
        # In an orderly way, so that no process of it writes to the folder any more.
        os.write(commands, b'{"id": 0, "method": "Browser.close"}\0')
        process.wait(30)
        os.close(commands)
        os.close(answers)
