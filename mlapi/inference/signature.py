"""The typed signature of a model version: which tensors go in and which come out.

Datatype names and shapes are those of the Open Inference Protocol ("Tensor Data Types"); the first
dimension is the batch and always -1.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

Form = Literal["matrix", "columns"]
Unseen = Literal["refuse", "accept"]

NUMPY_TYPES = {
    "BOOL": "?",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
    "BYTES": "O",
}  # fmt: skip
"""Datatype to numpy dtype; BYTES are Python strings in an object array."""

WORDS = {"BOOL": "true or false", "BYTES": "text", "FP16": "a number", "FP32": "a number",
         "FP64": "a number"}  # fmt: skip


def wanted(datatype: str) -> str:
    """Return what a JSON value of this datatype is, in words for an error message."""
    return WORDS.get(datatype, "an integer")


@dataclass(frozen=True)  # no slots: what every request asks of it is worked out once
class TensorSpec:
    """One tensor: name, datatype, shape with the batch first, and what its values may be.

    `categories` are the texts a BYTES column knows; `unseen` says whether others are refused.
    `minimum` and `maximum` describe the sample and refuse nothing. `nullable` allows missing values.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    nullable: bool = False
    categories: tuple[str, ...] | None = None
    unseen: Unseen = "accept"
    minimum: float | None = None
    maximum: float | None = None

    @cached_property
    def width(self) -> int:
        """The number of values a row has in this tensor."""
        return self.shape[1] if len(self.shape) > 1 else 1

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype of its values."""
        return np.dtype(NUMPY_TYPES[self.datatype])

    @cached_property
    def only(self) -> frozenset[str] | None:
        """The only texts it takes, or None where it takes all."""
        return frozenset(self.categories) if self.categories and self.unseen == "refuse" else None

    @cached_property
    def picky(self) -> bool:
        """Whether it refuses some values of its datatype: missing ones, or texts that are no category."""
        return self.only is not None or (not self.nullable and self.dtype.kind in "fO")


@dataclass(frozen=True)
class Signature:
    """All inputs and outputs of a version.

    `form` is "matrix" (one FP64 tensor, a row of numbers an instance) or "columns" (a tensor a
    column, as in a data frame). `features` names the columns of a matrix, where they are known.
    """

    form: Form
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    features: tuple[str, ...] = ()

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, in declared order."""
        return tuple(spec.name for spec in self.inputs)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names by which its values may be given one by one: none for a matrix without, or of its own name."""
        if self.form == "columns":
            return self.input_names
        return self.features if self.inputs[0].name not in self.features else ()

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, in declared order."""
        return tuple(spec.name for spec in self.outputs)
