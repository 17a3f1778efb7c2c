"""Run every script of this folder and compare what it prints with what its page says.

`tox -e findings` installs the libraries and runs `python -m evidence.findings.repeat`.
"""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path

__all__ = ["expected_output"]

_SCRIPTS = Path(__file__).parent
_PAGES = _SCRIPTS.parents[1] / "docs" / "findings"


def expected_output(page: str) -> str:
    """Return what a page says that its script prints."""
    printed = page.partition("It prints:\n\n")[2].partition("\n\n## ")[0]
    return printed.removeprefix("```text\n").removesuffix("\n```")


def _difference(page: Path) -> str:
    """Return how the output of the script differs from its page; empty if it does not."""
    script = _SCRIPTS / f"{page.stem}.py"
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
    )
    expected, seen = expected_output(page.read_text(encoding="utf-8")), done.stdout.strip()
    lines = difflib.unified_diff(expected.splitlines(), seen.splitlines(), page.name, script.name)
    return "\n".join([*lines, *([done.stderr] if done.returncode else [])])


def _main() -> int:
    pages = sorted(page for page in _PAGES.glob("*.md") if page.name != "README.md")
    differences = {page.stem: _difference(page) for page in pages}
    for name, difference in differences.items():
        print(f"{name}: {difference or 'as its page says'}")
    return int(any(differences.values()))


if __name__ == "__main__":
    sys.exit(_main())
