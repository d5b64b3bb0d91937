"""MLflow's scoring server over a joblib file, run by the Python of an environment that has MLflow.

    VENV/bin/python benchmarks/peers/mlflow_peer.py MODEL.joblib PORT

The model is saved as MLflow saves scikit-learn's, without a signature, so that nothing checks the columns; one worker,
no access log. `/invocations` takes `dataframe_records`, `dataframe_split`, `instances` and `inputs`.
"""

import os
import sys
from pathlib import Path

import joblib

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "UVICORN_LOG_LEVEL": "warning",
         "UVICORN_ACCESS_LOG": "false"}  # fmt: skip

if __name__ == "__main__":
    artifact, port = Path(sys.argv[1]).resolve(), sys.argv[2]
    os.environ.update(QUIET)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where it looks for uvicorn
    os.chdir(artifact.parent)  # what stands in the folder of a server can be imported by it
    from mlflow import sklearn

    saved = artifact.with_name("mlflow-model")
    sklearn.save_model(
        joblib.load(artifact), str(saved), pip_requirements=["scikit-learn"], serialization_format="cloudpickle",
    )
    serve = ["-m", "mlflow", "models", "serve", "-m", str(saved), "-h", "127.0.0.1", "-p", port, "-w", "1",
             "--env-manager", "local"]  # fmt: skip
    os.execv(sys.executable, [sys.executable, *serve])  # noqa: S606 (it becomes the server)
