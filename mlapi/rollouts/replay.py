"""A replay: a version is asked, offline, what others were asked and answered, before anybody meets it.

What it cannot answer is told by its reason, what it answers otherwise by the comparison that shadows are
reported with. Times are measured here, of both versions in turn on the same requests, where the version that
answered is still there; what was measured then, beside other requests, stands in for it where it is not.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mlapi.errors import InvalidRequest, MlapiError, NotFound, VersionRefused
from mlapi.inference.conform import conform
from mlapi.inference.values import Array, Tensors
from mlapi.registry.loaded import LoadedModel
from mlapi.rollouts.comparison import Comparison, Pair, Share, Values, compare, gaps_of, share_of
from mlapi.rollouts.request_line import MILLISECOND, LoggedRequest
from mlapi.rollouts.shadowing import LONGEST_ERROR, plain

MOST_REASONS = 100
QUANTILES = (0.5, 0.99)
_ROW = re.compile(r"\brow [0-9]+")
_BATCH = re.compile(r"(?<=has shape \[)[0-9]+")

Load = Callable[[int], LoadedModel]
Watch = Callable[[Sequence[LoggedRequest]], Iterable[LoggedRequest]]
Quantiles = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class WorstRow:
    """The row of a request about which two versions differ most: when it was asked, and what each of them says."""

    at_ms: int
    row: int
    rows: int
    answered_by: int
    control: Values
    candidate: Values
    difference: float
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of the models, p50 and p99, over what both answered; `ratio` is candidate through control.

    `here` requests were timed here for both; of the others the control's time is that of then.
    """

    control_ms: Quantiles
    candidate_ms: Quantiles
    ratio: Quantiles
    here: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """The report of a replay of `version`.

    `against` is the version it was compared with, None where that is what was answered then, by the versions in
    `answered_by` with their numbers of requests. `failed` are requests that it could not answer (`errors`, by
    reason in `reasons`) or answered with what is not finite where the answer it is compared with was.
    """

    model: str
    version: int
    against: int | None
    requests: int
    rows: int
    unreadable: int
    first_ms: int
    last_ms: int
    answered_by: Mapping[int, int]
    failed: Share
    errors: int
    not_finite: int
    reasons: Mapping[str, int]
    comparison: Comparison
    times: Times
    worst: tuple[WorstRow, ...]


