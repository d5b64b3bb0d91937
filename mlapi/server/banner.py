"""What `mlapi serve` prints when it listens: the models, and curl lines that work as they stand."""

import json
import shlex
from collections.abc import Iterable, Sequence

from mlapi import __version__
from mlapi.registry.loading import LoadedModel
from mlapi.schemas.examples import v1_body, v2_body

SHOWN = 3
LONGEST_BODY = 600
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
    for versions in _shortest(by_name.values()):
        yield ""
        yield from _requests(versions, url)


def url_of(bind: str) -> str:
    """Return the address to type for a bind address: a wildcard is reached on the loopback."""
    host, _, port = bind.rpartition(":")
    return f"http://{'127.0.0.1' if host in {'0.0.0.0', '[::]', ''} else host}:{port}"  # noqa: S104 (a comparison)


def _shortest(models: Iterable[list[LoadedModel]]) -> list[list[LoadedModel]]:
    """The models with the shortest requests; one at least, however long."""
    by_length = sorted(models, key=lambda versions: len(_v1(versions[-1])))
    fitting = [versions for versions in by_length if len(_v1(versions[-1])) <= LONGEST_BODY]
    return (fitting or by_length[:1])[:SHOWN]


def _requests(versions: Sequence[LoadedModel], url: str) -> Iterable[str]:
    """The newest version over both faces; where there are several, each by its number."""
    newest = versions[-1]
    name = newest.manifest.name
    if len(versions) == 1:
        yield f"curl {url}/v1/models/{name}:predict -d {_v1(newest)}"
    for model in versions[-SHOWN:] if len(versions) > 1 else ():
        yield f"curl {url}/v1/models/{name}/versions/{model.manifest.version}:predict -d {_v1(model)}"
    if len(_v2(newest)) <= LONGEST_BODY:
        yield f"curl {url}/v2/models/{name}/versions/{newest.manifest.version}/infer -d {_v2(newest)}"


def _v1(model: LoadedModel) -> str:
    return _quoted(v1_body(model.signature, model.reference.inputs))


def _v2(model: LoadedModel) -> str:
    return _quoted(v2_body(model.signature, model.reference.inputs))


def _quoted(body: object) -> str:
    return shlex.quote(json.dumps(body))
