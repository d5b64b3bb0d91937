"""Base value and contributions add up to the explained output, whatever the model; and they are the right ones."""

import itertools
import math
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from mlapi.errors import InvalidRequest, NotExplainable
from mlapi.explain import explainers as explainers_module
from mlapi.explain.explainers import KEPT, Explainer, Explainers
from mlapi.explain.permutation import Permutation
from mlapi.explain.subject import Subject
from mlapi.registry.loading import LoadedModel
from mlapi.registry.reference import head

METHODS = {
    "line": ("linear", "predict"), "logistic": ("linear", "decision_function"),
    "logistic-three": ("linear", "decision_function"), "ridge": ("linear", "decision_function"),
    "tree": ("tree", "predict"), "tree-three": ("tree", "predict_proba"),
    "forest": ("tree", "predict"), "forest-two": ("tree", "predict_proba"),
    "boosting": ("tree", "predict"), "boosting-two": ("tree", "decision_function"),
    "boosting-three": ("permutation", "predict_proba"),
    "hist": ("tree", "predict"), "hist-two": ("tree", "decision_function"), "hist-three": ("tree", "decision_function"),
    "hist-poisson": ("permutation", "predict"),
    "scaled-line": ("linear", "predict"), "homes-line": ("linear", "predict"),
    "homes-logistic": ("linear", "decision_function"),
    "homes-codes": ("permutation", "predict"),  # shap 0.51 does not add up on it, which is noticed
    "homes-forest": ("permutation", "predict"), "homes-hist": ("permutation", "predict_proba"),
    "homes-target": ("permutation", "predict"), "bayes": ("permutation", "predict_proba"),
    "margin": ("permutation", "decision_function"),
}  # fmt: skip

Versions = Callable[[str], LoadedModel]


def output_of(loaded: LoadedModel, inputs: dict[str, Any], output: str, labels: list[Any]) -> list[float]:
    """Ask the estimator itself."""
    answer = np.asarray(loaded.predictor.ask(output, inputs), dtype=float)  # type: ignore[attr-defined]
    classes = loaded.manifest.classes
    if classes is None:
        return answer.reshape(-1).tolist()
    places = [classes.index(label) for label in labels]
    if answer.ndim == 1:
        return [value if place else -value for value, place in zip(answer, places, strict=True)]
    return answer[np.arange(len(answer)), places].tolist()


@pytest.mark.parametrize("name", METHODS)
def test_the_sum_of_an_explanation_is_the_explained_output(version_of: Versions, name: str) -> None:
    loaded = version_of(name)
    inputs = head(loaded.reference.inputs, 6)
    explained = Explainer(loaded).explain(inputs)
    assert (explained.method, explained.rows[0].output) == METHODS[name]
    labels = [row.label for row in explained.rows]
    predicted = loaded.predict(inputs, ("predict",))["predict"][:, 0].tolist()
    assert labels == (predicted if loaded.manifest.classes else [None] * 6)
    sums = [row.base_value + sum(row.contributions.values()) for row in explained.rows]
    assert sums == pytest.approx(output_of(loaded, inputs, METHODS[name][1], labels), rel=1e-9, abs=1e-9)


def shapley(
    subject: Subject, inputs: dict[str, Any], background: dict[str, Any], output: Any, place: int,
) -> list[float]:
    """Return the Shapley values of the first row by their definition, all sets of columns one by one."""
    grid = subject.grid(background, inputs)
    count, width = len(grid.numbers) - 1, grid.numbers.shape[1]
    worth = {}
    for known in itertools.chain.from_iterable(itertools.combinations(range(width), k) for k in range(width + 1)):
        numbers = grid.numbers[:count].copy()
        numbers[:, list(known)] = count
        worth[known] = float(subject.answers(grid.inputs(numbers), output)[:, place].mean())
    values = []
    for j in range(width):
        without = [known for known in worth if j not in known]
        values.append(sum(
            math.factorial(len(known)) * math.factorial(width - len(known) - 1) / math.factorial(width)
            * (worth[tuple(sorted((*known, j)))] - worth[known])
            for known in without
        ))  # fmt: skip
    return values


