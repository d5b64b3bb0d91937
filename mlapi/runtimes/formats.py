"""The declared formats of model files, and the way from verified bytes to a predictor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlapi.inference.signature import Signature
from mlapi.runtimes import onnx_file, pickled, skops_file
from mlapi.runtimes.estimator import EstimatorPredictor
from mlapi.runtimes.onnx_file import OnnxPredictor
from mlapi.runtimes.pickled import UnloadableError
from mlapi.runtimes.predictor import Feed, Predictor

__all__ = ["FORMATS", "Format", "UnloadableError", "parse", "predictor"]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: its file in a version folder, its V2 `platform` and `backend`, and its reader."""

    name: str
    file: str
    platform: str
    backend: str
    load: Callable[[bytes], Any]


FORMATS = {
    form.name: form
    for form in (
        Format("joblib", "model.joblib", "sklearn_joblib", "sklearn", pickled.load),
        Format("skops", "model.skops", "sklearn_skops", "sklearn", skops_file.load),
        Format("onnx", "model.onnx", "onnxruntime_onnx", "onnxruntime", onnx_file.load),
    )
}


def parse(name: str, data: bytes) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Return the object in `data`, read in the declared format and no other.

    Raises UnloadableError with one sentence. Runs the file's code: `data` must be verified before.
    """
    return FORMATS[name].load(data)


def predictor(name: str, model: Any, signature: Signature, feed: Feed) -> Predictor:  # noqa: ANN401 (see parse)
    """Return `model` as something that answers named arrays."""
    if name == "onnx":
        return OnnxPredictor(model, signature)
    return EstimatorPredictor(model, signature, feed)
