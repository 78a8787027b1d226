#!/usr/bin/env bash
# Runs the benchmarks that the given speech folder allows; each writes bench/results/NAME.json.
set -euo pipefail
cd "$(dirname "$0")/.."
speech=${1:-}
if [ -z "$speech" ]; then
  echo "bench: name a speech folder with a manifest.jsonl: make bench SPEECH=audio_samples (bench/README.md)" >&2
  exit 2
fi
.venv/bin/python bench/wer.py --speech "$speech" --out bench/results/wer.json
