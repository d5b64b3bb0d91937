"""The sweeps, reduced: every figure is what is required."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")  # noqa: S108 (the sweeps sync thousands of times; in full they run on a disk)

pytestmark = pytest.mark.reliability


@pytest.mark.parametrize("requirement", ["R1", "R2", "R3", "R4", "R5", "R7", "R8", "R9", "R10"])
def test_every_figure_is_what_is_required(requirement: str, tmp_path: Path) -> None:
    folder = str(MEMORY if os.access(MEMORY, os.W_OK) else tmp_path)
    command = [sys.executable, "-m", "tests.reliability", "--quick", "--json", "--folder", folder, requirement]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert figures, done.stderr
    assert [(figure["title"], figure["faults"]) for figure in figures if not figure["holds"]] == []


def test_the_help_says_what_is_run() -> None:
    command = [sys.executable, "-m", "tests.reliability", "--help"]
    assert "--quick" in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
