"""The report: what findings add up to, as values, as JSON and as lines for a terminal."""

from __future__ import annotations

import pytest

from contract_tests.verdicts import Finding, Verdict
from mockbroker.spec.catalogue import CATALOGUE
from mockbroker.spec.clause import Level
from pytest_plugin.report import ClientDescription, build_report
from pytest_plugin.terminal import plain, render, story, width_of

MUST, SHOULD, PRACTICE = "request.method", "refresh.ahead", "signing.revoked"
PASSED, FAILED, ADVICE = Verdict.PASSED, Verdict.FAILED, Verdict.ADVICE


def report_on(*findings, fail_on=Level.MUST, deselected=(), unseen=None, **measured):
    return build_report(
        [Finding(*finding) for finding in findings],
        profile="autograb",
        client=ClientDescription("acme.py", "acme", capabilities=("get_token",)),
        measured=measured,
        fail_on=fail_on,
        deselected=deselected,
        unseen=unseen,
    )


@pytest.mark.parametrize(
    ("findings", "fail_on", "status"),
    [
        ([(MUST, PASSED)], Level.MUST, 0),
        ([(MUST, PASSED), (SHOULD, ADVICE)], Level.MUST, 0),
        ([(MUST, PASSED), (SHOULD, FAILED)], Level.SHOULD, 1),
        ([(MUST, FAILED)], Level.MUST, 1),
        ([(MUST, Verdict.HANG)], Level.MUST, 1),
        ([(MUST, Verdict.CRASH)], Level.MUST, 1),
        ([(SHOULD, PASSED), (MUST, Verdict.NOT_TESTED)], Level.MUST, 1),
        ([(MUST, PASSED), (SHOULD, Verdict.NOT_TESTED)], Level.MUST, 0),
        ([(MUST, PASSED), (SHOULD, Verdict.NOT_TESTED)], Level.SHOULD, 1),
        ([(MUST, PASSED), (PRACTICE, Verdict.NOT_APPLICABLE)], Level.PRACTICE, 0),
        ([(SHOULD, ADVICE)], Level.MUST, 0),
        ([(SHOULD, Verdict.HANG)], Level.MUST, 0),
        ([(SHOULD, Verdict.CRASH)], Level.MUST, 0),
        ([(MUST, Verdict.NOT_TESTED)], Level.MUST, 5),
        ([(MUST, Verdict.NOT_APPLICABLE)], Level.MUST, 5),
        ([], Level.MUST, 5),
    ],
)
def test_exit_status(findings, fail_on, status):
    report = report_on(*findings, fail_on=fail_on)
    assert report.exit_status == status
    assert report.conforms is (status == 0)


def test_a_breach_found_anywhere_counts_against_its_clause_and_the_first_is_told():
    report = report_on(
        (MUST, PASSED), (MUST, FAILED, "one"), (MUST, FAILED, "two"), (SHOULD, PASSED)
    )
    told = {row.clause.id: row.finding for row in report.rows}
    assert told[MUST] == Finding(MUST, FAILED, "one")
    assert told[SHOULD].verdict is PASSED


def test_json_has_a_row_for_each_clause_in_order():
    document = report_on(
        (MUST, FAILED, "by GET", "a story", ("#1 GET",), "curl"),
        (SHOULD, ADVICE),
        deselected=["basic.utf8"],
        leeway_seconds=[0.0, 0.0],
    ).to_json()
    assert document["schema"] == 1
    assert document["conforms"] is False
    assert document["client"] == {
        "name": "acme",
        "version": "",
        "target": "acme.py",
        "capabilities": ["get_token"],
    }
    assert document["summary"]["MUST"]["failed"] == 1
    assert document["summary"]["SHOULD"]["advice"] == 1
    assert document["measured"] == {"leeway_seconds": [0.0, 0.0]}
    assert [row["id"] for row in document["clauses"]] == [clause.id for clause in CATALOGUE]
    rows = {row["id"]: row for row in document["clauses"]}
    assert rows[MUST] == {
        "id": MUST,
        "level": "MUST",
        "title": "asks for a token by POST",
        "sources": ["AutoGrab developer pages, “OAuth Authentication”", "RFC 6749, 3.2"],
        "verdict": "failed",
        "reason": "by GET",
        "example": "a story",
        "exchanges": ["#1 GET"],
        "curl": "curl",
    }
    assert rows["basic.utf8"]["reason"] == "not selected in this run"
    assert rows["lifecycle"]["verdict"] == "not-tested"


