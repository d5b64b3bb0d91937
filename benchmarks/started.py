"""A real server for benchmarks: `mlapi serve` on a free port, timed from its first instruction."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Self

from mlapi.registry import manifest
from mlapi.registry.store import Store

PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.002


class Server:
    """One `mlapi serve`; entered it listens, left it has ended. Times are seconds since the process was started."""

    def __init__(self, registry: Path, workers: int = 2, **settings: str) -> None:
        self.port = _free_port()
        self._folder = tempfile.TemporaryDirectory()
        self.log, self.out = Path(self._folder.name, "log"), Path(self._folder.name, "out")
        self._command = [sys.executable, "-m", "mlapi.cli", "serve", "--registry", str(registry),
                         "--bind", f"127.0.0.1:{self.port}", "--workers", str(workers)]  # fmt: skip
        self._environ = {**os.environ, **settings}
        self.listening = self.cpu = 0.0

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        with self.log.open("w") as errors, self.out.open("w") as lines:
            self.process = subprocess.Popen(self._command, stdout=lines, stderr=errors, env=self._environ)
        while self.process.poll() is None and self.age < PATIENCE_SECONDS:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(LOOK_SECONDS)
            else:
                self.listening = self.age
                return self
        sys.exit(f"the server did not start:\n{self.log.read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._folder.cleanup()

    @property
    def age(self) -> float:
        """Seconds since the process was started."""
        return time.perf_counter() - self._began

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the server."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def ask(self, path: str, body: object, connection: http.client.HTTPConnection | None = None) -> bytes:
        """Return the answer to one POST; end the benchmark where it is not 200."""
        used = connection or self.connect()
        used.request("POST", path, json.dumps(body))
        answer = used.getresponse()
        data = answer.read()
        if connection is None:
            used.close()
        if answer.status != http.client.OK:
            sys.exit(f"{path} answered {answer.status}: {data[:300]!r}")
        return data

    def processes(self) -> list[int]:
        """Return the master and its workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def memory(self, which: str = "Pss") -> int:
        """Return the bytes that the master and its workers take; a page that n of them share counts an n-th in each."""
        kilobytes = 0
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # a worker that has just been replaced
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith(f"{which}:"))
        return kilobytes * 1024

    def cpu_seconds(self) -> float:
        """Return the processor time that the master and its workers have used: what other load does not distort."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def copy_version(store: Store, name: str, version: int) -> None:
    """Put version 1 of a model in place once more, under another number, without the care of a publish."""
    described = manifest.dumps(replace(store.manifest(name, 1), version=version))
    staged = store.folder(name) / f".tmp-{version}"
    staged.mkdir()
    for path in store.folder(name, 1).iterdir():
        (staged / path.name).write_bytes(described if path.name == manifest.FILE else path.read_bytes())
    staged.rename(store.folder(name, version))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
