"""One explainer a version: chosen at its first explanation, proven on the reference rows, and kept."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Union

import numpy as np

from mlapi.errors import InvalidRequest, NotExplainable
from mlapi.explain.permutation import Permutation
from mlapi.explain.subject import Subject
from mlapi.explain.values import Contributions, Explained, Explanation
from mlapi.inference.values import Array, rows_of
from mlapi.registry import reference
from mlapi.registry.loading import LoadedModel

if TYPE_CHECKING:
    from mlapi.explain.exact import Exact

KEPT = 32
"""Versions whose explainers are kept; the one that was not asked for longest goes first."""

TOLERANCE = 1e-5
"""How far a sum may be off, relative to the largest output; shap's trees compute in single precision."""

MOST_ROWS = {"linear": 10_000, "tree": 1_000, "permutation": 100}
PROVEN_ROWS = 20
NO_SHAP = "explanations of this model need shap on the server: pip install 'mlapi[explain]'"

_Method = Union["Exact", Permutation]


class Explainer:
    """Explains one version: exactly where that is proven to add up, by permutations otherwise."""

    def __init__(self, loaded: LoadedModel) -> None:
        from mlapi.explain.exact import exact  # noqa: PLC0415 (a second that servers which explain nothing must not pay)

        self._subject = Subject(loaded)
        self._exact = self._proven(exact(self._subject))
        self._permutation = self._by_permutation() if self._exact is None else None

    def explain(self, inputs: Mapping[str, Array]) -> Explained:
        """Return an explanation a row, of the predicted class where there are classes.

        Raises InvalidRequest for more rows than one request may explain.
        """
        if self._exact is not None:
            self._refuse_more(inputs, self._exact)
            found = self._exact.contributions(inputs)
            missing = self._missing(found, inputs, self._exact)
            if missing is not None:
                return self._explained(inputs, self._exact, found, missing)
        if self._permutation is None:  # rows on which the trees do not add up, such as values at a split's rounding
            self._permutation = self._by_permutation()
        self._refuse_more(inputs, self._permutation)
        found = self._permutation.contributions(inputs)
        missing = self._answers(inputs, self._permutation) - found.base - found.values.sum(axis=1)
        return self._explained(inputs, self._permutation, found, missing)

    def _proven(self, method: "Exact | None") -> "Exact | None":
        if method is None:
            return None
        rows = reference.head(self._subject.background, PROVEN_ROWS)
        return method if self._missing(method.contributions(rows), rows, method) is not None else None

    def _by_permutation(self) -> Permutation:
        try:
            return Permutation(self._subject)
        except ImportError as error:
            raise NotExplainable(NO_SHAP) from error

    def _missing(self, found: Contributions, inputs: Mapping[str, Array], method: _Method) -> Array | None:
        """Return what sums lack of the outputs `[n, k]`: rounding; None where it is more than that."""
        answers = self._answers(inputs, method)
        sums = found.base + found.values.sum(axis=1)
        if sums.shape != answers.shape:
            return None
        missing: Array = answers - sums
        return missing if np.all(np.abs(missing) <= TOLERANCE * (1 + np.abs(answers).max())) else None

    def _answers(self, inputs: Mapping[str, Array], method: _Method) -> Array:
        return self._subject.answers(inputs, method.output)

    @staticmethod
    def _refuse_more(inputs: Mapping[str, Array], method: _Method) -> None:
        rows, most = rows_of(inputs), MOST_ROWS[method.method]
        if rows > most:
            raise InvalidRequest([f"{rows} rows are too many to explain in one request; this model takes {most}"])

    def _explained(
        self, inputs: Mapping[str, Array], method: _Method, found: Contributions, missing: Array,
    ) -> Explained:
        places, labels = self._subject.classes_of(inputs), self._subject.loaded.manifest.classes
        rows = []
        for i in range(rows_of(inputs)):
            place = 0 if places is None else places[i]
            values = _rounded_up(found.values[i, :, place], missing[i, place])
            label = None if places is None or labels is None else labels[place]
            contributions = dict(zip(self._subject.columns, values.tolist(), strict=True))
            rows.append(Explanation(float(found.base[place]), contributions, method.output, label))
        return Explained(method.method, tuple(rows))


class _Place:
    """The place of one version's explainer: who builds it holds this lock and no other."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.predictor = loaded.predictor
        self._loaded, self._lock = loaded, threading.Lock()
        self._explainer: Explainer | None = None

    def explainer(self) -> Explainer:
        with self._lock:
            if self._explainer is None:
                self._explainer = Explainer(self._loaded)
            return self._explainer


class Explainers:
    """The explainers of all versions, each built when it is first asked for; never on the way to a prediction.

    Building takes seconds, for which only those wait who ask for the same version.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], _Place] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, loaded: LoadedModel) -> Explainer:
        """Return the explainer of a version; raises NotExplainable where there is none."""
        key = (loaded.manifest.name, loaded.manifest.version)
        with self._lock:
            place = self._kept.get(key)
            if place is None or place.predictor is not loaded.predictor:  # loaded anew since
                place = self._kept[key] = _Place(loaded)
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return place.explainer()


def _rounded_up(values: Array, missing: float) -> Array:
    """Return contributions with the rounding spread over them by their size, so that they add up."""
    size = np.abs(values).sum()
    return values + missing * np.abs(values) / size if size > 0 else values
