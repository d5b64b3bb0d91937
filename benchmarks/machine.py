"""The machine that measures: its cores, what it is, and the tools that it needs."""

import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

SERVER_CORE, LOAD_CORE = "0", "1"
TOOLS = {"wrk": "apt-get install wrk", "taskset": "apt-get install util-linux", "py-spy": "pip install py-spy"}


def described() -> dict[str, Any]:
    """Return processor, number of cores, kernel and Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"cpu": cpu, "cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}


def require(*tools: str) -> None:
    """End the benchmark unless the tools are installed and there is a core for the servers and one for the load."""
    for tool in tools:
        if shutil.which(tool) is None:
            sys.exit(f"this benchmark needs {tool}: {TOOLS[tool]}. `mlapi bench NAME` measures one model without it")
    if (os.cpu_count() or 1) <= int(LOAD_CORE):
        sys.exit("this benchmark needs two cores: one for the servers, one for the load")
