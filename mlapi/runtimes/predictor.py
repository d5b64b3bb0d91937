"""What every runtime makes of a model file: something that answers named arrays with named arrays."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from mlapi.inference.values import Array

Feed = Literal["array", "frame", "objects", "tensors"]
"""What the model is handed: a float matrix, a pandas frame, an object matrix, or tensors by name."""


class Predictor(Protocol):
    """A loaded model."""

    @property
    def model(self) -> Any:  # noqa: ANN401 (whatever the file held)
        """The object that the file held."""

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return the named outputs, each `[n, k]`, for inputs that conform to the signature.

        Raises ModelRefusedInput where the model raises ValueError, else ModelFailed.
        """
