#!/bin/sh
# Resolves the lock files: newest for running and developing, lowest for the test of the lower bounds.
# Hashes of every file of every release are kept; where they were downloaded from is not. Extras stay in the pins: the pip of
# Python 3.11 takes `coverage[toml]` for another package than a pinned `coverage`, and its newest release.
set -eu
lock() { uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate --no-strip-extras "$@"; }
lock --upgrade pyproject.toml --group build -o requirements/runtime.txt
lock --upgrade pyproject.toml --group dev --group build -c requirements/runtime.txt -o requirements/dev.txt
lock --upgrade --group clients -o requirements/clients.txt
lock --upgrade --resolution lowest-direct pyproject.toml --group dev --group build -o requirements/lowest.txt
