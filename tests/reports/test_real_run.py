"""A real run of a client with several defects, in every format: what matters is in each."""

from __future__ import annotations

import html
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mockbroker.contract import clauses
from mockbroker.model.exchange_text import exchange_text
from mockbroker.report.document import ReportDocument, read_document
from mockbroker.report.finding import BREACHES, Verdict
from mockbroker.report.formats import FORMATS
from mockbroker.report.steps import (
    AnswersDelayed,
    BrokerStarted,
    ClientUsed,
    ClientUsedAtOnce,
    FaultScripted,
    OtherOriginReached,
    TimePassed,
    TokensRevoked,
)
from mockbroker.report.timeline import timeline_of
from mockbroker.report.wording import step_text
from tests.environments import made_once

ROOT = Path(__file__).parents[2]
CLIENT = """
from tests.mutants.defects import MUTANTS
from tests.mutants.workshop import make

DEFECTS = ("NeverRefreshes", "HasNoLock", "NeverTriesAgain", "CarriesTheTokenAnywhere")

def make_client(config):
    first, *others = (MUTANTS[name].cls for name in DEFECTS)
    return make(first, config, *others)
"""
BROKEN = {
    clauses.cache.SINGLE_FLIGHT.id,
    clauses.refresh.HONOURS_EXPIRES_IN.id,
    clauses.signing.REVOKED.id,
    clauses.signing.CROSS_ORIGIN.id,
}
BLOCKED = clauses.refresh.AHEAD.id
TELLING = ("json", "html", "junit-xml", "markdown", "terminal")
"""The formats that a person reads as text; SARIF is read by programs."""


def check(folder: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "check", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Run:
    folder: Path
    document: ReportDocument
    texts: dict[str, str]
    """What each format says, as a reader sees it."""

    @property
    def broken(self):
        return [row for row in self.document.clauses if row.verdict in BREACHES]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    def check_client(folder: Path) -> None:
        (folder / "acme.py").write_text(CLIENT, encoding="utf-8")
        files = [word for name in FORMATS for word in (f"--{name}", name)]
        only = ",".join(sorted(BROKEN | {BLOCKED}))
        output = check(folder, "acme.py", "--only", only, "--examples", "2", "--verbose", *files)
        (folder / "terminal").write_text(output, encoding="utf-8")

    folder = made_once("run", check_client, tmp_path_factory)
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in (*FORMATS, "terminal")}
    return Run(folder, read_document(folder / "json"), texts)


def readable(run: Run, name: str) -> str:
    text = run.texts[name]
    return text if name in {"json", "terminal"} else html.unescape(text)


def test_the_run_shows_each_kind_of_step_that_its_defects_lead_to(run):
    assert {row.id for row in run.broken} == BROKEN
    assert {type(step) for row in run.broken for step in row.steps} == {
        AnswersDelayed,
        BrokerStarted,
        ClientUsed,
        ClientUsedAtOnce,
        FaultScripted,
        OtherOriginReached,
        TimePassed,
        TokensRevoked,
    }


@pytest.mark.parametrize("name", TELLING)
def test_every_format_names_the_clauses_the_verdicts_and_what_blocks(run, name):
    text = readable(run, name)
    for row in run.broken:
        shown = row.id.partition(".")[2] if name == "terminal" else row.id
        assert shown in text
        assert row.verdict.value in text
    if name == "json":
        blocked = next(row for row in run.document.clauses if row.id == BLOCKED)
        assert blocked.verdict is Verdict.NOT_TESTED
        assert blocked.blocked_by == clauses.refresh.HONOURS_EXPIRES_IN.id
    else:
        words = " ".join(re.sub(r"[\\`]", "", text).split())
        cause = clauses.refresh.HONOURS_EXPIRES_IN.id
        assert f"blocked by {cause}" in words


@pytest.mark.parametrize("name", [name for name in TELLING if name != "json"])
def test_every_format_shows_the_steps_the_exchanges_and_a_command(run, name):
    text = readable(run, name)
    for row in run.broken:
        for step in row.steps:
            assert step_text(step) in text
        for record in row.exchanges:
            assert exchange_text(record) in text
        assert row.reproduce in text


def test_the_page_draws_every_token_and_every_exchange(run):
    page = run.texts["html"]
    timelines = [timeline_of(row.steps) for row in run.broken]
    drawn = [timeline for timeline in timelines if timeline.seconds]
    lives = [life for timeline in drawn for life in timeline.lives]
    uses = [use for life in lives for use in life.uses]
    assert len(lives) == len(re.findall(r'<rect class="', page)) > 1
    assert sum(not use.is_late for use in uses) == page.count('<circle class="use"') > 1
    assert sum(use.is_late for use in uses) == page.count('<path class="late"') > 1
    exchanges = [record for row in run.broken for record in row.exchanges]
    assert len(exchanges) == page.count('<line class="ask"')
    for record in exchanges:
        assert re.search(rf'<text class="when"[^>]*>#{record.number}\b', page)


def test_the_badge_and_the_junit_file_count_what_failed(run):
    failed = sum(row.verdict is Verdict.FAILED for row in run.broken)
    assert f"{failed} failed" in run.texts["badge"]
    suite = ET.fromstring(run.texts["junit-xml"])[0]  # noqa: S314
    assert suite.get("failures") == str(failed)


def test_the_gravest_breach_comes_first_and_again_at_the_end(run):
    security = clauses.signing.CROSS_ORIGIN.id
    assert run.document.headline[0].startswith(
        f"security: {clauses.signing.CROSS_ORIGIN.consequence} ({security}, MUST): "
    )
    heads = re.findall(r"(?m)^  [✗!] ([a-z.-]+\.[a-z-]+) \(", run.texts["terminal"])
    assert heads[0] == security
    assert set(heads) == BROKEN
    assert f"Next: fix {security}, then check it alone" in run.texts["terminal"].splitlines()[-1]


@pytest.mark.parametrize("name", TELLING)
def test_every_format_opens_with_the_overview(run, name):
    assert run.document.overview == (
        "2 of 2 binding clauses fail. Worst: a redirect gives a working token to another site "
        "(signing.cross-origin). 2 more clauses give advice."
    )
    words = " ".join(re.sub(r"[\\`]", "", readable(run, name)).split())
    assert run.document.overview in words
    if name != "json":
        # Before any finding; the JSON report has the order of its schema.
        assert words.index(run.document.overview) < words.index(run.broken[0].reason)


def test_the_command_of_a_finding_shows_the_breach_again(run):
    row = next(row for row in run.broken if row.id == clauses.signing.REVOKED.id)
    program, command, *arguments = shlex.split(row.reproduce)
    assert (program, command) == ("mockbroker", "check")
    check(run.folder, *arguments, "--json", "again.json", "--fail-on", "practice")
    again = read_document(run.folder / "again.json")
    found = next(each for each in again.clauses if each.id == row.id)
    assert (found.reason, found.steps, found.exchanges) == (row.reason, row.steps, row.exchanges)
