"""The report as a page: whole, safe, and without need of anything from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.report.exchange_texts import Message, TokenUse, message_in, timeline_of
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.html_page import html_of
from mockbroker.report.report import ClientDescription, build_report

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'too' \x1b ]]>"
STORY = """\
  the broker issues tokens with expires_in=60
  get_token → token #1 (fetched), valid
  +61 s
  GET /x9/v2/vehicle/1?region=uk → token #1, expired"""
ASKED = "#1 POST /x9/auth-broker/request-token Authorization: Basic <masked> → 200 token #1"
EXCHANGES = (
    f"{ASKED}, expires_in=60\n    ✗ request.accept: rules out JSON",
    "#2 GET /x9/v2/vehicle/1?region=uk Authorization: Bearer <token #1, expired> → 401",
)
FOUND = (
    Finding("refresh.honours-expires-in", Verdict.FAILED, HOSTILE, STORY, EXCHANGES, "curl 'x'"),
    Finding("request.accept", Verdict.ADVICE, "rules out JSON", HOSTILE, (HOSTILE,)),
    Finding("basic.scheme", Verdict.PASSED),
)


def report(*findings: Finding, name: str = "acme"):
    client = ClientDescription(target=f"{name}.py", name=name, version="1.2")
    facts = {"leeway_seconds": [30.0, 30.0], "timeout_seconds": 0.2, "leeway_kind": "fixed"}
    built = build_report(findings, profile="autograb", client=client, measured=facts)
    return json.loads(json.dumps(built.to_json()))


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
    assert not re.search(r"url\((?!#)|@import|https?://", text)


def test_what_was_found_is_shown_as_text_whatever_it_is():
    page = Page(html_of([report(*FOUND)]))
    assert page.text.count("<script>alert(1)</script>") >= 3
    assert "✗ does not conform" in page.text
    assert "✗ failed" in page.text
    assert "leeway30 s" in page.text.replace("\n", "")
    for exchange in EXCHANGES:
        assert exchange in page.text


def test_an_exchange_is_read_again():
    first, second = (message_in(text) for text in EXCHANGES)
    assert first == Message(
        number="1",
        is_api_call=False,
        asked="POST /auth-broker/request-token",
        answered="200 token #1, expires_in=60",
        notes=("✗ request.accept: rules out JSON",),
    )
    assert second is not None
    assert second.is_api_call
    assert second.is_refused
    assert second.asked == "GET /v2/vehicle/1?region=uk with <token #1, expired>"
    observed = message_in("+1.20 s  #7 POST /request-token → 200 token #1, expires_in=60")
    assert observed is not None
    assert observed.at == "+1.20 s"
    assert message_in("the connection was reset") is None
    assert message_in("") is None


def test_a_story_is_read_as_the_lives_of_its_tokens():
    timeline = timeline_of(STORY.splitlines())
    (life,) = timeline.lives
    assert (timeline.ends_at, life.issued_at, life.expires_in) == (61.0, 0.0, 60.0)
    assert life.uses == (TokenUse(0.0, "valid"), TokenUse(61.0, "expired"))
    assert [use.is_late for use in life.uses] == [False, True]


def compare(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "compare", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "PATH": ""},
        timeout=60,
        check=False,
    )


def test_reports_are_compared_in_the_terminal_and_on_a_page(tmp_path):
    for name, findings in (("a", FOUND), ("b", FOUND[-1:])):
        (tmp_path / f"{name}.json").write_text(json.dumps(report(*findings, name=name)))
    done = compare(tmp_path, "a.json", "b.json", "--html", "all.html")
    assert done.returncode == 0, done.stderr
    assert "1  a 1.2: does not conform" in done.stdout
    assert re.search(r"refresh\.honours-expires-in +MUST +✗ +\?", done.stdout)
    page = Page((tmp_path / "all.html").read_text(encoding="utf-8"))
    assert "2 token clients" in page.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read x.json: No such file or directory"),
        ("no JSON", "x.json is no JSON"),
        ("[]", "x.json is no report by schema 1"),
        ('{"schema": 2}', "x.json is no report by schema 1"),
        ('{"schema": 1}', "x.json is no whole report: profile is not as it should be"),
    ],
)
def test_what_is_no_report_is_told_in_a_sentence(tmp_path, text, message):
    if text is not None:
        (tmp_path / "x.json").write_text(text)
    done = compare(tmp_path, "x.json")
    assert done.returncode == 4
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open it in")
def test_a_browser_opens_a_page_of_twelve_clients(tmp_path):
    page = tmp_path / "all.html"
    page.write_text(html_of([report(*FOUND, name=f"client{n}") for n in range(12)]), "utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom")
    quiet = ("--disable-background-networking", "--disable-sync", "--disable-component-update")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(  # noqa: S603
        [str(CHROMIUM), *options, *quiet, profile, page.as_uri()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    assert done.stdout.count("<thead>") == 1
    assert done.stdout.count(">does not conform<") == 12


QUOTES_STEPS = """\
  the broker issues tokens with expires_in=60
  get_token → raised Error: expires_in=... +1e999 s → token #1 (fetched), valid
  get_token → raised Error: +... s
  +1e999 s
  +61 s"""


def test_what_a_client_says_is_never_read_as_a_step():
    timeline = timeline_of(QUOTES_STEPS.splitlines())
    assert timeline.lives == ()
    assert timeline.ends_at == 61
    found = Finding("refresh.ahead", Verdict.ADVICE, "x", QUOTES_STEPS)
    assert "expires_in=..." in html_of([report(found)])
