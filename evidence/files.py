"""The folders of the checkout, and the writing of generated files."""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["CHECKOUT", "DOCS", "write_json", "write_text"]

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"


def write_text(file: Path, text: str) -> bool:
    """Write a text file unless it has that text already; return whether it was written.

    An unchanged file keeps its modification time, so that Sphinx does not read it again.
    """
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return False
    file.write_text(text, encoding="utf-8", newline="\n")
    return True


def write_json(file: Path, value: object) -> None:
    """Write a value as indented JSON, so that changes can be reviewed line by line."""
    write_text(file, msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n")
