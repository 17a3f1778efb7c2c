"""Results of several workers in one report."""

from __future__ import annotations

import pytest

from mockbroker.cli.options import CLIENT, CONFIG, EXEC, PROFILE, Surface, Values
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.known_failures import NOTHING_KNOWN
from pytest_mockbroker.gathered_results import GatheredResults
from pytest_mockbroker.item_results import ClientFacts, ItemResult


def report_of(*facts: ClientFacts, **options: str):
    results = GatheredResults(NOTHING_KNOWN)
    for clause, each in zip(CATALOGUE, facts, strict=False):
        passed = Finding(clause.id, Verdict.PASSED)
        results.add(ItemResult(findings=(passed,), client=each))
    named = {CLIENT.name: CLIENT, EXEC.name: EXEC, CONFIG.name: CONFIG, PROFILE.name: PROFILE}
    given = {named[name]: ([text], Surface.PYTEST) for name, text in options.items()}
    values = Values(given, Surface.PYTEST)
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


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ({"client": "acme/tokens.py"}, "acme/tokens.py"),
        ({"client": "acme/tokens.py:make_client"}, "acme/tokens.py"),
        ({"client": "acme.tokens:make_client"}, "acme/tokens.py"),
        ({"client": "acme:make_client"}, "acme/__init__.py"),
        ({"client": "elsewhere.tokens:make_client"}, ""),
        ({"exec": "/usr/bin/env node acme/driver.js --fast"}, "acme/driver.js"),
        ({}, ""),
    ],
)
def test_the_file_of_the_client_is_found_below_the_working_directory(
    tmp_path, monkeypatch, options, file
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acme").mkdir()
    for name in ("__init__.py", "tokens.py", "driver.js"):
        (tmp_path / "acme" / name).touch()
    assert report_of(ClientFacts(), **options).facts.client.file == file


def test_the_facts_of_a_profile_stand_on_its_pages_or_in_its_file(tmp_path):
    config = tmp_path / "profiles.toml"
    config.write_text(
        "[profiles.plain]\n[[profiles.cited.sources]]\n"
        'fields = ["scope"]\ntitle = "a page"\nchecked = 2026-11-29\n',
        encoding="utf-8",
    )

    def sources(name: str) -> tuple[str, ...]:
        report = report_of(ClientFacts(), profile=name, config=str(config))
        return report.facts.provenance.profile_sources

    assert sources("cited") == ("a page",)
    assert sources("plain") == (str(config),)
    assert sources("gone") == ()
