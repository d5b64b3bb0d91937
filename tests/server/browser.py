"""A real Chromium without a window, driven by the WebDriver protocol (W3C) over plain HTTP."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START_SECONDS = 30.0
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
]  # fmt: skip


def installed() -> bool:
    """Tell whether there is a browser and its driver."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """One session; `log` is what the page's console was told."""

    def __init__(self, driver: str, profile: Path) -> None:
        self._driver = driver
        options = {"binary": shutil.which("chromium"), "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
                  "timeouts": {"script": 60_000}}  # fmt: skip
        session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self._session = f"/session/{session}"

    def open(self, url: str) -> None:
        """Load a page."""
        self._send("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """Return what an asynchronous function body returns in the page."""
        wrapped = f"const done = arguments[0]; (async () => {{ {script} }})().then(done, e => done(`failed: ${{e}}`));"
        return self._send("POST", f"{self._session}/execute/async", {"script": wrapped, "args": []})

    def log(self) -> list[str]:
        """Return the messages of the console since the last call."""
        return [entry["message"] for entry in self._send("POST", f"{self._session}/se/log", {"type": "browser"})]

    def close(self) -> None:
        """End the browser."""
        self._send("DELETE", self._session)

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._driver}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)["value"]


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start a driver and a browser with a profile of its own in `folder`; both end with the context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "driver.log").open("w") as log:
        process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=log, stderr=log)
    try:
        _wait(port)
        browser = Browser(f"http://127.0.0.1:{port}", folder / "profile")
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    msg = "chromedriver did not start"
    raise TimeoutError(msg)
