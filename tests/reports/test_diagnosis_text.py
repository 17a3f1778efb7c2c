"""Each known mistake has words of its own, in every format of the report."""

from __future__ import annotations

import pytest

from mockbroker.contract.diagnosis import Diagnosis, Mistake
from mockbroker.report.evidence import evidence_lines
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.terminal_causes import finding_lines
from mockbroker.report.wording import diagnosis_text

LATE = Diagnosis(mistake=Mistake.LEEWAY_ADDED, seconds=30.0)


def test_no_diagnosis_has_no_words():
    assert diagnosis_text(None) == ""


@pytest.mark.parametrize("mistake", Mistake)
def test_each_mistake_has_words_with_its_numbers(mistake):
    text = diagnosis_text(Diagnosis(mistake=mistake, seconds=5, setting="secret", hint="a hint"))
    plain = diagnosis_text(Diagnosis(mistake=mistake, seconds=5, setting="secret"))
    assert text == "a hint"
    assert "{" not in plain
    assert bool(plain) == (mistake is not Mistake.HINTED)


def test_mistakes_have_different_words():
    texts = {diagnosis_text(Diagnosis(mistake=mistake)) for mistake in Mistake}
    assert len(texts) == len(Mistake)


def test_the_evidence_begins_with_the_likely_mistake():
    finding = Finding("refresh.honours-expires-in", Verdict.FAILED, "late", diagnosis=LATE)
    assert next(evidence_lines(finding)).startswith("likely: the leeway has the wrong sign")
    assert any("30 s after its expiry" in line.text for line in finding_lines(finding))


def test_a_diagnosis_cannot_command_a_terminal():
    hinted = Diagnosis(mistake=Mistake.HINTED, hint="red \x1b[31m")
    finding = Finding("basic.credentials", Verdict.FAILED, diagnosis=hinted)
    assert finding.diagnosis is not None
    assert "\x1b" not in finding.diagnosis.hint
