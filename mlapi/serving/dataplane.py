"""The one way from a request to an answer, whatever the protocol: route, conform, predict, observe."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from mlapi.errors import GivenUp, MlapiError
from mlapi.inference.conform import conform
from mlapi.inference.values import (
    Array,
    Assignment,
    InferenceEvent,
    InferenceRequest,
    InferenceResponse,
    Target,
    rows_of,
)
from mlapi.registry.live import LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.registry.status import ModelStatus
from mlapi.rollouts.caller import Caller, Ticket
from mlapi.rollouts.router import Treatment, undivided, untreated
from mlapi.serving.alike import Answered, Asked, Find
from mlapi.serving.together import Together

PHASES = 3
LATE = "no answer within the deadline"

Q = TypeVar("Q", bound=InferenceRequest)
R = TypeVar("R")
Route = Callable[[Target], LoadedModel]
Treat = Callable[[Target, Caller], Treatment | None]
Observer = Callable[[InferenceEvent], None]

log = logging.getLogger("mlapi.serving")


class DataPlane:
    """Answers inference requests.

    `route` gives the loaded model for a target; `treat` what a rollout decides for it, or None;
    `ready` gives how callers get a model that is in memory, or None where they must be routed;
    `observers` are told of every inference, answered or failed, of several that one prediction answered by one event;
    those `of_rollouts` only of such as a rollout decided.
    An observer that raises is logged, counted in `failed_observations`, and never reaches the caller.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (what it is built of)
        self, live: LiveRegistry, route: Route, observers: Sequence[Observer] = (),
        clock: Callable[[], int] = time.perf_counter_ns, treat: Treat = untreated,
        ready: Find | None = None, of_rollouts: Sequence[Observer] = (),
    ) -> None:
        self.live = live
        self._route, self._treat = route, treat
        self._observers, self._of_rollouts = tuple(observers), tuple(of_rollouts)
        self._all = (*observers, *of_rollouts)
        self._clock = clock
        self.failed_observations = 0
        self._together = Together(ready or undivided(live), clock=clock)

    def model(self, target: Target) -> LoadedModel:
        """Return the loaded model that `target` means; raises as `LiveRegistry.get` does."""
        return self._route(target)

    def status(self, name: str) -> ModelStatus:
        """Return the status of all versions of a model; raises ModelNotFound."""
        return self.live.model(name)

    def exchange(
        self, target: Target, load: Callable[[], Q], dump: Callable[[InferenceResponse, Q], R],
        caller: Caller | None = None,
    ) -> R:
        """Return what `dump` makes of the answer to the request of `caller` that `load` reads: one whole inference.

        Both run under the watch, so that what they cost, and what they refuse, is counted; `load` may read
        the body, which a target that cannot answer never costs. Raises what they raise; what routing
        raises (NotFound, ModelNotReady); InvalidRequest where the input does not fit the signature;
        ModelRefusedInput and ModelFailed where the model does not answer.
        """
        watch, caller = _Watch(self._clock), caller or Caller()
        try:
            watch.version = self._route(target).manifest.version
            request = load()
            treatment = self._treat(target, caller)
            if treatment is None:
                loaded = self._route(target)  # again: reading the body may have outlived the version
                response = _answer(loaded, request, watch)
            else:
                if caller.ticket is not None:
                    caller.ticket.decided = target, treatment.assignment, self._clock()
                response = _treated(treatment, request, watch)
            answer = dump(response, request)
        except Exception as error:
            watch.stopped(caller)
            self._observe(watch.event(target, None, error))
            raise
        watch.stopped(caller)
        self._observe(watch.event(target, response, None))
        return answer

    def give_up(self, ticket: Ticket) -> None:
        """Tell those who watch rollouts of a request that waits for its model no longer: for them it has failed.

        They hear of nothing else: a model that hangs would never be told of.
        """
        if ticket.decided is not None and ticket.take():
            target, assignment, since = ticket.decided
            took = self._clock() - since
            late = InferenceEvent(target, None, 0, 0, took, 0, None, GivenUp(LATE), assignments=(assignment,))
            self._tell(self._of_rollouts, late)

    def exchange_ready(self, asked: Sequence[Asked]) -> list[Answered | None]:
        """Return the answers to requests that are ready together; None for each that must be asked by `exchange`.

        What is not answered costs its caller nothing but time, a few microseconds. Never waits: not for a lock, a
        load or a disk. Observers learn of it by `tell`, so that nobody waits for them.
        """
        return self._together.answers(asked)

    def tell(self, answered: Sequence[Answered]) -> None:
        """Tell the observers of what `exchange_ready` answered."""
        for event in {id(one.event): one.event for one in answered}.values():
            self._observe(event)

    def _observe(self, event: InferenceEvent) -> None:
        self._tell(self._all if event.assignments else self._observers, event)

    def _tell(self, observers: Sequence[Observer], event: InferenceEvent) -> None:
        for observer in observers:
            try:
                observer(event)
            except Exception:
                self.failed_observations += 1
                name = getattr(observer, "__qualname__", repr(observer))
                log.exception("an observer failed", extra={"observer": name})


def _treated(treatment: Treatment, request: InferenceRequest, watch: "_Watch") -> InferenceResponse:
    """Return the answer of the version that was assigned; of the control where the candidate has none.

    The assignment stands either way (intention to treat): else the failures of a candidate would be
    counted as the control's, and the two arms were no longer comparable.
    """
    watch.assignment = treatment.assignment
    if treatment.candidate is not None:
        try:
            answer = _answer(treatment.candidate, request, watch)
            return replace(answer, assignment=treatment.assignment)
        except MlapiError:
            watch.again()
    answer = _answer(treatment.control(), request, watch)
    watch.assignment = treatment.assigned()
    return replace(answer, assignment=watch.assignment)


def _answer(loaded: LoadedModel, request: InferenceRequest, watch: "_Watch") -> InferenceResponse:
    watch.version = loaded.manifest.version
    wanted = loaded.outputs(request.outputs)
    inputs = conform(request.inputs, loaded.signature)
    watch.conformed(inputs)
    outputs = loaded.predict(inputs, wanted)
    watch.predicted()
    return loaded.response(outputs, request.id)


class _Watch:
    """The times and counts of one inference, as far as it came."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.version: int | None = None
        self.rows = 0
        self.assignment: Assignment | None = None
        self.inputs: Mapping[str, Array] | None = None
        self._laps = [clock()]

    def again(self) -> None:
        """Another version answers instead: all the time so far was spent on the input."""
        del self._laps[1:]

    def conformed(self, inputs: Mapping[str, Array]) -> None:
        self.rows, self.inputs = rows_of(inputs), inputs
        self._laps.append(self._clock())

    def predicted(self) -> None:
        self._laps.append(self._clock())

    def stopped(self, caller: Caller) -> None:
        """The last phase ends now, by success or failure; who was given up is told of already."""
        self._laps.append(self._clock())
        if self.assignment is not None and caller.ticket is not None and not caller.ticket.take():
            self.assignment = None

    def event(self, target: Target, response: InferenceResponse | None, error: Exception | None) -> InferenceEvent:
        spent = [end - begin for begin, end in pairwise(self._laps)]
        took = [*spent, 0, 0][:PHASES]
        outputs = None if response is None else response.outputs
        assignments = () if self.assignment is None else (self.assignment,)
        return InferenceEvent(
            target, self.version, self.rows, took[0], took[1], took[2], outputs, error,
            assignments=assignments, inputs=self.inputs,
        )