def test_what_an_audit_never_reached_is_told_and_does_not_fail_it():
    report = report_on((SHOULD, PASSED), unseen={MUST: "never reached: no token request was seen"})
    assert report.exit_status == 0
    told = [line.text for line in render(report, 80)]
    assert "  ? NOT TESTED: never reached: no token request was seen (1)" in told


LONG = "the token was asked for by GET, " * 9


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_fits_the_terminal(width):
    report = report_on((MUST, FAILED, LONG), *((c.id, PASSED) for c in CATALOGUE[1:]))
    lines = [line.text for line in render(report, width)]
    table = lines[: next(n for n, text in enumerate(lines) if text.startswith("  ✗"))]
    assert max(map(len, table)) <= width
    shown = " ".join(" ".join(table).split())
    assert LONG.strip() in shown
    assert sum("✓" in text for text in table) == len(CATALOGUE) - 1


def test_the_story_says_all_that_is_needed():
    finding = Finding(MUST, FAILED, "by GET", "  step 1\n  step 2", ("#1 GET", "#2 GET"), "curl -X")
    lines = list(story(finding))
    assert (lines[0].text, lines[0].style) == (
        "✗ request.method (MUST): a client asks for a token by POST",
        "red",
    )
    assert [line.text.split()[:2] for line in lines[1:]] == [
        ["found", "by"],
        ["source", "AutoGrab"],
        ["story", "step"],
        ["step", "2"],
        ["traffic", "#1"],
        ["#2", "GET"],
        ["try", "curl"],
        ["mend", "Send"],
    ]


def test_the_end_says_what_to_do_next():
    def end(*findings, **options):
        lines = list(render(report_on(*findings, **options), 100))
        return "\n".join(line.text for line in lines[-3:])

    assert "Next: mend request.method, then check it alone with --only request.method" in end(
        (MUST, FAILED), (SHOULD, PASSED)
    )
    assert "Next: mend request.method, then audit again" in end((MUST, FAILED), unseen={})
    assert "look at the advice; --fail-on practice makes it binding" in end(
        (MUST, PASSED), (SHOULD, ADVICE)
    )
    assert "because of request.method" in end((SHOULD, PASSED), (MUST, Verdict.NOT_TESTED, "x"))
    assert "because of request.method\n" in end(
        (MUST, FAILED), ("request.url", Verdict.NOT_TESTED, "blocked by request.method: a GET")
    )
    assert "NOTHING WAS TESTED" in end((MUST, Verdict.NOT_TESTED, "x"))
    assert "CONFORMS at level SHOULD: 2 passed" in end(
        (MUST, PASSED), (SHOULD, PASSED), fail_on=Level.SHOULD
    )


def test_measured_facts_are_told():
    def told(**facts):
        return next(
            (
                ln.text
                for ln in render(report_on((MUST, PASSED), **facts), 100)
                if "Meas" in ln.text
            ),
            "",
        )

    assert told(leeway_seconds=[30.0, 30.0], leeway_kind="fixed").endswith(
        "leeway 30 s · leeway kind fixed"
    )
    assert "leeway 300 to 599 s" in told(leeway_seconds=[300.0, 599.0])
    assert "burst token requests 1" in told(burst_token_requests=1)
    assert told() == ""


def test_other_encodings_get_what_they_can_show():
    text = "✓ “quoted” · 1 → 2 …"
    assert plain(text, "utf-8") == text
    assert plain(text, "ascii") == plain(text, None) == '+ "quoted" - 1 > 2 ...'
    assert plain("漢", "no such encoding") == "?"


def test_the_width_is_kept_readable():
    assert [width_of(columns) for columns in (0, 20, 95, 400)] == [80, 80, 95, 120]


def test_an_interrupted_run_conforms_to_nothing():
    report = build_report(
        [Finding(MUST, PASSED)],
        profile="autograb",
        client=ClientDescription("acme.py", "acme"),
        measured={},
        interrupted=True,
    )
    assert not report.conforms
    assert not report.to_json()["conforms"]
    shown = "\n".join(line.text for line in render(report, 100))
    assert "INTERRUPTED: 1 passed" in shown
    assert "not reached: the run was interrupted" in shown
