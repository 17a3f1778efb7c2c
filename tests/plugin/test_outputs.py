"""The report in the forms that other tools read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from mockbroker.contract.catalogue import CATALOGUE, clause_named
from mockbroker.model.profile import AUTOGRAB
from mockbroker.report.annotations import annotations_of
from mockbroker.report.badge import badge_of
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.formats import (
    FORMATS,
    Format,
    OutputError,
    problem_with_output,
    write_outputs,
)
from mockbroker.report.junit_xml import junit_xml_of
from mockbroker.report.kit_error import KitError
from mockbroker.report.markdown import markdown_of
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, RunFacts
from tests.reports.samples import EXCHANGES, STEPS

HOSTILE = 'a <b> & "c" | `d` \x00\x1b[31m\ud800 %0A ::error::x\nnext, line: ]]>'
FOUND = (
    Finding("request.method", Verdict.FAILED, HOSTILE, STEPS[:1], EXCHANGES[1:], "curl x"),
    Finding("request.accept", Verdict.ADVICE, "rules out JSON"),
    Finding("refresh.ahead", Verdict.HANG, "did not come back"),
    Finding("errors.invalid-client", Verdict.CRASH, "ended the program"),
    Finding("signing.revoked", Verdict.NOT_APPLICABLE, "the client offers no request"),
    Finding("refresh.latency", Verdict.NOT_TESTED, "late", blocked_by="refresh.honours-expires-in"),
    Finding("basic.scheme", Verdict.PASSED),
)
WHOLE = tuple(Finding(clause.id, Verdict.PASSED) for clause in CATALOGUE)


def report(*findings: Finding, **run):
    client = ClientDescription(target='acme.py:make "x" <y>', name="acme")
    return build_report(findings, RunFacts(profile="autograb", client=client, **run))


def cases(text: str) -> dict[str, ET.Element]:
    return {case.get("name", ""): case for case in ET.fromstring(text).iter("testcase")}  # noqa: S314


def test_junit_xml_has_a_case_for_each_clause_with_its_level_and_sources():
    found = cases(junit_xml_of(report(*FOUND)))
    assert list(found) == [clause.id for clause in CATALOGUE]
    for clause in (entry.for_profile(AUTOGRAB) for entry in CATALOGUE):
        properties = [(p.get("name"), p.get("value")) for p in found[clause.id].iter("property")]
        assert ("level", clause.level.value) in properties
        assert [v for n, v in properties if n == "source"] == [str(s) for s in clause.sources]


def test_junit_xml_tells_what_binds_from_what_does_not():
    text = junit_xml_of(report(*FOUND))
    told = {name: case[1].tag if len(case) > 1 else "" for name, case in cases(text).items()}
    assert told["request.method"] == "failure"
    assert told["errors.invalid-client"] == "error"
    assert told["request.accept"] == told["refresh.ahead"] == "system-out"
    assert told["signing.revoked"] == told["refresh.latency"] == told["tls.verify"] == "skipped"
    assert told["basic.scheme"] == ""
    suite = ET.fromstring(text)[0]  # noqa: S314
    counted = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    skipped = len(CATALOGUE) - 5
    assert counted == [str(len(CATALOGUE)), "1", "1", str(skipped)]


def test_junit_xml_survives_what_xml_cannot_say():
    failure = cases(junit_xml_of(report(*FOUND)))["request.method"].find("failure")
    assert failure is not None
    assert 'a <b> & "c" | `d`' in failure.get("message", "")
    assert failure.text == (
        f"leads to: {clause_named('request.method').consequence}\n"
        f"fix: {clause_named('request.method').fix}\n"
        "link: https://www.rfc-editor.org/rfc/rfc6749#section-3.2\n"
        "  the broker issues tokens with expires_in=60\n"
        "#2 GET /v2/vehicle/1?region=uk Authorization: Bearer <token #1, expired> → 401\n"
        "curl x"
    )


def test_markdown_tells_what_is_wrong_and_folds_the_stories():
    text = markdown_of(report(*FOUND))
    assert text.startswith("### Token client contract: ❌ does not conform\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 5
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert "<b>" not in text
    assert text.count("<details>") == text.count("</details>") == 5
    assert markdown_of(report(*WHOLE)).startswith("### Token client contract: ✅ conforms\n")


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (FOUND, "2 failed"),
        (WHOLE, f"conforms · {len(CATALOGUE)} passed"),
        (WHOLE[1:], f"partial · {len(CATALOGUE) - 1} passed"),
        ((*WHOLE[1:], Finding(CATALOGUE[0].id, Verdict.ERROR, "x")), "error of the kit"),
        ((), "not tested"),
    ],
)
def test_a_badge_says_the_verdict_also_to_who_cannot_see_it(findings, words):
    badge = ET.fromstring(badge_of(report(*findings)))  # noqa: S314
    assert badge.get("aria-label") == f"token client: {words}"
    assert [text.text for text in badge.iter("{http://www.w3.org/2000/svg}text")] == [
        "token client",
        words,
    ]


def test_annotations_are_one_line_each_whatever_was_found():
    found = list(annotations_of(report(*FOUND)))
    assert [line.split("::")[1].split()[0] for line in found] == [
        "error",
        "error",
        "warning",
        "warning",
    ]
    assert all("\n" not in line for line in found)
    assert "%250A" in found[0]
    assert "%0Anext, line" in found[0]


BY_GET = """
    import requests

    class Client:
        def __init__(self, config):
            self.config = config

        def get_token(self):
            pair = (self.config.client_id, self.config.client_secret)
            form = {"grant_type": "client_credentials"}
            answer = requests.get(self.config.token_url, auth=pair, data=form, timeout=5)
            return answer.json()["access_token"]

    make_client = Client
