"""The overview of a report: the first sentences of every format."""

from __future__ import annotations

import pytest

from mockbroker.contract.catalogue import CATALOGUE, clause_named
from mockbroker.contract.clause import Level
from mockbroker.report.annotations import annotations_of
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.headline import overview_of
from mockbroker.report.known_failures import KnownFailure, KnownFailures
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, RunFacts
from mockbroker.report.terminal import render

MUSTS = [clause.id for clause in CATALOGUE if clause.level is Level.MUST]
WORST, OTHER, BLOCKED = "tls.verify", "request.method", "errors.bounded"
ADVICE = "cache.reuse"
KNOWN = KnownFailures("known.toml", entries={OTHER: KnownFailure(clause_id=OTHER, reason="x")})
TODO = KnownFailures("known.toml", entries={OTHER: KnownFailure(clause_id=OTHER, reason="TODO")})
FAILED, NOT_TESTED = Verdict.FAILED, Verdict.NOT_TESTED
A_LEAK = f"Worst: {clause_named(WORST).consequence} ({WORST})."


def report_on(*findings, whole=True, **options):
    named = {finding.clause_id for finding in findings}
    others = [Finding(c.id, Verdict.PASSED) for c in CATALOGUE if c.id not in named]
    return build_report(
        [*findings, *(others if whole else ())],
        RunFacts(profile="autograb", client=ClientDescription("acme.py"), **options),
    )


def failed(clause_id, verdict=FAILED):
    return Finding(clause_id, verdict, "found")


@pytest.mark.parametrize(
    ("report", "overview"),
    [
        (report_on(), f"{len(MUSTS)} of {len(MUSTS)} binding clauses pass."),
        (
            report_on(failed(OTHER), failed(WORST), failed(ADVICE, Verdict.ADVICE)),
            f"2 of {len(MUSTS)} binding clauses fail. {A_LEAK} 1 more clause gives advice.",
        ),
        (
            report_on(failed(WORST), Finding(BLOCKED, NOT_TESTED, "x", blocked_by=WORST)),
            f"1 of {len(MUSTS)} binding clauses fails. {A_LEAK} 1 more could not be tested.",
        ),
        (
            report_on(Finding(OTHER, Verdict.NOT_APPLICABLE, "x"), failed(WORST, Verdict.HANG)),
            f"1 of {len(MUSTS) - 1} binding clauses fails. {A_LEAK}",
        ),
        (
            report_on(failed(ADVICE, Verdict.ADVICE)),
            (
                f"{len(MUSTS)} of {len(MUSTS)} binding clauses pass. 1 clause gives advice, first: "
                f"{clause_named(ADVICE).consequence}."
            ),
        ),
        (
            report_on(failed(OTHER), known=KNOWN),
            (
                f"{len(MUSTS) - 1} of {len(MUSTS)} binding clauses pass. 1 known failure is left "
                "aside."
            ),
        ),
        (report_on(known=KNOWN), "1 known failure passes now."),
        (
            report_on(Finding(WORST, Verdict.PASSED), whole=False),
            f"Nothing failed in 1 clause; {len(CATALOGUE) - 1} were left out.",
        ),
        (
            report_on(Finding(WORST, Verdict.PASSED), whole=False, unseen={OTHER: "no request"}),
            f"No violation seen; the traffic did not exercise {len(CATALOGUE) - 1} clauses.",
        ),
        (report_on(whole=False), "Nothing was tested."),
        (
            report_on(failed(WORST), whole=False, interrupted=True),
            (
                "The run was interrupted, so this report is partial. 1 of 1 binding clause fails. "
                f"{A_LEAK}"
            ),
        ),
        (
            report_on(failed(WORST, Verdict.ERROR), whole=False),
            "The kit failed, so no verdict of this run is reliable.",
        ),
        (
            report_on(failed(WORST), whole=False, driver_failures=["x"]),
            (
                "The driver failed, so this run does not judge the client. 1 of 1 binding clause "
                f"fails. {A_LEAK}"
            ),
        ),
    ],
    ids=[
        "sound",
        "failed",
        "blocked",
        "not applicable",
        "advice",
        "known",
        "stale",
        "partial",
        "observed",
        "nothing",
        "interrupted",
        "kit failed",
        "driver failed",
    ],
)
def test_the_overview_says_what_was_found_and_what_it_leads_to(report, overview):
    assert overview_of(report) == overview
    shown = " ".join(line.text for line in list(render(report, 80))[2:8])
    assert " ".join(shown.split()).startswith(overview)


def test_a_partial_run_never_says_that_a_client_conforms():
    passed = Finding(WORST, Verdict.PASSED)
    for options in ({}, {"unseen": {}}, {"interrupted": True}, {"known": KNOWN}):
        report = report_on(passed, whole=False, **options)
        text = "\n".join(line.text for line in render(report, 100))
        assert not report.conforms
        assert "CONFORMS" not in text
        assert "binding clause" not in overview_of(report)


def test_an_entry_without_a_reason_excuses_nothing_and_says_so():
    report = report_on(failed(OTHER), known=TODO)
    text = " ".join(" ".join(line.text for line in render(report, 100)).split())
    assert report.exit_status == 1
    assert overview_of(report).startswith(f"1 of {len(MUSTS)} binding clauses fails.")
    assert f"known.toml has no reason why {OTHER} may fail" in text


def test_every_clause_says_what_a_breach_leads_to():
    for clause in CATALOGUE:
        words = clause.consequence
        assert words
        assert not words.endswith(".")
        assert words[0].islower() or words[0].isdigit()
        # Readers need not know the protocol, and the sentence stands in a headline.
        assert len(words) <= 110, clause.id


def test_the_gravest_breach_is_the_first_annotation():
    report = report_on(failed(OTHER), failed(WORST), failed(ADVICE, Verdict.ADVICE))
    assert [line.split("title=")[1].split(" ")[0] for line in annotations_of(report)] == [
        WORST,
        OTHER,
        ADVICE,
    ]
