"""Requests that are ready at the same moment, predicted together where that changes no answer.

Only prediction plans answer here: they are this project's code, of known cost. A model is asked for several requests
at once only if its answer to a row is known to be the same, to the last bit,
whatever rows stand beside it, and only as much as is known to be done within `budget_ns`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mlapi.inference.conform import conform
from mlapi.inference.values import Array, Assignment, InferenceEvent, InferenceRequest, rows_of
from mlapi.registry.loading import LoadedModel
from mlapi.serving.alike import Alike, Answered, Asked, Chosen, Find, alone_ns

BUDGET_NS = 1_000_000


class _Ready(NamedTuple):
    """A request whose inputs conform to the signature of the model that answers it."""

    place: int
    request: InferenceRequest
    assignment: Assignment | None
    inputs: dict[str, Array]
    rows: int
    input_ns: int


class Together:
    """Answers requests that are ready; `find` gives at once which model answers whom."""

    def __init__(
        self, find: Find, budget_ns: int = BUDGET_NS, clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._find, self._budget_ns, self._clock = find, budget_ns, clock
        self._alike = Alike(find, budget_ns, clock)

    def answers(self, asked: Sequence[Asked]) -> list[Answered | None]:
        """Return what became of each request, in order; None for one that must take the long road.

        That is every one that cannot be answered with success, cheaply and at once: the long road finds the
        words for what is wrong with it, and is observed instead.
        """
        found: list[Answered | None] = [None] * len(asked)
        self._alike.answer(asked, found)
        groups: dict[tuple[int, tuple[str, ...]], tuple[LoadedModel, list[_Ready]]] = {}
        chosen = Chosen(self._find)
        for place, one in enumerate(asked):
            if found[place] is not None:
                continue
            try:
                known = self._known(place, one, chosen)
            except Exception:  # noqa: BLE001, S112 (whatever it is, the long road meets it again and says it)
                continue
            if known is not None:
                loaded, outputs, ready = known
                groups.setdefault((id(loaded), outputs), (loaded, []))[1].append(ready)
        for (_, outputs), (loaded, members) in groups.items():
            for part in self._parts(loaded, members):
                self._predict(loaded, outputs, part, asked, found)
        return found

    def _known(self, place: int, one: Asked, chosen: Chosen) -> tuple[LoadedModel, tuple[str, ...], _Ready] | None:
        """Return what answers one request, and what it is asked; None where that may take any time."""
        found = chosen.ready(one.call.target, one)
        if found is None or found.loaded.planned is None:  # an estimator's code may do anything, and take any time
            return None
        begun, loaded = self._clock(), found.loaded
        request = one.call.load(one.body)
        outputs = loaded.outputs(request.outputs)
        inputs = conform(request.inputs, loaded.signature)
        rows = rows_of(inputs)
        cost = loaded.expected_ns(rows)
        if cost is None or cost > self._budget_ns:
            return None
        return loaded, outputs, _Ready(place, request, found.assignment, inputs, rows, self._clock() - begun)

    def _parts(self, loaded: LoadedModel, members: list[_Ready]) -> Iterator[list[_Ready]]:
        """Cut a group into parts that are predicted together, each within the budget."""
        if not loaded.row_independent:
            yield from ([one] for one in members)
            return
        part: list[_Ready] = []
        rows = 0
        for one in members:
            cost = loaded.expected_ns(rows + one.rows)
            if part and (cost is None or cost > self._budget_ns):
                yield part
                part, rows = [], 0
            part.append(one)
            rows += one.rows
        yield part

    def _predict(
        self, loaded: LoadedModel, outputs: tuple[str, ...], part: list[_Ready], asked: Sequence[Asked],
        found: list[Answered | None],
    ) -> None:
        begun = self._clock()
        try:
            predicted = loaded.predict_by_plan(_stacked(part), outputs)
        except Exception:  # noqa: BLE001 (one of them may be to blame: each goes the long road by itself)
            return
        predict_ns, first, rows = self._clock() - begun, 0, sum(one.rows for one in part)
        for number, one in enumerate(part):
            begun = self._clock()
            own = predicted if len(part) == 1 else {n: a[first : first + one.rows] for n, a in predicted.items()}
            first += one.rows
            response = loaded.response(own, one.request.id, one.assignment)
            try:
                answer = asked[one.place].call.dump(response, one.request)
            except Exception:  # noqa: BLE001, S112 (see answers)
                continue
            told = () if one.assignment is None else (one.assignment,)
            alone = alone_ns(loaded, one.rows, rows, predict_ns) if told else None
            event = InferenceEvent(
                asked[one.place].call.target, response.version, one.rows, one.input_ns, predict_ns,
                self._clock() - begun, own, None, int(number == 0), told, one.inputs, alone,
            )
            found[one.place] = Answered(answer, event, one.assignment)


def _stacked(part: list[_Ready]) -> dict[str, Array]:
    if len(part) == 1:
        return part[0].inputs
    return {name: np.concatenate([one.inputs[name] for one in part]) for name in part[0].inputs}
