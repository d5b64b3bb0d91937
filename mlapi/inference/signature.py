"""The typed signature of a model version: which tensors go in and which come out.

Datatype names and shapes are those of the Open Inference Protocol ("Tensor Data Types"); the first
dimension is the batch and always -1.
"""

from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True, slots=True)
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

    @property
    def width(self) -> int:
        """The number of values a row has in this tensor."""
        return self.shape[1] if len(self.shape) > 1 else 1


@dataclass(frozen=True, slots=True)
class Signature:
    """All inputs and outputs of a version.

    `form` is "matrix" (one FP64 tensor, a row of numbers an instance) or "columns" (a tensor a
    column, as in a data frame). `features` names the columns of a matrix, where they are known.
    """

    form: Form
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    features: tuple[str, ...] = ()

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, in declared order."""
        return tuple(spec.name for spec in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, in declared order."""
        return tuple(spec.name for spec in self.outputs)
