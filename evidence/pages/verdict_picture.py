"""The picture verdict.svg: the output of `mockbroker check`, drawn as a terminal.

`python -m evidence.pages.verdict_picture` checks the model client, which takes a minute, and draws
the picture. `python -m evidence` does so if the picture is of another version of the catalogue.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from evidence.files import CHECKOUT, DOCS, write_text
from mockbroker.contract.catalogue import CATALOGUE_VERSION
from mockbroker.report.document import ClauseRow, read_document
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, RunFacts
from mockbroker.report.terminal import render
from mockbroker.report.terminal_lines import Line

__all__ = ["PICTURE", "catalogue_of_picture", "main"]

PICTURE = DOCS / "verdict.svg"
CLIENT = "examples/model_client.py"
LINE_HEIGHT, CHARACTER_WIDTH, MARGIN = 18, 8.0, 16
_LABEL = 'role="img" aria-label="The verdict of a check"'
_VERSION = f'data-catalogue="{CATALOGUE_VERSION}"'
COLOURS = {
    "": "#d4d4d4",
    "bold": "#ffffff",
    "faint": "#8a8a8a",
    "green": "#4ec97a",
    "red": "#f47067",
    "yellow": "#e3b341",
    "purple": "#b48ead",
}


def catalogue_of_picture() -> str:
    """Return the version of the catalogue that the picture was made with; empty if unknown."""
    root = ElementTree.fromstring(PICTURE.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    return root.get("data-catalogue", "")


def checked(client: str) -> list[Line]:
    """Check the client and return the lines of the report.

    Raises RuntimeError if the check makes no report.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "mockbroker", "check", client, "--json", str(path)]
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=CHECKOUT, check=False, capture_output=True, text=True
        )
        if not path.is_file():
            raise RuntimeError(f"the check made no report:\n{done.stdout}{done.stderr}")
        document = read_document(path)
    built = build_report(
        [_finding(row) for row in document.clauses if row.verdict is not Verdict.NOT_TESTED],
        RunFacts(
            profile=document.profile.name,
            client=ClientDescription(target=client),
            measured=document.measured,
        ),
    )
    return list(render(built, 100))


def _finding(row: ClauseRow) -> Finding:
    return Finding(
        clause_id=row.id,
        verdict=row.verdict,
        reason=row.reason,
        steps=row.steps,
        exchanges=row.exchanges,
        details=row.details,
        blocked_by=row.blocked_by,
    )


def drawn(lines: list[Line]) -> str:
    """Return the lines as an SVG picture of a terminal."""
    width = int(max(len(line.text) for line in lines) * CHARACTER_WIDTH) + 2 * MARGIN
    height = len(lines) * LINE_HEIGHT + 2 * MARGIN
    rows = [
        f'<text x="{MARGIN}" y="{MARGIN + (number + 1) * LINE_HEIGHT - 5}" '
        f'fill="{COLOURS[line.style]}"{_weight(line)}>{escape(line.text)}</text>'
        for number, line in enumerate(lines)
        if line.text
    ]
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    font = "font: 13px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_LABEL} {_VERSION}>',
            f"<style>text {{ {font}; white-space: pre }}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#1e1e1e"/>',
            *rows,
            "</svg>\n",
        ]
    )


def _weight(line: Line) -> str:
    return ' font-weight="bold"' if line.style == "bold" else ""


def main() -> None:
    """Check the model client and write the picture."""
    write_text(PICTURE, drawn(checked(CLIENT)))


if __name__ == "__main__":
    main()
