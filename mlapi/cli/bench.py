"""`mlapi bench`."""

import contextlib
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import click

from mlapi.cli.load import Seen, load
from mlapi.cli.output import json_option, print_json, print_table, registry_option, stderr, stdout
from mlapi.client import Client
from mlapi.errors import InvalidName, MlapiError, ModelNotReady, ServerUnreachable, VersionRefused
from mlapi.registry.names import version_number
from mlapi.registry.store import Store

if TYPE_CHECKING:
    from mlapi.inference.signature import Signature
    from mlapi.inference.values import Array

START_SECONDS = 60.0
FAILED = 1
Protocol = Literal["v1", "v2"]


@dataclass(frozen=True)
class _Asked:
    """A version, some of its reference rows as a request, and the answer they got at publish."""

    name: str
    version: int
    path: str
    body: bytes
    protocol: Protocol
    output: str
    expected: "Array"

    def judge(self, url: str) -> None:
        """Raise VersionRefused unless the server answers as the version did when it was published."""
        import numpy as np  # noqa: PLC0415 (the help of a command must not wait for it)

        from mlapi.registry.reference import differences  # noqa: PLC0415 (see above)

        answer = Client(url).post(self.path, self.body)
        try:
            found = answer["predictions"] if self.protocol == "v1" else answer["outputs"][0]["data"]
            given = np.array(found, self.expected.dtype).reshape(self.expected.shape)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            reason = f"{url} answers something else than {len(self.expected)} predictions"
            raise VersionRefused(self.name, self.version, reason) from error
        wrong = differences({self.output: given}, {self.output: self.expected})
        if wrong:
            reason = f"{url} does not answer what it was published with: {'; '.join(wrong)}"
            raise VersionRefused(self.name, self.version, reason)


@click.command("bench")
@click.argument("model", metavar="NAME[/VERSION]")
@click.option("--url", help="A server that runs already. Default: one is started on the registry, and stopped.")
@click.option("--protocol", type=click.Choice(["v1", "v2"]), default="v1", help="Default: v1.")
@click.option("--rows", type=click.IntRange(1), default=1, help="Reference rows in every request. Default: 1.")
@click.option("--connections", type=click.IntRange(1, 1000), default=8, help="Callers at a time. Default: 8.")
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0, help="How long it is measured. Default: 5.")
@click.option("--warm-up", type=click.FloatRange(0.0), default=1.0, help="Seconds of load before that. Default: 1.")
@registry_option
@json_option
def command(
    model: str, url: str | None, protocol: Protocol, rows: int, connections: int, seconds: float, warm_up: float,
    registry: Path, as_json: bool,  # noqa: FBT001 (click passes flags by name)
) -> int:
    """Measure how fast a version is served: requests a second and how long they take.

    The requests are made of its reference rows; before and after, the answers are compared with those it was
    published with. The load is one Python process, which itself ends at some thousand requests a second.

    \b
    Examples:
      mlapi bench iris
      mlapi bench iris/2 --connections 64 --seconds 10 --json
      mlapi bench iris --url http://127.0.0.1:8000 --rows 100 --protocol v2

    Exit codes: 1 some requests failed, 3 no such version, 5 not ready or other answers, 8 no server answers.
    """
    asked = _asked(Store(registry), model, protocol, rows)
    with contextlib.nullcontext(url.rstrip("/")) if url else _served(registry, asked) as at:
        asked.judge(at)
        if warm_up:
            stderr.print(f"warming up for {warm_up:g} s")
            load(at, asked.path, asked.body, connections, warm_up)
        stderr.print(f"measuring for {seconds:g} s")
        seen = load(at, asked.path, asked.body, connections, seconds)
        asked.judge(at)
    found = {
        "model": asked.name, "version": asked.version, "url": at, "protocol": protocol, "rows": rows,
        "connections": connections, "warm_up": warm_up, **_summary(seen, rows),
    }  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _print(found)
    return FAILED if seen.errors else 0


def _summary(seen: Seen, rows: int) -> dict[str, Any]:
    took = sorted(seen.took_ns)

    def at(percent: int) -> float | None:
        """The nearest rank: the least time that so many of the answers did not exceed."""
        return round(took[math.ceil(percent * len(took) / 100) - 1] / 1e6, 3) if took else None

    rate = len(took) / seen.seconds
    return {
        "seconds": round(seen.seconds, 3), "requests": len(took), "requests_per_second": round(rate, 1),
        "rows_per_second": round(rate * rows, 1), "p50_ms": at(50), "p90_ms": at(90), "p99_ms": at(99),
        "most_ms": at(100), "errors": dict(seen.errors),
    }  # fmt: skip


