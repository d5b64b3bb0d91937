"""What `mlapi serve` prints when it listens: the models, and curl lines that work as they stand."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence

from mlapi import __version__
from mlapi.registry.loading import LoadedModel
from mlapi.schemas.examples import v1_body, v2_body

SHOWN = 3
MOST = 20
LONGEST_BODY = 600
NOTHING = "The registry is empty. Publish a model: mlapi demo, or mlapi publish NAME model.joblib --sample rows.csv"


def lines(models: Sequence[LoadedModel], versions: Mapping[str, Sequence[int]], url: str) -> Iterable[str]:
    """Return the lines: which `versions` are served at `url`, and requests over both faces for some `models`."""
    yield f"mlapi {__version__} serves {url}   (Ctrl-C stops)"
    if not versions:
        yield NOTHING
        return
    for name, numbers in list(versions.items())[:MOST]:
        yield f"  {name:24} version {_listed(numbers):12} {url}/v1/models/{name}"
    if len(versions) > MOST:
        yield f"  and {len(versions) - MOST} more: curl {url}/v1/models"
    newest = {model.manifest.name: model for model in models}  # the last of each name is its newest
    for model in _shortest(newest.values()):
        yield ""
        yield from _requests(model, versions[model.manifest.name], url)


def url_of(bind: str) -> str:
    """Return the address to type for a bind address: a wildcard is reached on the loopback."""
    host, _, port = bind.rpartition(":")
    return f"http://{'127.0.0.1' if host in {'0.0.0.0', '[::]', ''} else host}:{port}"  # noqa: S104 (a comparison)


def _listed(numbers: Sequence[int]) -> str:
    """The numbers, or the newest of many."""
    more = f"{len(numbers) - SHOWN} older, " if len(numbers) > SHOWN + 1 else ""
    return more + ", ".join(str(number) for number in (numbers[-SHOWN:] if more else numbers))


def _shortest(models: Iterable[LoadedModel]) -> list[LoadedModel]:
    """The models with the shortest requests; one at least, however long."""
    by_length = sorted(models, key=lambda model: len(_v1(model)))
    fitting = [model for model in by_length if len(_v1(model)) <= LONGEST_BODY]
    return (fitting or by_length[:1])[:SHOWN]


def _requests(newest: LoadedModel, versions: Sequence[int], url: str) -> Iterable[str]:
    """The newest version over both faces; where there are others, by its number."""
    name, number = newest.manifest.name, newest.manifest.version
    which = f"/versions/{number}" if len(versions) > 1 else ""
    yield f"curl {url}/v1/models/{name}{which}:predict -d {_v1(newest)}"
    if len(_v2(newest)) <= LONGEST_BODY:
        yield f"curl {url}/v2/models/{name}/versions/{number}/infer -d {_v2(newest)}"


def _v1(model: LoadedModel) -> str:
    return _quoted(v1_body(model.signature, model.reference.inputs))


def _v2(model: LoadedModel) -> str:
    return _quoted(v2_body(model.signature, model.reference.inputs))


def _quoted(body: object) -> str:
    return shlex.quote(json.dumps(body))
