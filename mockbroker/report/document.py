"""The types of the JSON report, schema 2: a run writes it, `mockbroker compare` reads it.

Other programs read the file, so a renamed field needs a new schema. Unknown fields are errors here,
so that a report of another schema is noticed.

A document is a copy of the report's values, with no logic: `Report` has drawn every conclusion
before. Enumerations are written by their values, and steps and outcomes by their tags.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Union

import msgspec

from mockbroker.contract.catalogue import CATALOGUE_VERSION
from mockbroker.contract.clause import Impact, Level
from mockbroker.contract.diagnosis import Diagnosis
from mockbroker.model.cleaning import with_texts
from mockbroker.model.escaping import printable_lines
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.model.type_words import JSON
from mockbroker.model.typed_reading import ReadingError, read
from mockbroker.report.finding import Verdict
from mockbroker.report.groups import groups_of
from mockbroker.report.headline import breach_sentence, link_of, overview_of
from mockbroker.report.known_failures import Listing
from mockbroker.report.report import Conclusion, Report, Row
from mockbroker.report.scenario_text import event_text, outcome_text
from mockbroker.report.steps import Step

__all__ = [
    "SCHEMA",
    "ClauseRow",
    "ReportDocument",
    "ReportFileError",
    "document_of",
    "json_text",
    "read_document",
]

SCHEMA: Literal[2] = 2
_MAX_HEADLINES = 5


# Unknown fields are errors: a report by another version is rejected, not read in part.
class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the parts of a document."""


class Tool(_Part, frozen=True, kw_only=True):
    """The program that made the report."""

    name: str
    version: str


class Options(_Part, frozen=True, kw_only=True):
    """The options of the run; ``examples`` and ``seed`` are null where none were used."""

    examples: int | None
    seed: int | None
    fail_on: Level
    only: str


class ProfileInfo(_Part, frozen=True, kw_only=True):
    """The provider's profile, and the pages that describe the provider."""

    name: str
    sources: tuple[str, ...]


class ClientInfo(_Part, frozen=True, kw_only=True):
    """The client that was judged.

    ``target`` is what the user named; name, version and capabilities come from the client's driver.
    ``file`` is the file of its factory below the working directory, or empty.
    """

    name: str
    version: str
    target: str
    capabilities: tuple[str, ...]
    file: str = ""


class ErrorInfo(_Part, frozen=True, kw_only=True):
    """An error of the kit itself.

    ``traceback`` has several lines; secrets in it are masked.
    """

    reason: str
    traceback: str


class KnownInfo(_Part, frozen=True, kw_only=True):
    """The known failure that is listed for a clause, and the verdict of the run.

    ``found`` is the verdict before the entry was considered, ``expires`` a date as in RFC 3339.
    """

    standing: str
    reason: str
    issue: str
    expires: str | None
    found: Verdict
    note: str


class Summary(_Part, frozen=True, kw_only=True):
    """The numbers of clauses with each verdict, by level and by impact.

    Each count is there, even if it is 0. Keys are the values of the enumerations.
    """

    by_level: dict[str, dict[str, int]]
    by_impact: dict[str, dict[str, int]]


class ClauseRow(_Part, frozen=True, kw_only=True):
    """A clause and the verdict on it.

    ``details`` is text from outside the reproduction, such as a traceback. ``known`` is null
    unless a known failure is listed for the clause. ``same_cause_as`` is the id of a graver clause
    whose breach has the same evidence, or null. ``diagnosis`` is the likely mistake, or null.
    """

    id: str
    level: Level
    impact: Impact
    title: str
    sources: tuple[str, ...]
    why: str
    fix: str
    verdict: Verdict
    reason: str
    blocked_by: str | None
    steps: tuple[Step, ...]
    exchanges: tuple[ExchangeRecord, ...]
    reproduce: str | None
    url: str | None
    details: str = ""
    known: KnownInfo | None = None
    diagnosis: Diagnosis | None = None
    same_cause_as: str | None = None


class ScenarioEvent(_Part, frozen=True, kw_only=True):
    """A planned event of an audit in words, the outcome, and how many requests it failed."""

    event: str
    outcome: str
    happened: bool
    requests: int


class ReportDocument(_Part, frozen=True, kw_only=True):
    """The whole report. ``created`` is a date and time by RFC 3339.

    ``duration_seconds`` is real time. ``conforms`` is true only for ``conclusion`` "conforms".
    ``partial`` is true if clauses were left out or not reached. ``overview`` sums up the report in
    a few sentences. ``headline`` has the gravest breaches, a sentence each. ``measured`` has facts
    such as the leeway in seconds. ``catalogue`` is the version of the catalogue, a digest of its
    clauses; empty in reports of older versions. ``scenario`` has the planned events of an audit.
    """

    schema: Literal[2]
    tool: Tool
    created: str
    duration_seconds: float
    options: Options
    profile: ProfileInfo
    client: ClientInfo
    conforms: bool
    conclusion: Conclusion
    partial: bool
    interrupted: bool
    errors: tuple[ErrorInfo, ...]
    summary: Summary
    headline: tuple[str, ...]
    measured: dict[str, Any]
    limits: tuple[str, ...]
    clauses: tuple[ClauseRow, ...]
    overview: str = ""
    catalogue: str = ""
    scenario: tuple[ScenarioEvent, ...] = ()


class ReportFileError(Exception):
    """A file that is not a valid report of this schema; the message is one sentence."""


