"""joblib files and the audit of what another process could not import."""

import builtins
import pickle
import sys
import threading
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer

from mlapi.runtimes import pickled
from mlapi.runtimes.pickled import Audit, UnloadableError


class Outer:
    """Holds a class of its own."""

    class Nested:
        """Found by its dotted name."""


class Exploding:
    """Raises when it is read back."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def plain(rows: Any) -> Any:
    return rows


def test_what_is_written_is_read_back() -> None:
    model = {"weights": np.arange(5), "name": "ß"}
    again = pickled.load(pickled.dump(model))
    assert again["name"] == "ß"
    assert again["weights"].tolist() == [0, 1, 2, 3, 4]


def test_the_same_model_gives_the_same_bytes() -> None:
    assert pickled.dump(FunctionTransformer(plain)) == pickled.dump(FunctionTransformer(plain))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "cannot be unpickled here"),
        (b"nonsense", "cannot be unpickled here"),
        (pickle.dumps(list(range(99)))[:-20], "cannot be unpickled here"),
        (pickle.dumps(Exploding()), r"cannot be unpickled here \(ValueError\)"),
        (b"cnowhere.at.all\nThing\n.", "needs the module 'nowhere', which is not installed here"),
    ],
)
def test_what_cannot_be_read_here_is_said_in_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(UnloadableError, match=sentence):
        pickled.load(data)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_name_that_a_module_no_longer_has_is_named(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle.dumps(Outer(), protocol)
    monkeypatch.delattr(sys.modules[__name__], "Outer")
    with pytest.raises(UnloadableError, match=f"needs 'Outer' from module '{__name__}', which has none here"):
        pickled.load(data)


@pytest.mark.parametrize(
    "model",
    [Outer(), Outer.Nested(), FunctionTransformer(plain), FunctionTransformer(np.log1p), FunctionTransformer(len),
     RandomForestClassifier(1).fit([[0], [1]], [0, 1])],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_what_another_process_can_import_passes(model: Any) -> None:
    assert Audit(model).unimportable == []


def test_lambdas_inner_functions_and_classes_of_main_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def inner(rows: Any) -> Any:
        return rows

    class Mine:
        """As if it were typed into a notebook."""

    Mine.__module__, Mine.__qualname__ = "__main__", "Mine"
    monkeypatch.setattr(sys.modules["__main__"], "Mine", Mine, raising=False)
    assert Audit(FunctionTransformer(lambda rows: rows)).unimportable[0].endswith("<lambda>")
    assert Audit(FunctionTransformer(inner)).unimportable[0].endswith("<locals>.inner")
    assert Audit([Mine(), Mine()]).unimportable == ["__main__.Mine"]


def test_what_no_pickle_holds_is_told() -> None:
    assert "lock" in Audit(threading.Lock()).unimportable[0]


def test_a_name_that_means_another_object_now_is_not_importable() -> None:
    class Impostor:
        """Says it is something else."""

    Impostor.__module__, Impostor.__qualname__ = "builtins", "dict"
    assert Audit(Impostor()).unimportable == ["builtins.dict"]
    assert builtins.dict is not Impostor


def test_the_audit_counts_bytes_and_modules() -> None:
    audit = Audit(FunctionTransformer(np.zeros(100_000)))
    assert 800_000 < audit.size < 810_000
    assert {"sklearn", "numpy"} <= audit.modules
