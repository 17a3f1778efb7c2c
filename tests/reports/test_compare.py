"""`mockbroker compare`: a table of reports, and what changed since a baseline."""

from __future__ import annotations

import json

import click
import pytest

from mockbroker.cli.compare import compare as command
from mockbroker.contract.catalogue import CATALOGUE
from mockbroker.contract.clause import Level
from mockbroker.report.document import document_of, json_text
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, Provenance, RunFacts

MUST, SHOULD, PRACTICE = "request.method", "refresh.ahead", "signing.revoked"
PASSED, FAILED, ADVICE = Verdict.PASSED, Verdict.FAILED, Verdict.ADVICE
NOT_TESTED = Verdict.NOT_TESTED
ALL = len(CATALOGUE)
USAGE_ERROR = 4


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; return its exit status and its output."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            status = command.main(arguments, standalone_mode=False)
        except click.ClickException as error:
            return USAGE_ERROR, error.format_message()
        return status or 0, capsys.readouterr().out

    return run


def write(file, *findings, target="acme.py", whole=True, change=None, **facts):
    named = {finding.clause_id for finding in findings}
    others = [Finding(c.id, PASSED) for c in CATALOGUE if c.id not in named]
    client = ClientDescription(target, version=facts.pop("version", ""))
    all_facts = {"profile": "autograb", "client": client, **facts}
    report = build_report([*findings, *(others if whole else ())], RunFacts(**all_facts))
    document = json.loads(json_text(document_of(report)))
    if change is not None:
        change(document)
    with open(file, "w", encoding="utf-8") as stream:  # noqa: PTH123 - in the working directory
        json.dump(document, stream)


def failed(clause_id, verdict=FAILED, reason="by GET"):
    return Finding(clause_id, verdict, reason)


def test_only_clauses_that_differ_are_printed_and_totals_follow(compare):
    write("a.json", failed(MUST), target="one.py")
    write("b.json", target="two.py", version="2.0")
    status, output = compare("a.json", "b.json")
    assert status == 0
    lines = [line.split() for line in output.splitlines() if line.strip()]
    assert lines == [
        ["1", "one.py:", "does", "not", "conform"],
        ["2", "two.py", "2.0:", "conforms"],
        ["1", "2"],
        [MUST, "MUST", "✗", "✓"],
        f"{ALL - 1} clauses without a difference; --all prints them".split(),
        ["✓", "passed", str(ALL - 1), str(ALL)],
        ["✗", "failed", "1", "0"],
    ]


def test_all_prints_every_clause_and_so_does_a_single_report(compare):
    write("a.json", failed(MUST))
    write("b.json")
    for arguments in (("a.json", "b.json", "--all"), ("a.json",)):
        _, output = compare(*arguments)
        assert [clause.id for clause in CATALOGUE if f"  {clause.id} " not in output] == []
        assert "--all" not in output


def test_a_report_has_a_name_of_its_own_its_target_or_its_file(compare):
    write("a.json", target="acme.py")
    write("b=c.json", target="acme.py")
    write("d.json", target="")
    _, output = compare("old=a.json", "a.json", "b=c.json", "d.json", "--html", "all.html")
    names = [line.split("  ")[2].rsplit(": ", 1)[0] for line in output.splitlines()[:4]]
    assert names == ["old", "acme.py (a.json)", "acme.py (b=c.json)", "d.json"]
    with open("all.html", encoding="utf-8") as page:  # noqa: PTH123 - in the working directory
        assert "acme.py (b=c.json)</a></th>" in page.read()


def test_reports_by_different_profiles_and_levels_are_named(compare):
    write("a.json")
    write("b.json", profile="rfc6749", fail_on=Level.SHOULD)
    _, output = compare("a.json", "b.json")
    assert "  The reports have different profiles: autograb, rfc6749.\n" in output
    assert "  The reports have different levels: MUST, SHOULD.\n" in output


@pytest.mark.parametrize(
    ("before", "after", "status", "counts"),
    [
        (PASSED, PASSED, 0, "0 worse, 0 better"),
        (FAILED, FAILED, 0, "0 worse, 0 better"),
        (FAILED, Verdict.HANG, 0, "0 worse, 0 better"),
        (FAILED, PASSED, 0, "0 worse, 1 better"),
        (FAILED, ADVICE, 0, "0 worse, 1 better"),
        (PASSED, Verdict.NOT_APPLICABLE, 0, "0 worse, 0 better"),
        (PASSED, ADVICE, 1, "1 worse, 0 better"),
        (PASSED, FAILED, 1, "1 worse, 0 better"),
        (PASSED, Verdict.CRASH, 1, "1 worse, 0 better"),
        (PASSED, Verdict.ERROR, 1, "1 worse, 0 better"),
        (PASSED, NOT_TESTED, 1, "1 worse, 0 better"),
        (NOT_TESTED, FAILED, 1, "1 worse, 0 better"),
        (NOT_TESTED, PASSED, 0, "0 worse, 1 better"),
    ],
)
def test_a_clause_that_got_worse_is_exit_status_1(compare, before, after, status, counts):
    write("old.json", failed(MUST, before))
    write("new.json", failed(MUST, after))
    found, output = compare("--baseline", "old.json", "new.json")
    assert found == status
    assert output.splitlines()[0].startswith(f"  acme.py since old.json: {counts}, ")
    assert (f"    {'worse' if status else 'better'} " in output) is (counts[0] + counts[9] != "00")


