"""Where the documentation is, and how generated files are written."""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["CHECKOUT", "DOCS", "write_json", "write_text"]

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"


def write_text(file: Path, text: str) -> bool:
    """Write a text file unless it has that text already; return whether it was written.

    Sphinx reads again what has a new modification time, so an unchanged file keeps its own.
    """
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return False
    file.write_text(text, encoding="utf-8", newline="\n")
    return True


def write_json(file: Path, value: object) -> None:
    """Write a value as indented JSON, so that a change of it can be reviewed."""
    write_text(file, msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n")
