"""Two rollouts in front of your eyes: a bad version that is rolled back in seconds, and a good one that is promoted.

    make demo-rollout

A registry of its own, real gunicorn workers, the real sales of Ames as requests, about 200 a second, each from
another visitor, and the true prices as outcomes a moment later. Ends with 0 where both went as they should.
"""

import csv
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.text import Text
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import mlapi
from mlapi.cli import rollout_drawing
from mlapi.registry.store import Store
from mlapi.rollouts import document, progress, report
from mlapi.rollouts.document import Rollout
from mlapi.rollouts.generations import Generations
from mlapi.training.demo import house_prices
from mlapi.training.publication import publish
from mlapi.training.table import read_table
from mlapi.training.trainer import Options, train

MODEL = "house-prices"
RATE = 200
ASKERS = 8
KNOWN_PLACES = 12
PATIENCE_SECONDS = 100.0
METRIC = {"name": "squared-error", "kind": "squared_error", "direction": "down", "mde": 2.5e8, "window_s": 4}
BAD_PLAN = [{"weight": 0.05, "min_duration_s": 20}, {"weight": 0.5, "min_duration_s": 20}]
GOOD_PLAN = [{"weight": 0.1, "min_duration_s": 5, "min_samples": 50}, {"weight": 0.5, "min_duration_s": 10}]
STARTED, OK = 201, 200

console = Console(highlight=False)


def main() -> int:
    """Run both rollouts; return 0 where the bad version was rolled back and the good one promoted."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mlapi-demo-") as folder:
        registry = Path(folder) / "registry"
        with console.status("training three versions of house-prices"):
            _publish(registry)
        generations = Generations(Store(registry))
        with _server(registry) as port, _traffic(port) as traffic:
            console.print(f"\n[bold]1. Version 2 was trained on the {KNOWN_PLACES} largest neighbourhoods only.[/bold]")
            bad = _roll(generations, port, 2, BAD_PLAN)
            console.print("\n[bold]2. Version 3 is gradient boosting on everything.[/bold]")
            good = _roll(generations, port, 3, GOOD_PLAN, METRIC)
        for rollout in (bad, good):
            console.print(report.sentence(progress.of(generations, rollout)), markup=False)
        lost = traffic.asked - traffic.answered
        console.print(f"{traffic.asked} requests, {lost} without an answer; {time.monotonic() - begun:.0f} s in all")
        went_well = (bad.state, good.state, lost) == (document.ROLLED_BACK, document.PROMOTED, 0)
    return 0 if went_well else 1


def _publish(registry: Path) -> None:
    """Publish a linear model, one that knows some neighbourhoods only, and gradient boosting."""
    table = read_table(house_prices(), "price")
    publish(train(table, Options(family="linear")), MODEL, registry=registry)
    _publish_narrow(registry)
    publish(train(table, Options(family="boosting")), MODEL, registry=registry)


def _publish_narrow(registry: Path) -> None:
    """Publish a version that raises on neighbourhoods it has not seen: nobody thought of them."""
    houses = pd.read_csv(house_prices())
    largest = houses["neighborhood"].value_counts().index[:KNOWN_PLACES]
    seen = houses[houses["neighborhood"].isin(largest)]
    texts = [name for name in seen.columns if not pd.api.types.is_numeric_dtype(seen[name])]
    encoder = ColumnTransformer([("texts", OneHotEncoder(sparse_output=False), texts)], remainder="passthrough")
    rows, prices = seen.drop(columns="price"), seen["price"]
    model = make_pipeline(encoder, LinearRegression()).fit(rows, prices)
    mlapi.publish(model, MODEL, sample=rows, target=prices, registry=registry)


@contextmanager
def _server(registry: Path) -> Iterator[int]:
    """Serve the registry with two workers; yield the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    hold = [sys.executable, "-m", "mlapi.cli", "rollout", "hold", MODEL, "1", "--registry", str(registry)]
    subprocess.run(hold, check=True, stdout=subprocess.DEVNULL)
    command = [sys.executable, "-m", "mlapi.cli", "serve", "--registry", str(registry), "--bind", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _until_ready(port)
            yield port
        finally:
            server.terminate()


def _until_ready(port: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            if _call(port, "GET", "/readyz")[0] == OK:
                return
        except OSError:
            time.sleep(0.1)
    msg = "the server did not start"
    raise SystemExit(msg)


@dataclass(slots=True)
class _Traffic:
    """What was asked and answered, and the outcomes that wait to be told."""

    asked: int = 0
    answered: int = 0
    waiting: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def _traffic(port: int) -> Iterator[_Traffic]:
    """Ask about one house after the other in the background, each time as another visitor, and tell the prices."""
    traffic, visitors = _Traffic(), count()
    with house_prices().open(newline="", encoding="utf-8") as file:
        houses = cycle([_typed(row) for row in csv.DictReader(file)])
    threads = [threading.Thread(target=_ask, args=(port, traffic, houses, visitors)) for _ in range(ASKERS)]
    threads.append(threading.Thread(target=_tell, args=(port, traffic)))
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.over.set()
        for thread in threads:
            thread.join()


def _ask(port: int, traffic: _Traffic, houses: Iterator[dict[str, Any]], visitors: Iterator[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not traffic.over.wait(ASKERS / RATE):
        with traffic.lock:
            house, visitor = dict(next(houses)), next(visitors)
            traffic.asked += 1
        price = house.pop("price")
        headers = {"X-User-Id": f"visitor-{visitor}"}
        connection.request("POST", f"/v1/models/{MODEL}:predict", json.dumps({"instances": [house]}), headers)
        answer = connection.getresponse()
        answer.read()
        name = answer.headers.get("X-Mlapi-Prediction-Id")
        with traffic.lock:
            traffic.answered += answer.status == OK
            if name is not None:
                traffic.waiting.append({"prediction_id": name, "label": price})
    connection.close()


def _tell(port: int, traffic: _Traffic) -> None:
    """Tell the prices once a second; those of a rollout without a metric come back as invalid, which is right."""
    while not traffic.over.wait(1.0):
        with traffic.lock:
            told, traffic.waiting = traffic.waiting, []
        if told:
            _call(port, "POST", "/v1/outcomes", {"outcomes": told})


def _roll(
    generations: Generations, port: int, candidate: int, plan: list[dict[str, Any]], metric: Any = None,  # noqa: ANN401 (decoded JSON)
) -> Rollout:
    """Start a rollout and draw it until it ends."""
    order = {"model": MODEL, "candidate": str(candidate), "plan": plan, "metric": metric, "why": "the demo"}
    status, started = _call(port, "POST", "/v1/rollouts", order)
    if status != STARTED:
        raise SystemExit(started["error"])
    begun, rollout = time.monotonic(), generations.latest(MODEL, started["id"])
    with Live(console=console, auto_refresh=False) as live:
        while rollout.is_active and time.monotonic() - begun < PATIENCE_SECONDS:
            time.sleep(0.5)
            rollout = generations.latest(MODEL, rollout.id)
            drawn = "\n".join(rollout_drawing.lines(progress.of(generations, rollout)))
            text, is_due = Text(drawn, no_wrap=True, overflow="ellipsis"), console.is_terminal or not rollout.is_active
            live.update(text, refresh=is_due)
    console.print(f"{rollout.state} after {time.monotonic() - begun:.1f} s")
    return rollout


def _call(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:  # noqa: ANN401 (JSON)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _typed(row: dict[str, str]) -> dict[str, Any]:
    return {name: float(text) if _is_number(text) else text for name, text in row.items()}


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


if __name__ == "__main__":
    sys.exit(main())
