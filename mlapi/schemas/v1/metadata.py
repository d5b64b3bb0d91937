"""A signature in TensorFlow's words (meta_graph.proto: SignatureDef, TensorInfo; api_rest.md, "Model Metadata API")."""

from typing import Any

from mlapi.inference.signature import Signature, TensorSpec
from mlapi.schemas.v1.examples import CLASSIFY, REGRESS
from mlapi.schemas.v1.frames import PROBABILITIES, SERVING_DEFAULT

DTYPES = {"FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "BYTES": "DT_STRING"}
"""Datatypes that TensorFlow calls something else than DT_ and the datatype."""

PREDICT = "tensorflow/serving/predict"


def document(name: str, version: int, signature: Signature, *, classifier: bool) -> dict[str, Any]:
    """Return the metadata document of a version; sizes are texts and `signature_def` stands twice, as there."""
    outputs = {spec.name: spec for spec in signature.outputs}
    first = signature.outputs[0]
    signatures = {SERVING_DEFAULT: _signature(signature, {first.name: _tensor(first)}, PREDICT)}
    if classifier and PROBABILITIES in outputs:
        scores = outputs[PROBABILITIES]
        classes = TensorSpec("classes", "BYTES", scores.shape)
        both = {"classes": _tensor(classes), "scores": {**_tensor(scores), "name": "scores:0"}}
        signatures[CLASSIFY] = _signature(signature, both, CLASSIFY)
        signatures[PROBABILITIES] = _signature(signature, {PROBABILITIES: _tensor(scores)}, PREDICT)
    elif not classifier and first.datatype.startswith("FP"):
        signatures[REGRESS] = _signature(signature, {"outputs": _tensor(first)}, REGRESS)
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _signature(signature: Signature, outputs: dict[str, Any], method: str) -> dict[str, Any]:
    inputs = {spec.name: _tensor(spec) for spec in signature.inputs}
    return {"inputs": inputs, "outputs": outputs, "method_name": method}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    dimensions = [{"size": str(size), "name": ""} for size in spec.shape]
    return {
        "dtype": DTYPES.get(spec.datatype, f"DT_{spec.datatype}"),
        "name": f"{spec.name}:0",
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
    }
