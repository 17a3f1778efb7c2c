"""Every kind of step has words, and is the same value after a journey as JSON."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from mockbroker.broker.faults import Manner
from mockbroker.report import steps as s
from mockbroker.report.wording import outcome_text, reason_text, step_text

OUTCOMES = {
    s.GotToken(token=2, state="valid", is_fetched=True): "token #2 (fetched), valid",
    s.GotNoToken(instead=s.NothingUsable.NO_CALL): "made no call to the API",
    s.GotNoToken(instead=s.NothingUsable.NOTHING_RETURNED, value="12345 (int)"): (
        "returned 12345 (int)"
    ),
    s.GotNoToken(instead=s.NothingUsable.OTHER_VALUE_RETURNED, value="a string of length 3"): (
        "returned a string of length 3, which is not a token of this broker"
    ),
    s.Raised(error="Error: x"): "raised Error: x",
    s.NeverReturned(seconds=2.5, requests=3): (
        "did not return within 2.5 s of real time, and sent 3 requests"
    ),
    s.NeverReturned(seconds=2, requests=1, waits_for=s.Awaited.SOCKET): (
        "waits for an answer on a socket without a timeout, seen after 2 s, and sent 1 request"
    ),
    s.NeverReturned(seconds=2, requests=1, waits_for=s.Awaited.EVENT_LOOP, limit_seconds=200): (
        "waits for an answer in an event loop that has its next timer in 200 s, seen after 2 s"
        ", and sent 1 request"
    ),
    s.SentTooManyRequests(
        allowed=10
    ): "sent 10 requests in one use and went on; mockbroker stopped it",
    s.ProgramEnded(error="SystemExit: 3"): "ended the program: SystemExit: 3",
    s.DriverEnded(reason="exit status 7"): "did not return: exit status 7",
}
STEPS = [
    (s.SeedChosen(seed=5), "the run explores with seed 5; the same seed draws the same test cases"),
    (s.BrokerStarted(expires_in=60), "the broker issues tokens with expires_in=60"),
    (s.LifetimeChanged(expires_in=5), "the broker now issues tokens with expires_in=5"),
    (s.TimePassed(seconds=0.5), "+0.5 s"),
    (s.TimeZoneSet(zone="Chicago"), "local time is that of Chicago"),
    (
        s.TimeZoneSet(zone="Chicago", clock_goes_back=True),
        "local time is that of Chicago; the clocks go back an hour during the life of the token",
    ),
    (
        s.TimeZoneSet(zone="Chicago", clock_goes_forth=True),
        "local time is that of Chicago; the clocks go forth an hour during the life of the token",
    ),
    (s.WallClockSet(ahead_seconds=60), "the client's clock is set 60 s ahead of the broker's"),
    (s.WallClockSet(ahead_seconds=-60), "the client's clock is set 60 s behind the broker's"),
    (
        s.TokenPolicySet(policy="same"),
        "the broker now issues the same token again, with what is left of its lifetime",
    ),
    (s.ClientClosed(), "the client is closed and dropped"),
    (
        s.ClientsClosed(count=11),
        "11 more clients in the same process are used, closed and dropped",
    ),
    (s.ClientKilled(), "the client's process is killed while the client waits for a token"),
    (
        s.UsesArranged(arrangement=s.Arrangement.NEIGHBOUR_IN_FLIGHT),
        "a client begins, and the broker holds back the answer to its token request",
    ),
    (
        s.ClientUsedAtOnce(client="second", operation="get_token", count=1, good=1),
        "client second: get_token, once → 1 with a valid token, 0 without",
    ),
    (s.ClientRestarted(), "the client is made again"),
    (
        s.ClientRestarted(in_new_process=True, has_new_secret=True),
        "the client is made again in a new process, with the new secret",
    ),
    (
        s.UsesArranged(arrangement=s.Arrangement.ONE_IN_FLIGHT),
        "of the next uses, the others begin while the first one waits for its token",
    ),
    (s.EventLoopChanged(), "the client's event loop is closed; the next use has another one"),
    (
        s.FileDamaged(name="token", damage=s.FileDamage.HALF_WRITTEN),
        "the client's file token loses its second half",
    ),
    (s.HomeMadeUnwritable(), "HOME cannot be written: a file stands in its place"),
    (
        s.ClientUsed(operation="get_token", is_forked=True, outcome=s.Raised(error="E")),
        "get_token in a forked child → raised E",
    ),
    (
        s.ClientUsedAtOnce(operation="get_token", count=8, good=8, in_processes=True),
        "get_token, in 8 processes at once → 8 with a valid token, 0 without",
    ),
    (s.ClientMade(), "the client is made"),
    (
        s.ClientMade(client="a", outcome=s.Raised(error="E")),
        "client a: the client is made → raised E",
    ),
    (s.ClientUsed(operation="get_token", outcome=s.Raised(error="E")), "get_token → raised E"),
    (
        s.ClientUsed(
            client="b",
            operation="request",
            method="GET",
            target="/x",
            outcome=s.GotToken(token=1, state="revoked"),
            status=401,
            waited_seconds=3.6,
        ),
        "client b: GET /x → token #1, revoked, status 401 (after 3.6 s)",
    ),
    (
        s.ClientUsedAtOnce(operation="get_token", count=8, good=7),
        "get_token, 8 times at once → 7 with a valid token, 1 without",
    ),
    (
        s.ClientUsedAtOnce(
            operation="get_token", count=8, outcome=s.NeverReturned(seconds=9, requests=0)
        ),
        (
            "get_token, 8 times at once → did not return within 9 s of real time, "
            "and sent no requests"
        ),
    ),
    (s.ReprTaken(outcome=s.DriverEnded(reason="x")), "repr(client) → did not return: x"),
    (
        s.OtherClientAdded(difference="secret"),
        "another client of another secret starts in the same process",
    ),
    (
        s.FaultScripted(endpoint="token", status=401, error="invalid_client"),
        "the token endpoint answers 401 invalid_client",
    ),
    (
        s.FaultScripted(endpoint="token", status=503, retry_after="4", times=2),
        "the token endpoint answers 503 and Retry-After: 4, twice",
    ),
    (
        s.FaultScripted(endpoint="token", status=403, body_type="text/html", times=3),
        "the token endpoint answers 403 with a body of type text/html, 3 times",
    ),
    (
        s.FaultScripted(endpoint="token", status=400, body_type="empty"),
        "the token endpoint answers 400 with an empty body",
    ),
    (
        s.FaultScripted(endpoint="api", status=307, redirects=True, times=1),
        "the API redirects to another origin (307), once",
    ),
    (s.FaultScripted(endpoint="token", manner=Manner.STALL), "the token endpoint never answers"),
    (
        s.FaultScripted(endpoint="token", latency_seconds=3, times=1),
        "the token endpoint takes 3 s to answer, once",
    ),
    (
        s.FaultScripted(endpoint="token", changed={"expires_in": "soon"}, omitted=("scope",)),
        'the token endpoint answers with expires_in="soon", no scope',
    ),
    (
        s.FaultScripted(endpoint="token", breaks_json=True),
        "the token endpoint answers with the first half of the JSON",
    ),
    (
        s.FaultScripted(endpoint="token", manner=Manner.CHUNKED, coding="gzip"),
        "the token endpoint compresses the answer (gzip) and sends the answer in chunks",
    ),
    (s.FaultScripted(endpoint="api"), "the API answers as usual"),
    (s.FaultsCleared(), "the token endpoint works as usual again"),
    (
        s.AnswersDelayed(delays_seconds=(0.5, 0.1)),
        "the next answers of the token endpoint take 0.5, 0.1 s, in this order",
    ),
    (s.AnswerChanged(), "the answer is as documented"),
    (
        s.AnswerChanged(members={"a": [1]}, omitted=("b",), form="blanks", media_type="text/json"),
        "the answer has a=[1], no b; blanks; media type text/json",
    ),
    (s.AnswerChanged(body="is empty"), "the answer is empty"),
    (s.TokenChosen(value="a.b.c"), "the next token is 'a.b.c'"),
    (s.TokensRevoked(), "the broker revokes every token"),
    (s.SecretRotated(client="a"), "the secret of client a is rotated"),
    (
        s.CertificateShown(host="h", is_trusted=False),
        "the broker shows a certificate for h, signed by a CA that no client knows",
    ),
    (
        s.CertificateShown(host="h", is_trusted=True),
        "the broker shows a certificate for h, signed by a CA that the client trusts",
    ),
    (s.IdleConnectionsClosed(), "the server closes the connections that are idle"),
    (
        s.TimeoutConfigured(seconds=0.2),
        "the client is configured with a timeout of 0.2 s",
    ),
    (
        s.CredentialsConfigured(client_id="a b", client_secret="$HOME\\"),
        "the client is configured with client_id 'a b' and client_secret '$HOME\\\\'",
    ),
    (
        s.CredentialsConfigured(client_id="a", client_secret="b" * 61),
        (
            "the client is configured with client_id 'a' and client_secret "
            f"'{'b' * 60}'… (61 characters)"
        ),
    ),
    (s.ScopeConfigured(scope="a b"), "the client is configured with scope 'a b'"),
    (
        s.OtherOriginReached(method="GET", path="/v2", carried="token"),
        "the other origin receives GET /v2 with the token",
    ),
    (s.BreachRepeated(count=2), "seen 2 times; the traffic shows the first"),
    (s.NotRepeated(), "repeated, the same steps did not end like this"),
    (s.Note(text="anything"), "anything"),
]


@pytest.mark.parametrize(("step", "text"), STEPS)
def test_a_step_has_words_and_survives_json(step, text):
    assert step_text(step) == text
    assert msgspec.json.decode(msgspec.json.encode(step), type=s.Step) == step


@pytest.mark.parametrize(("outcome", "text"), OUTCOMES.items())
def test_an_outcome_has_words_and_survives_json(outcome, text):
    assert outcome_text(outcome) == text
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=s.UseOutcome) == outcome


def test_every_kind_is_shown_here():
    assert {type(step) for step, _ in STEPS} == set(get_args(s.Step))
    assert {type(outcome) for outcome in OUTCOMES} == set(get_args(s.UseOutcome))
    texts = {outcome_text(s.GotNoToken(instead=instead)) for instead in s.NothingUsable}
    assert len(texts) == len(s.NothingUsable)


def test_a_reason_is_led_by_what_blocked():
    assert reason_text("late", None) == "late"
    assert reason_text("late", "a.b") == "blocked by a.b: late"
    assert reason_text("", "a.b") == "blocked by a.b"


@pytest.mark.parametrize("manner", Manner)
def test_a_fault_of_every_manner_has_words(manner):
    step = s.FaultScripted(endpoint="token", manner=manner)
    assert manner.words
    assert step_text(step) == f"the token endpoint {manner.words}"
    assert msgspec.json.decode(msgspec.json.encode(step), type=s.FaultScripted) == step
