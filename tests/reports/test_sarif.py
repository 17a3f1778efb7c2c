"""SARIF: what the standard requires, and what GitHub's code scanning reads."""

from __future__ import annotations

import json
import re

import pytest

from mockbroker.contract.catalogue import CATALOGUE, clause_named
from mockbroker.contract.clause import Impact, Level
from mockbroker.model.profile import AUTOGRAB
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.kit_error import KitError
from mockbroker.report.known_failures import KnownFailure, KnownFailures
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, Provenance, RunFacts
from mockbroker.report.sarif import sarif_of
from mockbroker.report.steps import ClientUsed, Place, Raised
from tests.reports.samples import EXCHANGES, STEPS

MUST, SHOULD, PRACTICE = "request.method", "refresh.ahead", "signing.revoked"
PLACE = Place(file="tokens.py", line=12, function="get_token")
RAISED = ClientUsed(operation="get_token", outcome=Raised(error="KeyError: 1", place=PLACE))
FOUND = (
    Finding(MUST, Verdict.FAILED, "by GET", (RAISED,), EXCHANGES[:1], "curl x"),
    Finding(SHOULD, Verdict.ADVICE, "late", STEPS),
    Finding(PRACTICE, Verdict.ADVICE, "[not](https://a.link) again"),
    Finding("request.url", Verdict.NOT_TESTED, "a GET", blocked_by=MUST),
    Finding("basic.scheme", Verdict.PASSED),
)


def run_of(*findings: Finding, file: str = "acme/a b/tokens.py", **facts):
    client = ClientDescription("acme/tokens.py:make", "tokens", file=file)
    report = build_report(findings, RunFacts(profile="autograb", client=client, **facts))
    log = json.loads(sarif_of(report))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    return run


def results_of(*findings: Finding, **facts):
    return {each["ruleId"]: each for each in run_of(*findings, **facts)["results"]}


def test_each_broken_clause_is_a_result_the_gravest_first():
    run = run_of(*FOUND)
    assert [each["ruleId"] for each in run["results"]] == [MUST, SHOULD, PRACTICE]
    assert [each["level"] for each in run["results"]] == ["error", "warning", "note"]
    for each in run["results"]:
        assert run["tool"]["driver"]["rules"][each["ruleIndex"]]["id"] == each["ruleId"]


def test_a_level_that_binds_makes_a_breach_an_error():
    results = results_of(*FOUND, fail_on=Level.PRACTICE)
    assert {each["level"] for each in results.values()} == {"error"}


def test_a_message_has_the_finding_its_fix_and_the_evidence():
    lines = results_of(*FOUND)[MUST]["message"]["text"].splitlines()
    assert lines[0] == "by GET"
    assert f"fix: {clause_named(MUST).fix}" in lines
    assert lines[-1] == "curl x"


def test_a_string_of_the_client_is_not_a_link():
    assert "](" not in results_of(*FOUND)[PRACTICE]["message"]["text"]


def test_a_result_is_at_the_line_that_raised_or_at_the_beginning_of_the_file():
    results = results_of(*FOUND)
    places = {name: each["locations"][0]["physicalLocation"] for name, each in results.items()}
    assert places[MUST]["artifactLocation"]["uri"] == "acme/a%20b/tokens.py"
    assert places[MUST]["region"]["startLine"] == 12
    assert places[SHOULD]["region"]["startLine"] == 1
    assert results_of(*FOUND, file="other.py")[MUST]["locations"][0]["physicalLocation"][
        "region"
    ] == {"startLine": 1}


def test_a_client_without_a_file_has_results_without_locations():
    assert all("locations" not in each for each in results_of(*FOUND, file="").values())


def test_a_fingerprint_belongs_to_the_clause_and_the_client_only():
    def fingerprints(*findings, **facts):
        found = results_of(*findings, **facts)
        return [each["partialFingerprints"]["primaryLocationLineHash"] for each in found.values()]

    first = fingerprints(*FOUND)
    assert len(set(first)) == len(first)
    assert all(re.fullmatch(r"[0-9a-f]{16}:1", each) for each in first)
    later = Finding(MUST, Verdict.FAILED, "by PUT", STEPS)
    assert fingerprints(later, *FOUND[1:]) == first


def test_a_known_failure_is_suppressed_and_a_stale_entry_is_an_error():
    entries = {
        name: KnownFailure(clause_id=name, reason="old library") for name in (MUST, "basic.scheme")
    }
    results = results_of(*FOUND, known=KnownFailures("known.toml", entries=entries))
    assert results[MUST]["suppressions"] == [{"kind": "external", "justification": "old library"}]
    assert results["basic.scheme"]["level"] == "error"
    assert "suppressions" not in results[SHOULD]


def test_every_clause_is_a_rule_with_help():
    rules = run_of(*FOUND)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [clause.id for clause in CATALOGUE]
    clauses = [clause.for_profile(AUTOGRAB) for clause in CATALOGUE]
    for rule, clause in zip(rules, clauses, strict=True):
        assert clause.fix in rule["help"]["text"]
        assert clause.fix in rule["help"]["markdown"]
        assert rule["shortDescription"]["text"].endswith(clause.title)
        is_security = clause.impact is Impact.SECURITY
        assert ("security-severity" in rule["properties"]) is is_security
        assert ("security" in rule["properties"]["tags"]) is is_security
        assert len(set(rule["properties"]["tags"])) == len(rule["properties"]["tags"])
        assert rule.get("helpUri", "https://").startswith("https://")


@pytest.mark.parametrize(
    ("facts", "succeeded", "texts"),
    [
        ({}, True, []),
        ({"interrupted": True}, False, []),
        ({"errors": (KitError("the kit failed: x", "y"),)}, False, ["the kit failed: x"]),
        ({"driver_failures": ("the driver ended",)}, False, ["the driver ended"]),
    ],
    ids=["to the end", "interrupted", "error of the kit", "driver"],
)
def test_an_invocation_says_how_the_run_ended(facts, succeeded, texts):
    created = Provenance(created="2030-01-01T00:00:00+00:00")
    [invocation] = run_of(*FOUND, provenance=created, **facts)["invocations"]
    assert invocation["executionSuccessful"] is succeeded
    assert invocation["startTimeUtc"] == "2030-01-01T00:00:00Z"
    noted = [each["message"]["text"] for each in invocation["toolExecutionNotifications"]]
    assert noted == texts


def test_an_error_on_one_clause_is_a_notification():
    [invocation] = run_of(Finding(MUST, Verdict.ERROR, "the kit failed"))["invocations"]
    assert "startTimeUtc" not in invocation
    [note] = invocation["toolExecutionNotifications"]
    assert note == {"level": "error", "message": {"text": "the kit failed"}}
