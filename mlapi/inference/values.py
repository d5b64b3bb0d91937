"""What a protocol hands to the core and gets back: requests, responses and events.

None of these is changed once it is made. Those that are made for every request do without Python's enforcement
of that (`frozen`), which makes them at three times the cost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Parameters = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Target:
    """Which version is asked: by number, by label, or (neither) the newest one that is ready."""

    model: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Instances one after the other, still as decoded: lists, plain values or objects by name."""

    values: list[Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """Whole tensors, still as decoded: one by itself, or an object of them by name."""

    values: list[Any] | dict[str, Any]


@dataclass(slots=True)
class Numbers:
    """Rows or columns of which nothing but numbers can be told: `array` are they as doubles, `[n, k]`.

    `decoded` gives them as they were decoded, which a signature may need that asks for more than doubles.
    `complete`: none of them is NaN, for certain.
    """

    array: Array
    decoded: Callable[[], Rows | Columns]
    by_row: bool = True
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Tensors:
    """Named arrays in the datatype and shape that the request declared."""

    arrays: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class RawTensor:
    """The bytes of the one input of a model, for a batch of one; its datatype is the signature's."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LoneArray:
    """One numeric array without a name, for a model of one input."""

    array: Array


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length by name, as a data frame has them: None or NaN is a missing value.

    `written`: the cells are texts, an empty one missing, and become values by the datatypes of the
    signature. A model of a matrix whose columns have no names takes the columns in their order.
    """

    columns: Mapping[str, list[Any] | Array]
    written: bool = False


Inputs = Rows | Columns | Numbers | Tensors | RawTensor | LoneArray | Table


@dataclass(slots=True)
class InferenceRequest:
    """One inference as a protocol asks for it; `outputs` are names, None for all, () for the first.

    A protocol that must remember more to write the answer extends it by one level.
    """

    target: Target
    inputs: Inputs
    outputs: tuple[str, ...] | None = None
    id: str | None = None
    parameters: Parameters = field(default_factory=dict)

    @property
    def wants_texts(self) -> bool:
        """Whether numbers are to be answered as texts."""
        return False


@dataclass(slots=True)
class Assignment:
    """What a rollout decided for one inference, and what became of it.

    `arm` is control, candidate, or pinned where the caller chose; `served` is the arm that answered. The
    two differ where the candidate could not answer and the control did instead (`fell_back`). `unit` is
    key where somebody is followed from request to request, else request; `hashed` is the 64-bit hash of
    it. `ppm` is the candidate's share, in millionths, that was in force.
    """

    rollout: str
    generation: int
    step: int
    ppm: int
    arm: str
    served: str
    unit: str
    hashed: int
    prediction_id: str | None
    fell_back: bool = False


@dataclass(slots=True)
class InferenceResponse:
    """The answer: arrays by output name, batch first, in the datatypes of the signature.

    `classes` are the classes of a classifier, in the order of its probabilities.
    """

    model: str
    version: int
    outputs: Mapping[str, Array]
    datatypes: Mapping[str, str]
    id: str | None = None
    classes: tuple[str | int | bool, ...] | None = None
    assignment: Assignment | None = None


@dataclass(slots=True)
class InferenceEvent:
    """What an observer learns of one inference, answered or failed; or of several that one prediction answered.

    `requests` is how many; they asked for the same `target` and were answered by the same `version`. `rows`
    and the times are of each of them: nanoseconds of a monotonic clock for reading and conforming the
    input, predicting, writing the answer. `inputs`, as they conformed, and `outputs` have the rows of all
    of them, one request after the other.

    `rows` is 0 where the request failed before its rows were counted; `version` and `inputs` are None where it
    failed before it had any. `error` is the exception the caller will get. `assignments`, one for each request, are
    there where a rollout decided: all of one rollout, generation, step and share. What was predicted together has the
    whole time of that prediction; `alone_ns` is what one of the requests would have taken by itself, and
    `executions` how many predictions this event adds to those that were told of before.
    """

    target: Target
    version: int | None
    rows: int
    input_ns: int
    predict_ns: int
    output_ns: int
    outputs: Mapping[str, Array] | None
    error: Exception | None
    executions: int = 1
    assignments: Sequence[Assignment] = ()
    inputs: Mapping[str, Array] | None = None
    alone_ns: int | None = None
    requests: int = 1

    @property
    def model_ns(self) -> int:
        """Nanoseconds that the model takes for one of the requests, whatever others it was predicted with."""
        return self.predict_ns if self.alone_ns is None else self.alone_ns

    @property
    def total_ns(self) -> int:
        """Nanoseconds from the body of a request to its answer."""
        return self.input_ns + self.predict_ns + self.output_ns

    def single(self, number: int) -> "InferenceEvent":
        """Return the event of one of the requests by itself; the first has the executions."""
        if self.requests == 1:
            return self
        return replace(
            self, outputs=self._own(self.outputs, number), inputs=self._own(self.inputs, number), requests=1,
            executions=0 if number else self.executions, assignments=self.assignments[number : number + 1],
        )

    def _own(self, arrays: Mapping[str, Array] | None, number: int) -> Mapping[str, Array] | None:
        if arrays is None:
            return None
        first = number * self.rows  # copied, so that who keeps one of them does not keep all
        return {name: array[first : first + self.rows].copy() for name, array in arrays.items()}


def rows_of(arrays: Mapping[str, Array]) -> int:
    """Return the batch size that all `arrays` share (their first dimension)."""
    return len(next(iter(arrays.values())))


