"""The cases of released bugs are valid, and their page has every one."""

from __future__ import annotations

import re

import pytest

from evidence.released_bugs import FOLDER, PAGE
from evidence.released_bugs.bug_steps import BUG_STEPS
from evidence.released_bugs.cases import BUGGY, FIXED, NEWEST, CaseError, read_cases
from evidence.released_bugs.checks import result_of
from evidence.released_bugs.page import CheckedCase, page
from evidence.released_bugs.results import Result
from mockbroker.contract.catalogue import CATALOGUE, CATALOGUE_VERSION
from mockbroker.report.document import ReportDocument, document_of
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, RunFacts
from mockbroker.report.steps import AnswerChanged, OtherClientAdded

CASES = {case.name: case for case in read_cases(FOLDER)}
PAIRS = {name: case for name, case in CASES.items() if case.bug}


def table(text: str, title: str) -> list[list[str]]:
    """The rows, without the head, of the first table below a heading."""
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


@pytest.fixture
def make_case(tmp_path):
    def make(about: str, *variants: str):
        folder = tmp_path / "acme"
        folder.mkdir()
        (folder / "about.toml").write_text(about, encoding="utf-8")
        (folder / "client.py").touch()
        for number, variant in enumerate(variants, 1):
            pins = f"acme=={number}.0\nrequests\n"
            (folder / f"requirements-{variant}.txt").write_text(pins, encoding="utf-8")
        return read_cases(tmp_path)

    return make


BUG = """\
distribution = "Acme"
report = "https://acme.example/1"
clause = "cache.reuse"
bug = "Forgets."
"""


def result(version: str, *, shows_bug: bool = False, **verdicts: str) -> Result:
    # `response_no_token` is `response.no-token`.
    ids = {name: name.replace("_", ".", 1).replace("_", "-") for name in verdicts}
    given = {ids[name]: Verdict(verdict) for name, verdict in verdicts.items()}
    return Result(
        version=version,
        catalogue="0",
        verdicts={clause.id: Verdict.PASSED for clause in CATALOGUE} | given,
        reason="two requests",
        shows_bug=shows_bug,
    )


def checked(case, *results: Result) -> CheckedCase:
    variants = [release.variant for release in case.releases]
    return CheckedCase(case, dict(zip(variants, results, strict=True)))


@pytest.mark.parametrize("name", CASES)
def test_every_requirement_of_a_library_is_pinned(name):
    for release in CASES[name].releases:
        assert re.fullmatch(r"\d+(\.\d+)+", release.version), release.requirements


def test_the_page_tells_every_pair_apart():
    rows = table(PAGE.read_text(encoding="utf-8"), "Buggy and fixed releases")
    shown = {re.match(r"\[([a-z0-9-]+)\]", row[0])[1]: row for row in rows}
    assert set(shown) == set(PAIRS)
    for name, (link, what, clause, buggy, fixed) in shown.items():
        case = PAIRS[name]
        assert link == f"[{name}]({case.bug.report})"
        assert (what, clause) == (case.bug.what, f"`{case.bug.clause}`")
        assert buggy.partition(": ")[0] == f"{case.distribution} {case.release(BUGGY).version}"
        assert re.search(r": (failed|advice|hang|crash)$", buggy)
        without, _, verdict = fixed.partition(": ")
        assert without == f"{case.distribution} {case.release(FIXED).version}"
        assert verdict == "passed" or (case.bug.step and verdict.endswith(", in another way"))


def test_the_page_has_every_newest_release():
    rows = table(PAGE.read_text(encoding="utf-8"), "The newest releases")
    newest = {case.name: case.release(NEWEST) for case in CASES.values() if case.release(NEWEST)}
    assert {row[1]: row[0].rpartition(" ")[2] for row in rows} == {
        name: release.version for name, release in newest.items()
    }


def test_a_breach_that_the_other_release_passes_is_a_difference(make_case):
    (case,) = make_case(BUG, BUGGY, FIXED)
    one = checked(case, result("1.0", cache_reuse="advice", shows_bug=True), result("2.0"))
    assert not one.shows_no_difference


BUG_WITH_STEP = BUG + 'step = "lifetime as a string"\n'


def test_the_bug_and_another_breach_of_its_clause_are_a_difference(make_case):
    (case,) = make_case(BUG_WITH_STEP, BUGGY, FIXED)
    one = checked(
        case,
        result("1.0", cache_reuse="advice", shows_bug=True),
        result("2.0", cache_reuse="advice"),
    )
    assert not one.shows_no_difference
    assert table(page([one]), "Buggy and fixed releases")[0][3:] == [
        "Acme 1.0: advice",
        "Acme 2.0: advice, in another way",
    ]


@pytest.mark.parametrize("shows_bug", [True, False])
def test_the_same_breach_in_both_releases_is_no_difference(make_case, shows_bug):
    (case,) = make_case(BUG_WITH_STEP, BUGGY, FIXED)
    broken = result("1.0", cache_reuse="advice", shows_bug=shows_bug)
    assert checked(case, broken, broken).shows_no_difference


