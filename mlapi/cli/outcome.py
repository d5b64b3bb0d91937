"""`mlapi outcome`."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.progress import track

from mlapi.cli.output import json_option, print_json, registry_option, stderr, stdout
from mlapi.errors import InvalidRequest
from mlapi.registry.store import Store
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.losses import Label
from mlapi.rollouts.outcomes import Outcome, Outcomes

BATCH = 1000
STATUSES = ("accepted", "duplicate", "late", "invalid")
FAILED = 1


@click.command("outcome")
@click.argument("prediction_id", required=False)
@click.argument("value", required=False)
@click.option("--label", is_flag=True, help="VALUE is the label that would have been right.")
@click.option(
    "--from", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A .csv with the columns prediction_id and value or label, or a .jsonl of such objects.",
)
@registry_option
@json_option
def command(
    prediction_id: str | None, value: str | None, label: bool, file: Path | None, registry: Path, as_json: bool,  # noqa: FBT001 (click passes flags by name)
) -> int:
    """Tell what came of predictions, so that a rollout can see which version is better.

    A prediction's id stands in the header X-Mlapi-Prediction-Id of its answer. What is told twice counts
    once. Servers take outcomes as well: POST /v1/outcomes.

    \b
    Examples:
      mlapi outcome AZq3...47 characters... 1
      mlapi outcome AZq3...47 characters... setosa --label
      mlapi outcome --from conversions.csv --json

    Exit codes: 1 some did not count: late or invalid; 4 the file cannot be read as outcomes.
    """
    if (file is None) == (value is None):
        msg = "give PREDICTION_ID and VALUE, or --from FILE"
        raise click.UsageError(msg)
    told = _in_file(file) if file is not None else [_outcome({
        "prediction_id": prediction_id, ("label" if label else "value"): value,
    }, 0)]  # fmt: skip
    desk = Outcomes(Generations(Store(registry)))
    receipts = [receipt for batch in _batches(told) for receipt in desk.take(batch)]
    desk.seal()
    counts = Counter[str](receipt.status for receipt in receipts)
    if as_json:
        print_json({"outcomes": [asdict(one) for one in receipts], **{name: counts[name] for name in STATUSES}})
    else:
        for at, receipt in enumerate(receipts):
            if receipt.status in {"late", "invalid"}:
                stdout.print(f"outcome {at}: {receipt.status}: {receipt.why}", markup=False)
        stdout.print(", ".join(f"{counts[name]} {name}" for name in STATUSES))
    return FAILED if counts["late"] or counts["invalid"] else 0


def _batches(told: list[Outcome]) -> Iterator[list[Outcome]]:
    rest = iter(track(told, "outcomes", console=stderr, disable=not sys.stderr.isatty(), transient=True))
    while batch := list(islice(rest, BATCH)):
        yield batch


def _in_file(file: Path) -> list[Outcome]:
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines) if file.suffix == ".csv" else (_object(line, at) for at, line in enumerate(lines))
        return [_outcome(row, at) for at, row in enumerate(rows)]


def _object(line: str, at: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        row = None
    if not isinstance(row, dict):
        raise InvalidRequest([f'row {at}: expected a JSON object, such as {{"prediction_id": "...", "value": 1}}'])
    return row


def _outcome(row: dict[str, Any], at: int) -> Outcome:
    """Return the outcome in a row; texts that are numbers are numbers, but for a label that has to stay as it is."""
    name, value, label = row.get("prediction_id"), row.get("value"), row.get("label")
    empty = {None, ""}
    if not isinstance(name, str) or (value in empty) == (label in empty):
        raise InvalidRequest([f"row {at}: expected prediction_id and exactly one of value and label"])
    if value in empty:
        return Outcome(name, label=_number(label), metric=row.get("metric") or None)
    number = _number(value)
    if isinstance(number, str):
        raise InvalidRequest([f"row {at}: the value is no finite number; a label goes by the name of label"])
    return Outcome(name, value=float(number), metric=row.get("metric") or None)


def _number(given: Any) -> Label:  # noqa: ANN401 (a cell or decoded JSON)
    if isinstance(given, bool | int | float):
        return given
    try:
        number = float(given)
    except (TypeError, ValueError):
        return str(given)
    return number if abs(number) < float("inf") else str(given)
