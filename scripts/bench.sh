#!/usr/bin/env bash
# Runs the benchmarks that the given speech folder allows; each writes bench/results/NAME.json, and summary.json at last.
# Hours in all on a quiet machine: bench/README.md names the parts, each of which can be run alone.
set -euo pipefail
cd "$(dirname "$0")/.."
speech=${1:-}
if [ -z "$speech" ]; then
  echo "bench: name a speech folder with a manifest.jsonl: make bench SPEECH=audio_samples (bench/README.md)" >&2
  exit 2
fi
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 # idle threads of numpy would count as cost
python=.venv/bin/python
results=bench/results
step() { echo "== $1" >&2; }

step "the engine's limit"
$python bench/engine.py --speech "$speech" --out $results/engine.json
step "capacity"
$python bench/capacity.py --speech "$speech" --out $results/capacity.json --plot docs/images/capacity.png
step "twice the capacity"
capacity=$($python -c "import json; print(max(1, json.load(open('$results/capacity.json'))['modes']['continuous']['capacity']))")
$python bench/overload.py --speech "$speech" --capacity "$capacity" --out $results/overload.json ||
  echo "bench: the overload broke a promise: $results/overload.json" >&2
step "short windows against padding"
for model in tiny.en base; do
  $python bench/tail_states.py --model $model --speech "$speech" --out "$results/tail_states_${model//./_}.json"
done
step "word error of streams"
$python bench/wer.py --speech "$speech" --clips 150 --long --out $results/wer.json
step "streaming policies"
$python bench/streaming.py --speech "$speech" --clips 30 --out $results/streaming.json --page docs/streaming.md \
  --plot docs/images/streaming.png
step "the page"
$python bench/page.py --speech "$speech" --out $results/page.json || echo "bench: the page was not measured" >&2
step "files"
rivals=${COHEAR_BENCH_CTRANSLATE2:-$HOME/.cache/cohear-bench/ctranslate2-cli/bin/whisper-ctranslate2}
$python bench/files.py --page docs/files.md --speech "$speech" --ctranslate2 "$rivals" --out $results/files.json ||
  echo "bench: files were not measured: bench/README.md names what it needs" >&2
step "other servers"
if [ -d "${HOME}/.cache/cohear-bench" ]; then
  $python -m bench.peers.run --speech "$speech"
else
  echo "bench: the other servers are not set up: $python bench/peers/setup.py all" >&2
fi
$python bench/summary.py --results $results --page docs/performance.md
