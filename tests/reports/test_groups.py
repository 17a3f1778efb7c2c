"""Groups of a report: breaches with the same evidence are one cause, which stands once."""

from __future__ import annotations

import msgspec
import pytest

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Level
from mockbroker.contract.diagnosis import Diagnosis, Mistake
from mockbroker.report.finding import BREACHES, Finding, Verdict
from mockbroker.report.groups import groups_of, place_of, ungrouped
from mockbroker.report.known_failures import KnownFailure, KnownFailures
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, RunFacts
from mockbroker.report.steps import (
    BrokerStarted,
    ClientUsed,
    GotNoToken,
    GotToken,
    NothingUsable,
    Place,
    Raised,
    SentTooManyRequests,
)
from mockbroker.report.terminal import render

# By impact: security, outage, outage, quota, compatibility.
SECURITY, OUTAGE, LATER = "tls.verify", "request.method", "errors.server-error"
QUOTA, COMPATIBILITY = "errors.bounded", "response.transfer"
SHOULD = "errors.no-hammering"
HERE = Place(file="acme.py", line=12, function="get_token")
THERE = Place(file="acme.py", line=13, function="get_token")


def used(outcome=None, exchanges=()):
    action = ClientUsed(operation="get_token", outcome=outcome, exchanges=exchanges)
    return (BrokerStarted(expires_in=60), action)


def raised(type_name="TypeError", place=HERE, message="no"):
    return used(Raised(error=f"{type_name}: {message}", type_name=type_name, place=place))


FLOOD = used(SentTooManyRequests(allowed=10), tuple(range(12)))
RETRIES = used(Raised(error="Unavailable"), (1, 2, 3, 4, 5))
TRIES = used(Raised(error="Unavailable"), (1, 2, 3, 4))
NOTHING = used(GotNoToken(instead=NothingUsable.NOTHING_RETURNED))
EMPTY = used(GotNoToken(instead=NothingUsable.EMPTY_STRING))
NO_CALL = used(GotNoToken(instead=NothingUsable.NO_CALL))
EXPIRED = used(GotToken(token=1, state="expired"))
VALID = used(GotToken(token=1, state="valid"))


def failed(clause_id, steps=(), verdict=Verdict.FAILED):
    return Finding(clause_id, verdict, "found", steps)


def blocked(clause_id, by, steps=()):
    return Finding(clause_id, Verdict.NOT_TESTED, "why", steps, blocked_by=by)


def report_on(*findings, **options):
    client = ClientDescription("acme.py")
    return build_report(findings, RunFacts(profile="autograb", client=client, **options))


def ids(report):
    return [
        tuple(
            [row.clause.id for row in rows]
            for rows in ((group.head,), group.also_broken, group.blocked)
        )
        for group in groups_of(report)
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (raised(), raised(message="another text")),
        (FLOOD, RETRIES),
        (NOTHING, EMPTY),
        (EXPIRED, EXPIRED),
    ],
    ids=["a mistake in one line", "many requests in a use", "nothing returned", "expired token"],
)
def test_the_same_evidence_is_one_cause(one, other):
    report = report_on(failed(OUTAGE, one), failed(SECURITY, other))
    assert ids(report) == [([SECURITY], [OUTAGE], [])]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (raised(), raised(place=THERE)),
        (raised(), raised("KeyError")),
        (raised("RuntimeError"), raised("RuntimeError")),
        (raised(place=None), raised(place=None)),
        (TRIES, TRIES),
        (VALID, VALID),
        (NO_CALL, NO_CALL),
        (FLOOD, NOTHING),
        ((), ()),
    ],
    ids=[
        "another line",
        "another exception",
        "an exception that is raised on purpose",
        "an unknown line",
        "few requests",
        "a valid token",
        "no call",
        "other evidence",
        "no steps",
    ],
)
def test_other_evidence_is_another_cause(one, other):
    report = report_on(failed(OUTAGE, one), failed(SECURITY, other))
    assert ids(report) == [([SECURITY], [], []), ([OUTAGE], [], [])]


def test_the_same_diagnosis_is_one_cause():
    local, other = (
        Diagnosis(mistake=Mistake.LOCAL_TIME, seconds=3600.0),
        Diagnosis(mistake=Mistake.NO_KEY),
    )
    named = {OUTAGE: local, SECURITY: local, QUOTA: other}
    findings = [msgspec.structs.replace(failed(name), diagnosis=d) for name, d in named.items()]
    assert ids(report_on(*findings)) == [([SECURITY], [OUTAGE], []), ([QUOTA], [], [])]


