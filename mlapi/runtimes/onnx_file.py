"""ONNX files, run by onnxruntime (the optional extra `mlapi[onnx]`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlapi.errors import ModelFailed, ModelRefusedInput
from mlapi.inference.signature import NUMPY_TYPES, Signature, TensorSpec
from mlapi.inference.values import Array
from mlapi.runtimes.pickled import UnloadableError

DATATYPES = {
    "tensor(bool)": "BOOL", "tensor(string)": "BYTES", "tensor(float16)": "FP16",
    "tensor(float)": "FP32", "tensor(double)": "FP64",
    "tensor(uint8)": "UINT8", "tensor(uint16)": "UINT16", "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64", "tensor(int8)": "INT8", "tensor(int16)": "INT16",
    "tensor(int32)": "INT32", "tensor(int64)": "INT64",
}  # fmt: skip
"""onnxruntime's type names to the protocol's datatypes."""

MATRIX = 2


def load(data: bytes) -> Any:  # noqa: ANN401 (an InferenceSession, typed only where the extra is installed)
    """Return an onnxruntime session over the bytes of an ONNX file, computing in one thread.

    Raises UnloadableError where the extra is missing or onnxruntime refuses the file.
    """
    try:
        import onnxruntime  # noqa: PLC0415 (an optional extra)
    except ModuleNotFoundError as error:
        msg = "ONNX models need the extra: pip install 'mlapi[onnx]'"
        raise UnloadableError(msg) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no public base class
        msg = f"onnxruntime does not read it ({type(error).__name__})"
        raise UnloadableError(msg) from error


def specs(session: Any) -> tuple[list[TensorSpec], list[TensorSpec]]:  # noqa: ANN401 (see load)
    """Return the inputs and outputs of a session under the names the file gives them.

    Raises UnloadableError on a tensor that is none (sequences, maps) or has more than two dimensions.
    """
    return [_spec(node) for node in session.get_inputs()], [_spec(node) for node in session.get_outputs()]


class OnnxPredictor:
    """Answers the outputs of an ONNX graph by their names."""

    def __init__(self, session: Any, signature: Signature) -> None:  # noqa: ANN401 (see load)
        self.model = session
        self._specs = {spec.name: spec for spec in (*signature.inputs, *signature.outputs)}
        self._ranks = {node.name: len(node.shape) for node in session.get_inputs()}

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return each of `outputs` as `[n, k]` in its declared datatype."""
        try:
            feed = {name: self._tensor(name, array) for name, array in inputs.items()}
            answers = self.model.run(list(outputs), feed)
            return {name: self._output(name, answer) for name, answer in zip(outputs, answers, strict=True)}
        except Exception as error:
            if type(error).__name__ == "InvalidArgument":
                msg = "the ONNX graph refuses these values or their shape"
                raise ModelRefusedInput(msg) from error
            msg = "the ONNX graph failed"
            raise ModelFailed(msg) from error

    def _output(self, name: str, answer: Any) -> Array:  # noqa: ANN401 (an array, or a list of texts)
        dtype = NUMPY_TYPES[self._specs[name].datatype]
        return np.asarray(answer).reshape(len(answer), -1).astype(dtype, copy=False)

    def _tensor(self, name: str, array: Array) -> Array:
        return array.reshape(-1) if self._ranks[name] == 1 else array.reshape(len(array), -1)


def _spec(node: Any) -> TensorSpec:  # noqa: ANN401 (onnxruntime's NodeArg)
    datatype = DATATYPES.get(node.type)
    if datatype is None:
        msg = f"its '{node.name}' is {node.type}; export plain tensors (skl2onnx: options={{'zipmap': False}})"
        raise UnloadableError(msg)
    width = node.shape[1] if len(node.shape) == MATRIX else 1
    if len(node.shape) not in {1, MATRIX} or not isinstance(width, int):
        msg = f"its '{node.name}' has shape {node.shape}; expected [batch] or [batch, a fixed number]"
        raise UnloadableError(msg)
    return TensorSpec(node.name, datatype, (-1, width))
