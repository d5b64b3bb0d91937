"""What a server imports before it answers: nothing that the models it serves do not need."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression

from mlapi.registry.publishing import publish_file

NOT_NEEDED = ("matplotlib", "onnx", "pandas", "pyarrow", "rich", "scipy", "shap", "skl2onnx", "sklearn", "skops")
ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [6.0, 8.0]], dtype="f4")

SERVE = """
import sys
from pathlib import Path
from mlapi.app import create_app
from mlapi.config import Config
app = create_app(Config(registry=Path(sys.argv[1])))
app.extensions["mlapi"].start()
client = app.test_client()
for name in client.get("/v2/models").get_json()["models"]:
    answer = client.post(f"/v1/models/{name}:predict", json={"instances": [[1.0, 2.0]]})
    assert answer.status_code == 200, answer.data
assert client.post("/v1/models/none:predict", json={"instances": [1]}).status_code == 404
print(" ".join(sorted(name for name in sys.modules if "." not in name)))
"""


def imported(code: str, *arguments: str) -> set[str]:
    command = [sys.executable, "-c", code, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.fixture
def onnx_registry(tmp_path: Path) -> Path:
    model = to_onnx(LinearRegression().fit(ROWS, ROWS.sum(axis=1)), ROWS[:1], target_opset=15)
    file = tmp_path / "line.onnx"
    file.write_bytes(model.SerializeToString())
    publish_file(file, "line", sample=ROWS, registry=tmp_path / "registry")
    return tmp_path / "registry"


def test_an_empty_registry_is_served_without_a_library_of_models(tmp_path: Path) -> None:
    assert imported(SERVE, str(tmp_path)) & {*NOT_NEEDED, "onnxruntime", "treelite"} == set()


def test_a_model_that_needs_no_scikit_learn_is_served_without_it(onnx_registry: Path) -> None:
    loaded = imported(SERVE, str(onnx_registry))
    assert "onnxruntime" in loaded
    assert loaded & set(NOT_NEEDED) == set()


def test_the_command_that_starts_the_server_imports_next_to_nothing() -> None:
    """It is replaced by gunicorn, which imports all again."""
    code = "import sys, mlapi.cli.main, mlapi.cli.serve; print(' '.join(sys.modules))"
    assert imported(code) & {*NOT_NEEDED, "numpy", "marshmallow", "flask", "joblib"} - {"rich"} == set()
