"""V2: the Open Inference Protocol (inference_rest.md), with Triton's binary tensors and classification."""

from mlapi.schemas.v2.request import Asked, load
from mlapi.schemas.v2.response import Dumped, dump

__all__ = ["Asked", "Dumped", "dump", "load"]
