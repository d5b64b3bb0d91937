"""Where a version comes from: the estimator in words, its parameters, libraries, publisher and code."""

import getpass
import platform
import socket
import subprocess
from importlib import metadata
from typing import Any

import numpy as np

from mlapi.runtimes.pickled import Audit

MOST_PARAMETERS = 100
LONGEST_PARAMETER = 200
DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def estimator(model: Any) -> str:  # noqa: ANN401 (any estimator)
    """Return the class of a model, or of a pipeline's steps, such as 'StandardScaler > Ridge'."""
    steps = [type(step).__name__ for _, step in getattr(model, "steps", ())]
    return " > ".join(steps) if steps else type(model).__name__


def parameters(model: Any) -> dict[str, Any]:  # noqa: ANN401 (any estimator)
    """Return the parameters that are plain values: at most 100, each at most 200 characters long."""
    given = model.get_params() if hasattr(model, "get_params") else {}
    plain = {key: value for key, value in given.items() if _is_plain(value)}
    return dict(list(plain.items())[:MOST_PARAMETERS])


def libraries(audit: Audit | None) -> dict[str, str]:
    """Return the versions of Python and of the distributions that a reader of the model needs."""
    found = {"python": platform.python_version()}
    for module in sorted(audit.modules) if audit else ["onnxruntime"]:
        distribution = DISTRIBUTIONS.get(module, module)
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue  # the standard library, or a module that was never packaged
    return found


def publisher() -> str:
    """Return user@host, or the host alone where the uid has no name, as in many containers."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()


def code_revision() -> str | None:
    """Return the git commit of the current folder, or None where there is none."""
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)  # noqa: S607 (the user's own git)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return bool(np.isfinite(value))
    return value is None or (isinstance(value, bool | int | str) and len(str(value)) <= LONGEST_PARAMETER)