def _print(found: dict[str, Any]) -> None:
    many = f"{found['rows']} row{'s' if found['rows'] > 1 else ''} a request, {found['connections']} connections"
    stdout.print(f"{found['model']}/{found['version']} at {found['url']}: {found['protocol']}, {many}, "
                 f"{found['seconds']:g} s; the answers are those it was published with")  # fmt: skip
    print_table(
        ["requests/s", "rows/s", "p50 ms", "p90 ms", "p99 ms", "most ms", "requests", "errors"],
        [[f"{found['requests_per_second']:,.0f}", f"{found['rows_per_second']:,.0f}", found["p50_ms"], found["p90_ms"],
          found["p99_ms"], found["most_ms"], found["requests"], sum(found["errors"].values())]],
    )  # fmt: skip
    for what, count in found["errors"].items():
        stdout.print(f"{count} times: {what}")


def _asked(store: Store, model: str, protocol: Protocol, rows: int) -> _Asked:
    from mlapi.registry import loading, reference  # noqa: PLC0415 (they import scikit-learn)

    name, slash, number = model.partition("/")
    if slash and version_number(number) is None:
        msg = f"'{number}' is not a version; expected NAME or NAME/VERSION"
        raise InvalidName(msg)
    version = store.require(name, version_number(number) if slash else None)
    manifest, files = loading.check(store, name, version)
    try:
        known = reference.loads(files[reference.FILE], manifest.signature)
    except (KeyError, reference.RowsError) as error:
        raise VersionRefused(name, version, "it has no reference rows to ask with") from error
    signature = manifest.signature
    picked = _picked(known.inputs, rows)
    inputs = {each: array[picked] for each, array in known.inputs.items()}
    first = signature.output_names[0]
    body = _v1(signature, inputs) if protocol == "v1" else _v2(signature, inputs, first)
    which = f"{quote(name, safe='')}/versions/{version}"
    path = f"/v1/models/{which}:predict" if protocol == "v1" else f"/v2/models/{which}/infer"
    return _Asked(name, version, path, json.dumps(body).encode(), protocol, first, known.outputs[first][picked])


def _picked(inputs: Any, rows: int) -> list[int]:  # noqa: ANN401 (arrays by name)
    """The first rows that lack nothing, again and again until there are enough; JSON has no form for missing text."""
    lacks = [(array != array) | (array == None) for array in inputs.values()]  # noqa: E711, PLR0124 (element by element)
    count = len(lacks[0])
    whole = [i for i in range(count) if not any(bits[i].any() for bits in lacks)] or list(range(count))
    return [whole[i % len(whole)] for i in range(rows)]


def _v1(signature: "Signature", inputs: dict[str, Any]) -> dict[str, Any]:
    if signature.form == "matrix":
        return {"instances": inputs[signature.inputs[0].name].tolist()}
    columns = [inputs[name].tolist() for name in signature.input_names]
    return {"instances": [dict(zip(signature.input_names, row, strict=True)) for row in zip(*columns, strict=True)]}


def _v2(signature: "Signature", inputs: dict[str, Any], output: str) -> dict[str, Any]:
    tensors = [
        {"name": spec.name, "shape": list(inputs[spec.name].shape), "datatype": spec.datatype,
         "data": inputs[spec.name].reshape(-1).tolist()}
        for spec in signature.inputs
    ]  # fmt: skip
    return {"inputs": tensors, "outputs": [{"name": output}]}


@contextlib.contextmanager
def _served(registry: Path, asked: _Asked) -> Iterator[str]:
    """Run `mlapi serve` on a free port until it is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "mlapi.cli", "serve", "--registry", str(registry), "--bind", url.removeprefix("http://")]
    stderr.print(f"starting mlapi serve at {url}")
    with tempfile.TemporaryFile() as lines:
        server = subprocess.Popen(command, stdout=lines, stderr=lines)  # noqa: S603 (this program itself)
        try:
            _wait(server, url, asked)
            yield url
        finally:
            server.terminate()
            server.wait()


def _wait(server: "subprocess.Popen[bytes]", url: str, asked: _Asked) -> None:
    deadline, last = time.monotonic() + START_SECONDS, MlapiError("")
    while server.poll() is None and time.monotonic() < deadline:
        try:
            Client(url).metadata(asked.name, asked.version)
        except (ServerUnreachable, ModelNotReady) as error:
            last = error
            time.sleep(0.05)
        else:
            return
    if isinstance(last, ModelNotReady):
        raise last
    msg = "the server that was started does not answer; try 'mlapi serve', which says why"
    raise ServerUnreachable(msg) from last
