"""Known failures: what listing one makes of a verdict, and how the report tells it."""

from __future__ import annotations

from datetime import date

import pytest

from mockbroker.contract.clause import Level
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.known_failures import KnownFailure, KnownFailures
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import RunFacts
from mockbroker.report.terminal import render
from tests.reports.samples import EXCHANGES, STEPS, as_json

MUST, OTHER, SHOULD = "request.method", "request.url", "refresh.ahead"
PASSED, FAILED, ADVICE = Verdict.PASSED, Verdict.FAILED, Verdict.ADVICE
TODAY = date(2030, 6, 15)
YESTERDAY = date(2030, 6, 14)
OTHERS = "its scenario now draws others"


def known(*entries, **first):
    """The first entry lists request.method."""
    listed = [KnownFailure(**{"clause_id": MUST, "reason": "an old library", **first}), *entries]
    return KnownFailures("known.toml", TODAY, {entry.clause_id: entry for entry in listed})


def report_on(failures, *findings, replays=None, fail_on=Level.MUST):
    return build_report(
        [Finding(*finding) for finding in findings],
        RunFacts(profile="autograb", fail_on=fail_on, known=failures, replays=replays or {}),
    )


def row_of(report, clause_id=MUST):
    return next(row for row in report.rows if row.clause.id == clause_id)


def told(report, width=100):
    return " ".join(" ".join(line.text for line in render(report, width)).split())


@pytest.mark.parametrize("verdict", [FAILED, ADVICE, Verdict.HANG, Verdict.CRASH])
def test_a_breach_that_is_listed_is_known_and_keeps_its_story(verdict):
    found = (MUST, verdict, "by GET", STEPS, EXCHANGES, "curl")
    report = report_on(known(issue="ACME-17"), (OTHER, PASSED), found)
    assert row_of(report).finding == Finding(
        MUST,
        Verdict.KNOWN,
        f"an old library (ACME-17); found ({verdict.value}): by GET",
        *found[3:],
    )
    assert report.exit_status == 0
    assert "NOTHING FAILED at level MUST, known failures aside: 1 passed" in told(report)


def test_a_listed_clause_that_passes_is_stale_and_fails_the_run_at_any_level():
    report = report_on(known(clause_id=SHOULD), (SHOULD, PASSED), (MUST, PASSED))
    row = row_of(report, SHOULD)
    assert row.verdict is Verdict.STALE
    assert row.finding.reason == (
        "listed as known (an old library), but it passes; remove its entry"
    )
    assert report.exit_status == 1
    assert "because of refresh.ahead" in told(report)
    assert "Next: refresh.ahead passes; remove its entry from known.toml" in told(report)


def test_a_breach_in_any_scenario_keeps_an_entry_from_being_stale():
    report = report_on(known(), (MUST, PASSED), (OTHER, PASSED), (MUST, FAILED, "by GET"))
    assert row_of(report).verdict is Verdict.KNOWN


def test_an_entry_shields_to_the_end_of_its_last_day():
    report = report_on(known(expires=TODAY), (MUST, FAILED, "by GET"), (OTHER, PASSED))
    assert row_of(report).verdict is Verdict.KNOWN


def test_an_expired_entry_shields_no_more():
    report = report_on(known(expires=YESTERDAY), (MUST, FAILED, "by GET"), (OTHER, PASSED))
    assert row_of(report).verdict is FAILED
    assert row_of(report).finding.reason == (
        "by GET; the known failure expired on 2030-06-14: an old library"
    )
    assert report.exit_status == 1


@pytest.mark.parametrize(
    "reason",
    [
        "TODO: say why this failure is accepted",
        "todo",
        "(TODO)",
        "FIXME later",
        "tbd",
        "...",
        "?",
    ],
)
def test_an_entry_without_a_reason_excuses_nothing(reason):
    report = report_on(known(reason=reason), (MUST, FAILED, "by GET"), (OTHER, PASSED))
    assert row_of(report).verdict is FAILED
    assert row_of(report).finding.reason == (
        "by GET; known.toml has no reason why request.method may fail; "
        f"replace {reason!r} in known.toml with a reason"
    )
    assert as_json(report)["clauses"][0]["known"]["standing"] == "no-reason"
    assert report.exit_status == 1
    assert f"no-reason request.method: replace {reason!r} with" in told(report, 200)


