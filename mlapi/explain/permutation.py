"""Shapley values of any model, sampled over permutations of its columns (shap's Permutation explainer).

Columns that are "not known" take the values of reference rows. A permutation is walked forwards and
backwards, so that base value and contributions add up however few of them there are.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping

import numpy as np

from mlapi.errors import NotExplainable
from mlapi.explain.subject import Subject
from mlapi.explain.values import Contributions, Method
from mlapi.inference.values import Array, rows_of

BACKGROUND_ROWS = 50
PERMUTATIONS = 10
MOST_EVALUATIONS = 2000
"""Sets of known columns that a row is asked with, each with every background row."""
AT_ONCE = 100
SEED = 0

_GLOBAL_RANDOM = threading.Lock()
"""shap seeds and uses numpy's global generator; other users of it find it as they left it."""


class _Generator:
    """numpy's global generator, borrowed by one explanation: held while shap works, given back while the model does."""

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def take(self) -> None:
        _GLOBAL_RANDOM.acquire()
        self._theirs = np.random.get_state()  # noqa: NPY002 (shap's generator)

    def give_back(self) -> None:
        np.random.set_state(self._theirs)  # noqa: NPY002 (see above)
        _GLOBAL_RANDOM.release()

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        ours = np.random.get_state()  # noqa: NPY002 (see above)
        self.give_back()
        try:
            yield
        finally:
            self.take()
            np.random.set_state(ours)  # noqa: NPY002 (see above)


class Permutation:
    """Explains whatever answers numbers; raises NotExplainable where one permutation would exceed the evaluations."""

    method: Method = "permutation"

    def __init__(self, subject: Subject) -> None:
        import shap  # noqa: PLC0415 (see exact.py)

        self._shap = shap
        self._subject, self.output = subject, subject.output
        once = 2 * len(subject.columns) + 1
        if once > MOST_EVALUATIONS:
            most = (MOST_EVALUATIONS - 1) // 2
            raise NotExplainable(f"this model has {len(subject.columns)} columns; at most {most} can be explained")
        self._evaluations = min(PERMUTATIONS * once, MOST_EVALUATIONS)
        rows = rows_of(subject.background)
        self._background = {name: array[:: -(-rows // BACKGROUND_ROWS)] for name, array in subject.background.items()}

    def contributions(self, inputs: Mapping[str, Array]) -> Contributions:
        """Return the Shapley values of the columns, the same for the same rows."""
        subject, count = self._subject, rows_of(self._background)
        grid = subject.grid(self._background, inputs)

        generator = _Generator()

        def ask(numbers: Array) -> Array:
            with generator.lent():
                return subject.answers(grid.inputs(numbers), subject.output)

        masker = self._shap.maskers.Independent(grid.numbers[:count], max_samples=count)
        with generator:
            explainer = self._shap.explainers.Permutation(ask, masker, seed=SEED)
            found = explainer(grid.numbers[count:], max_evals=self._evaluations, batch_size=AT_ONCE, silent=True)
        width = len(subject.columns)
        values = np.asarray(found.values, dtype="f8").reshape(rows_of(inputs), width, -1)
        base = np.asarray(found.base_values, dtype="f8").reshape(rows_of(inputs), -1)[0]
        return Contributions(values, base)
