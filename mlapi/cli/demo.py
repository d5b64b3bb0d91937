"""`mlapi demo`: models to try, published in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlapi.cli.output import json_option, print_json, registry_option, stderr, stdout
from mlapi.registry.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlapi.registry.manifest import Manifest
    from mlapi.training.step import Step

HELP = """Publish five versions of four small models, trained here and now from data that comes along.

\b
  sqft-price 1     the price of a house from its area: one input
  house-prices 1   linear regression on text and numbers
  house-prices 2   gradient boosting, same inputs: a version to roll out
  iris 1           logistic regression, three named classes
  digits 1         a neural network on 64 pixels

A model that has versions already is left alone, so the command may be run again. The houses are
those of Ames, Iowa, 2006 to 2010 (De Cock 2011); iris and digits come with scikit-learn.

\b
Examples:
  mlapi demo
  mlapi demo --registry /srv/models --if-empty

\b
Exit codes:
  0  every demo model is there now, or --if-empty found others
  2  the command line is wrong
  4  the registry refuses a model
  7  the registry cannot be written
"""


@click.command("demo", help=HELP, short_help="Publish models to try.")
@click.option("--if-empty", is_flag=True, help="Do nothing when the registry has any model.")
@registry_option
@json_option
def command(*, if_empty: bool, registry: Path, as_json: bool) -> None:
    """Publish models to try."""
    if if_empty and (present := Store(registry).models()):
        _answer((), present, as_json=as_json)
        return
    # scikit-learn and pandas take two seconds to import, which --help must not cost.
    from mlapi.training.demo import demo_names, publish_demo  # noqa: PLC0415

    manifests = publish_demo(registry, report=_tell)
    names = {manifest.name for manifest in manifests}
    _answer(manifests, tuple(name for name in demo_names() if name not in names), as_json=as_json)


def _tell(step: Step) -> None:
    stderr.print(f"{step.done}/{step.total} {step.text}", markup=False)


def _answer(manifests: tuple[Manifest, ...], skipped: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"published": [_entry(manifest) for manifest in manifests], "skipped": list(skipped)})
        return
    for manifest in manifests:
        figure = _figure(manifest.metrics)
        stdout.print(f"Published {manifest.name} {manifest.version} ({figure})", markup=False)
    if not manifests:
        stdout.print(f"Nothing published: {', '.join(skipped)} are there already", markup=False)


def _entry(manifest: Manifest) -> dict[str, object]:
    return {"name": manifest.name, "version": manifest.version, "metrics": dict(manifest.metrics)}


def _figure(metrics: Mapping[str, float]) -> str:
    """Return the one figure that says most for the task, as text."""
    name = "r2" if "r2" in metrics else "accuracy"
    return f"{name} {metrics[name]:.3f} on held-out rows"
