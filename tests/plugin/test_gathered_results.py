"""Results of several workers in one report."""

from __future__ import annotations

from mockbroker.cli.options import Surface, Values
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.known_failures import NOTHING_KNOWN
from pytest_mockbroker.gathered_results import GatheredResults
from pytest_mockbroker.item_results import ClientFacts, ItemResult


def report_of(*facts: ClientFacts):
    results = GatheredResults(NOTHING_KNOWN)
    for clause, each in zip(CATALOGUE, facts, strict=False):
        passed = Finding(clause.id, Verdict.PASSED)
        results.add(ItemResult(findings=(passed,), client=each))
    values = Values({}, Surface.PYTEST)
    return results.report(values, check_arguments=(), is_by_pytest=True)


def test_time_that_one_worker_used_up_is_reported_whoever_comes_last():
    assert report_of(ClientFacts(is_out_of_time=True), ClientFacts()).facts.out_of_time
    assert not report_of(ClientFacts(), ClientFacts()).facts.out_of_time


def test_what_workers_measured_and_could_not_do_is_put_together():
    report = report_of(
        ClientFacts(measured={"clock": "moved"}, limits=("forked",)),
        ClientFacts(measured={"leeway_seconds": [1, 1]}, limits=("forked", "no zone")),
    )
    assert report.facts.measured == {"clock": "moved", "leeway_seconds": [1, 1]}
    assert report.facts.limits == ("forked", "no zone")
