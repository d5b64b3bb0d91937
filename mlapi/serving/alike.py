"""Requests of one row that differ in nothing but their numbers: read, predicted and written as one batch.

Of a thousand requests a second for one model most are such. What they share, which is all but the numbers, is
understood once; the numbers of all of them become one array. Whatever is out of the ordinary in one of them leaves
all of its batch to the ordinary way, one by one, so that nobody pays for the fault of another with more than time.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mlapi.inference.conform import conform
from mlapi.inference.values import Array, Assignment, InferenceEvent, InferenceResponse, Target, rows_of
from mlapi.registry.loading import LoadedModel
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.router import Choose, Ready

Find = Callable[[Target], Choose]
"""Gives how those who ask for a target at this moment get a model that is in memory."""


class Batch(NamedTuple):
    """How a protocol reads several bodies as one request, and writes the rows of its answer apart.

    `cut` gives what a body has in common with others, its frame, and its numbers; None where it is no body of one row
    of numbers. `gather` gives the request of all the rows, None where it does not know; `scatter` what the protocol's
    `dump` would make of each row by itself, given the assignment of each, None where that needs `dump`.
    """

    cut: Callable[[bytes], tuple[Any, bytes] | None]
    gather: Callable[[Target, Any, Sequence[bytes]], Any]
    scatter: Callable[[InferenceResponse, Any, Sequence[Assignment | None]], Sequence[Any] | None]


class Call(Protocol):
    """What requests ask for, whoever sends them: a target, and how their protocol reads and writes."""

    @property
    def target(self) -> Target:
        """Which version is asked; calls of one target have the same object."""

    @property
    def load(self) -> Callable[[bytes], Any]:
        """What makes a request of a body."""

    @property
    def dump(self) -> Callable[[InferenceResponse, Any], Any]:
        """What makes an answer of a response to that."""

    @property
    def batch(self) -> Batch | None:
        """How several are read and written at once, where the protocol knows how."""


class Asked(Protocol):
    """One request that is ready: what it asks for, its body, and who asks."""

    @property
    def call(self) -> Call:
        """What it asks for."""

    @property
    def body(self) -> bytes:
        """What was sent."""

    @property
    def caller(self) -> Caller:
        """Who asks."""


class Answered(NamedTuple):
    """What `dump` made of an answer, what observers are told of it, and what a rollout decided, where one did."""

    answer: Any
    event: InferenceEvent
    assignment: Assignment | None


class Chosen:
    """Which models answer those who ask at one moment; what is the same for everybody is looked up once."""

    __slots__ = ("_choices", "_find", "_same")

    def __init__(self, find: Find) -> None:
        self._find = find
        self._choices: dict[int, tuple[Target, Choose]] = {}
        self._same: dict[int, Ready] = {}

    def ready(self, target: Target, one: Asked) -> Ready | None:
        """Return the model that answers a request, None where it is not in memory; raises what `find` raises."""
        ready = self._same.get(id(target))
        if ready is not None:
            return ready
        known = self._choices.get(id(target))
        if known is None:
            known = self._choices[id(target)] = target, self._find(target)
        ready = known[1](one.caller)
        if ready is not None and ready.assignment is None:
            self._same[id(target)] = ready
        return ready


class _Group(NamedTuple):
    """Requests that share a frame and a model; `places` are where they stand among all."""

    batch: Batch
    frame: Any
    loaded: LoadedModel
    places: list[int]
    numbers: list[bytes]
    assignments: list[Assignment | None]


class Alike:
    """Answers requests that are alike."""

    def __init__(self, find: Find, budget_ns: int, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._find, self._budget_ns, self._clock = find, budget_ns, clock

    def answer(self, asked: Sequence[Asked], found: list[Answered | None]) -> None:
        """Put into `found`, at their places, the answers to those that are alike and can be answered cheaply."""
        for group in self._groups(asked):
            try:
                self._answer(group, asked, found)
            except Exception:  # noqa: BLE001, S112 (the ordinary way meets it again, where it belongs)
                continue

    def _groups(self, asked: Sequence[Asked]) -> Iterator[_Group]:
        groups: dict[tuple[int, int, int], _Group] = {}
        chosen = Chosen(self._find)
        for place, one in enumerate(asked):
            call, cut = one.call, _cut(one)
            if cut is None:
                continue
            frame, numbers = cut
            try:
                ready = chosen.ready(call.target, one)
            except Exception:  # noqa: BLE001, S112 (the ordinary way meets it again)
                continue
            if ready is None or ready.loaded.planned is None:
                continue
            # All three are kept by the group, `chosen` or `asked`, so that no other object has their ids.
            key = id(frame), id(ready.loaded), id(call.target)
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group(call.batch, frame, ready.loaded, [], [], [])  # type: ignore[arg-type]
            group.places.append(place)
            group.numbers.append(numbers)
            group.assignments.append(ready.assignment)
        return iter(groups.values())

    def _answer(self, group: _Group, asked: Sequence[Asked], found: list[Answered | None]) -> None:
        begun, loaded, count = self._clock(), group.loaded, len(group.places)
        request = group.batch.gather(asked[group.places[0]].call.target, group.frame, group.numbers)
        if request is None:
            return
        outputs = loaded.outputs(request.outputs)
        inputs = conform(request.inputs, loaded.signature)
        size = self._size(loaded, count)
        if rows_of(inputs) != count or not size:
            return
        input_ns = (self._clock() - begun) // count
        for first in range(0, count, size):
            self._predict(group, request, outputs, _part(inputs, first, first + size, count), first, input_ns,
                          asked, found)  # fmt: skip

    def _size(self, loaded: LoadedModel, count: int) -> int:
        """Return how many of `count` rows may be predicted at once; 0 where one is too dear."""
        if not loaded.row_independent:
            count = 1
        while count and not self._is_cheap(loaded, count):
            count //= 2
        return count

    def _is_cheap(self, loaded: LoadedModel, rows: int) -> bool:
        cost = loaded.expected_ns(rows)
        return cost is not None and cost <= self._budget_ns

    def _predict(  # noqa: PLR0913, PLR0917 (what it knows of a part of a group)
        self, group: _Group, request: Any, outputs: tuple[str, ...], inputs: dict[str, Array], first: int,  # noqa: ANN401 (what `gather` made)
        input_ns: int, asked: Sequence[Asked], found: list[Answered | None],
    ) -> None:
        begun, loaded, rows = self._clock(), group.loaded, rows_of(inputs)
        predicted = loaded.predict_by_plan(inputs, outputs)
        done = self._clock()
        predict_ns = done - begun
        places, assignments = group.places[first : first + rows], group.assignments[first : first + rows]
        response = loaded.response(predicted, request.id)
        answers = group.batch.scatter(response, request, assignments)
        if answers is None:
            answers = [
                asked[place].call.dump(loaded.response(own, request.id, assignment), request)
                for place, own, assignment in zip(places, _rows(predicted), assignments, strict=True)
            ]
        told = [one for one in assignments if one is not None]
        event = InferenceEvent(
            asked[places[0]].call.target, response.version, 1, input_ns, predict_ns,
            (self._clock() - done) // rows, predicted, None, 1, told, inputs,
            alone_ns(loaded, 1, rows, predict_ns) if told else None, rows,
        )
        for place, answer, assignment in zip(places, answers, assignments, strict=True):
            found[place] = Answered(answer, event, assignment)


def _cut(one: Asked) -> tuple[Any, bytes] | None:
    try:
        return None if one.call.batch is None else one.call.batch.cut(one.body)
    except Exception:  # noqa: BLE001 (the ordinary way meets it again)
        return None


def alone_ns(loaded: LoadedModel, rows: int, together: int, predict_ns: int) -> int | None:
    """Return what a prediction would have taken for some of its rows alone, by the calibration of the model.

    The arms of a rollout are compared by it: of two equal versions the one with the larger share of the requests
    is asked for more of them at once. None where they were alone, or nothing is known.
    """
    if rows == together:
        return None
    own, whole = loaded.expected_ns(rows), loaded.expected_ns(together)
    return predict_ns * own // whole if own and whole else None


def _part(inputs: dict[str, Array], first: int, end: int, count: int) -> dict[str, Array]:
    return inputs if end - first >= count else {name: array[first:end] for name, array in inputs.items()}


def _rows(arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Return each row of a batch by itself, still a batch, of one."""
    columns = [list(array[:, None]) for array in arrays.values()]
    if len(columns) == 1:
        (name,) = arrays
        return [{name: row} for row in columns[0]]
    return [dict(zip(arrays, row, strict=True)) for row in zip(*columns, strict=True)]