def replay(  # noqa: PLR0913 (what it is made of)
    requests: Sequence[LoggedRequest], version: int, load: Load, *, model: str, against: int | None = None,
    tolerance: float = 0.0, missing: tuple[int, int] = (0, 0), threads: int = 1, watch: Watch = iter,
) -> Replayed:
    """Ask `version` every one of `requests` and return what came of it.

    `load` gives a version as a server has it, proven; `threads` is how many a prediction may use. `missing` are
    how many requests the log dropped and how many of its lines cannot be read. `watch` gives the requests one by
    one, for a progress bar. Raises what `load` raises for `version` and `against`, and nothing that a version
    raises on a request.
    """
    candidate = load(version)
    controls = _controls(requests, version, candidate, load, against)
    with threadpool_limits(threads):
        asked = [_ask(at, request, candidate, controls, against) for at, request in enumerate(watch(requests))]
    pairs = [one.pair for one in asked]
    comparison = compare(pairs, missing[0], tolerance)
    errors, not_finite = comparison.errors, sum(one.not_finite for one in asked)
    reasons = Counter(reason for one in asked for reason in one.reasons)
    by_pair = {id(one.pair): one.request for one in asked}
    return Replayed(
        model, version, against, len(asked), sum(one.rows for one in requests), missing[1],
        min((one.at_ms for one in requests), default=0), max((one.at_ms for one in requests), default=0),
        dict(sorted(Counter(one.version for one in requests).items())),
        share_of(errors + not_finite, len(asked)), errors, not_finite, dict(reasons.most_common(MOST_REASONS)),
        comparison, _times(asked), tuple(_worst(pair, by_pair[id(pair)]) for _, pair in comparison.worst),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a version said to one request: `outputs`, or the `error`."""

    outputs: Mapping[str, Array] | None
    took_ns: int
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, what became of it, and whether both versions were timed here."""

    request: LoggedRequest
    pair: Pair
    reasons: frozenset[str]
    not_finite: bool
    here: bool


def _controls(
    requests: Sequence[LoggedRequest], version: int, candidate: LoadedModel, load: Load, against: int | None,
) -> dict[int, LoadedModel]:
    """Return the versions to compare with: that one, or those that answered then and still can."""
    if against is not None:
        return {against: candidate if against == version else load(against)}
    found = {version: candidate}
    for number in {one.version for one in requests} - {version}:
        try:
            found[number] = load(number)
        except (NotFound, VersionRefused):  # it was deleted, or no longer loads here: its times are those of then
            continue
    return found


def _ask(
    at: int, request: LoggedRequest, candidate: LoadedModel, controls: Mapping[int, LoadedModel], against: int | None,
) -> _Asked:
    control = controls.get(request.version if against is None else against)
    turns = [candidate, control] if at % 2 else [control, candidate]  # neither always finds the inputs in the cache
    answers = {id(loaded): _answer(loaded, request) for loaded in turns if loaded is not None}
    now, then = answers[id(candidate)], None if control is None else answers[id(control)]
    here = then is not None and then.error is None
    outputs = request.outputs if against is None else (then.outputs if then is not None else None)
    was_ns = then.took_ns if then is not None and here else request.predict_ns
    pair = _pair(request, outputs or {}, was_ns, now)
    lost = now.outputs is not None and _lost(now.outputs, outputs or {})
    return _Asked(request, pair, frozenset() if now.error is None else _reasons(now.error), lost, here)


def _answer(loaded: LoadedModel, request: LoggedRequest) -> _Answer:
    begun = time.perf_counter_ns()
    try:
        wanted = loaded.outputs(tuple(request.outputs))
        inputs = conform(Tensors(request.inputs), loaded.signature)
        begun = time.perf_counter_ns()
        outputs = loaded.predict(inputs, wanted)
        return _Answer(outputs, time.perf_counter_ns() - begun)
    except Exception as error:  # noqa: BLE001 (the code of the model: told in the report)
        return _Answer(None, time.perf_counter_ns() - begun, error)


def _pair(request: LoggedRequest, was: Mapping[str, Array], was_ns: int, now: _Answer) -> Pair:
    name = next(iter(request.outputs))
    error = None if now.error is None else f"{type(now.error).__name__}: {now.error}"[:LONGEST_ERROR]
    return Pair(
        None, tuple(plain(was[name])) if name in was else (),
        None if now.outputs is None else tuple(plain(now.outputs[name])),
        was_ns / MILLISECOND, now.took_ns / MILLISECOND, error, inputs=request.inputs,
    )


def _lost(now: Mapping[str, Array], was: Mapping[str, Array]) -> bool:
    """Return whether a value is not finite where there is none, or a finite one, beside it."""
    for name, array in now.items():
        if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
            beside = was.get(name)
            if beside is None or beside.dtype.kind != "f" or beside.shape != array.shape:
                return True
            if np.isfinite(beside[~finite]).any():
                return True
    return False


def _reasons(error: Exception) -> frozenset[str]:
    """Return why a version does not answer, the same for requests that differ in their rows alone."""
    faults = error.faults if isinstance(error, InvalidRequest) else (str(error),)
    kind = type(error).__name__
    if isinstance(error, MlapiError):
        faults = tuple(_BATCH.sub("n", _ROW.sub("a row", fault)) for fault in faults)
    return frozenset(f"{kind}: {fault}"[:LONGEST_ERROR] for fault in faults)


def _times(asked: Sequence[_Asked]) -> Times:
    known = [one for one in asked if one.pair.error is None]
    control, candidate = (
        _quantiles([getattr(one.pair, name) for one in known]) for name in ("control_ms", "candidate_ms")
    )
    ratio = tuple(now / was if now is not None and was else None for was, now in zip(control, candidate, strict=True))
    return Times(control, candidate, (ratio[0], ratio[1]), sum(one.here for one in known))


def _quantiles(values: Sequence[float]) -> Quantiles:
    if not values:
        return None, None
    middle, late = np.quantile(values, QUANTILES).tolist()
    return middle, late


def _worst(pair: Pair, request: LoggedRequest) -> WorstRow:
    gaps = np.abs(np.reshape(gaps_of(pair) or [0.0], (request.rows, -1))).max(axis=1)
    row = int(gaps.argmax())
    width = len(pair.control) // request.rows
    part = slice(row * width, (row + 1) * width)
    inputs = {name: plain(array[row : row + 1]) for name, array in request.inputs.items()}
    return WorstRow(
        request.at_ms, row, request.rows, request.version, pair.control[part], (pair.candidate or ())[part],
        float(gaps[row]), {name: values[0] if len(values) == 1 else values for name, values in inputs.items()},
    )
