"""What a model answers is held against its signature, whole, and refused in a sentence for the log."""

from typing import Any

import numpy as np
import pytest

from mlapi.errors import InvalidAnswer
from mlapi.inference.answer import check
from mlapi.inference.signature import Signature, TensorSpec

TEXT = np.array([["a"], ["b"]], dtype=object)
SIGNATURE = Signature(
    "matrix", (TensorSpec("input-0", "FP64", (-1, 2)),),
    (TensorSpec("predict", "BYTES", (-1, 1)), TensorSpec("predict_proba", "FP32", (-1, 3))),
)
BOTH = ("predict", "predict_proba")


def test_an_answer_as_the_signature_has_it_passes() -> None:
    check({"predict": TEXT, "predict_proba": np.zeros((2, 3), "<f4")}, BOTH, SIGNATURE, 2)


def test_an_output_that_nobody_asked_for_is_not_looked_at() -> None:
    check({"predict": TEXT, "predict_proba": np.zeros(7)}, ("predict",), SIGNATURE, 2)


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"predict": TEXT[:1]}, "the model's 'predict' has shape [1, 1]; expected [2, 1]"),
    ({"predict": TEXT[:, 0]}, "the model's 'predict' has shape [2]; expected [2, 1]"),
    ({"predict_proba": np.zeros((2, 2), "<f4")}, "the model's 'predict_proba' has shape [2, 2]; expected [2, 3]"),
    ({"predict_proba": np.zeros((2, 3))}, "the model's 'predict_proba' is an array of float64; expected FP32"),
    ({"predict": np.array([["a"], [None]], object)}, "the model's 'predict' holds something else than text"),
    ({"predict": np.array([["a"], [1]], object)}, "the model's 'predict' holds something else than text"),
    ({"predict": np.array([["a"], ["b"]])}, "the model's 'predict' is an array of <U1; expected BYTES"),
    ({"predict": None}, "the model's 'predict' is missing from its answer"),
])  # fmt: skip
def test_any_other_answer_is_refused(changed: dict[str, Any], sentence: str) -> None:
    whole = {"predict": TEXT, "predict_proba": np.zeros((2, 3), "<f4"), **changed}
    with pytest.raises(InvalidAnswer) as refusal:
        check({name: array for name, array in whole.items() if array is not None}, BOTH, SIGNATURE, 2)
    assert str(refusal.value) == sentence
