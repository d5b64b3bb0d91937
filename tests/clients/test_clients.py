"""Real clients, in an environment of their own, against a real server of two workers (part E of the contract)."""

import subprocess
from pathlib import Path

import pytest

from tests.server.conftest import Server

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-clients" / "bin" / "python"


@pytest.mark.skipif(not PYTHON.exists(), reason="make clients installs them")
@pytest.mark.parametrize("script", ["with_tritonclient.py", "with_tritonclient_aio.py", "with_kserve.py"])
def test_every_call_of_a_client_gets_what_it_expects(two_workers: Server, script: str) -> None:
    command = [str(PYTHON), str(HERE / script), f"127.0.0.1:{two_workers.port}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "all calls answered"
