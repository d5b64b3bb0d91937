"""`mlapi publish`."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from mlapi.cli.output import human_bytes, json_option, print_json, registry_option, stdout
from mlapi.cli.signature_table import print_signature
from mlapi.errors import PublishRefused


@click.command("publish")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--sample", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="ROWS.csv",
              help="Rows of the training data (CSV with a header); the signature is inferred from them.")
@click.option("--target", metavar="COLUMN", help="The column of the sample that is the truth, not an input.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME=VALUE", help="A held-out figure, e.g. f1=0.91.")
@click.option("--note", default="", help="A sentence about this version.")
@click.option("--intended-use", default="", help="What the model is for; stands in its card.")
@click.option("--limit", "limits", multiple=True, metavar="SENTENCE", help="What it is not for; repeatable.")
@click.option("--unseen", type=click.Choice(["refuse", "accept"]),
              help="Categories the model has never seen. Default: refused where its encoders know them all.")
@registry_option
@json_option
def command(
    name: str, file: Path, sample: Path | None, target: str | None, metrics: tuple[str, ...], note: str,
    intended_use: str, limits: tuple[str, ...], unseen: Literal["refuse", "accept"] | None,
    registry: Path, as_json: bool,  # noqa: FBT001 (click passes flags by name)
) -> None:
    """Publish FILE (.joblib, .skops or .onnx) as the next version of NAME.

    The file is stored byte for byte. It is loaded and asked for the sample's rows first, so that only a
    version that answers is published. Loading a .joblib file runs what it says: publish your own only.

    \b
    Examples:
      mlapi publish churn model.joblib --sample rows.csv --target churned --metric f1=0.91
      mlapi publish churn model.onnx --sample rows.csv --note "trained on 2026-10 data"

    \b
    From Python:
      mlapi.publish(model, "churn", sample=X, metrics={"f1": 0.91})

    Exit codes: 4 the model cannot be published, 7 it could not be stored.
    """
    # scikit-learn and pandas take a second to import, which --help must not
    from mlapi.registry.publishing import Description, publish_file  # noqa: PLC0415
    from mlapi.registry.sample import NO_SAMPLE, read_csv  # noqa: PLC0415

    if sample is None:
        raise PublishRefused(NO_SAMPLE)
    rows, truth = read_csv(sample, target)
    about = Description(dict(map(_metric, metrics)), note, intended_use=intended_use, limits=limits)
    manifest = publish_file(file, name, registry=registry, sample=rows, target=truth, about=about, unseen=unseen)
    if as_json:
        print_json(asdict(manifest))
        return
    stdout.print(f"published {manifest.name} version {manifest.version} ({human_bytes(manifest.size)})", markup=False)
    print_signature(manifest.signature)
    stdout.print(f"serve it: mlapi serve --registry {registry}", markup=False)


def _metric(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    try:
        return key, float(value)
    except ValueError:
        msg = f"'{text}' is no metric; expected NAME=NUMBER, such as f1=0.91"
        raise click.BadParameter(msg) from None
