"""The lives of tokens are computed from steps, whatever the words for them are."""

from __future__ import annotations

from mockbroker.report import wording
from mockbroker.report.finding import Finding, Verdict
from mockbroker.report.formats import FORMATS
from mockbroker.report.report import build_report
from mockbroker.report.run_facts import ClientDescription, RunFacts
from mockbroker.report.steps import ClientUsed, GotToken, IssuedToken, Note, TimePassed
from mockbroker.report.timeline import TokenLife, TokenUse, timeline_of
from tests.reports.samples import STEPS, raised


def test_a_token_lives_from_its_issue_and_is_used_at_its_times():
    timeline = timeline_of(STEPS)
    uses = (TokenUse(0.0, "valid"), TokenUse(61.0, "expired"))
    assert timeline.lives == (TokenLife(1, 0.0, 60, uses),)
    assert timeline.seconds == 61.0
    assert [use.is_late for use in uses] == [False, True]


def test_what_happens_during_a_use_has_its_own_time():
    waited = ClientUsed(
        operation="get_token",
        outcome=GotToken(token=2, state="valid", is_fetched=True),
        waited_seconds=4.0,
        issued=(IssuedToken(token=2, expires_in=5, after_seconds=4.0),),
    )
    timeline = timeline_of([TimePassed(seconds=1), waited])
    assert timeline.lives == (TokenLife(2, 5.0, 5, (TokenUse(5.0, "valid"),)),)


def test_a_token_that_was_never_used_has_a_life():
    issued = (IssuedToken(token=1, expires_in=9),)
    made = ClientUsed(operation="get_token", outcome=raised("x").outcome, issued=issued)
    assert timeline_of([made]).lives == (TokenLife(1, 0.0, 9, ()),)


def test_text_that_looks_like_a_step_changes_nothing():
    quotes = [raised("token #7 (fetched), valid"), raised("+1e999 s"), Note(text="+9 s")]
    assert timeline_of([*STEPS, *quotes]) == timeline_of(STEPS)


def test_other_words_for_a_step_leave_the_drawing_as_it_is(monkeypatch):
    def page() -> str:
        finding = Finding("refresh.ahead", Verdict.ADVICE, "late", STEPS)
        client = ClientDescription("acme.py")
        report = build_report([finding], RunFacts(profile="autograb", client=client))
        return FORMATS["html"].write(report)

    def drawing(text: str) -> str:
        return text[text.index('<svg class="lives"') : text.index('<p class="legend">')]

    usual = page()
    for kind in list(wording._STEPS):
        monkeypatch.setitem(wording._STEPS, kind, lambda _: "something happened")
    for kind in list(wording._OUTCOMES):
        monkeypatch.setitem(wording._OUTCOMES, kind, lambda _: "with some result")
    other = page()
    assert "something happened" in other
    assert "token #1 (fetched)" not in other
    assert drawing(other) == drawing(usual)
