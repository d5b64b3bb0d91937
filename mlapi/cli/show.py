"""`mlapi show`."""

from dataclasses import asdict
from pathlib import Path

import click

from mlapi.cli.output import human_bytes, json_option, print_json, print_table, registry_option, stdout
from mlapi.cli.plan_table import plan_of, print_plan
from mlapi.cli.signature_table import print_signature
from mlapi.registry.manifest import Manifest
from mlapi.registry.store import Store


@click.command("show")
@click.argument("name")
@click.argument("version", type=click.IntRange(1), required=False)
@registry_option
@json_option
def command(name: str, version: int | None, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Show VERSION of NAME (default: the newest): signature, metrics, files, memory, and its prediction plan.

    \b
    Examples:
      mlapi show house-prices
      mlapi show house-prices 1 --json
    """
    store = Store(registry)
    number = store.require(name, version)
    manifest = store.manifest(name, number)
    labels = [label for label, held in store.labels(name).items() if held == number]
    if as_json:
        plan = plan_of(store, manifest)
        print_json({**asdict(manifest), "labels": labels, "folder": store.folder(name, number), "plan": plan})
        return
    print_table(["", ""], [[key, value] for key, value in _facts(manifest, labels).items() if value])
    stdout.print()
    print_signature(manifest.signature)
    stdout.print()
    print_plan(plan_of(store, manifest))
    stdout.print()
    print_table(["file", "bytes", "sha256"], [[entry.name, entry.size, entry.sha256] for entry in manifest.files])


def _facts(manifest: Manifest, labels: list[str]) -> dict[str, object]:
    return {
        "model": f"{manifest.name} version {manifest.version}",
        "labels": ", ".join(labels),
        "class": manifest.estimator,
        "classes": ", ".join(map(str, manifest.classes or ())),
        "published": f"{manifest.published_at} by {manifest.publisher}",
        "note": manifest.note,
        "metrics": ", ".join(f"{key} {value:.6g}" for key, value in manifest.metrics.items()),
        "on disk": human_bytes(manifest.size),
        "in memory": f"{human_bytes(manifest.memory_bytes)} (shared by the workers that are forked with it)",
        "made with": ", ".join(f"{key} {value}" for key, value in manifest.libraries.items()),
        "code": manifest.code_revision,
        "parent": f"version {manifest.parent}" if manifest.parent else "",
    }
