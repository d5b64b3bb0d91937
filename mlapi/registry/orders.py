"""Orders to load or unload a model, obeyed by every worker of one server before they are confirmed.

The orders are one small file in a folder that the workers share; each worker writes beside it how far
it has obeyed. Nothing here survives the server: a restart loads everything again, as Triton does.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlapi.registry import durable

FILE = "orders.json"
WORKER = "worker-"
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Standing:
    """The orders in force: `unloaded` models, and the serial at which a model was last told to load."""

    serial: int = 0
    unloaded: frozenset[str] = frozenset()
    loads: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders of the server whose workers share `folder`."""

    folder: Path

    def standing(self) -> Standing:
        """Return the orders in force; a read of one small file."""
        try:
            document = json.loads((self.folder / FILE).read_bytes())
        except FileNotFoundError:
            return Standing()
        return Standing(document["serial"], frozenset(document["unloaded"]), document["loads"])

    def load(self, name: str) -> int:
        """Order that `name` be loaded again from the registry; return the serial to wait for."""
        return self._change(lambda now: replace(
            now, unloaded=now.unloaded - {name}, loads={**now.loads, name: now.serial + 1},
        ))

    def unload(self, name: str) -> int:
        """Order that `name` answer no more; return the serial to wait for."""
        return self._change(lambda now: replace(now, unloaded=now.unloaded | {name}))

    def is_first(self, name: str, version: int) -> bool:
        """Tell whether this is the first process of the server that asks so for a version."""
        return durable.claim(self.folder / f"first-{name}-{version}")

    def obeyed(self, serial: int, failures: Mapping[str, str]) -> None:
        """Note that this process has done all up to `serial`, but for `failures` by model."""
        document = {"serial": serial, "failures": dict(failures)}
        durable.swap(self.folder / f"{WORKER}{os.getpid()}.json", json.dumps(document).encode())

    def wait(self, serial: int, seconds: float) -> dict[str, str] | None:
        """Return what failed, by model, once every living worker obeyed; None where one did not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            workers = self._workers()
            if workers and all(done >= serial for done, _ in workers):
                return {name: reason for _, failures in workers for name, reason in failures.items()}
            time.sleep(LOOK_SECONDS)
        return None

    def _workers(self) -> list[tuple[int, dict[str, str]]]:
        found = []
        for file in self.folder.glob(f"{WORKER}*.json"):
            with contextlib.suppress(FileNotFoundError):
                if _is_alive(int(file.stem.removeprefix(WORKER))):
                    document = json.loads(file.read_bytes())
                    found.append((document["serial"], document["failures"]))
        return found

    def _change(self, change: Callable[[Standing], Standing]) -> int:
        with durable.locked(self.folder):
            changed = change(self.standing())
            changed = replace(changed, serial=changed.serial + 1)
            document = {"serial": changed.serial, "unloaded": sorted(changed.unloaded), "loads": dict(changed.loads)}
            durable.swap(self.folder / FILE, json.dumps(document).encode())
        return changed.serial


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
