"""The report as a page: whole, safe, and without need of anything from elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evidence.browser import CHROMIUM, OPTIONS
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.model.exchange_text import exchange_text
from mockbroker.report.document import document_of, json_text, read_document
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.html_page import html_of
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, RunFacts
from mockbroker.report.steps import Note
from tests.reports.samples import EXCHANGES, STEPS

HONOURS = [clause.id for clause in CATALOGUE].index("refresh.honours-expires-in")

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'too' \x1b ]]>"
FOUND = (
    Finding("refresh.honours-expires-in", Verdict.FAILED, HOSTILE, STEPS, EXCHANGES, "curl 'x'"),
    Finding("request.accept", Verdict.ADVICE, "rules out JSON", (Note(text=HOSTILE),)),
    Finding("request.url", Verdict.HANG, "hung", details=HOSTILE),
    Finding("request.method", Verdict.NOT_TESTED, "a GET", blocked_by="request.url"),
    Finding("basic.scheme", Verdict.PASSED),
)


def report(*findings: Finding, name: str = "acme"):
    client = ClientDescription(target=f"{name}.py", name=name, version="1.2")
    facts = {"leeway_seconds": [30.0, 30.0], "timeout_seconds": 0.2, "leeway_kind": "fixed"}
    built = build_report(findings, RunFacts(profile="autograb", client=client, measured=facts))
    return document_of(built)


VOID = frozenset({"meta", "link", "br", "img", "hr"})


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in {"href", "src"}:
                self.links.append(value)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("count", [1, 2, 12])
def test_a_page_is_well_formed_and_its_links_lead_somewhere(count):
    page = Page(html_of([report(*FOUND, name=f"client{n}") for n in range(count)]))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    for clause in CATALOGUE:
        assert [f"c{n + 1}-{clause.id}" in page.ids for n in range(count)] == [True] * count


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing():
    text = html_of([report(*FOUND), report(FOUND[-1])])
    assert not {"script", "link", "img", "iframe"} & set(Page(text).tags)
    assert not re.search(r'url\((?!#)|@import|src=|href="(?!#)', text)


def test_what_was_found_is_shown_as_text_whatever_it_is():
    page = Page(html_of([report(*FOUND)]))
    assert page.text.count("<script>alert(1)</script>") >= 3
    assert "✗ does not conform" in page.text
    assert "✗ failed" in page.text
    assert "leeway30 s" in page.text.replace("\n", "")
    for record in EXCHANGES:
        assert exchange_text(record) in page.text
    assert "blocked by request.url: a GET" in page.text


def test_the_lives_of_tokens_are_drawn_from_the_steps():
    page = Page(html_of([report(FOUND[0])]))
    assert page.tags.count("rect") == 1
    assert page.tags.count("circle") == 1
    assert "token #1: 60 s" in page.text
    assert "used, valid" in page.text
    assert "used, expired" in page.text


def compare(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "compare", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=60,
        check=False,
    )


def test_reports_are_compared_in_the_terminal_and_on_a_page(tmp_path):
    for name, findings in (("a", FOUND), ("b", FOUND[-1:])):
        (tmp_path / f"{name}.json").write_text(json_text(report(*findings, name=name)))
    done = compare(tmp_path, "a.json", "b.json", "--html", "all.html")
    assert done.returncode == 0, done.stderr
    assert "1  a.py 1.2: does not conform" in done.stdout
    assert re.search(r"refresh\.honours-expires-in +MUST +✗ +\?", done.stdout)
    page = Page((tmp_path / "all.html").read_text(encoding="utf-8"))
    assert "2 token clients" in page.text
    assert compare(tmp_path, "a.json", "b.json").stdout == done.stdout


def test_reports_with_other_clauses_are_not_compared(tmp_path):
    (tmp_path / "a.json").write_text(json_text(report(*FOUND)))
    document = json.loads((tmp_path / "a.json").read_text())
    document["clauses"].pop()
    (tmp_path / "b.json").write_text(json.dumps(document))
    done = compare(tmp_path, "a.json", "b.json")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "mockbroker: b.json has other clauses than a.json; write both again\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "a.json").write_text(json_text(report(*FOUND)))
    done = compare(tmp_path, "a.json", "--html", "/dev/full")
    assert done.returncode == 4
    assert done.stderr == "mockbroker: cannot write /dev/full: No space left on device\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read x.json: No such file or directory"),
        ("{", "x.json is not valid JSON"),
        ("[]", "x.json is not a report by schema 2"),
        ('{"schema": 1}', "x.json is not a report by schema 2"),
        ('{"schema": 2}', "x.json: tool is missing"),
    ],
)
def test_a_file_that_is_not_a_report_is_rejected_in_a_sentence(tmp_path, text, message):
    if text is not None:
        (tmp_path / "x.json").write_text(text)
    done = compare(tmp_path, "x.json")
    assert done.returncode == 4
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def change(document, path, value):
    *parents, last = path
    for name in parents:
        document = document[name]
    if value is None:
        del document[last]
    else:
        document[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["client", "name"], 5, "x.json: client.name: expected a string, got 5"),
        (["client", "nam"], "x", "x.json: client: unknown key 'nam'; did you mean 'name'?"),
        (["clauses", 1, "verdict"], "pased", "got 'pased'; did you mean 'passed'?"),
        (["clauses", 2], None, "x.json has other clauses than a.json"),
        (
            ["clauses", HONOURS, "steps", 0, "step"],
            "broker-start",
            (
                f"clauses[{HONOURS}].steps[0]: unknown step 'broker-start'; "
                "did you mean 'broker-started'?"
            ),
        ),
        (
            ["clauses", HONOURS, "steps", 1, "outcome", "token"],
            "1",
            f"clauses[{HONOURS}].steps[1].outcome.token: expected an integer, got '1'",
        ),
        (
            ["clauses", HONOURS, "exchanges", 0, "number"],
            None,
            f"clauses[{HONOURS}].exchanges[0]: number is missing",
        ),
    ],
)
def test_a_mistake_in_a_report_is_named_with_its_place(tmp_path, path, value, message):
    (tmp_path / "a.json").write_text(json_text(report(*FOUND)))
    document = json.loads(json_text(report(*FOUND)))
    change(document, path, value)
    (tmp_path / "x.json").write_text(json.dumps(document))
    done = compare(tmp_path, "a.json", "x.json")
    assert done.returncode != 0
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_report_that_was_read_is_the_one_that_was_written(tmp_path):
    document = report(*FOUND)
    (tmp_path / "a.json").write_text(json_text(document), encoding="utf-8")
    assert read_document(tmp_path / "a.json") == document


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_opens_a_page_of_twelve_clients(tmp_path):
    page = tmp_path / "all.html"
    page.write_text(html_of([report(*FOUND, name=f"client{n}") for n in range(12)]), "utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(  # noqa: S603
        [str(CHROMIUM), *OPTIONS, "--dump-dom", profile, page.as_uri()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    assert done.stdout.count("<thead>") == 1
    assert done.stdout.count(">does not conform<") == 12
