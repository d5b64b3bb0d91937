"""A model with steps of its own before it."""

from dataclasses import dataclass

from mlapi.runtimes.plans.shapes import Chain
from mlapi.runtimes.plans.step import Edges, Rows, Step, step


@step("prepared")
@dataclass(eq=False)
class Prepared(Step):
    """A model that is asked for what `steps` make of the rows."""

    steps: tuple[Step, ...]
    model: Step

    def __post_init__(self) -> None:
        self._all = Chain((*self.steps, self.model))

    def __call__(self, rows: Rows) -> Rows:
        """Return what the model makes of the prepared rows."""
        return self._all(rows)

    def edges(self) -> Edges:
        """Return the edges of all, in columns of the rows."""
        return self._all.edges()
