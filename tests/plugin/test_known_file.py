"""The file of known failures: read, refused in one sentence, and written."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockbroker import ConfigError, Credentials
from mockbroker.contract.clause import Level
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.known_failures import KnownFailure, KnownFailures
from mockbroker.report.known_file import TODO, known_failures_of, read_known_failures
from mockbroker.report.known_text import updated_text
from mockbroker.report.plain_examples import to_plain
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import RunFacts

MUST, OTHER, SHOULD = "request.method", "request.url", "refresh.ahead"
PASSED, FAILED, ADVICE = Verdict.PASSED, Verdict.FAILED, Verdict.ADVICE
TODAY = date(2030, 6, 15)
YESTERDAY = date(2030, 6, 14)


def known(*entries, **first):
    """The first entry lists request.method."""
    listed = [KnownFailure(**{"clause_id": MUST, "reason": "an old library", **first}), *entries]
    return KnownFailures("known.toml", TODAY, {entry.clause_id: entry for entry in listed})


def report_on(failures, *findings, replays=None, fail_on=Level.MUST):
    return build_report(
        [Finding(*finding) for finding in findings],
        RunFacts(profile="autograb", fail_on=fail_on, known=failures, replays=replays or {}),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[known", "is not a valid TOML file"),
        ("[[knwon]]", "unknown key 'knwon'; did you mean 'known'?"),
        ("[profiles.acme]", "unknown table 'profiles'"),
        ("known = 3", "known: expected a list, got 3"),
        (
            "[known]\nclause = 'basic.utf8'\nreason = 'x'",
            "known: expected a list, got a table; write [[known]], not [known]",
        ),
        ("known = ['basic.utf8']", "known[0]: expected a table, got 'basic.utf8'"),
        ("reason = 'x'\n{entry}", "unknown key 'reason'; known are known"),
        ("[[known]]\nreason = 'x'", "known[0]: clause is missing"),
        ("[[known]]\nclause = 3", "known[0]: reason is missing"),
        ("[[known]]\nclause = 3\nreason = ''", "known[0].clause: expected a string, got 3"),
        (
            "{entry}[[known]]\nclause = 'basic.utf-8'\nreason = 'x'",
            "known[1]: unknown clause 'basic.utf-8'; did you mean 'basic.utf8'?",
        ),
        ("[[known]]\nclause = '?'\nreason = 'x'", "unknown clause '?'; known are request.method"),
        ("{entry}isue = 'x'", "known[0]: unknown key 'isue'; did you mean 'issue'?"),
        ("{entry}xyz = 1", "known are clause, reason, found, issue, expires, example"),
        ("[[known]]\nclause = 'basic.utf8'", "reason is missing"),
        ("[[known]]\nclause = 'basic.utf8'\nreason = ' '", "the reason for basic.utf8 is empty"),
        ("[[known]]\nclause = 'basic.utf8'\nreason = 1", "reason: expected a string, got 1"),
        ("{entry}issue = 17", "known[0].issue: expected a string, got 17"),
        ("{entry}expires = 2030-12-31T00:00:00Z", "expires: expected a date such as 2030-12-31"),
        ("{entry}expires = 'soon'", "expected a date such as 2030-12-31, got 'soon'"),
        ("{entry}{entry}", "basic.utf8 is listed twice; keep one of the entries"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, text, message):
    file = tmp_path / "known.toml"
    entry = "[[known]]\nclause = 'basic.utf8'\nreason = 'x'\n"
    file.write_text(text.replace("{entry}", entry))
    with pytest.raises(ConfigError) as raised:
        read_known_failures(file)
    assert message in str(raised.value)
    assert "known.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_and_one_that_lists_nothing(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_known_failures(tmp_path / "known.toml")
    (tmp_path / "known.toml").write_text(updated_text("", []))
    assert read_known_failures(tmp_path / "known.toml") == {}


examples = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def module_file(tmp_path_factory):
    return tmp_path_factory.mktemp("known") / "known.toml"


failures = st.builds(
    KnownFailure,
    clause_id=st.just(MUST),
    reason=st.text(min_size=1).map(str.strip).filter(bool),
    issue=st.text().map(str.strip),
    expires=st.none() | st.dates(),
    example=examples.map(to_plain),
)


# How fast examples are drawn says how busy the machine is, and nothing else.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(failures, st.text())
def test_what_is_written_is_read_again(module_file, written, found):
    text = updated_text("", [(written, found)])
    module_file.write_text(text, encoding="utf-8", newline="\n")
    assert read_known_failures(module_file) == {MUST: written}
    assert updated_text(text, [(written, found)]) == text
    assert all(map(str.isprintable, text.splitlines()))


def test_the_file_reads_as_a_person_would_write_it():
    entry = KnownFailure(
        clause_id=MUST,
        reason='the "old" library',
        issue="https://issues.example/17",
        expires=TODAY,
        example=to_plain((Credentials("id", "s3cret"), [1], {"a b": None}, b"\x00", 1.5, True)),
    )
    text = updated_text("", [(entry, "failed: by GET;\n\x1b[31mred")])
    assert text.startswith("# Known failures: `mockbroker check TARGET --known FILE` expects them")
    assert text.partition("\n\n")[2] == (
        "[[known]]\n"
        'clause = "request.method"\n'
        'found = "failed: by GET;\\n\\u001b[31mred"\n'
        'reason = "the \\"old\\" library"\n'
        'issue = "https://issues.example/17"\n'
        "expires = 2030-06-15\n"
        'example = [{credentials = ["id", "s3cret"]}, {list = [1]}, '
        '{dict = {"a b" = {none = true}}}, {bytes = "00"}, 1.5, true]\n'
    )


# -- writing a run into the file -------------------------------------------------------------------


def test_every_breach_is_listed_in_the_order_of_the_catalogue():
    report = report_on(
        KnownFailures(), (SHOULD, ADVICE), (MUST, FAILED, "by GET"), ("basic.utf8", PASSED)
    )
    assert known_failures_of(report, {}, {MUST: ["a", 1]}) == [
        (KnownFailure(clause_id=MUST, reason=TODO, example=["a", 1]), "failed: by GET"),
        (KnownFailure(clause_id=SHOULD, reason=TODO), "advice: "),
    ]


def test_what_is_said_of_a_failure_is_kept_and_its_example_is_the_latest():
    before = known(issue="ACME-17", expires=YESTERDAY, example=["an earlier one"])
    later = known(issue="ACME-17", expires=YESTERDAY, example=["a later one"]).entries[MUST]
    for seen_as_known in (before, KnownFailures()):
        report = report_on(seen_as_known, (MUST, FAILED, "by GET"))
        [(entry, found)] = known_failures_of(report, before.entries, {MUST: ["a later one"]})
        assert (entry, found) == (later, "failed: by GET")
        [(unshown, _)] = known_failures_of(report, before.entries, {})
        assert unshown == before.entries[MUST]


def test_what_passes_is_dropped_and_what_was_not_judged_is_kept():
    before = known(KnownFailure(clause_id=SHOULD, reason="not looked at", example=["x"]))
    report = report_on(before, (MUST, PASSED), (SHOULD, Verdict.NOT_APPLICABLE, "no clock"))
    assert known_failures_of(report, before.entries, {}) == [(before.entries[SHOULD], "")]


# -- the user's text -------------------------------------------------------------------------------

MINE = """\
# Ours, by the team.

