"""`mlapi train`: a CSV file becomes a published, measured model."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mlapi.cli.output import (
    json_option,
    print_json,
    print_table,
    registry_option,
    stderr,
    stdout,
)
from mlapi.registry.names import check_name
from mlapi.training.families import AUTO, FAMILIES
from mlapi.training.metrics import DEFAULTS, METRICS, Metric
from mlapi.training.task import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlapi.registry.manifest import Manifest
    from mlapi.training.step import Report, Step
    from mlapi.training.trainer import Trained

MOST_CLASSES_SHOWN = 12
"""A wider confusion matrix does not fit a terminal; --json has it whole."""


def _help() -> str:
    families = "\n".join(f"  {family.name:<9} {family.title}.\n{_indented(family.when)}" for family in FAMILIES)
    readings = "\n".join(f"  {metric.name:<16} {metric.reading}" for metric in METRICS)
    return f"""Learn COLUMN of the CSV file DATA from its other columns, and publish the best model.

The figures shown are measured on rows that were held out: no model was fitted on them. The same
file, options and library versions give the same model.

\b
Examples:
  mlapi train houses.csv --target price --name house-prices
  mlapi train houses.csv --target price --name house-prices --family linear
  mlapi train churn.csv --target left --name churn --metric roc_auc --drop customer_id
  mlapi train houses.csv --target price --dry-run --json

\b
Choosing a family: auto compares all that fit the task. By hand, by kind of
problem, kind and amount of data, and how much complexity is worth it:
{families}

\b
Reading the metrics:
{readings}

\b
Exit codes:
  0  trained, and published unless --dry-run
  2  the command line or the model's name is wrong
  4  the data or options allow no model, or the registry refuses it
  7  the registry cannot be written

docs/training.md explains families and metrics at length, with the formulas.
"""


def _indented(sentence: str) -> str:
    head, _, tail = sentence.partition("; ")
    lines = [head + (";" if tail else ""), tail]
    return "\n".join(f"            {line}" for line in lines if line)


@click.command("train", help=_help(), short_help="Train on a CSV file and publish the best model.")
@click.argument("data", type=click.Path(exists=True, dir_okay=False))
@click.option("--target", required=True, metavar="COLUMN", help="The column to learn.")
@click.option("--name", metavar="MODEL", help="The model to publish a version of; needed unless --dry-run.")
@click.option(
    "--family", default=AUTO, show_default=True, help="What kind of model.",
    type=click.Choice([AUTO, *(family.name for family in FAMILIES)]),
)
@click.option(
    "--task", default="auto", show_default=True, type=click.Choice(["auto", *TASKS]),
    help="Predict a number or a class; auto infers it from the target and says why.",
)
@click.option(
    "--metric", type=click.Choice([metric.name for metric in METRICS]),
    help="What the best model is best in.  [default: "
    + ", ".join(f"{name} for {task}" for task, name in DEFAULTS.items()) + "]",
)
@click.option(
    "--test-size", default=0.2, show_default=True, type=click.FloatRange(0.05, 0.5),
    help="Share of the rows to hold out for the final figures.",
)
@click.option(
    "--folds", default=5, show_default=True, type=click.IntRange(2, 20),
    help="Parts that cross-validation cuts the training rows into.",
)
@click.option(
    "--seed", default=20261124, show_default=True, type=click.IntRange(0, 2**32 - 1),
    help="Fixes everything random.",
)
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out; may be repeated.")
@click.option("--note", default="", help="A sentence to keep with the version.")
@click.option("--dry-run", is_flag=True, help="Train and report; publish nothing.")
@registry_option
@json_option
def command(
    *,
    data: str,
    target: str,
    name: str | None,
    family: str,
    task: str,
    metric: str | None,
    test_size: float,
    folds: int,
    seed: int,
    drop: tuple[str, ...],
    note: str,
    dry_run: bool,
    registry: Path,
    as_json: bool,
) -> None:
    """Train on a CSV file and publish the best model."""
    # scikit-learn and pandas take two seconds to import, which --help must not cost.
    from pathlib import Path  # noqa: PLC0415

    from mlapi.training.publication import publish  # noqa: PLC0415
    from mlapi.training.table import read_table  # noqa: PLC0415
    from mlapi.training.trainer import Options, train  # noqa: PLC0415

    if name is None and not dry_run:
        msg = "--name is missing: the model to publish, or --dry-run to publish nothing"
        raise click.UsageError(msg)
    if name is not None:
        check_name(name)  # now, not after a minute of training
    options = Options(family, task, metric, test_size, folds, seed)
    with _progress() as report:
        trained = train(read_table(Path(data), target, drop), options, report=report)
        manifest = None
        if name is not None and not dry_run:
            manifest = publish(trained, name, registry=registry, note=note)
    if as_json:
        print_json(_document(trained, manifest))
    else:
        _show(trained, manifest, registry)


@contextmanager
def _progress() -> Iterator[Report]:
    """Yield a report that draws a bar on a terminal's stderr, and nothing where that is no terminal."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("reading", total=None)

        def report(step: Step) -> None:
            bar.update(task, description=escape(step.text), completed=step.done, total=step.total)

        yield report