@pytest.mark.parametrize("reason", ["ACME-17", "a TODO of theirs", "nath does it", "古い"])
def test_what_says_something_is_a_reason(reason):
    report = report_on(known(reason=reason), (MUST, FAILED, "by GET"), (OTHER, PASSED))
    assert row_of(report).verdict is Verdict.KNOWN


def test_an_expired_entry_on_a_clause_that_passes_is_stale():
    report = report_on(known(expires=YESTERDAY), (MUST, PASSED))
    assert row_of(report).verdict is Verdict.STALE


@pytest.mark.parametrize("verdict", [Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE])
def test_an_entry_of_which_nothing_was_seen_is_unmatched_and_changes_nothing(verdict):
    found = (SHOULD, verdict, "the client offers no request")
    report = report_on(known(clause_id=SHOULD), found, (MUST, PASSED))
    assert row_of(report, SHOULD).finding == Finding(*found)
    assert report.exit_status == 0
    assert f"? unmatched refresh.ahead: {verdict.value}, the client offers no request" in told(
        report
    )


def test_a_run_of_known_failures_alone_was_not_for_nothing():
    assert report_on(known(), (MUST, FAILED)).exit_status == 0


def test_what_a_known_failure_blocks_fails_no_run_in_which_something_passes():
    blocked = (OTHER, Verdict.NOT_TESTED, "it asks by GET", (), (), "", "", MUST)
    broken = (MUST, FAILED)
    assert report_on(known(), broken, blocked, (SHOULD, PASSED)).exit_status == 0
    assert report_on(known(), broken, blocked).exit_status == 1
    assert report_on(KnownFailures(), broken, blocked, (SHOULD, PASSED)).blocked
    other = (OTHER, Verdict.NOT_TESTED, "not signed", (), (), "", "", "basic.scheme")
    assert report_on(known(), broken, other, (SHOULD, PASSED)).exit_status == 1


def four_of_them():
    entries = [
        KnownFailure(clause_id=OTHER, reason="fixed?", example=["x"]),
        KnownFailure(clause_id="request.accept", reason="old", expires=YESTERDAY),
        KnownFailure(clause_id=SHOULD, reason="later"),
    ]
    return report_on(
        known(*entries, issue="ACME-17"),
        (MUST, FAILED, "by GET"),
        (OTHER, PASSED),
        ("request.accept", FAILED, "text/html"),
        (SHOULD, Verdict.NOT_APPLICABLE, "no clock"),
        replays={OTHER: OTHERS},
    )


def test_the_four_are_told_apart_on_the_terminal():
    lines = [line.text for line in render(four_of_them(), 120)]
    at = lines.index("  Known failures, by known.toml: 1 known, 1 stale, 1 expired, 1 unmatched")
    assert lines[at + 1 : at + 4] == [
        f"    s stale      {OTHER}: passes; remove its entry; its example was ignored: {OTHERS}",
        "    ✗ expired    request.accept: on 2030-06-14; fix the client, or set a later date",
        "    ? unmatched  refresh.ahead: not-applicable, no clock",
    ]
    narrow = [line.text for line in render(four_of_them(), 80)]
    start = narrow.index(lines[at])
    assert max(map(len, narrow[start : start + 5])) <= 80


def test_the_four_are_told_apart_in_json_beside_the_fields_of_every_row():
    rows = {row["id"]: row for row in as_json(four_of_them())["clauses"]}
    assert rows[MUST]["verdict"] == "known"
    assert rows[MUST]["known"] == {
        "standing": "known",
        "reason": "an old library",
        "issue": "ACME-17",
        "expires": None,
        "found": "failed",
        "note": "",
    }
    standings = {name: row["known"]["standing"] for name, row in rows.items() if row["known"]}
    assert standings == {
        MUST: "known",
        OTHER: "stale",
        "request.accept": "expired",
        SHOULD: "unmatched",
    }
    assert rows["request.accept"]["known"]["expires"] == "2030-06-14"
    assert "example was ignored" in rows[OTHER]["known"]["note"]
    assert set(rows[MUST]) == set(rows["basic.utf8"])


def test_an_example_that_no_scenario_had_a_use_for_is_told():
    failures = known(example=["x"])
    assert "no scenario drew examples for it" in told(report_on(failures, (MUST, FAILED)))
    assert "ignored" not in told(report_on(failures, (MUST, FAILED), replays={MUST: ""}))
    assert "ignored" not in told(report_on(failures, (MUST, Verdict.NOT_TESTED)))
