"""The verdict as a badge in SVG, for a README.

It is written without a library or a web service, so that a CI job can publish it as a file.

The words are constants and counts. The description, which is read aloud and not drawn, names the
client and the run.
"""

from __future__ import annotations

from html import escape

from mockbroker.report.document import document_of
from mockbroker.report.finding import Verdict
from mockbroker.report.headline import overview_of
from mockbroker.report.provenance_text import provenance_of
from mockbroker.report.report import Conclusion, Report

__all__ = ["badge_of"]

_LABEL = "token client"
# Dark enough for white words on them.
_GREEN, _RED, _GREY = "#1a7f37", "#b3261e", "#57606a"
_CHARACTER, _PADDING = 6.6, 10
"""Pixels: the approximate width of a character of 11 px, and the space on each side of the words.

A picture cannot measure its own font, so the width is an estimate for Verdana.
"""


def badge_of(report: Report) -> str:
    """Return the conclusion and a count as a self-contained SVG picture.

    It is grey if the run says nothing about the whole contract.
    """
    words, colour = _message(report)
    run = "; ".join(f"{label} {text}" for label, text in provenance_of(document_of(report)))
    description = f"{overview_of(report)} ({run})"
    left, right = _width(_LABEL), _width(words)
    total = left + right
    # 20 pixels high with round corners, as the badges of other projects are: it stands beside them.
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" \
aria-label="{_LABEL}: {words}">
<title>{_LABEL}: {words}</title>
<desc>{escape(description)}</desc>
<clipPath id="r"><rect width="{total}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#32383f"/>\
<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{left / 2:g}" y="14">{_LABEL}</text>
<text x="{left + right / 2:g}" y="14">{words}</text></g>
</svg>
"""


def _message(report: Report) -> tuple[str, str]:
    """Return the words of the badge and its colour.

    Breaches that were found count even if the driver failed. A run that fails only by blocked
    clauses is grey, because it found nothing wrong.
    """
    conclusion, passed = report.conclusion, report.count(Verdict.PASSED)
    if conclusion is Conclusion.INTERRUPTED:
        return "interrupted", _GREY
    if conclusion is Conclusion.KIT_FAILED:
        return "error of the kit", _RED
    if report.failures:
        return f"{len(report.failures)} failed", _RED
    if conclusion is Conclusion.OUT_OF_TIME:
        return "out of time", _GREY
    if not conclusion.is_good:
        return "not tested", _GREY
    if conclusion is Conclusion.CONFORMS:
        return f"conforms · {passed} passed", _GREEN
    # Not green: a badge outlives the run, and a partial run says nothing about the other clauses.
    return f"partial · {passed} passed", _GREY


def _width(text: str) -> int:
    """Return the width of a box around the text, in whole pixels."""
    return round(len(text) * _CHARACTER + 2 * _PADDING)
