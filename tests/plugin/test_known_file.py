"""The file of known failures: read, refused in one sentence, and written."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockbroker import ConfigError, Credentials
from mockbroker.contract.clause import Level
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.known_failures import KnownFailure, KnownFailures
from mockbroker.report.known_file import (
    TODO,
    known_failures_as_toml,
    known_failures_of,
    read_known_failures,
)
from mockbroker.report.plain_examples import to_plain
from mockbroker.report.report import ClientDescription, build_report

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
        profile="autograb",
        client=ClientDescription(),
        measured={},
        fail_on=fail_on,
        known=failures,
        replays=replays,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[known", "is not a valid TOML file"),
        ("[[knwon]]", "there is no key 'knwon'; did you mean 'known'?"),
        ("known = 3", "write each known failure as a table that begins [[known]]"),
        ("known = ['basic.utf8']", "write each known failure as a table that begins [[known]]"),
        ("reason = 'x'\n{entry}", "there is no key 'reason'; there are known"),
        ("[[known]]\nreason = 'x'", 'it names no clause; write clause = "basic.utf8", say'),
        ("[[known]]\nclause = 3", "it names no clause"),
        (
            "{entry}[[known]]\nclause = 'basic.utf-8'",
            "known failure 2: there is no clause 'basic.utf-8'; did you mean 'basic.utf8'?",
        ),
        ("[[known]]\nclause = '?'", "there are those that `mockbroker clauses` lists"),
        ("{entry}isue = 'x'", "there is no key 'isue'; did you mean 'issue'?"),
        ("{entry}xyz = 1", "there are clause, reason, issue, expires, example"),
        ("[[known]]\nclause = 'basic.utf8'", "basic.utf8 has no reason; write reason ="),
        ("[[known]]\nclause = 'basic.utf8'\nreason = ' '", "basic.utf8 has no reason"),
        ("[[known]]\nclause = 'basic.utf8'\nreason = 1", "basic.utf8 has no reason"),
        ("{entry}issue = 17", 'must be a text such as "ACME-17" or a URL, not 17'),
        ("{entry}expires = '2030-12-31'", "without quotes"),
        ("{entry}expires = 2030-12-31T00:00:00Z", "without a time"),
        ("{entry}expires = 'soon'", "expires on 'soon', which is no date"),
        ("{entry}{entry}", "basic.utf8 is listed twice; keep one of them"),
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
    (tmp_path / "known.toml").write_text(known_failures_as_toml([]))
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
    text = known_failures_as_toml([(written, found)])
    module_file.write_text(text, encoding="utf-8", newline="\n")
    assert read_known_failures(module_file) == {MUST: written}


def test_the_file_reads_as_a_person_would_write_it():
    entry = KnownFailure(
        clause_id=MUST,
        reason='the "old" library',
        issue="https://issues.example/17",
        expires=TODAY,
        example=to_plain((Credentials("id", "s3cret"), [1], {"a b": None}, b"\x00", 1.5, True)),
    )
    text = known_failures_as_toml([(entry, "found (failed): by GET;\n\x1b[31mred")])
    assert text.startswith("# Known failures: `mockbroker check TARGET --known FILE` expects them")
    assert text.partition("\n\n")[2] == (
        "[[known]]\n"
        "# found (failed): by GET; ?[31mred\n"
        'clause = "request.method"\n'
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
    assert known_failures_of(report, {}, {MUST: ("a", 1), SHOULD: object()}) == [
        (KnownFailure(clause_id=MUST, reason=TODO, example=["a", 1]), "found (failed): by GET"),
        (KnownFailure(clause_id=SHOULD, reason=TODO), "found (advice): "),
    ]


def test_what_is_said_of_a_failure_is_kept_and_its_example_is_the_latest():
    before = known(issue="ACME-17", expires=YESTERDAY, example=["an earlier one"])
    later = known(issue="ACME-17", expires=YESTERDAY, example=["a later one"]).entries[MUST]
    for seen_as_known in (before, KnownFailures()):
        report = report_on(seen_as_known, (MUST, FAILED, "by GET"))
        [(entry, found)] = known_failures_of(report, before.entries, {MUST: ("a later one",)})
        assert (entry, found) == (later, "found (failed): by GET")
        [(unshown, _)] = known_failures_of(report, before.entries, {})
        assert unshown == before.entries[MUST]


def test_what_passes_is_dropped_and_what_was_not_judged_is_kept():
    before = known(KnownFailure(clause_id=SHOULD, reason="not looked at", example=["x"]))
    report = report_on(before, (MUST, PASSED), (SHOULD, Verdict.NOT_APPLICABLE, "no clock"))
    assert known_failures_of(report, before.entries, {}) == [
        (before.entries[SHOULD], "not judged (not-applicable): no clock")
    ]
