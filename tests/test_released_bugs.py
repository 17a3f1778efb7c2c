"""The cases of released bugs are as they must be, and their page tells of every one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mockbroker.contract.catalogue import CATALOGUE
from released_bugs.cases import BUGGY, FIXED, NEWEST, CaseError, Release, read_cases
from released_bugs.checks import Result
from released_bugs.page import Checked, page

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "released-bugs.md"
CASES = {case.name: case for case in read_cases(ROOT / "released_bugs")}
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


def result(release: Release, **verdicts: str) -> Result:
    known = {clause.id: clause for clause in CATALOGUE}
    told = {
        name.replace("_", ".", 1): verdict.partition(": ") for name, verdict in verdicts.items()
    }
    return Result(
        release=release,
        conforms=False,
        verdicts={name: told[name][0] if name in told else "passed" for name in known},
        levels={name: clause.level.value for name, clause in known.items()},
        reasons=dict.fromkeys(known, "so it was"),
        stories={name: told[name][2] if name in told else "" for name in known},
    )


def checked(case, *results: dict[str, str]) -> Checked:
    pairs = zip(case.releases, results, strict=True)
    return Checked(case, tuple(result(release, **verdicts) for release, verdicts in pairs))


@pytest.mark.parametrize("name", CASES)
def test_every_requirement_of_a_library_is_pinned(name):
    for release in CASES[name].releases:
        assert re.fullmatch(r"\d+(\.\d+)+", release.version), release.requirements


def test_the_page_tells_every_pair_apart():
    rows = table(PAGE.read_text(encoding="utf-8"), "Told apart")
    told = {re.match(r"\[([a-z0-9-]+)\]", row[0])[1]: row for row in rows}
    assert set(told) == set(PAIRS)
    for name, (link, what, clause, buggy, fixed) in told.items():
        case = PAIRS[name]
        assert link == f"[{name}]({case.bug.report})"
        assert (what, clause) == (case.bug.what, f"`{case.bug.clause}`")
        assert buggy.partition(": ")[0] == f"{case.distribution} {case.release(BUGGY).version}"
        assert re.search(r": (failed|advice|hang|crash)$", buggy)
        without, _, verdict = fixed.partition(": ")
        assert without == f"{case.distribution} {case.release(FIXED).version}"
        assert verdict == "passed" or (case.bug.story and verdict.endswith(", by another story"))


def test_the_page_tells_of_every_newest_release():
    rows = table(PAGE.read_text(encoding="utf-8"), "The newest releases")
    newest = {case.name: case.release(NEWEST) for case in CASES.values() if case.release(NEWEST)}
    assert {row[1]: row[0].rpartition(" ")[2] for row in rows} == {
        name: release.version for name, release in newest.items()
    }


def test_a_breach_that_the_other_release_passes_is_a_difference(make_case):
    (case,) = make_case(BUG, BUGGY, FIXED)
    assert not checked(case, {"cache_reuse": "advice"}, {}).shows_no_difference


def test_so_is_one_by_the_bugs_story_that_the_other_breaks_by_another(make_case):
    (case,) = make_case(BUG + 'story = "as text"\n', BUGGY, FIXED)
    one = checked(case, {"cache_reuse": "advice: as text"}, {"cache_reuse": "advice: as float"})
    assert not one.shows_no_difference
    assert table(page([one]), "Told apart")[0][3:] == [
        "Acme 1.0: advice",
        "Acme 2.0: advice, by another story",
    ]


@pytest.mark.parametrize("story", ["as float", "as text"])
def test_without_the_bugs_story_in_the_first_alone_there_is_no_difference(make_case, story):
    (case,) = make_case(BUG + 'story = "as text"\n', BUGGY, FIXED)
    one = checked(case, {"cache_reuse": f"advice: {story}"}, {"cache_reuse": f"advice: {story}"})
    assert one.shows_no_difference


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
    one = checked(case, {"cache_reuse": buggy}, {"cache_reuse": fixed})
    assert one.shows_no_difference


def test_a_page_tells_pairs_newest_releases_and_glue(make_case):
    glue = '[glue]\n"signing.revoked" = "Left to the user."\n'
    (case,) = make_case(BUG + glue, BUGGY, FIXED, NEWEST)
    newest = {"signing_revoked": "advice", "response_invalid": "failed"}
    text = page([checked(case, {"cache_reuse": "advice"}, {}, newest)])
    assert table(text, "Told apart") == [
        [
            "[acme](https://acme.example/1)",
            "Forgets.",
            "`cache.reuse`",
            "Acme 1.0: advice",
            "Acme 2.0: passed",
        ]
    ]
    assert "- acme, `cache.reuse`: so it was\n" in text
    assert table(text, "The newest releases") == [
        ["Acme 3.0", "acme", "`response.invalid`", "`signing.revoked` (glue)"]
    ]
    assert table(text, "Every clause that does not pass") == [
        ["`response.invalid`", "MUST", "passed", "passed", "failed"],
        ["`cache.reuse`", "SHOULD", "advice", "passed", "passed"],
        ["`signing.revoked`", "PRACTICE", "passed", "passed", "advice"],
    ]
    assert "- `signing.revoked`: Left to the user.\n" in text


@pytest.mark.parametrize(
    ("about", "variants", "message"),
    [
        (BUG.replace("cache.reuse", "cache.resue"), (BUGGY, FIXED), "no such clause: cache.resue"),
        (BUG.replace("bug =", "bgu ="), (BUGGY, FIXED), "no such key: bgu"),
        ('distribution = "Acme"\n', (BUGGY, FIXED), "lacks bug, clause, report"),
        (BUG, (BUGGY,), "requirements of buggy; write those of buggy and fixed"),
        (BUG, (), "requirements of nothing"),
        (BUG + 'client = "nobody.py"\n', (BUGGY, FIXED), "there is no client"),
    ],
)
def test_a_case_that_lacks_something_is_told(make_case, about, variants, message):
    with pytest.raises(CaseError, match=message):
        make_case(about, *variants)
