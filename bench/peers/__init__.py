"""Gives the load of `bench/load.py` to other live transcription servers: how each is started, spoken to and judged.

The benchmarks are scripts that import each other by name, so their folder is put on the path.
"""

from __future__ import annotations

import sys
from pathlib import Path

_BENCH = str(Path(__file__).resolve().parents[1])
if _BENCH not in sys.path:
    sys.path.insert(0, _BENCH)
