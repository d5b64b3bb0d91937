"""What a protocol hands to the core and gets back: requests, responses and events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Tensors:
    """Named arrays in the datatype and shape that the request declared."""

    arrays: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One inference as a protocol asks for it; `outputs` are names, or None for the default."""

    target: Target
    inputs: Rows | Columns | Tensors
    outputs: tuple[str, ...] | None = None
    id: str | None = None
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InferenceResponse:
    """The answer: arrays by output name, batch first, in the datatypes of the signature."""

    model: str
    version: int
    outputs: Mapping[str, Array]
    datatypes: Mapping[str, str]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class InferenceEvent:
    """What an observer learns of one inference, answered or failed.

    `rows` is 0 where the request failed before its rows were counted; times are nanoseconds of a
    monotonic clock; `error` is the exception the caller will get.
    """

    target: Target
    version: int | None
    rows: int
    conform_ns: int
    predict_ns: int
    outputs: Mapping[str, Array] | None
    error: Exception | None


def rows_of(arrays: Mapping[str, Array]) -> int:
    """Return the batch size that all `arrays` share (their first dimension)."""
    return len(next(iter(arrays.values())))


