"""A replay on a registry: the newest requests of its log, versions as a server loads them, a progress bar."""

import sys
from collections.abc import Iterable, Sequence

from rich.progress import track

from mlapi.cli.output import stderr
from mlapi.config import Config
from mlapi.errors import NotFound
from mlapi.registry import loading
from mlapi.registry.loading import LoadedModel
from mlapi.registry.store import Store
from mlapi.rollouts import request_log
from mlapi.rollouts.moments import moment
from mlapi.rollouts.replay import Replayed, replay
from mlapi.rollouts.request_line import LoggedRequest

MOST_REQUESTS = 1000


def run(
    store: Store, name: str, version: int, most: int, against: int | None = None, since_ms: int = 0,
    tolerance: float = 0.0,
) -> Replayed:
    """Return what came of asking `version` the `most` newest logged requests.

    Raises ModelNotFound, VersionNotFound, NotFound where nothing was logged, VersionRefused.
    """
    for asked in (version, against):
        store.require(name, asked)
    config = Config.from_environ()
    logged = request_log.newest(store, name, most, since_ms)
    requests = logged.requests()
    if not requests:
        since = f" since {moment(since_ms / 1000)}" if since_ms else ""
        advice = "let a server with MLAPI_REQUEST_LOG=0.1 answer some, and try again"
        raise NotFound(f"no request of model '{name}' was logged{since}; {advice}")
    return replay(
        requests, version, lambda number: _loaded(store, name, number, config), model=name, against=against,
        tolerance=tolerance, missing=(logged.dropped, len(logged.lines) - len(requests)),
        threads=config.compute_threads, watch=_watched,
    )


def _loaded(store: Store, name: str, version: int, config: Config) -> LoadedModel:
    """Return a version as a server has it: verified, through its plan where the settings allow it, proven, warm."""
    store.require(name, version)
    loaded = loading.load(store, name, version, config.max_artifact_bytes, plans=config.plans == "on")
    loaded.prove()
    return loaded


def _watched(requests: Sequence[LoggedRequest]) -> Iterable[LoggedRequest]:
    return track(requests, "replaying", console=stderr, disable=not sys.stderr.isatty(), transient=True)
