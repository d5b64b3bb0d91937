"""The one way from a request to an answer, whatever the protocol: route, conform, predict, observe."""

import logging
import time
from collections.abc import Callable, Sequence

from mlapi.inference.conform import conform
from mlapi.inference.values import InferenceEvent, InferenceRequest, InferenceResponse, Target, rows_of
from mlapi.registry.live import LiveRegistry, ModelStatus
from mlapi.registry.loading import LoadedModel

Route = Callable[[Target], LoadedModel]
Observer = Callable[[InferenceEvent], None]

log = logging.getLogger("mlapi.serving")


class DataPlane:
    """Answers inference requests.

    `route` gives the loaded model for a target; `observers` are told of every inference, answered or
    failed. An observer that raises is logged and never reaches the caller.
    """

    def __init__(
        self, live: LiveRegistry, route: Route, observers: Sequence[Observer] = (),
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.live = live
        self._route = route
        self._observers = tuple(observers)
        self._clock = clock

    def model(self, target: Target) -> LoadedModel:
        """Return the loaded model that `target` means; raises as `LiveRegistry.get` does."""
        return self._route(target)

    def status(self, name: str) -> ModelStatus:
        """Return the status of all versions of a model; raises ModelNotFound."""
        return self.live.model(name)

    def infer(self, request: InferenceRequest) -> InferenceResponse:
        """Return the answer to a request.

        Raises what routing raises (NotFound, ModelNotReady), InvalidRequest where the input does not
        fit the signature, ModelRefusedInput and ModelFailed where the model does not answer.
        """
        watch = _Watch(self._clock)
        try:
            response = self._answer(request, watch)
        except Exception as error:
            self._observe(watch.event(request.target, None, error))
            raise
        self._observe(watch.event(request.target, response, None))
        return response

    def _answer(self, request: InferenceRequest, watch: "_Watch") -> InferenceResponse:
        loaded = self._route(request.target)
        manifest = loaded.manifest
        watch.version = manifest.version
        wanted = loaded.outputs(request.outputs)
        watch.begin()
        inputs = conform(request.inputs, loaded.signature)
        watch.conformed(rows_of(inputs))
        outputs = loaded.predict(inputs, wanted)
        watch.predicted()
        datatypes = {spec.name: spec.datatype for spec in loaded.signature.outputs}
        return InferenceResponse(manifest.name, manifest.version, outputs, datatypes, request.id)

    def _observe(self, event: InferenceEvent) -> None:
        for observer in self._observers:
            try:
                observer(event)
            except Exception:
                name = getattr(observer, "__qualname__", repr(observer))
                log.exception("an observer failed", extra={"observer": name})


class _Watch:
    """The times and counts of one inference, as far as it came."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.version: int | None = None
        self.rows = self._conform_ns = self._predict_ns = self._since = 0

    def begin(self) -> None:
        self._since = self._clock()

    def conformed(self, rows: int) -> None:
        now = self._clock()
        self.rows, self._conform_ns, self._since = rows, now - self._since, now

    def predicted(self) -> None:
        self._predict_ns = self._clock() - self._since

    def event(self, target: Target, response: InferenceResponse | None, error: Exception | None) -> InferenceEvent:
        outputs = None if response is None else response.outputs
        return InferenceEvent(target, self.version, self.rows, self._conform_ns, self._predict_ns, outputs, error)