def document_of(report: Report) -> ReportDocument:
    """Return the report as a document.

    Each clause of the catalogue has a row, in the catalogue's order, also if it was not run.
    """
    client, run = report.facts.client, report.facts.provenance
    causes = {
        row.clause.id: group.head.clause.id
        for group in groups_of(report)
        for row in group.also_broken
    }
    return ReportDocument(
        schema=SCHEMA,
        tool=Tool(name="mockbroker", version=metadata.version("mockbroker")),
        created=run.created,
        duration_seconds=round(run.duration_seconds, 1),
        options=Options(
            examples=run.examples, seed=run.seed, fail_on=report.facts.fail_on, only=run.only
        ),
        profile=ProfileInfo(name=report.facts.profile, sources=run.profile_sources),
        client=ClientInfo(
            name=client.name,
            version=client.version,
            target=client.target,
            capabilities=client.capabilities,
            file=client.file,
        ),
        conforms=report.conforms,
        conclusion=report.conclusion,
        partial=report.is_partial,
        interrupted=report.facts.interrupted,
        errors=tuple(
            ErrorInfo(reason=e.reason, traceback=e.traceback) for e in report.facts.errors
        ),
        summary=_summary(report),
        headline=tuple(map(breach_sentence, report.gravest_first[:_MAX_HEADLINES])),
        measured=dict(report.facts.measured),
        limits=report.facts.limits,
        clauses=tuple(_clause_row(report, row, causes) for row in report.rows),
        overview=overview_of(report),
        catalogue=CATALOGUE_VERSION,
        scenario=tuple(
            ScenarioEvent(
                event=event_text(each.event),
                outcome=outcome_text(each),
                happened=each.happened,
                requests=each.requests,
            )
            for each in report.facts.scenario
        ),
    )


def _clause_row(report: Report, row: Row, causes: Mapping[str, str]) -> ClauseRow:
    """Return the row of a clause, with an empty string or tuple where there is nothing.

    The clause's own texts are repeated in each row. A reader of the file then needs no catalogue,
    and sees the words of the version that judged.
    """
    clause, finding = row.clause, row.finding
    return ClauseRow(
        id=clause.id,
        level=clause.level,
        impact=clause.impact,
        title=clause.title,
        sources=tuple(map(str, clause.sources)),
        why=clause.why,
        fix=clause.fix,
        verdict=row.verdict,
        reason=finding.reason,
        blocked_by=finding.blocked_by,
        steps=finding.steps,
        exchanges=finding.exchanges,
        reproduce=report.reproduce(row) or None,
        url=link_of(clause) or None,
        details=finding.details,
        known=_known_info(row.listing) if row.listing else None,
        diagnosis=finding.diagnosis,
        same_cause_as=causes.get(clause.id),
    )


def _known_info(listing: Listing) -> KnownInfo:
    """Return the entry for a clause, as the document holds it.

    The entry's example is left out; the file of known failures has it.
    """
    failure = listing.failure
    return KnownInfo(
        standing=listing.standing.value,
        reason=failure.reason,
        issue=failure.issue,
        expires=failure.expires.isoformat() if failure.expires else None,
        found=listing.found.verdict,
        note=listing.note,
    )


def _summary(report: Report) -> Summary:
    """Return the counts of each verdict, by level and by impact.

    Both break down the same rows, so each sums up to the number of clauses.
    """

    def counts(belongs: Callable[[Row], bool]) -> dict[str, int]:
        """Count the verdicts of the rows that belong to one level or one impact."""
        verdicts = [row.verdict for row in report.rows if belongs(row)]
        # Each verdict has its number, even 0, so that a consumer needs no default.
        return {verdict.value: verdicts.count(verdict) for verdict in Verdict}

    return Summary(
        by_level={
            level.value: counts(lambda row, level=level: row.clause.level is level)  # type: ignore[misc]
            for level in Level
        },
        by_impact={
            impact.value: counts(lambda row, impact=impact: row.clause.impact is impact)  # type: ignore[misc]
            for impact in Impact
        },
    )


def json_text(document: ReportDocument) -> str:
    """Return the document as indented JSON.

    The order of the fields is that of the types, the same in every report. Characters beyond ASCII
    stay as they are.
    """
    # Not msgspec's own encoder: a report is read by people, and their editors need the indentation.
    plain = msgspec.to_builtins(document)
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def read_document(file: Path) -> ReportDocument:
    """Read a document from a file, with each string in it made printable.

    Raises ReportFileError if the file cannot be read or is not a valid report.
    """
    try:
        value: Union[dict[str, Any], Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportFileError(f"cannot read {file}: {error.strerror}") from None
    # json.loads raises RecursionError for deeply nested arrays.
    except (ValueError, RecursionError):
        raise ReportFileError(
            f"{file} is not valid JSON; `mockbroker check --json FILE` writes reports"
        ) from None
    # Before the typed reading, whose message would name a single field that is different.
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ReportFileError(
            f"{file} is not a report by schema {SCHEMA}; write it again with this version"
        )
    try:
        # A report may come from another machine, and `compare` prints its strings to a terminal.
        plain = with_texts(value, printable_lines)
        return read(plain, ReportDocument, str(file), wording=JSON)
    except ReadingError as error:
        # The message names the place in the file; the chain would only add a traceback of the
        # reader.
        raise ReportFileError(str(error)) from None