def test_a_change_names_both_verdicts_and_the_reason(compare):
    write("old.json", provenance=Provenance(created="2030-01-01T00:00:00+00:00"))
    write("new.json", failed(MUST))
    _, output = compare("--baseline", "old.json", "new.json")
    assert "since old.json of 2030-01-01T00:00:00+00:00: 1 worse" in output
    assert "    worse     request.method (MUST): passed → failed: by GET\n" in output


def test_clauses_that_one_clause_blocks_are_one_text(compare):
    blocked = (
        Finding(name, NOT_TESTED, "no token", blocked_by=MUST) for name in (SHOULD, PRACTICE)
    )
    write("old.json")
    write("new.json", failed(MUST), *blocked)
    status, output = compare("--baseline", "old.json", "new.json")
    assert status == 1
    text = f"2 clauses → not-tested, blocked by {MUST}: {SHOULD}, {PRACTICE}"
    assert f"    worse     {text}\n" in output


def test_one_of_several_reports_that_got_worse_suffices(compare):
    write("old.json")
    write("new.json", failed(MUST))
    assert compare("--baseline", "old.json", "old.json", "new.json")[0] == 1


def test_what_a_partial_run_leaves_out_is_not_worse(compare):
    write("old.json", failed(SHOULD, NOT_TESTED))
    write("new.json", Finding(MUST, PASSED), whole=False)
    status, output = compare("--baseline", "old.json", "new.json")
    assert status == 0
    assert f"    {ALL - 2} clauses of the baseline left out by a partial run\n" in output
    _, output = compare("--baseline", "old.json", "new.json", "--all")
    assert "    left out  request.url (MUST): passed → not-tested: not selected in" in output


def of_other_catalogue(document):
    document["catalogue"] = "00000000"
    document["tool"]["version"] = "0.0.1"
    document["clauses"] = document["clauses"][1:]
    document["clauses"][0]["id"] = "request.of-old"


def test_a_baseline_of_another_catalogue_names_new_and_removed_clauses(compare):
    write("old.json", change=of_other_catalogue)
    write("new.json", failed(MUST))
    status, output = compare("--baseline", "old.json", "new.json")
    assert status == 0
    first, second = (clause.id for clause in CATALOGUE[:2])
    new = f"2 clauses new since the baseline, not counted: {first}, {second}"
    assert f"    {new}\n" in output
    assert "    1 clause only in the baseline: request.of-old\n" in output
    assert "another version of mockbroker: 0.0.1 → " in output
    assert "another version of the catalogue: 00000000 → " in output


def test_a_page_has_the_baseline_as_its_first_column(compare):
    write("old.json")
    write("new.json", failed(MUST))
    assert compare("--baseline", "old.json", "new.json", "--html", "page.html")[0] == 1
    with open("page.html", encoding="utf-8") as page:  # noqa: PTH123 - in the working directory
        text = page.read()
    assert text.index(">baseline</a></th>") < text.index(">acme.py</a></th>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "old.json", "gone.json"], "cannot read gone.json: No such file or dire"),
        (["--baseline", "gone.json", "new.json"], "cannot read gone.json: No such file or dire"),
        (["--baseline", "half.json", "new.json"], "half.json is not valid JSON; `mockbroker"),
        (["--baseline", "list.json", "new.json"], "list.json is not a report by schema 2; "),
        (["x=gone.json"], "cannot read gone.json: No such file or directory"),
        (["=new.json"], "'=new.json' must be FILE or NAME=FILE"),
        (["new="], "'new=' must be FILE or NAME=FILE"),
        (
            ["--baseline", "old.json", "other.json"],
            (
                "other.json is by profile rfc6749, but the baseline is by profile autograb; write "
                "both with the same options"
            ),
        ),
        (
            ["--baseline", "old.json", "level.json"],
            (
                "level.json is at level SHOULD, but the baseline is at level MUST; write both with "
                "the same options"
            ),
        ),
        (
            ["--baseline", "old.json", "new.json", "--html", "old.json"],
            "--html old.json: it would overwrite the baseline; give the name of another file",
        ),
        (
            ["--baseline", "removed.json", "new.json", "--html", "page.html"],
            "new.json has other clauses than removed.json; write both again",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(compare, tmp_path, arguments, message):
    write("old.json")
    write("new.json")
    write("other.json", profile="rfc6749")
    write("level.json", fail_on=Level.SHOULD)
    write("removed.json", change=of_other_catalogue)
    (tmp_path / "half.json").write_text('{"schema": 2, "tool"', encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    status, output = compare(*arguments)
    assert status == 4
    assert message in output
