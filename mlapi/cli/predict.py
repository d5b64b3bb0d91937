"""`mlapi predict`."""

from pathlib import Path
from typing import Any

import click

from mlapi.cli.output import json_option, print_json, registry_option, stdout
from mlapi.cli.rows import Input, body_of
from mlapi.client import Client
from mlapi.config import Config
from mlapi.errors import LabelNotFound
from mlapi.registry.names import check_label
from mlapi.registry.store import Store


@click.command("predict")
@click.argument("name")
@click.argument("file")
@click.option("--version", type=click.IntRange(1), help="Ask this version. Default: the newest that is ready.")
@click.option("--label", help="Ask the version that this label points to.")
@click.option("--proba", is_flag=True, help="Class probabilities instead of classes.")
@click.option("--url", help="The server. Default: http:// and MLAPI_BIND, else http://127.0.0.1:8000.")
@click.option("--local", is_flag=True, help="Ask the registry itself; no server is needed.")
@registry_option
@json_option
def command(
    name: str, file: str, version: int | None, label: str | None, proba: bool, url: str | None, local: bool,  # noqa: FBT001 (click passes flags by name)
    registry: Path, as_json: bool,  # noqa: FBT001 (see above)
) -> None:
    """Print the predictions of NAME for the rows in FILE, one a line.

    FILE is CSV with a header, or JSON: a list of rows or a whole V1 body; - reads standard input.
    Columns of a CSV that are no inputs are left out.

    \b
    Examples:
      mlapi predict house-prices houses.csv
      echo '[{"sqft": 1500}]' | mlapi predict sqft-price -
      mlapi predict iris flowers.csv --proba --local --json

    Exit codes: 3 no such model, 4 the input is refused, 5 not ready, 8 no server answers.
    """
    if version is not None and label is not None:
        msg = "give --version or --label, not both"
        raise click.UsageError(msg)
    ask = _local if local else _remote
    predictions = ask(name, file, version, label, registry if local else url, proba=proba)
    if as_json:
        print_json({"predictions": predictions})
        return
    for prediction in predictions:
        text = " ".join(map(str, prediction)) if isinstance(prediction, list) else str(prediction)
        stdout.print(text, markup=False)


def _remote(name: str, file: str, version: int | None, label: str | None, url: Any, *, proba: bool) -> list[Any]:  # noqa: ANN401 (text or None)
    client = Client(url or f"http://{Config.from_environ().bind}")
    if label is not None:
        version = client.labelled(name, label)
    tensors = client.metadata(name, version)["inputs"]
    body = body_of(file, [Input(one["name"], one["datatype"], one["shape"][1]) for one in tensors])
    return client.predict(name, _asking(body, proba=proba), version)


def _local(name: str, file: str, version: int | None, label: str | None, registry: Any, *, proba: bool) -> list[Any]:  # noqa: ANN401 (a path)
    # scikit-learn takes a second to import, which asking a server must not
    from mlapi.inference.conform import conform  # noqa: PLC0415
    from mlapi.inference.values import InferenceResponse, Target  # noqa: PLC0415
    from mlapi.registry import loading  # noqa: PLC0415
    from mlapi.schemas import jsonbody  # noqa: PLC0415
    from mlapi.schemas.v1 import predict  # noqa: PLC0415

    store = Store(registry)
    number = store.require(name, _labelled(store, name, label) if label else version)
    loaded = loading.load(store, name, number)
    inputs = [Input(spec.name, spec.datatype, spec.width) for spec in loaded.signature.inputs]
    body = jsonbody.encode_tokens(_asking(body_of(file, inputs), proba=proba))
    request = predict.load(body, Target(name, number))
    outputs = loaded.predict(conform(request.inputs, loaded.signature), loaded.outputs(request.outputs))
    answer = jsonbody.decode(predict.dump(InferenceResponse(name, number, outputs, {}), request))
    return list(next(iter(answer.values())))


def _asking(body: dict[str, Any], *, proba: bool) -> dict[str, Any]:
    return {**body, "signature_name": "predict_proba"} if proba else body


def _labelled(store: Store, name: str, label: str) -> int:
    store.require(name)
    labels = store.labels(name)
    if check_label(label) not in labels:
        raise LabelNotFound(name, label, tuple(labels))
    return labels[label]
