#!/bin/sh
# Resolves the lock files: newest for running and developing, lowest for the test of the lower bounds.
# Hashes of every file of every release are kept; where they were downloaded from is not.
set -eu
lock() { uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate "$@"; }
lock --upgrade pyproject.toml --group build -o requirements/runtime.txt
lock --upgrade pyproject.toml --group dev --group build -c requirements/runtime.txt -o requirements/dev.txt
lock --upgrade --group clients -o requirements/clients.txt
lock --upgrade --resolution lowest-direct pyproject.toml --group dev --group build -o requirements/lowest.txt
