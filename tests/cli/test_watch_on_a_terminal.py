"""`mlapi rollout watch` on a real terminal: drawn anew in place, until the rollout ends."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Document = Callable[..., Any]
PATIENCE_SECONDS = 60.0
MOVED_UP = re.compile(r"\x1b\[\d*A")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_the_drawing_moves_in_place_and_its_last_state_stays(document: Document, registry: Path) -> None:
    started = document("rollout", "start", "prices", "2")
    ours, theirs = pty.openpty()
    command = "from mlapi.cli.main import main; raise SystemExit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "rollout", "watch", "prices", "--every", "0.1", "--registry", str(registry)],
        stdout=theirs, stderr=theirs, stdin=theirs, env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = read_until(ours, lambda text: len(MOVED_UP.findall(text)) > 1)
        assert "running:0" in ESCAPE.sub("", shown)
        document("rollout", "abort", "prices", "--why", "enough")
        shown += read_until(ours, lambda _: process.poll() is not None)
    finally:
        process.kill()
        os.close(ours)
    assert process.wait() == 1
    last = ESCAPE.sub("", MOVED_UP.split(shown)[-1])
    assert f"rollout {started['id']}" in last
    assert "aborted" in last
    assert "enough" in last


def read_until(terminal: int, enough: Callable[[str], bool]) -> str:
    text, until = "", time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                text += os.read(terminal, 65536).decode(errors="replace")
            except OSError:  # whoever wrote to it is gone
                return text
        elif enough(text):  # and nothing more is on its way
            return text
    raise AssertionError(f"the terminal did not show it: {text!r}")
