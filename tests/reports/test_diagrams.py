"""The diagrams of the page: repeated exchanges, changed answers, and many tokens."""

from __future__ import annotations

import html
import re

import msgspec

from mockbroker.report.document import document_of
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.html_page import html_of
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import RunFacts
from mockbroker.report.steps import (
    AnswerChanged,
    ClientUsed,
    FaultScripted,
    GotToken,
    IssuedToken,
    TimePassed,
)
from mockbroker.report.wording import changed_answers
from tests.reports.samples import EXCHANGES

FETCHED, CALL = (msgspec.structs.replace(record, breaches=()) for record in EXCHANGES)


def numbered(record, number, **changes):
    return msgspec.structs.replace(record, number=number, **changes)


def used(*numbers):
    return ClientUsed(operation="get_token", exchanges=numbers)


def diagram_of(*exchanges, steps=()):
    finding = Finding("errors.bounded", Verdict.FAILED, "many", steps, exchanges)
    page = html_of([document_of(build_report([finding], RunFacts(profile="autograb")))])
    return page[page.index('<svg class="') : page.index("<summary>as text")]


def lines_of(drawing):
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawing)]


def test_a_flood_is_drawn_once_and_counted():
    drawing = diagram_of(*(numbered(FETCHED, number) for number in range(1, 51)))
    assert drawing.count('<line class="ask"') == 1
    assert "#2 to #50: the same, 49 times" in lines_of(drawing)


def test_no_line_of_a_diagram_is_wider_than_a_phone():
    long = numbered(CALL, 1, target="/v2/vehicle/" + "1" * 90)
    drawing = diagram_of(long)
    assert max(map(len, lines_of(drawing))) <= 44
    assert "".join(lines_of(drawing)).count("1" * 20) > 1


def test_an_answer_names_the_members_that_the_test_case_changed():
    steps = (AnswerChanged(members={"token_type": "mac"}, omitted=("scope",)), used(1))
    text = " ".join(lines_of(diagram_of(numbered(FETCHED, 1), steps=steps)))
    assert 'the answer has token_type="mac", no scope' in text


def test_a_fault_changes_the_answers_that_it_was_applied_to():
    fault = FaultScripted(endpoint="token", times=1, changed={"access_token": None})
    exchanges = (
        numbered(FETCHED, 1, fault="members changed"),
        numbered(FETCHED, 2),
        numbered(CALL, 3),
        numbered(FETCHED, 4, status=503),
    )
    steps = (fault, used(1, 2, 3, 4, 9), TimePassed(seconds=1))
    assert changed_answers(steps, exchanges) == {1: "the answer has access_token=null", 2: ""}


def test_a_refused_answer_names_its_fault():
    drawing = diagram_of(numbered(FETCHED, 1, status=503, expires_in=None, fault="status 503"))
    assert "503 [fault: status 503]" in lines_of(drawing)
    assert '<line class="say bad"' in drawing


def test_of_many_tokens_the_first_are_drawn_and_the_others_counted():
    def fetch(token):
        issued = (IssuedToken(token=token, expires_in=5),)
        return ClientUsed(
            operation="get_token", outcome=GotToken(token=token, state="valid"), issued=issued
        )

    steps = [step for n in range(1, 21) for step in (fetch(n), TimePassed(seconds=5))]
    drawing = diagram_of(FETCHED, steps=tuple(steps))
    assert drawing.count("<rect") == 12
    assert "8 more tokens are not drawn." in drawing
