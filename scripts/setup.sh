#!/usr/bin/env bash
# Makes .venv with Cohear, editable, and the locked packages, each checked by its hash: `scripts/setup.sh` those that run
# it, `scripts/setup.sh dev` also those that test and measure it, with the weights of `base` and a browser.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3; do
    # run, not only looked up: a version manager's shim may stand for a Python that is not installed
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$name"; return; fi
  done
  return 1
}

make_venv() {
  local python version
  python=$(find_python) || fail "no Python 3.11 or newer was found; on Debian: apt-get install -y python3 python3-venv"
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  # Debian splits the part of Python that makes environments off into a package of its own
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
      fail "this Python cannot make environments; run as root: apt-get install -y python$version-venv"
    apt-get update -q && apt-get install -y -q "python$version-venv"
  fi
  "$python" -m venv .venv
}

# The page's tests drive it; without it they are skipped, and say so.
get_chromium() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null && return
  done
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; then
    return
  fi
  echo "setup: no Chromium: tests of the page will be skipped (on Debian, as root: apt-get install -y chromium)" >&2
}

lock=requirements-run.lock
[ "${1:-}" != dev ] || lock=requirements.lock
[ -x .venv/bin/pip ] || make_venv
echo "setup: installing the packages of $lock in .venv; this takes some minutes" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
[ "${1:-}" != dev ] || get_chromium > .venv/chromium.log
echo "setup: .venv is ready ($(.venv/bin/python --version))"