@pytest.mark.parametrize("name", [name for name, (method, _) in METHODS.items() if method != "permutation"])
def test_exact_contributions_are_shapley_values_by_their_definition(version_of: Versions, name: str) -> None:
    loaded = version_of(name)
    subject = Subject(loaded)
    inputs = head(loaded.reference.inputs, 1)
    row = Explainer(loaded).explain(inputs).rows[0]
    place = 0 if loaded.manifest.classes is None else loaded.manifest.classes.index(row.label)
    expected = shapley(subject, inputs, subject.background, row.output, place)
    assert list(row.contributions.values()) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_permutations_come_near_them_and_are_the_same_each_time(version_of: Versions) -> None:
    loaded = version_of("homes-forest")
    subject, explainer = Subject(loaded), Explainer(loaded)
    inputs = head(loaded.reference.inputs, 1)
    row = explainer.explain(inputs).rows[0]
    background = Permutation(subject)._background
    expected = shapley(subject, inputs, dict(background), "predict", 0)
    assert list(row.contributions.values()) == pytest.approx(expected, abs=0.05 * max(map(abs, expected)))
    np.random.seed(123)  # noqa: NPY002 (the generator that shap uses)
    state = np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
    assert explainer.explain(inputs).rows[0] == row
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index] # noqa: NPY002


def test_a_column_keeps_its_name_and_a_matrix_without_names_its_numbers(version_of: Versions) -> None:
    for name, columns in (("homes-line", ["size", "rooms", "city", "garden"]), ("tree", ["0", "1", "2", "3"])):
        loaded = version_of(name)
        row = Explainer(loaded).explain(head(loaded.reference.inputs, 1)).rows[0]
        assert list(row.contributions) == columns


@pytest.mark.parametrize(("name", "why"), [
    ("cluster", "it answers no single number that contributions could add up to"),
    ("targets", "it answers no single number that contributions could add up to"),
])
def test_what_has_no_number_to_explain_is_refused_with_the_reason(version_of: Versions, name: str, why: str) -> None:
    with pytest.raises(NotExplainable) as caught:
        Explainer(version_of(name))
    assert str(caught.value) == f"version 1 of model '{name}' cannot be explained: {why}"


@pytest.mark.parametrize("name", ["forest", "bayes"])
def test_without_shap_the_sentence_names_the_extra(
    version_of: Versions, name: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(NotExplainable, match=r"pip install 'mlapi\[explain\]'"):
        Explainer(version_of(name))
    loaded = version_of("line")
    assert Explainer(loaded).explain(loaded.reference.inputs).method == "linear"


def test_rows_beyond_the_limit_are_refused(version_of: Versions) -> None:
    loaded = version_of("bayes")
    inputs = {"input-0": np.zeros((101, 4))}
    with pytest.raises(InvalidRequest, match="101 rows are too many to explain in one request; this model takes 100"):
        Explainer(loaded).explain(inputs)


def test_a_version_keeps_its_explainer_until_it_is_loaded_anew(version_of: Versions) -> None:
    explainers = Explainers()
    loaded = version_of("line")
    first = explainers.of(loaded)
    assert explainers.of(loaded) is first
    assert explainers.of(version_of("line")) is not first
    for name in list(METHODS)[:3]:
        explainers.of(version_of(name))
    assert len(explainers._kept) == 3 <= KEPT


def test_an_explainer_that_is_being_built_makes_only_its_own_version_wait(
    version_of: Versions, monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, may_end = threading.Event(), threading.Event()
    built: list[str] = []

    class Slow(Explainer):
        def __init__(self, loaded: LoadedModel) -> None:
            built.append(loaded.manifest.name)
            if loaded.manifest.name == "bayes":
                began.set()
                assert may_end.wait(20)
            super().__init__(loaded)

    monkeypatch.setattr(explainers_module, "Explainer", Slow)
    explainers, slow = Explainers(), version_of("bayes")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(explainers.of, slow)
        assert began.wait(20)
        second = pool.submit(explainers.of, slow)
        try:
            assert explainers.of(version_of("line")).explain(version_of("line").reference.inputs).method == "linear"
            assert not first.done()
        finally:
            may_end.set()
        assert first.result(20) is second.result(20)
    assert built == ["bayes", "line"]


def test_permutations_of_one_model_go_on_while_another_model_answers(
    version_of: Versions, monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, other = version_of("bayes"), version_of("homes-forest")
    expected = [Explainer(loaded).explain(head(loaded.reference.inputs, 2)).rows for loaded in (slow, other)]
    began, may_end = threading.Event(), threading.Event()
    subject = Subject(slow)
    answers = subject.answers

    def waiting(*of: Any) -> Any:
        began.set()
        assert may_end.wait(60)
        return answers(*of)

    monkeypatch.setattr(subject, "answers", waiting)
    monkeypatch.setattr(explainers_module, "Subject", lambda loaded: subject if loaded is slow else Subject(loaded))
    with ThreadPoolExecutor(1) as pool:
        state = np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
        waits = pool.submit(lambda: Explainer(slow).explain(head(slow.reference.inputs, 2)).rows)
        assert began.wait(20)
        try:
            assert Explainer(other).explain(head(other.reference.inputs, 2)).rows == expected[1]
            assert not waits.done()
        finally:
            may_end.set()
        assert waits.result(60) == expected[0]
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index] # noqa: NPY002
