"""The declared formats."""

import pytest
from sklearn.linear_model import LinearRegression

from mlapi.runtimes import pickled, skops_file
from mlapi.runtimes.formats import FORMATS, UnloadableError, parse

LINE = LinearRegression().fit([[0.0], [1.0]], [0, 1])


def test_each_format_has_a_file_and_a_platform_of_its_own() -> None:
    assert {name: form.file for name, form in FORMATS.items()} == {
        "joblib": "model.joblib", "skops": "model.skops", "onnx": "model.onnx",
    }  # fmt: skip
    assert len({form.platform for form in FORMATS.values()}) == len(FORMATS)


@pytest.mark.parametrize(("declared", "data"), [("skops", pickled.dump(LINE)), ("joblib", skops_file.dump(LINE))])
def test_the_declared_format_is_read_and_no_other(declared: str, data: bytes) -> None:
    with pytest.raises(UnloadableError):
        parse(declared, data)


@pytest.mark.parametrize(("declared", "data"), [("joblib", pickled.dump(LINE)), ("skops", skops_file.dump(LINE))])
def test_a_file_of_the_declared_format_is_read(declared: str, data: bytes) -> None:
    assert parse(declared, data).predict([[1.0]]).tolist() == pytest.approx([1.0])
