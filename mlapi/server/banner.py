"""What `mlapi serve` prints when it listens: the models, and curl lines that work as they stand."""

import json
import shlex
from collections.abc import Iterable, Sequence

from mlapi import __version__
from mlapi.registry.loading import LoadedModel
from mlapi.schemas.examples import v1_body, v2_body

SHOWN = 2
LONGEST_BODY = 700
NOTHING = "The registry is empty. Publish a model: mlapi demo, or mlapi publish NAME model.joblib --sample rows.csv"


def lines(models: Sequence[LoadedModel], url: str) -> Iterable[str]:
    """Return the lines: which versions are served at `url`, and a V1 and a V2 request for some of them."""
    yield f"mlapi {__version__} serves {url}   (Ctrl-C stops)"
    if not models:
        yield NOTHING
        return
    by_name: dict[str, list[LoadedModel]] = {}
    for model in models:
        by_name.setdefault(model.manifest.name, []).append(model)
    for name, versions in by_name.items():
        numbers = ", ".join(str(model.manifest.version) for model in versions)
        yield f"  {name:24} version {numbers:12} {url}/v1/models/{name}"
    for model in _short([versions[-1] for versions in by_name.values()]):
        yield from ("", *_requests(model, url))


def url_of(bind: str) -> str:
    """Return the address to type for a bind address: a wildcard is reached on the loopback."""
    host, _, port = bind.rpartition(":")
    return f"http://{'127.0.0.1' if host in {'0.0.0.0', '[::]', ''} else host}:{port}"  # noqa: S104 (a comparison)


def _short(models: Iterable[LoadedModel]) -> list[LoadedModel]:
    sizes = [(len(json.dumps(v2_body(model.signature, model.reference.inputs))), model) for model in models]
    sizes.sort(key=lambda pair: pair[0])
    fitting = [model for size, model in sizes if size <= LONGEST_BODY]
    return (fitting or [sizes[0][1]])[:SHOWN]


def _requests(model: LoadedModel, url: str) -> Iterable[str]:
    manifest, rows = model.manifest, model.reference.inputs
    one, two = f"/v1/models/{manifest.name}", f"/v2/models/{manifest.name}/versions/{manifest.version}/infer"
    yield f"curl {url}{one}:predict -d {_quoted(v1_body(model.signature, rows))}"
    yield f"curl {url}{two} -d {_quoted(v2_body(model.signature, rows))}"


def _quoted(body: object) -> str:
    return shlex.quote(json.dumps(body))
