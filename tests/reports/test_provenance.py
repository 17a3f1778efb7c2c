"""Where a report comes from stands in every format."""

from __future__ import annotations

import html
from xml.etree import ElementTree as ET

import pytest

from mockbroker.contract.catalogue import CATALOGUE, CATALOGUE_VERSION
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.formats import FORMATS
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, Provenance, RunFacts
from mockbroker.report.terminal import render

RUN = Provenance(
    created="2030-01-01T00:00:00+00:00",
    duration_seconds=1.5,
    profile_sources=("a page of the provider",),
    examples=5,
    seed=7,
    only="request",
    clause_seconds={"request.method": 0.25},
)
FACTS = (
    "mockbroker",
    f"{len(CATALOGUE)} clauses, catalogue {CATALOGUE_VERSION}",
    "acme 1.2, acme.py",
    "acme-profile",
    "a page of the provider",
    "level MUST, 5 examples for each clause, seed 7, only request",
    "2030-01-01T00:00:00+00:00, 1.5 s",
)


def report_on(*findings: Finding, provenance: Provenance = RUN):
    client = ClientDescription("acme.py", "acme", "1.2")
    return build_report(
        findings, RunFacts(profile="acme-profile", client=client, provenance=provenance)
    )


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
def test_a_format_says_where_the_report_comes_from(name):
    text = html.unescape(FORMATS[name].write(report_on(Finding("request.method", Verdict.FAILED))))
    assert [fact for fact in FACTS if fact not in text] == []


def test_the_terminal_says_where_the_report_comes_from():
    lines = render(report_on(Finding("request.method", Verdict.FAILED)), 100)
    text = " ".join(" ".join(line.text for line in lines).split())
    assert [fact for fact in FACTS if fact not in text] == []


def test_a_report_without_a_run_says_what_is_unknown():
    text = FORMATS["markdown"].write(report_on(provenance=Provenance()))
    assert "- profile from: no source is given\n" in text
    assert "- options: level MUST\n" in text
    assert "- time: unknown\n" in text


def test_junit_xml_has_the_time_of_the_run_and_of_each_clause():
    text = FORMATS["junit-xml"].write(report_on(Finding("request.method", Verdict.PASSED)))
    [suite] = ET.fromstring(text)  # noqa: S314 - our own text
    assert (suite.get("timestamp"), suite.get("time")) == (RUN.created, "1.500")
    times = {case.get("name"): case.get("time") for case in suite.iter("testcase")}
    assert (times["request.method"], times["request.url"]) == ("0.250", "0.000")
