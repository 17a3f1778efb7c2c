"""The report: what findings add up to, as values, as JSON and as lines for a terminal."""

from __future__ import annotations

import json
import re
from importlib.metadata import version

import msgspec
import pytest

from mockbroker.contract.catalogue import CATALOGUE, CATALOGUE_VERSION, clause_named
from mockbroker.contract.clause import Level
from mockbroker.report.badge import badge_of
from mockbroker.report.defaults import DEFAULT_EXAMPLES
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.junit_xml import junit_xml_of
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import KnownFailure, KnownFailures, Standing
from mockbroker.report.markdown import markdown_of
from mockbroker.report.report import Conclusion, build_report
from mockbroker.report.run_facts import ClientDescription, Provenance, RunFacts
from mockbroker.report.steps import AnswerChanged, Note, NotRepeated
from mockbroker.report.terminal import render
from mockbroker.report.terminal_causes import finding_lines
from mockbroker.report.terminal_lines import plain, width_of
from tests.reports.samples import EXCHANGES, STEPS, as_json

ALL = len(CATALOGUE)
MUST, SHOULD, PRACTICE = "request.method", "refresh.ahead", "signing.revoked"
RUN = Provenance(
    created="2030-01-01T00:00:00+00:00",
    duration_seconds=1.5,
    profile_sources=("a page",),
    examples=5,
    seed=7,
    only="request.",
    check_arguments=("acme.py",),
)
PASSED, FAILED, ADVICE = Verdict.PASSED, Verdict.FAILED, Verdict.ADVICE


def whole(*findings):
    """The findings, and that every other clause passes."""
    named = {clause_id for clause_id, *_ in findings}
    return [*findings, *((c.id, PASSED) for c in CATALOGUE if c.id not in named)]


def told(report, width=100):
    return [line.text for line in render(report, width)]


