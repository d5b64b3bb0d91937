"""A replay on a registry: the newest requests of its log, versions as a server loads them, a progress bar."""

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial

from rich.progress import Progress

from mlapi.cli.output import stderr
from mlapi.config import Config
from mlapi.errors import NotFound, ReplayFailed
from mlapi.registry import loading
from mlapi.registry.loading import LoadedModel
from mlapi.registry.store import Store
from mlapi.rollouts import request_log
from mlapi.rollouts.moments import moment
from mlapi.rollouts.replay import Replayed, replay
from mlapi.rollouts.request_line import LoggedRequest

MOST_REQUESTS = 1000
MOST_SECONDS = 30.0
LOADING = 10
LOOK_SECONDS = 0.1


def run(
    store: Store, name: str, version: int, most: int, against: int | None = None, since_ms: int = 0,
    tolerance: float = 0.0, seconds: float = MOST_SECONDS,
) -> Replayed:
    """Return what came of asking `version` the `most` newest logged requests.

    Raises ModelNotFound, VersionNotFound, NotFound where nothing was logged, VersionRefused, and ReplayFailed where
    a request takes longer than `seconds`, or to load a version LOADING times as long.
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
    turns = _Turns(seconds)
    asking = _Asking(partial(
        replay, requests, version, turns.loading(lambda number: _loaded(store, name, number, config)), model=name,
        against=against, tolerance=tolerance, missing=(logged.dropped, len(logged.lines) - len(requests)),
        threads=config.compute_threads, watch=turns,
    ))  # fmt: skip
    asking.start()
    with Progress(console=stderr, disable=not sys.stderr.isatty(), transient=True) as progress:
        bar = progress.add_task("replaying", total=len(requests))
        while asking.is_alive():
            asking.join(LOOK_SECONDS)
            progress.update(bar, completed=turns.done)
            if turns.is_late:
                raise ReplayFailed(name, version, [f"{turns.told} (--max-seconds) and was given up"], hangs=True)
    try:
        return asking.result()
    except (SystemExit, KeyboardInterrupt) as error:  # a model's own, which would end the gate as if it had passed
        raise ReplayFailed(name, version, [f"it raised {type(error).__name__}"]) from error


def _loaded(store: Store, name: str, version: int, config: Config) -> LoadedModel:
    """Return a version as a server has it: verified, through its plan where the settings allow it, proven, warm."""
    store.require(name, version)
    loaded = loading.load(store, name, version, config.max_artifact_bytes, plans=config.plans == "on")
    loaded.prove()
    return loaded


class _Turns:
    """Times what a replay does, one thing after the other, and how many requests are `done`.

    `told` says of what is being done that it took too long, for when it `is_late`.
    """

    def __init__(self, seconds: float) -> None:
        self.done, self.told = 0, ""
        self._seconds, self._until = seconds, math.inf

    @property
    def is_late(self) -> bool:
        """Whether what is being done takes longer than it may."""
        return time.monotonic() > self._until

    def loading(self, load: Callable[[int], LoadedModel]) -> Callable[[int], LoadedModel]:
        """Return `load`, timed."""

        def timed(version: int) -> LoadedModel:
            self._begin(f"to load version {version}", LOADING * self._seconds)
            loaded = load(version)
            self._until = math.inf
            return loaded

        return timed

    def __call__(self, requests: Sequence[LoggedRequest]) -> Iterator[LoggedRequest]:
        """Yield the requests one by one, each timed until the next is asked for."""
        for request in requests:
            self._begin(f"request {self.done + 1} of {len(requests)}", self._seconds)
            yield request
            self.done += 1
        self._until = math.inf

    def _begin(self, what: str, seconds: float) -> None:
        self.told = f"{what} took longer than {seconds:g} s"
        self._until = time.monotonic() + seconds


class _Asking(threading.Thread):
    """Replays in a thread that nobody has to wait for, since a model may never answer."""

    def __init__(self, replayed: Callable[[], Replayed]) -> None:
        super().__init__(name="mlapi-replay", daemon=True)
        self._replayed, self._found = replayed, Future[Replayed]()

    def run(self) -> None:
        """Replay."""
        try:
            self._found.set_result(self._replayed())
        except BaseException as error:  # noqa: BLE001 (it is raised where the result is asked for)
            self._found.set_exception(error)

    def result(self) -> Replayed:
        """Return what came of it, or raise what it raised."""
        return self._found.result()
