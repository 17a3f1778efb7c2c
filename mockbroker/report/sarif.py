"""The report in SARIF 2.1.0, which code scanning of GitHub and other viewers of results read.

A broken clause is a result, at the file of the client's factory. Every clause of the catalogue is
a rule, so that an alert has its explanation, and a rule that is kept closes its alert.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from mockbroker.contract.clause import Clause, Impact, Level
from mockbroker.report.document import ReportDocument, document_of
from mockbroker.report.evidence import evidence_lines
from mockbroker.report.finding import Verdict
from mockbroker.report.groups import place_of
from mockbroker.report.headline import advice_on, link_of
from mockbroker.report.provenance_text import provenance_of
from mockbroker.report.report import Report, Row

__all__ = ["sarif_of"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
# The levels of SARIF for a clause that is not binding in a run.
_ADVICE_LEVELS = {Level.MUST: "warning", Level.SHOULD: "warning"}
# A number from 0 to 10, by which GitHub sorts alerts; from 7 on it calls them high.
_SECURITY_SEVERITIES = {Level.MUST: "8.0", Level.SHOULD: "6.0"}
_LEAST_SECURITY_SEVERITY = "4.0"


def sarif_of(report: Report) -> str:
    """Return the report as one SARIF log with one run."""
    document = document_of(report)
    run = {
        "tool": {"driver": _driver(report, document)},
        # GitHub replaces the alerts of an earlier upload with the same id, and no others.
        "automationDetails": {
            "id": f"mockbroker/{document.client.target}/{document.profile.name}/"
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": list(_results(report)),
        "properties": {
            "overview": document.overview,
            "conclusion": document.conclusion.value,
            "partial": document.partial,
            **dict(provenance_of(document)),
        },
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _driver(report: Report, document: ReportDocument) -> dict[str, Any]:
    """Return the tool and its rules, in the order of the catalogue."""
    return {
        "name": document.tool.name,
        "version": document.tool.version,
        "rules": [_rule(report, row.clause) for row in report.rows],
    }


def _rule(report: Report, clause: Clause) -> dict[str, Any]:
    """Return a clause as a rule, with its reason, its fix and its sources as help."""
    sources = "; ".join(map(str, clause.sources))
    linked = "; ".join(f"[{s}]({s.url})" if s.url else str(s) for s in clause.sources)
    properties: dict[str, Any] = {
        "tags": [clause.chapter, clause.level.value, clause.impact.value],
        "precision": "very-high",
        "problem.severity": _result_level(report, clause).replace("note", "recommendation"),
    }
    if clause.impact is Impact.SECURITY:
        properties["security-severity"] = _SECURITY_SEVERITIES.get(
            clause.level, _LEAST_SECURITY_SEVERITY
        )
    rule = {
        "id": clause.id,
        "shortDescription": {"text": f"A client {clause.title}"},
        "fullDescription": {"text": f"If a client breaks it: {clause.consequence}. {clause.why}"},
        "help": {
            "text": f"Fix: {clause.fix}\nWhy: {clause.why}\nSource: {sources or 'practice'}",
            "markdown": (
                f"**Fix:** {clause.fix}\n\n**Why:** {clause.why}\n\n"
                f"**Source:** {linked or 'practice'}"
            ),
        },
        "defaultConfiguration": {"level": _result_level(report, clause)},
        "properties": properties,
    }
    link = link_of(clause)
    return {**rule, "helpUri": link} if link else rule


def _result_level(report: Report, clause: Clause) -> str:
    """Return the level of SARIF for a breach of the clause in this run."""
    return "error" if report.is_binding(clause) else _ADVICE_LEVELS.get(clause.level, "note")


def _results(report: Report) -> Iterator[dict[str, Any]]:
    """Yield a result for each broken clause, the gravest first, and for known failures.

    A clause that was not tested is not a result: viewers would show it as a defect of the code.
    """
    index = {row.clause.id: number for number, row in enumerate(report.rows)}
    listed = [row for row in report.rows if row.verdict in {Verdict.KNOWN, Verdict.STALE}]
    for row in (*report.gravest_first, *listed):
        clause = row.clause
        result: dict[str, Any] = {
            "ruleId": clause.id,
            "ruleIndex": index[clause.id],
            "level": "error" if row.verdict is Verdict.STALE else _result_level(report, clause),
            "message": {"text": _message(report, row)},
            "partialFingerprints": {"primaryLocationLineHash": _fingerprint(report, clause)},
            "properties": {"verdict": row.verdict.value},
        }
        locations = _locations(report, row)
        if locations:
            result["locations"] = locations
        if row.verdict is Verdict.KNOWN and row.listing:
            # An alert with a suppression is shown as dismissed, with this reason.
            reason = row.listing.failure.in_words
            result["suppressions"] = [{"kind": "external", "justification": reason}]
        yield result


def _message(report: Report, row: Row) -> str:
    """Return what was found, what it leads to, its fix and the evidence."""
    advice = (f"{label}: {text}" for label, text in advice_on(row) if text)
    evidence = evidence_lines(row.finding, command=report.reproduce(row))
    text = "\n".join((row.finding.in_words, *advice, *evidence))
    # SARIF 2.1.0, 3.11.6: "[text](address)" is a link, and this text may come from the client.
    return text.replace("](", "] (")


def _fingerprint(report: Report, clause: Clause) -> str:
    """Return a value that is the same for the same clause and client, whatever line changed."""
    text = f"{clause.id}\n{report.facts.profile}\n{report.facts.client.target}"
    return f"{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:16]}:1"


def _locations(report: Report, row: Row) -> list[dict[str, Any]]:
    """Return the file of the client, with the line that raised if it is in that file."""
    file = report.facts.client.file
    # Such as a client that a fixture makes, or an app that was observed.
    if not file:
        return []
    place = place_of(row.finding)
    is_here = place is not None and PurePosixPath(place.file).name == PurePosixPath(file).name
    line = place.line if place is not None and is_here else 1
    region = {"startLine": max(line, 1)}
    return [{"physicalLocation": {"artifactLocation": {"uri": quote(file)}, "region": region}}]


def _invocation(report: Report) -> dict[str, Any]:
    """Return how the run ended; errors of the kit and of the driver are notifications."""
    errors = [error.reason for error in report.facts.errors]
    errors += [r.finding.in_words for r in report.rows if r.verdict is Verdict.ERROR]
    texts = dict.fromkeys((*errors, *report.facts.driver_failures))
    invocation: dict[str, Any] = {
        # Breaches are results of a run that succeeded.
        "executionSuccessful": report.conclusion.is_about_client,
        "exitCode": report.exit_status,
        "exitCodeDescription": report.conclusion.value,
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": text}} for text in texts
        ],
    }
    if report.facts.provenance.created:
        # The standard asks for UTC with a Z.
        invocation["startTimeUtc"] = report.facts.provenance.created.replace("+00:00", "Z")
    return invocation