def report_on(*findings, fail_on=Level.MUST, unseen=None, run=None, **measured):
    return build_report(
        [Finding(*finding) for finding in findings],
        RunFacts(
            profile="autograb",
            client=ClientDescription("acme.py", "acme", capabilities=("get_token",)),
            measured=measured,
            fail_on=fail_on,
            unseen=unseen,
            **(run or {}),
        ),
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
    assert not report.conforms
    assert report.is_partial
    if status != 5:
        assert report_on(*whole(*findings), fail_on=fail_on).conforms is (status == 0)


def test_a_breach_found_anywhere_counts_against_its_clause_and_the_first_is_told():
    report = report_on(
        (MUST, PASSED), (MUST, FAILED, "one"), (MUST, FAILED, "two"), (SHOULD, PASSED)
    )
    found = {row.clause.id: row.finding for row in report.rows}
    assert found[MUST] == Finding(MUST, FAILED, "one")
    assert found[SHOULD].verdict is PASSED


@pytest.fixture(scope="module")
def document():
    """A report as JSON: a failure, an advice, and a clause that is blocked."""
    report = report_on(
        (MUST, FAILED, "by GET", STEPS[:1], EXCHANGES[:1], "curl"),
        (SHOULD, ADVICE, "late", (), (), "", "", None, SHOULD),
        ("request.url", Verdict.NOT_TESTED, "a GET", (), (), "", "", MUST),
        run={"provenance": RUN},
        leeway_seconds=[0.0, 0.0],
    )
    return as_json(report)


def test_json_says_where_the_report_comes_from(document):
    assert document["schema"] == 2
    assert document["tool"] == {"name": "mockbroker", "version": version("mockbroker")}
    assert document["catalogue"] == CATALOGUE_VERSION
    assert (document["created"], document["duration_seconds"]) == (RUN.created, 1.5)
    options = {"examples": 5, "seed": 7, "fail_on": "MUST", "only": "request."}
    assert document["options"] == options
    assert document["profile"] == {"name": "autograb", "sources": ["a page"]}
    assert document["client"] == {
        "name": "acme",
        "version": "",
        "target": "acme.py",
        "capabilities": ["get_token"],
        "file": "",
    }


def test_json_sums_up_what_was_found(document):
    assert document["headline"] == [
        f"outage: {clause_named(MUST).consequence} (request.method, MUST): by GET",
        f"outage: {clause_named(SHOULD).consequence} (refresh.ahead, SHOULD): late",
    ]
    assert document["overview"] == (
        f"1 of 2 binding clauses fails. Worst: {clause_named(MUST).consequence} (request.method). "
        "1 more could not be tested. 1 more clause gives advice."
    )
    assert document["conforms"] is False
    assert document["summary"]["by_level"]["MUST"]["failed"] == 1
    assert document["summary"]["by_level"]["SHOULD"]["advice"] == 1
    assert document["summary"]["by_impact"]["outage"]["failed"] == 1
    assert document["summary"]["by_impact"]["security"]["failed"] == 0
    assert document["measured"] == {"leeway_seconds": [0.0, 0.0]}


def test_json_has_a_row_for_each_clause_in_order(document):
    assert [row["id"] for row in document["clauses"]] == [clause.id for clause in CATALOGUE]
    rows = {row["id"]: row for row in document["clauses"]}
    assert rows[MUST] == {
        "id": MUST,
        "level": "MUST",
        "impact": "outage",
        "title": "requests a token by POST",
        "sources": ["AutoGrab developer pages, “OAuth Authentication”", "RFC 6749, 3.2"],
        "verdict": "failed",
        "reason": "by GET",
        "why": clause_named(MUST).why,
        "fix": clause_named(MUST).fix,
        "blocked_by": None,
        "steps": [{"step": "broker-started", "expires_in": 60.0}],
        "exchanges": json.loads(msgspec.json.encode(EXCHANGES[:1])),
        "reproduce": "curl",
        "url": "https://www.rfc-editor.org/rfc/rfc6749#section-3.2",
        "details": "",
        "known": None,
        "diagnosis": None,
        "same_cause_as": None,
    }
    assert rows[SHOULD]["reproduce"] == (
        "mockbroker check acme.py --only refresh.ahead --examples 5 --seed 7"
    )
    assert rows[SHOULD]["url"] is None
    assert (rows["request.url"]["blocked_by"], rows["request.url"]["reason"]) == (MUST, "a GET")
    assert rows["request.url"]["reproduce"] is None
    assert rows["basic.utf8"]["reason"] == "not selected in this run"
    assert rows["lifecycle"]["verdict"] == "not-tested"


def test_a_client_that_no_command_can_check_has_no_reproduction():
    found = Finding(SHOULD, ADVICE, "late", found_in=SHOULD)
    for arguments, reproduce in (((), None), (("acme.py",), "mockbroker check acme.py --only ")):
        run = Provenance(check_arguments=arguments)
        client = ClientDescription("acme.py", "acme")
        report = build_report([found], RunFacts(profile="autograb", client=client, provenance=run))
        rows = {row["id"]: row for row in as_json(report)["clauses"]}
        assert str(rows[SHOULD]["reproduce"]).startswith(str(reproduce))


def test_a_breach_that_was_not_repeated_has_no_reproduction():
    [row] = [
        row
        for row in report_on(
            (SHOULD, ADVICE, "late", (NotRepeated(),)), run={"provenance": RUN}
        ).rows
        if row.clause.id == SHOULD
    ]
    assert report_on(run={"provenance": RUN}).reproduce(row) == ""


def test_a_reproduction_leaves_out_the_default_number_of_examples():
    run = Provenance(examples=DEFAULT_EXAMPLES, check_arguments=("acme.py",))
    assert run.command_for(SHOULD) == "mockbroker check acme.py --only refresh.ahead"


def test_what_an_audit_never_reached_is_told_and_does_not_fail_it():
    report = report_on((SHOULD, PASSED), unseen={MUST: "never reached: no token request was seen"})
    assert report.exit_status == 0
    assert not report.conforms
    assert report.is_partial
    shown = told(report, 80)
    assert "  ? NOT TESTED: never reached: no token request was seen (1)" in shown
    assert (
        f"  ✓ no violation seen; {ALL - 1} clauses not exercised: 1 passed, {ALL - 1} not-tested"
        in shown
    )


LONG = "the token was asked for by GET, " * 9


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_fits_the_terminal(width):
    report = report_on((MUST, FAILED, LONG), *((c.id, PASSED) for c in CATALOGUE[1:]))
    lines = [line.text for line in render(report, width, verbose=True)]
    table = lines[: next(n for n, text in enumerate(lines) if text.startswith("  ✗"))]
    assert max(map(len, table)) <= width
    shown = " ".join(" ".join(table).split())
    assert LONG.strip() in shown
    assert sum("✓" in text for text in table) == len(CATALOGUE) - 1


def test_a_finding_is_printed_with_all_that_is_needed():
    finding = Finding(MUST, FAILED, "by GET", STEPS[:2], EXCHANGES, details="panic")
    lines = list(finding_lines(finding, reproduce="mockbroker check"))
    assert (lines[0].text, lines[0].style) == (
        "✗ request.method (MUST, outage): a client requests a token by POST",
        "red",
    )
    assert [line.text.split()[:2] for line in lines[1:]] == [
        ["found", "by"],
        ["leads", "to"],
        ["source", "AutoGrab"],
        ["steps", "the"],
        ["get_token", "→"],
        ["details", "panic"],
        ["traffic", "#1"],
        ["✗", "request.accept:"],
        ["#2", "GET"],
        ["repeat", "mockbroker"],
        ["fix", "Send"],
    ]


def test_the_end_says_what_to_do_next():
    def end(*findings, **options):
        lines = list(render(report_on(*findings, **options), 100))
        end = next(n for n, line in enumerate(lines) if re.match("  [✗✓?E] [A-Zn]", line.text))
        return "\n".join(line.text for line in lines[end:])

    assert "Next: fix request.method, then check it alone with --only request.method" in end(
        (MUST, FAILED), (SHOULD, PASSED)
    )
    assert "Next: fix request.method, then audit again" in end((MUST, FAILED), unseen={})
    assert "look at the advice; --fail-on practice makes it binding" in end(
        (MUST, PASSED), (SHOULD, ADVICE)
    )
    assert "because of request.method" in end((SHOULD, PASSED), (MUST, Verdict.NOT_TESTED, "x"))
    assert "because of request.method\n" in end(
        (MUST, FAILED), ("request.url", Verdict.NOT_TESTED, "a GET", (), (), "", "", MUST)
    )
    assert "NOTHING WAS TESTED" in end((MUST, Verdict.NOT_TESTED, "x"))
    assert f"CONFORMS at level SHOULD: {ALL} passed" in end(*whole(), fail_on=Level.SHOULD)
    partial = " ".join(end((MUST, PASSED), (SHOULD, PASSED)).split())
    assert (
        f"NOTHING FAILED at level MUST: 2 passed, {ALL - 2} not-tested 2 clauses passed of 2"
        in partial
    )
    assert (
        f"{ALL - 2} not selected: a partial run does not say whether the client conforms" in partial
    )
    assert "CONFORMS" not in partial


def test_measured_facts_are_told():
    def fact(**facts):
        return next(
            (
                ln.text
                for ln in render(report_on((MUST, PASSED), **facts), 100)
                if "Meas" in ln.text
            ),
            "",
        )

    assert fact(leeway_seconds=[30.0, 30.0], leeway_kind="fixed").endswith(
        "leeway 30 s · leeway kind fixed"
    )
    assert "leeway 300 to 599 s" in fact(leeway_seconds=[300.0, 599.0])
    assert "burst token requests 1" in fact(burst_token_requests=1)
    herd = fact(burst_token_requests=8, burst_token_requests_of_64=60)
    assert herd.endswith("Measured: burst token requests 8 of 8 uses, 60 of 64")
    day = fact(token_requests_per_day=25, token_requests_needed_per_day=24)
    assert day.endswith("Measured: token requests per day 25, needed 24")
    assert fact() == ""


def test_other_encodings_get_what_they_can_show():
    text = "✓ “quoted” · 1 → 2 …"
    assert plain(text, "utf-8") == text
    assert plain(text, "ascii") == plain(text, None) == '+ "quoted" - 1 > 2 ...'
    assert plain("漢", "no such encoding") == "?"


def test_the_width_is_kept_readable():
    assert [width_of(columns) for columns in (0, 20, 95, 400)] == [80, 80, 95, 120]


def test_a_run_that_was_out_of_time_is_partial_and_does_not_blame_the_client():
    unjudged = ("request.url", Verdict.NOT_TESTED, "out of time")
    report = report_on(*whole(unjudged), run={"out_of_time": True})
    assert (report.conclusion, report.exit_status) == (Conclusion.OUT_OF_TIME, 2)
    assert (report.is_partial, report.conforms) == (True, False)
    assert f"  ? OUT OF TIME, a partial report: {ALL - 1} passed, 1 not-tested" in told(report)
    assert report.conclusion.value in markdown_of(report)
    assert 'name="run: out of time"' in junit_xml_of(report)
    assert ">out of time<" in badge_of(report)


def test_what_failed_before_the_time_was_up_fails_the_run():
    unjudged = ("request.url", Verdict.NOT_TESTED, "out of time")
    report = report_on(*whole((MUST, FAILED), unjudged), run={"out_of_time": True})
    assert (report.conclusion, report.is_partial) == (Conclusion.FAILED, True)


def test_an_interrupted_run_conforms_to_nothing():
    report = build_report(
        [Finding(MUST, PASSED)],
        RunFacts(profile="autograb", interrupted=True, selected=[MUST, SHOULD]),
    )
    assert report.exit_status == 2
    document = as_json(report)
    assert (document["conforms"], document["interrupted"], document["partial"]) == (
        False,
        True,
        True,
    )
    shown = "\n".join(line.text for line in render(report, 100))
    assert "INTERRUPTED, a partial report: 1 passed" in shown
    assert "not reached: the run was interrupted (1)" in shown
    assert f"1 clause passed of 2 selected; {ALL - 2} not selected; 1 not reached" in shown


ERROR = Verdict.ERROR


@pytest.mark.parametrize(
    ("findings", "run", "status"),
    [
        ([(MUST, ERROR), (SHOULD, PASSED)], {}, 3),
        ([(PRACTICE, ERROR), (SHOULD, PASSED)], {}, 3),
        ([(MUST, ERROR), (SHOULD, FAILED)], {"driver_failures": ["x"]}, 3),
        ([(MUST, ERROR)], {"interrupted": True}, 2),
        ([(MUST, FAILED)], {"driver_failures": ["x"]}, 4),
        ([(MUST, PASSED)], {"selected": [MUST, SHOULD]}, 3),
        ([(MUST, PASSED)], {"selected": [MUST, SHOULD], "unreached": "stopped"}, 0),
        ([(MUST, PASSED)], {"errors": (KitError("the kit failed: x"),)}, 3),
    ],
)
def test_the_gravest_of_what_went_wrong_is_the_exit_status(findings, run, status):
    report = report_on(*whole(*findings) if not run else findings, run=run)
    assert report.exit_status == status
    assert not report.conforms
    assert "CONFORMS" not in "".join(told(report))


def test_an_error_outweighs_a_breach_of_the_same_clause_and_is_never_known():
    entry = KnownFailure(clause_id=MUST, reason="old")
    known = KnownFailures("known.toml", entries={MUST: entry})
    findings = [
        (MUST, FAILED, "by GET"),
        (MUST, ERROR, "KeyError", (), (), "", "a traceback"),
        (SHOULD, PASSED),
    ]
    report = report_on(*findings, run={"known": known})
    row = next(row for row in report.rows if row.clause.id == MUST)
    assert row.verdict is ERROR
    assert row.listing.standing is Standing.UNMATCHED
    assert report.exit_status == 3


def test_errors_of_the_kit_are_told_once_with_their_clauses_and_the_traceback():
    error = ("the kit failed: KeyError: x", (), (), "", "Traceback\n  line 1")
    findings = [(MUST, ERROR, *error), (SHOULD, ERROR, *error), (PRACTICE, PASSED)]
    run = {"errors": (KitError("the kit failed: at the end", "Traceback\n  line 2"),)}
    shown = told(report_on(*findings, run=run))
    assert shown.count("    E the kit failed: KeyError: x") == 1
    assert shown.count("        line 1") == shown.count("        line 2") == 1
    assert "      clauses (2): request.method, refresh.ahead" in shown
    assert any(line.startswith("  E THE KIT FAILED, no verdict on the client") for line in shown)


def test_texts_of_a_finding_are_fit_for_any_output():
    class Odd(str):
        __slots__ = ()

        def __str__(self):
            raise RuntimeError

        __repr__ = __hash__ = __str__

    hostile = "a\x1b[2J\x9b\u202e\u2028\ud800\x00 ::error::x\n  ::Debug::y ##vso[task] ##[e] b"
    steps = (Note(text=hostile), AnswerChanged(members={hostile: [hostile]}))
    exchange = msgspec.structs.replace(EXCHANGES[0], target=hostile, headers=((hostile, hostile),))
    finding = Finding(MUST, FAILED, Odd(hostile), steps, (exchange,), hostile, hostile)
    shown = finding.exchanges[0]
    texts = [finding.reason, finding.command, finding.details, shown.target, *shown.headers[0]]
    for text in (*texts, finding.steps[0].text, *finding.steps[1].members):
        assert type(text) is str
        assert all(part.isprintable() for part in text.split("\n"))
        assert not re.search(r"(?m)^\s*::|::error|##\w*\[", text)
        assert text.startswith(r"a\x1b[2J\x9b\u202e\u2028\ud800\x00 ")
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding
    assert plain("in C++ std::vector and [::1]", "utf-8") == "in C++ std::vector and [::1]"


def blocked(clause_id, by):
    return Finding(clause_id, Verdict.NOT_TESTED, "not reached", blocked_by=by)


@pytest.mark.parametrize(
    ("findings", "cause"),
    [
        ([blocked(SHOULD, PRACTICE), blocked(PRACTICE, MUST), Finding(MUST, FAILED)], MUST),
        ([blocked(SHOULD, PRACTICE), Finding(PRACTICE, ADVICE)], PRACTICE),
        ([blocked(SHOULD, PRACTICE), blocked(PRACTICE, None)], PRACTICE),
        ([blocked(SHOULD, PRACTICE), blocked(PRACTICE, SHOULD)], SHOULD),
        ([blocked(SHOULD, None)], None),
    ],
    ids=["through another", "at once", "no further", "in a circle", "none"],
)
def test_a_clause_is_blocked_by_the_first_cause(findings, cause):
    report = build_report(findings, RunFacts(profile="autograb"))
    rows = {row.clause.id: row for row in report.rows}
    assert rows[SHOULD].finding.blocked_by == cause