def _document(trained: Trained, manifest: Manifest | None) -> dict[str, object]:
    from mlapi.training.publication import data_record, training_record  # noqa: PLC0415 (as above)

    published = None if manifest is None else {"name": manifest.name, "version": manifest.version}
    return {
        "published": published,
        "metrics": dict(trained.evaluation.metrics),
        "data": data_record(trained.table),
        **training_record(trained),
    }


def _show(trained: Trained, manifest: Manifest | None, registry: Path) -> None:
    table, split = trained.table, trained.split
    _say(f"data    {table.source}: {table.rows:,} rows, {len(table.features.columns)} features used")
    _say(f"task    {trained.task.task}: {trained.task.reason}")
    _say(f"split   {len(split.train):,} rows to learn from, {len(split.held_out):,} held out, seed {split.seed}")
    for notice in trained.notices:
        _say(f"note    {notice}")
    _show_leaderboard(trained)
    _show_held_out(trained)
    if trained.evaluation.per_class:
        _show_classes(trained)
    _say(f"\n{_farewell(manifest, registry)}")


def _say(sentence: str) -> None:
    stdout.print(sentence, markup=False)


def _show_leaderboard(trained: Trained) -> None:
    metrics, chosen = _metrics(trained), trained.metric
    _say(
        f"\nLeaderboard by {chosen.name} (+- its spread): means of {trained.options.folds} folds of "
        f"the rows to learn from",
    )
    noted = any(entry.note for entry in trained.leaderboard)
    rows: list[list[object]] = []
    for entry in trained.leaderboard:
        figures = [_cell(metric, entry.metrics) for metric in metrics]
        row = [entry.family, *figures, _number(chosen, entry.spread), f"{entry.seconds:.1f} s"]
        rows.append([*row, *([entry.note] * noted)])
    names = (metric.name.removesuffix("_macro") for metric in metrics)  # eighty columns hold them all
    print_table(["family", *names, "+-", "time", *(["note"] * noted)], rows)


def _show_held_out(trained: Trained) -> None:
    _say(f"\n{trained.family.title}, best by {trained.metric.name}, on the held-out rows")
    figures = trained.evaluation.metrics
    rows: list[list[object]] = [
        [metric.name, _cell(metric, figures), metric.reading] for metric in _metrics(trained)
    ]
    print_table(["metric", "value", "how to read it"], rows)


def _show_classes(trained: Trained) -> None:
    """Show the figures of each class, and beside them its line of the confusion matrix if it fits."""
    names, confusion = list(trained.evaluation.per_class), trained.evaluation.confusion
    fits = len(names) <= MOST_CLASSES_SHOWN
    called = [f"called {name}" for name in names] if fits else []
    rows: list[list[object]] = []
    for name, line in zip(names, confusion, strict=True):
        figures = trained.evaluation.per_class[name]
        shares = (f"{share:.3f}" for share in (figures.precision, figures.recall, figures.f1))
        counts = [f"{count:,}" for count in line] if fits else []
        rows.append([name, *shares, f"{figures.support:,}", *counts])
    _say("\nEach class on the held-out rows, and the confusion matrix: what its rows were called")
    print_table(["class", "precision", "recall", "F1", "rows", *called], rows)


def _metrics(trained: Trained) -> list[Metric]:
    return [metric for metric in METRICS if metric.task == trained.task.task]


def _cell(metric: Metric, figures: Mapping[str, float]) -> str:
    return _number(metric, figures[metric.name]) if metric.name in figures else "-"


def _number(metric: Metric, value: float) -> str:
    if metric.name == "mape":
        return f"{value:.1%}"
    if metric.name in {"mae", "rmse"}:
        return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}"  # noqa: PLR2004 (no decimals on thousands)
    return f"{value:.3f}"


def _farewell(manifest: Manifest | None, registry: Path) -> str:
    if manifest is None:
        return "Nothing published (--dry-run)."
    name, version = manifest.name, manifest.version
    return f"Published {name} version {version} in {registry}. Its card: mlapi card {name} {version}"
