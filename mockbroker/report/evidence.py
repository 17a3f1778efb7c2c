"""The evidence for a verdict, as plain lines for formats without a layout of their own.

JUnit XML and Markdown use it.

The terminal and the HTML page have labels and columns for each part, so they do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.report.finding import Finding
from mockbroker.report.wording import diagnosis_text, exchange_lines, step_lines

__all__ = ["evidence_lines"]


def evidence_lines(finding: Finding, *, command: str = "") -> Iterator[str]:
    """Yield the likely mistake, the steps, the details, the exchanges, and a command.

    The order is that of reading: what was done, what the program printed, what was sent.

    ``command`` comes last, as a shell shows it: the reader copies it after reading the rest. An
    empty finding yields nothing.
    """
    if finding.diagnosis:
        yield f"likely: {diagnosis_text(finding.diagnosis)}"
    yield from (f"  {line}" for line in step_lines(finding.steps))
    yield from filter(None, finding.details.splitlines())
    yield from exchange_lines(finding.exchanges, with_times=False)
    if command:
        yield command
