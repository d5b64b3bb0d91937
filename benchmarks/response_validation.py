"""What checking answers costs: the same requests with it on and off, taking turns, over the WSGI app.

    python benchmarks/response_validation.py

One process, no sockets, so that nothing but the app is in the figures. Prints the median of both in
microseconds and their difference, then the check of the arrays alone, which is part of every prediction.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from mlapi.app import create_app
from mlapi.config import Config
from mlapi.inference import answer
from mlapi.inference.values import Target
from mlapi.registry.publishing import publish
from mlapi.resources.api import VALIDATE

TURNS = {1: 1500, 1000: 300}


def main() -> None:
    """Print one line for each protocol and batch size."""
    iris = load_iris()
    with tempfile.TemporaryDirectory() as folder:
        model = LogisticRegression(max_iter=1000).fit(iris.data, iris.target_names[iris.target])
        publish(model, "iris", sample=iris.data, registry=Path(folder))
        app = create_app(Config(registry=Path(folder)))
        client = app.test_client()
        client.get("/v2")
        print(f"{'request':<26}{'off':>10}{'on':>10}{'cost':>10}   microseconds, median")
        for rows, turns in TURNS.items():
            values = [iris.data[i % 150].tolist() for i in range(rows)]
            flat = [value for row in values for value in row]
            tensor = {"name": "input-0", "shape": [rows, 4], "datatype": "FP64", "data": flat}
            bodies: dict[str, tuple[str, dict[str, Any]]] = {
                "V1 predict": ("/v1/models/iris:predict", {"instances": values}),
                "V1 classify": ("/v1/models/iris:classify", {"examples": [{"input-0": row} for row in values]}),
                "V2 infer": ("/v2/models/iris/infer", {"inputs": [tensor]}),
            }
            for name, (path, body) in bodies.items():
                off, on = measure(app.config, post(client, path, json.dumps(body).encode()), turns)
                print(f"{name + f', {rows} rows':<26}{off:>10.1f}{on:>10.1f}{on - off:>10.1f}")
            loaded = app.extensions["mlapi"].live.get(Target("iris"))
            names = loaded.signature.output_names
            inputs = {"input-0": iris.data[[i % 150 for i in range(rows)]]}
            outputs = loaded.predict(inputs, names)
            alone = timed(partial(answer.check, outputs, names, loaded.signature, rows), turns)
            print(f"{f'arrays alone, {rows} rows':<46}{alone:>10.1f}")


def post(client: FlaskClient, path: str, body: bytes) -> Callable[[], None]:
    """Return what sends the request once."""
    def send() -> None:
        response = client.post(path, data=body)
        if response.status_code != 200:  # noqa: PLR2004 (OK)
            raise SystemExit(response.data.decode())

    return send


def measure(config: dict[str, Any], send: Callable[[], None], turns: int) -> tuple[float, float]:
    """Return the medians without and with the check, in microseconds; every other request has it."""
    spent: dict[bool, list[int]] = {False: [], True: []}
    for turn in range(2 * turns + 20):
        config[VALIDATE] = turn % 2 == 1
        began = time.perf_counter_ns()
        send()
        if turn >= 20:  # noqa: PLR2004 (the first ones warm up)
            spent[config[VALIDATE]].append(time.perf_counter_ns() - began)
    return statistics.median(spent[False]) / 1e3, statistics.median(spent[True]) / 1e3


def timed(call: Callable[[], None], turns: int) -> float:
    """Return the median of a call in microseconds."""
    spent = []
    for _ in range(turns):
        began = time.perf_counter_ns()
        call()
        spent.append(time.perf_counter_ns() - began)
    return statistics.median(spent) / 1e3


if __name__ == "__main__":
    main()