# The library is replaced in spring.
[[known]]  # the gravest
clause = "request.method"   # by GET
reason = 'an "old" library'
  # indented
  issue="ACME-17"

# A thought between the entries.

# Goes with the next one.
[[ known ]]
reason = '''
[[known]]
# part of the reason'''
clause = "request.url"

[[known]]
clause = 'refresh.ahead'
reason = 'no hurry'
# the end
"""


def entries_of(text, tmp_path):
    file = tmp_path / "known.toml"
    file.write_text(text, encoding="utf-8")
    return read_known_failures(file)


def changed(text, tmp_path, *, remove=(), found="", example=None):
    kept = {name: e for name, e in entries_of(text, tmp_path).items() if name not in remove}
    return updated_text(text, [(replace(e, example=example), found) for e in kept.values()])


def test_what_does_not_change_keeps_its_text(tmp_path):
    assert changed(MINE, tmp_path) == MINE


@pytest.mark.parametrize("clause_id", [MUST, OTHER, SHOULD])
def test_an_entry_that_is_removed_takes_nothing_of_the_others_along(tmp_path, clause_id):
    text = changed(MINE, tmp_path, remove={clause_id})
    before = entries_of(MINE, tmp_path)
    assert entries_of(text, tmp_path) == {k: e for k, e in before.items() if k != clause_id}
    gone = {
        MUST: ["[[known]]  # the gravest", "# The library is", "ACME-17", "indented", "by GET"],
        OTHER: ["# Goes with the next one.", "part of the reason", "[[ known ]]"],
        SHOULD: ["no hurry"],
    }
    for name, parts in gone.items():
        assert all((part in text) == (name != clause_id) for part in parts)
    for part in ("# Ours, by the team.", "# A thought between the entries.", "# the end"):
        assert part in text


def test_what_a_run_says_is_updated_and_the_rest_of_an_entry_stays(tmp_path):
    first = changed(MINE, tmp_path, found="failed: a", example=[1])
    second = changed(first, tmp_path, found="failed: b", example=[True])
    for text, found, example in ((first, "a", "[1]"), (second, "b", "[true]")):
        added = f'found = "failed: {found}"\nexample = {example}\n'
        assert text.count(added) == 3
        assert text.replace(added, "") == MINE


def test_new_entries_come_last(tmp_path):
    new = KnownFailure(clause_id="basic.utf8", reason=TODO)
    old = [(entry, "") for entry in entries_of(MINE, tmp_path).values()]
    text = updated_text(MINE, [(new, "failed: x"), *old])
    assert text == MINE + (
        f'\n[[known]]\nclause = "basic.utf8"\nfound = "failed: x"\nreason = "{TODO}"\n'
    )


def test_entries_in_an_array_become_tables(tmp_path):
    text = '# mine\nknown = [{clause = "basic.utf8", reason = "x"}]\n'
    after = changed(text, tmp_path)
    assert after == '# mine\n\n[[known]]\nclause = "basic.utf8"\nreason = "x"\n'


comments = st.lists(st.sampled_from(["# one", "", "#two [[known]]", "  # three"]), max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(comments, min_size=4, max_size=4), st.sets(st.sampled_from([MUST, OTHER, SHOULD])))
def test_every_comment_that_stands_alone_survives(between, removed):
    names = (MUST, OTHER, SHOULD)
    tables = [f"[[known]]\nclause = '{name}'\nreason = 'x'" for name in names]
    parts = [part for n in range(3) for part in (*between[n], "# alone", "", tables[n])]
    text = "\n".join([*parts, *between[3]]) + "\n"
    kept = [KnownFailure(clause_id=name, reason="x") for name in names if name not in removed]
    after = updated_text(text, [(entry, "") for entry in kept])
    assert after.count("# alone") == 3
    assert after.count("clause = ") == len(kept)
    if not removed:
        assert after == text.rstrip() + "\n"
