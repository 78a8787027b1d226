"""Browser tests are skipped, saying what to install, where Playwright or Chromium is missing."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="no Playwright: pip install playwright")
