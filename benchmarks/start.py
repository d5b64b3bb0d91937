"""How long a person waits: from `mlapi serve` to the first prediction, with the demo models.

    python benchmarks/start.py [--registry FOLDER] [--times 5] [--most SECONDS]

Prints the median of each phase and of the processor time, which other load on the machine does not
distort; with --most, exit code 1 where the median to the first prediction is longer.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from started import Server

PHASES = ("listening", "first prediction", "processor time")
PATH, BODY = "/v1/models/sqft-price:predict", {"instances": [{"sqft": 1500}]}


def once(registry: Path) -> tuple[float, float, float]:
    """Return seconds until the socket listens and until the first 200, and the processor time spent by then."""
    with Server(registry) as server:
        server.ask(PATH, BODY)
        return server.listening, server.age, server.cpu_seconds()


def main() -> None:
    """Run it and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", type=Path, help="one that holds the demo models; default: a new one")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--most", type=float, help="the longest median, in seconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        registry = options.registry or Path(folder, "registry")
        demo = [sys.executable, "-m", "mlapi.cli", "demo", "--registry", str(registry)]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        once(registry)  # the files are in memory from here on, as they are for whoever starts it twice
        runs = [once(registry) for _ in range(options.times)]
    columns = zip(PHASES, zip(*runs, strict=True), strict=True)
    medians = {name: round(statistics.median(values), 3) for name, values in columns}
    print(json.dumps(medians) if options.json else "\n".join(f"{name:18} {medians[name]:6.3f} s" for name in PHASES))
    sys.exit(options.most is not None and medians["first prediction"] > options.most)


if __name__ == "__main__":
    main()
