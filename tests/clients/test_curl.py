"""The lines of TensorFlow Serving's documentation through real curl (part E.5 of the contract)."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Server

pytestmark = pytest.mark.server


def curl(*arguments: str) -> tuple[Any, str]:
    """Return the decoded answer and what curl told of the conversation."""
    run = subprocess.run(["curl", "-sSv", "--max-time", "20", *arguments], capture_output=True, text=True, check=True)
    return json.loads(run.stdout), run.stderr


def test_e5_a_form_is_read_as_json(two_workers: Server) -> None:
    url = f"{two_workers.url}/v1/models/half:predict"
    answer, talk = curl("-d", '{"instances": [1.0,2.0,5.0]}', "-X", "POST", url)
    assert answer["predictions"] == pytest.approx([2.5, 3.0, 4.5])
    assert "application/x-www-form-urlencoded" in talk


def test_e5_the_status_is_a_plain_get(two_workers: Server) -> None:
    answer, _ = curl(f"{two_workers.url}/v1/models/half")
    assert answer["model_version_status"][0]["state"] == "AVAILABLE"


def test_e5_chunks_are_read(two_workers: Server) -> None:
    url = f"{two_workers.url}/v1/models/half:predict"
    answer, talk = curl("-H", "Transfer-Encoding: chunked", "-d", '{"instances": [1.0]}', url)
    assert answer["predictions"] == pytest.approx([2.5])
    assert "Content-Length: 20" not in talk


@pytest.mark.parametrize("chunked", [False, True])
def test_e5_a_large_body_waits_for_100_continue(two_workers: Server, tmp_path: Path, chunked: bool) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"instances": [1.0] * 300_000}))
    assert body.stat().st_size > 2**20
    headers = ["-H", "Expect: 100-continue", *(["-H", "Transfer-Encoding: chunked"] if chunked else [])]
    answer, talk = curl(*headers, "--data-binary", f"@{body}", f"{two_workers.url}/v1/models/half:predict")
    assert len(answer["predictions"]) == 300_000
    assert "100 Continue" in talk
