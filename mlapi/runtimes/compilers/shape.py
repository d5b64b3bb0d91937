"""What flows into an estimator at compile time, and the refusal to compile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from mlapi.inference.signature import Signature
from mlapi.runtimes.predictor import Feed


class NoPlan(Exception):
    """This estimator, or this parameter of it, has no plan; says which."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns in order: their names where they have some, whether each is text, and whether they are a matrix."""

    names: tuple[str, ...]
    texts: tuple[bool, ...]
    table: bool

    @classmethod
    def of(cls, signature: Signature, feed: Feed) -> Self:
        """Return the shape of what a signature lets in. Raises NoPlan for tensors that are no columns."""
        if signature.form == "matrix":
            return cls(signature.features, (False,) * signature.inputs[0].width, table=False)
        if feed == "array":
            return cls((), (False,) * len(signature.inputs), table=True)
        return cls(signature.input_names, tuple(spec.datatype == "BYTES" for spec in signature.inputs), table=True)

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.texts)

    @property
    def numeric(self) -> bool:
        """Whether there is no text."""
        return not any(self.texts)

    def pick(self, places: Sequence[int]) -> Self:
        """Return some of the columns."""
        names = tuple(self.names[place] for place in places) if self.names else ()
        return replace(self, names=names, texts=tuple(self.texts[place] for place in places))


def matrix(width: int) -> Shape:
    """Return the shape of a float matrix whose columns have no names."""
    return Shape((), (False,) * width, table=False)


def kind_of(estimator: Any) -> str:  # noqa: ANN401 (any estimator)
    """Return the class of an estimator as its library and name, such as 'sklearn.Ridge'."""
    kind = type(estimator)
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
