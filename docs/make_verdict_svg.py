"""Draw docs/verdict.svg from what `mockbroker check` really prints.

Run it from the root of the repository: ``python docs/make_verdict_svg.py``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from mockbroker.report.document import ClauseRow, read_document
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.report import ClientDescription, build_report
from mockbroker.report.terminal import Line, render

CLIENT = "examples/model_client.py"
LINE_HEIGHT, CHARACTER_WIDTH, MARGIN = 18, 8.0, 16
_LABEL = 'role="img" aria-label="The verdict of a check"'
COLOURS = {
    "": "#d4d4d4",
    "bold": "#ffffff",
    "faint": "#8a8a8a",
    "green": "#4ec97a",
    "red": "#f47067",
    "yellow": "#e3b341",
    "purple": "#b48ead",
}


def checked(client: str) -> list[Line]:
    """The lines of the report on that client, by a real check."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "mockbroker", "check", client, "--json", str(path)]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own command
        report = read_document(path)
    judged = (row for row in report.clauses if row.verdict is not Verdict.NOT_TESTED)
    built = build_report(
        map(_finding, judged),
        profile=report.profile.name,
        client=ClientDescription(target=client),
        measured=report.measured,
    )
    return list(render(built, 100))


def _finding(row: ClauseRow) -> Finding:
    return Finding(
        row.id,
        row.verdict,
        row.reason,
        row.steps,
        row.exchanges,
        row.reproduce or "",
        row.details,
        row.blocked_by,
    )


def drawn(lines: list[Line]) -> str:
    """The lines as an SVG picture of a terminal."""
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
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_LABEL}>',
            f"<style>text {{ {font}; white-space: pre }}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#1e1e1e"/>',
            *rows,
            "</svg>\n",
        ]
    )


def _weight(line: Line) -> str:
    return ' font-weight="bold"' if line.style == "bold" else ""


if __name__ == "__main__":
    Path(__file__).with_name("verdict.svg").write_text(drawn(checked(CLIENT)), encoding="utf-8")
