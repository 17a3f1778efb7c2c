"""Checks of released versions of real libraries: with a known bug, without it, and the newest."""

from __future__ import annotations

from pathlib import Path

from evidence.files import DOCS

__all__ = ["FOLDER", "PAGE", "RESULTS"]

FOLDER = Path(__file__).parent
PAGE = DOCS / "released-bugs.md"
RESULTS = FOLDER / "results.json"