def test_clients_that_did_not_return_hang_for_one_cause():
    hangs = [failed(name, (), Verdict.HANG) for name in (OUTAGE, QUOTA)]
    assert ids(report_on(*hangs, failed(LATER))) == [
        ([OUTAGE], [QUOTA], []),
        ([LATER], [], []),
    ]


def test_causes_are_ordered_by_what_binds_then_by_impact_then_by_level():
    advice = [failed("secrecy.secret", (), Verdict.ADVICE), failed(SHOULD, (), Verdict.ADVICE)]
    report = report_on(
        *advice, failed(COMPATIBILITY), failed(QUOTA), failed(OUTAGE), failed(SECURITY)
    )
    heads = [head for (head,), *_ in ids(report)]
    assert heads == [SECURITY, OUTAGE, QUOTA, COMPATIBILITY, "secrecy.secret", SHOULD]
    report = report_on(*advice, failed(QUOTA), fail_on=Level.SHOULD)
    assert [head for (head,), *_ in ids(report)] == ["secrecy.secret", QUOTA, SHOULD]


def test_of_equal_causes_the_exploitable_one_and_the_wider_one_come_first():
    token_type, later = "response.token-type-unknown", "errors.transport"
    report = report_on(failed(token_type), failed(SECURITY), failed("signing.cross-origin"))
    assert [head for (head,), *_ in ids(report)] == [SECURITY, "signing.cross-origin", token_type]
    report = report_on(failed(OUTAGE), failed(later), blocked(LATER, later))
    assert [head for (head,), *_ in ids(report)] == [later, OUTAGE]


def test_what_a_cause_blocks_stands_with_it_whichever_of_its_clauses_is_named():
    report = report_on(
        failed(QUOTA, FLOOD),
        failed(SHOULD, FLOOD, Verdict.ADVICE),
        blocked(OUTAGE, SHOULD),
        blocked(LATER, QUOTA),
        blocked("errors.cause", LATER),
    )
    assert ids(report) == [([QUOTA], [SHOULD], [OUTAGE, LATER, "errors.cause"])]
    assert ungrouped(report, groups_of(report)) == ()


def test_a_cause_without_a_verdict_is_shown_as_one():
    report = report_on(
        blocked("response.documented", None, raised()),
        blocked(OUTAGE, "response.documented"),
        Finding(LATER, Verdict.NOT_TESTED, "for a reason of its own"),
    )
    (group,) = groups_of(report)
    assert (group.head.clause.id, [row.clause.id for row in group.blocked]) == (
        "response.documented",
        [OUTAGE],
    )
    assert place_of(group.head.finding) == HERE
    assert [row.clause.id for row in ungrouped(report, [group])] == [LATER]
    text = "\n".join(line.text for line in render(report, 100))
    assert "at       acme.py:12 in get_token" in text
    assert "Fix:   Correct acme.py:12 in get_token, which raises TypeError." in text
    assert "Next: fix the TypeError at acme.py:12 in get_token, then check it alone" in text


def test_clauses_that_block_each_other_are_each_shown_once():
    report = report_on(blocked(OUTAGE, LATER), blocked(LATER, OUTAGE), failed(QUOTA))
    rows = [row.clause.id for group in groups_of(report) for row in group.rows]
    assert sorted(rows) == sorted([OUTAGE, LATER, QUOTA])


def test_a_known_failure_that_blocks_is_a_cause():
    known = KnownFailures("known.toml", entries={QUOTA: KnownFailure(clause_id=QUOTA, reason="x")})
    report = report_on(failed(QUOTA, FLOOD), blocked(OUTAGE, QUOTA), known=known)
    assert ids(report) == [([QUOTA], [], [OUTAGE])]


def test_no_breach_and_no_blocked_clause_is_lost():
    outcomes = [FLOOD, NOTHING, EXPIRED, raised(), ()]
    findings = [
        blocked(clause.id, CATALOGUE[number // 2].id)
        if number % 3 == 0 and number
        else failed(clause.id, outcomes[number % 5])
        for number, clause in enumerate(CATALOGUE)
    ]
    report = report_on(*findings)
    groups = groups_of(report)
    shown = [row.clause.id for group in groups for row in group.rows]
    shown += [row.clause.id for row in ungrouped(report, groups)]
    assert sorted(shown) == sorted(clause.id for clause in CATALOGUE)
    for group in groups:
        assert all(row.verdict in BREACHES for row in group.also_broken)
