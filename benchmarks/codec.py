"""Reading and writing bodies, in every form and size: the fast roads against the slow one.

    PYTHONPATH=. python benchmarks/codec.py [--rounds 7] [--json]

Each row is bytes to conformed arrays, or arrays to bytes, in one process without a server; medians of
`--rounds` rounds in microseconds of processor time. The two roads take turns within a round, so that both have the same
weather; the slow road is the present code with its fast roads taken out, as the property test does it.
"""

import argparse
import csv
import io
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import orjson

from mlapi.inference.conform import conform
from mlapi.inference.signature import Signature, TensorSpec
from mlapi.inference.values import InferenceResponse, Rows, Target, Tensors
from mlapi.schemas import invocations, v2
from mlapi.schemas.v1 import predict
from mlapi.training.demo import house_prices
from tests.schemas.test_fast_roads import only_slow

TARGET = Target("m")
WIDTH = 30
SIZES = (1, 100, 10_000)
LIMIT = 2**30
SPENT = 0.05  # seconds a round at least, for what takes microseconds
OUTPUTS = (TensorSpec("predict", "FP64", (-1, 1)),)
MATRIX = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, WIDTH)),), OUTPUTS)


class Case(NamedTuple):
    """One measured thing."""

    form: str
    rows: int
    run: Callable[[], Any]


def matrix_cases(rows: int) -> Iterator[Case]:
    """Bodies of a matrix of doubles with seventeen digits."""
    values = np.random.default_rng(0).normal(size=(rows, WIDTH))
    lists, flat = values.tolist(), values.ravel().tolist()
    v1 = orjson.dumps({"instances": lists})
    yield Case("V1 rows", rows, lambda: conform(predict.load(v1, TARGET).inputs, MATRIX))
    tensor = {"name": "input-0", "shape": [rows, WIDTH], "datatype": "FP64"}
    for form, data in (("flat", flat), ("nested", lists)):
        body = orjson.dumps({"inputs": [{**tensor, "data": data}]})
        yield Case(f"V2 JSON {form}", rows, lambda body=body: conform(v2.load(body, TARGET).inputs, MATRIX))
    head = orjson.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": values.nbytes}}]})
    binary, cut = head + values.tobytes(), str(len(head))
    yield Case("V2 binary", rows, lambda: conform(v2.load(binary, TARGET, cut).inputs, MATRIX))
    lines = [",".join(f"c{j}" for j in range(WIDTH)), *(",".join(map(repr, row)) for row in lists)]
    text = "\n".join(lines).encode()
    yield Case("CSV", rows, lambda: conform(invocations.load(text, invocations.CSV, TARGET, LIMIT).inputs, MATRIX))


def houses() -> tuple[Signature, list[dict[str, Any]]]:
    """Return the columns of the house price table, and its rows over and over."""
    with house_prices().open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    specs, readers = [], {}
    for name in (name for name in table[0] if name != "price"):
        cells = {row[name] for row in table}
        if all(cell.isdecimal() for cell in cells):
            specs.append(TensorSpec(name, "INT64", (-1, 1)))
            readers[name] = int
        elif all(cell.replace(".", "", 1).isdecimal() for cell in cells):
            specs.append(TensorSpec(name, "FP64", (-1, 1)))
            readers[name] = float
        else:
            specs.append(TensorSpec(name, "BYTES", (-1, 1), categories=tuple(sorted(cells)), unseen="refuse"))
            readers[name] = str
    rows = [{name: read(row[name]) for name, read in readers.items()} for row in table]
    return Signature("columns", tuple(specs), OUTPUTS), rows * (max(SIZES) // len(rows) + 1)


def mixed_cases(rows: int, signature: Signature, table: list[dict[str, Any]]) -> Iterator[Case]:
    """Bodies of a table with columns of text and numbers."""
    table = table[:rows]
    columns = {name: [row[name] for row in table] for name in signature.input_names}
    named, whole = orjson.dumps({"instances": table}), orjson.dumps({"inputs": columns})
    yield Case("V1 rows by name, mixed", rows, lambda: conform(predict.load(named, TARGET).inputs, signature))
    yield Case("V1 columns, mixed", rows, lambda: conform(predict.load(whole, TARGET).inputs, signature))
    tensors = orjson.dumps({"inputs": [
        {"name": spec.name, "shape": [rows, 1], "datatype": spec.datatype, "data": columns[spec.name]}
        for spec in signature.inputs
    ]})  # fmt: skip
    yield Case("V2 JSON, mixed", rows, lambda: conform(v2.load(tensors, TARGET).inputs, signature))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, signature.input_names)
    writer.writeheader()
    writer.writerows(table)
    text = stream.getvalue().encode()
    yield Case("CSV, mixed", rows,
               lambda: conform(invocations.load(text, invocations.CSV, TARGET, LIMIT).inputs, signature))  # fmt: skip


def answer_cases(rows: int) -> Iterator[Case]:
    """Answers: a number a row, two probabilities a row, a text a row; there is one road to write them."""
    random = np.random.default_rng(1)
    asked, wanted = v2.Asked(TARGET, Tensors({})), v2.Asked(TARGET, Tensors({}), binary=True)
    for form, array, datatype in (
        ("[n,1]", random.normal(size=(rows, 1)), "FP64"), ("[n,2]", random.random((rows, 2)), "FP64"),
        ("text", np.array([["setosa"]] * rows, dtype=object), "BYTES"),
    ):  # fmt: skip
        response = InferenceResponse("m", 1, {"predict": array}, {"predict": datatype}, "id")
        request = predict.InferenceRequest(TARGET, Rows([]))
        yield Case(f"V1 answer {form}", rows, lambda r=response, q=request: predict.dump(r, q))
        yield Case(f"V2 answer {form}", rows, lambda r=response: v2.dump(r, asked))
        yield Case(f"V2 binary answer {form}", rows, lambda r=response: v2.dump(r, wanted))


def timed(run: Callable[[], Any], times: int) -> float:
    """Return the microseconds of one run, over `times` of them."""
    begin = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - begin) / times * 1e6


def measured(case: Case, rounds: int) -> dict[str, Any]:
    """Return the medians of both roads."""
    times = max(1, int(SPENT * 1e6 / timed(case.run, 2)))
    fast, slow = [], []
    for _ in range(rounds):
        fast.append(timed(case.run, times))
        with only_slow():
            slow.append(timed(case.run, max(1, times // 4)))
    return {"form": case.form, "rows": case.rows, "fast_us": statistics.median(fast),
            "slow_us": statistics.median(slow)}  # fmt: skip


def main() -> None:
    """Measure everything and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signature, table = houses()
    results = []
    for rows in SIZES:
        for case in (*matrix_cases(rows), *mixed_cases(rows, signature, table), *answer_cases(rows)):
            results.append(measured(case, options.rounds))
            if not options.json:
                one = results[-1]
                print(f"{one['rows']:>6} {one['form']:<24} {one['fast_us']:>12.1f} us {one['slow_us']:>12.1f} us "
                      f"{one['slow_us'] / one['fast_us']:>6.1f} x", flush=True)  # fmt: skip
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
