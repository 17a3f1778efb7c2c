"""Run every script of this folder and compare what it prints with what its page says."""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path

__all__ = ["told"]

_FOLDER = Path(__file__).parent


def told(page: str) -> str:
    """What a page says that its script prints."""
    printed = page.partition("It prints:\n\n")[2].partition("\n\n## ")[0]
    return printed.removeprefix("```text\n").removesuffix("\n```")


def _difference(page: Path) -> str:
    """How what the script prints differs from what the page says; empty if it does not."""
    script = page.with_suffix(".py")
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
    )
    said, seen = told(page.read_text(encoding="utf-8")), done.stdout.strip()
    lines = difflib.unified_diff(said.splitlines(), seen.splitlines(), page.name, script.name)
    return "\n".join([*lines, *([done.stderr] if done.returncode else [])])


def _main() -> int:
    pages = sorted(page for page in _FOLDER.glob("*.md") if page.with_suffix(".py").exists())
    differences = {page.stem: _difference(page) for page in pages}
    for name, difference in differences.items():
        print(f"{name}: {difference or 'as told'}")
    return int(any(differences.values()))


if __name__ == "__main__":
    sys.exit(_main())