"""


BEGINNINGS = {
    "a.json": "{",
    "a.html": "<!doctype html>",
    "a.xml": "<?xml ",
    "a.md": "### Token client",
    "a.svg": "<svg ",
    "a.sarif": '{\n  "$schema": "https://json.schemastore.org/sarif-2.1.0.json"',
}
FILES = (
    "--json",
    "a.json",
    "--html",
    "a.html",
    "--junit-xml",
    "a.xml",
    "--markdown",
    "a.md",
    "--badge",
    "a.svg",
    "--sarif",
    "a.sarif",
)


def written(folder):
    texts = {file: (folder / file).read_text(encoding="utf-8") for file in BEGINNINGS}
    for file in BEGINNINGS:
        (folder / file).unlink()
    return texts


def test_a_check_and_a_pytest_run_write_every_form(check, contract, pytester):
    pytester.makepyfile(acme=BY_GET)
    quick = ("--only", "request.m*", "--examples", "1", *FILES)
    done = check("acme.py", *quick, GITHUB_ACTIONS="true")
    assert done.returncode == 1
    assert (
        "\n::error title=request.method (MUST)::failed: the client requested a token" in done.stdout
    )
    by_command = written(pytester.path)
    words = [word.replace("--", "--contract-") for word in quick]
    assert contract("--contract-client", "acme.py", *words).ret == 1
    for texts in (by_command, written(pytester.path)):
        for file, text in texts.items():
            assert text.startswith(BEGINNINGS[file])
        assert len(cases(texts["a.xml"])["request.method"].findall("failure")) == 1
        assert "❌ failed | `request.method` | MUST" in texts["a.md"]
        assert ">1 failed<" in texts["a.svg"]
        [result] = json.loads(texts["a.sarif"])["runs"][0]["results"]
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert (result["ruleId"], place) == ("request.method", "acme.py")


def test_a_form_that_cannot_be_written_is_told_before_the_run(check, pytester):
    pytester.makepyfile(acme=BY_GET)
    done = check("acme.py", "--junit-xml", "no/such/a.xml")
    assert done.returncode == 4
    problem = "the folder does not exist; make it first"
    assert done.stderr == f"mockbroker: --junit-xml no/such/a.xml: {problem}\n"


ERRORS = (
    *WHOLE[2:],
    Finding(
        "request.accept", Verdict.ERROR, "the kit failed: KeyError", details="the traceback of it"
    ),
)


def test_every_form_shows_an_error_of_the_kit_with_its_traceback():
    found = report(*ERRORS, errors=(KitError("the kit failed: at the end", "another traceback"),))
    told = {name: form.write(found) for name, form in FORMATS.items()}
    for name in ("json", "html", "junit-xml", "markdown"):
        assert "the kit failed: KeyError" in told[name]
        assert "the traceback of it" in told[name]
        assert "another traceback" in told[name]
    assert cases(told["junit-xml"])["request.accept"].find("error") is not None
    assert cases(told["junit-xml"])["run: error"].find("error") is not None
    assert '<p class="verdict failed">✗ the kit failed</p>' in told["html"]
    assert told["markdown"].startswith("### Token client contract: 🛑 the kit failed\n")
    assert json.loads(told["json"])["conclusion"] == "the kit failed"
    lines = list(annotations_of(found))
    assert [line.split("::")[1] for line in lines] == ["error title=mockbroker", LOUD]


LOUD = "error title=request.accept (SHOULD)"


def test_every_form_says_that_a_run_was_interrupted():
    found = report(*WHOLE[2:], interrupted=True, selected=[clause.id for clause in CATALOGUE])
    told = {name: form.write(found) for name, form in FORMATS.items()}
    document = json.loads(told["json"])
    assert (document["interrupted"], document["conforms"]) == (True, False)
    assert all("interrupted" in text for text in told.values())
    assert "run: interrupted" in cases(told["junit-xml"])
    assert next(annotations_of(found)).startswith("::error title=mockbroker::interrupted")


def test_a_form_that_fails_takes_no_other_along(tmp_path, monkeypatch):
    def crash(_: object) -> str:
        raise ValueError("a number\x1b[31m")

    monkeypatch.setitem(FORMATS, "html", Format("html", "", crash))
    files = {name: str(tmp_path / name) for name in FORMATS}
    with pytest.raises(OutputError, match=r"html: the kit failed: ValueError: a number\\x1b\[31m$"):
        write_outputs(report(*FOUND), {**files, "json": str(tmp_path / "gone" / "a.json")})
    assert {path.name for path in tmp_path.iterdir()} == {"junit-xml", "markdown", "sarif", "badge"}


def test_a_file_that_a_read_only_folder_has_is_told_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    assert problem_with_output(str(tmp_path / "a.json")) == "permission denied"


def test_a_file_that_may_not_be_written_is_told_before_the_run():
    program = (
        "import os\n"
        "from mockbroker.report.formats import problem_with_output\n"
        "if os.getuid() == 0: os.setuid(65534)  # root may write anywhere\n"
        "print(problem_with_output('/contract.json'))\n"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "permission denied\n"
