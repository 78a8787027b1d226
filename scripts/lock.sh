#!/usr/bin/env bash
# Renews both locks from pyproject.toml; needs uv. `scripts/lock.sh --upgrade` takes the newest releases.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() { # FILE, options
  uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-emit-package cohear --no-header --quiet --output-file "$@"
}

lock requirements.lock --extra all --extra dev "$@"
lock requirements-run.lock --extra all --extra build --constraint requirements.lock