@pytest.mark.parametrize(
    ("buggy", "fixed"),
    [
        ("passed", "passed"),
        ("advice", "advice"),
        ("advice", "not-tested"),
        ("not-tested", "passed"),
    ],
)
def test_anything_else_is_no_difference(make_case, buggy, fixed):
    (case,) = make_case(BUG, BUGGY, FIXED)
    pair = [result("1.0", cache_reuse=v, shows_bug=v == "advice") for v in (buggy, fixed)]
    assert checked(case, *pair).shows_no_difference


def test_a_page_shows_pairs_newest_releases_and_glue(make_case):
    glue = '[glue]\n"signing.revoked" = "Left to the user."\n'
    (case,) = make_case(BUG + glue, BUGGY, FIXED, NEWEST)
    newest = result("3.0", signing_revoked="advice", response_no_token="failed")
    buggy = result("1.0", cache_reuse="advice", shows_bug=True)
    text = page([checked(case, buggy, result("2.0"), newest)])
    assert table(text, "Buggy and fixed releases") == [
        [
            "[acme](https://acme.example/1)",
            "Forgets.",
            "`cache.reuse`",
            "Acme 1.0: advice",
            "Acme 2.0: passed",
        ]
    ]
    assert "- acme, `cache.reuse`: two requests\n" in text
    assert table(text, "The newest releases") == [
        ["Acme 3.0", "acme", "`response.no-token`", "`signing.revoked` (glue)"]
    ]
    assert table(text, "Every clause that does not pass") == [
        ["`response.no-token`", "MUST", "passed", "passed", "failed"],
        ["`cache.reuse`", "SHOULD", "advice", "passed", "passed"],
        ["`signing.revoked`", "PRACTICE", "passed", "passed", "advice"],
    ]
    assert "- `signing.revoked`: Left to the user.\n" in text
    assert "never tried" not in text


def test_a_page_names_the_clauses_that_a_release_was_never_tried_on(make_case):
    (case,) = make_case('distribution = "Acme"\n', NEWEST)
    verdicts = {clause.id: Verdict.PASSED for clause in CATALOGUE[2:]}
    one = checked(case, Result(version="1.0", catalogue="0", verdicts=verdicts))
    added = ", ".join(f"`{clause.id}`" for clause in CATALOGUE[:2])
    assert f"- never tried: {added}\n" in page([one])


def report_with(*findings: Finding) -> ReportDocument:
    client = ClientDescription(target="client.py")
    return document_of(build_report(findings, RunFacts(profile="autograb", client=client)))


@pytest.mark.parametrize(
    ("step", "shows_bug"),
    [
        (AnswerChanged(members={"expires_in": "3599"}), True),
        (AnswerChanged(members={"expires_in": 3599.0}), False),
    ],
)
def test_a_result_shows_the_bug_if_the_reproduction_has_its_step(make_case, step, shows_bug):
    (case,) = make_case(BUG_WITH_STEP, BUGGY, FIXED)
    breach = Finding("cache.reuse", Verdict.ADVICE, "two requests", (step,))
    result = result_of(case.releases[0], case.bug, report_with(breach))
    assert (result.version, result.catalogue) == ("1.0", CATALOGUE_VERSION)
    assert list(result.verdicts) == [clause.id for clause in CATALOGUE]
    assert result.verdicts["cache.reuse"] is Verdict.ADVICE
    assert (result.reason, result.shows_bug) == ("two requests", shows_bug)


def test_a_result_without_a_breach_of_the_clause_does_not_show_the_bug(make_case):
    (case,) = make_case(BUG, BUGGY, FIXED)
    result = result_of(
        case.releases[0], case.bug, report_with(Finding("cache.reuse", Verdict.PASSED))
    )
    assert (result.reason, result.shows_bug) == ("", False)


@pytest.mark.parametrize(
    ("name", "is_that_step", "is_another"),
    [
        (
            "client of another client_id",
            OtherClientAdded(difference="client_id"),
            OtherClientAdded(difference="scope"),
        ),
        (
            "lifetime as a string",
            AnswerChanged(members={"expires_in": "3599"}),
            AnswerChanged(members={"expires_in": 3599.0}),
        ),
    ],
)
def test_a_step_tells_a_bug_from_another(name, is_that_step, is_another):
    assert BUG_STEPS[name](is_that_step)
    assert not BUG_STEPS[name](is_another)


@pytest.mark.parametrize(
    ("about", "variants", "message"),
    [
        (BUG.replace("cache.reuse", "cache.resue"), (BUGGY, FIXED), "no such clause: cache.resue"),
        (BUG + 'step = "lifetime as text"\n', (BUGGY, FIXED), "no such step: lifetime as text"),
        (BUG.replace("bug =", "bgu ="), (BUGGY, FIXED), "no such key: bgu"),
        ('distribution = "Acme"\n', (BUGGY, FIXED), "lacks bug, clause, report"),
        (BUG, (BUGGY,), "requirements of buggy; write those of buggy and fixed"),
        (BUG, (), "requirements of nothing"),
        (BUG + 'client = "nobody.py"\n', (BUGGY, FIXED), "does not exist"),
    ],
)
def test_an_invalid_case_raises(make_case, about, variants, message):
    with pytest.raises(CaseError, match=message):
        make_case(about, *variants)
