"""KServe's Python server over a joblib file, run by the Python of an environment that has KServe.

    VENV/bin/python benchmarks/peers/kserve_peer.py MODEL.joblib PORT

A `kserve.Model` as one writes it for columns with names: the instances of V1 become a data frame, which the pipeline
takes. One worker, no gRPC, no access log and no log of latencies.
"""

import logging
import sys
from typing import Any

import joblib
import pandas as pd

_, ARTIFACT, PORT = sys.argv
del sys.argv[1:]  # kserve reads the command line when it is imported

import kserve  # noqa: E402

LOGGERS = ("kserve", "kserve.trace", "uvicorn.access", "uvicorn.error")


class Houses(kserve.Model):
    """A fitted pipeline behind the V1 protocol."""

    def load(self) -> bool:
        """Read the pipeline."""
        self.pipeline = joblib.load(ARTIFACT)
        self.ready = True
        return self.ready

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Answer a V1 request of named columns."""
        return {"predictions": self.pipeline.predict(pd.DataFrame(payload["instances"])).tolist()}


if __name__ == "__main__":
    model = Houses("houses")
    model.load()
    server = kserve.ModelServer(http_port=int(PORT), workers=1, enable_grpc=False, enable_latency_logging=False)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    server.start([model])
