"""Where a report comes from, in words: the tool, the client, the profile, the options, the time."""

from __future__ import annotations

from collections.abc import Iterator

from mockbroker.report.document import ReportDocument

__all__ = ["provenance_of"]


def provenance_of(report: ReportDocument) -> tuple[tuple[str, str], ...]:
    """Return pairs of a label and a text, in the order in which every format shows them."""
    tool, client, profile = report.tool, report.client, report.profile
    named = " ".join(filter(None, (client.name, client.version)))
    return (
        ("tool", f"{tool.name} {tool.version}"),
        ("contract", f"{len(report.clauses)} clauses, catalogue {report.catalogue or 'unknown'}"),
        ("client", ", ".join(filter(None, (named, client.target))) or "unknown"),
        ("profile", profile.name),
        ("profile from", "; ".join(profile.sources) or "no source is given"),
        ("options", ", ".join(_options(report))),
        ("time", ", ".join(_time(report)) or "unknown"),
    )


def _options(report: ReportDocument) -> Iterator[str]:
    """Yield the options of the run that change verdicts."""
    options = report.options
    yield f"level {options.fail_on.value}"
    if options.examples is not None:
        yield f"{options.examples} examples for each clause"
    if options.seed is not None:
        yield f"seed {options.seed}"
    if options.only:
        yield f"only {options.only}"


def _time(report: ReportDocument) -> Iterator[str]:
    """Yield when the run began, and how long it took."""
    if report.created:
        yield report.created
        yield f"{report.duration_seconds:g} s"
