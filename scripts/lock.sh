#!/usr/bin/env bash
# Renews requirements.lock from pyproject.toml; needs uv. `scripts/lock.sh --upgrade` takes the newest releases.
set -euo pipefail
cd "$(dirname "$0")/.."
uv pip compile pyproject.toml --extra all --extra dev --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-emit-package cohear --no-header --quiet \
  --output-file requirements.lock "$@"
