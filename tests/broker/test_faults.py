"""Faults as values."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from mockbroker import Fault
from mockbroker.broker.faults import FaultScript
from tests.broker.stores import BOTH

STORES = BOTH


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.status(503), "status 503"),
        (Fault.delay(2), "delay 2 s"),
        (Fault.stall(0.5), "stall 0.5 s"),
        (Fault.reset(), "reset"),
        (Fault.cut_short(), "cut short"),
        (Fault.drip(1), "drip 1 s"),
        (Fault.chunked(), "chunked"),
        (Fault.close_delimited(), "close-delimited"),
        (Fault.chunked() & Fault.compressed("deflate"), "deflate + chunked"),
        (Fault.latency(3), "clock +3 s"),
        (Fault.invalid_json(), "invalid JSON"),
        (Fault.members(omit=["scope"], expires_in=1), "members changed: expires_in, no scope"),
        (Fault.flawed_token("key"), "flawed token: key"),
        (Fault.content_type("text/html"), "content type 'text/html'"),
        (Fault.redirect("http://x/"), "status 307"),
        (Fault.delay(2) & Fault.status(503), "delay 2 s + status 503"),
        (Fault.status(500) & Fault.status(503), "status 503"),
    ],
)
def test_a_fault_says_what_it_does(fault, text):
    assert fault.describe() == text


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault.status(199),
        lambda: Fault.status(600),
        lambda: Fault.redirect("/x", 200),
        lambda: Fault.delay(-1),
        lambda: Fault.stall(float("inf")),
        lambda: Fault.latency(float("nan")),
        lambda: Fault.reset().times(0),
        lambda: Fault.compressed("br"),
        lambda: Fault.refuse().times(2),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(make):
    with pytest.raises(ValueError, match=r"not|least"):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fault.stall("1"), "seconds must be a finite number >= 0, not '1'"),
        (lambda: Fault.status("503"), "status must be an integer from 200 to 599, not '503'"),
        (lambda: Fault.reset().times("2"), "count must be an integer >= 1, not '2'"),
    ],
)
def test_a_number_of_a_wrong_type_is_named_with_what_was_expected(make, message):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == message


def test_the_documentation_has_a_row_for_every_fault():
    page = (Path(__file__).parents[2] / "docs/in-tests.md").read_text(encoding="utf-8")
    makers = [name for name, value in vars(Fault).items() if isinstance(value, classmethod)]
    missing = [name for name in makers if f"`Fault.{name}(" not in page]
    assert makers
    assert not missing


def test_a_script_plays_each_fault_as_often_as_it_says(new_state):
    script = new_state().token_script
    script.extend([Fault.reset().times(2), Fault.status(500)])
    assert len(script) == 3
    played = [script.next() for _ in range(4)]
    assert [f and f.describe() for f in played] == ["reset", "reset", "status 500", None]
    script.extend([Fault.reset()])
    script.clear()
    assert script.next() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "a\r\nb"), ("X", "a\0"), ("X\n", "a"), ("X", "€"), ("Ж", "a"), ("", "a"), ("X", " a")],
)
def test_a_header_that_cannot_be_sent_is_refused(name, value):
    with pytest.raises(ValueError, match=r"is not a valid (name|value of 'X') in a header"):
        Fault.status(503, headers={name: value})


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
def test_a_header_that_says_where_the_message_ends_is_refused(name):
    with pytest.raises(ValueError, match=f"the server sets {name} by the body that it sends"):
        Fault.status(503, headers={name: "1"})


@pytest.mark.parametrize("media_type", ["text/html\r\nX: y", "text/€"])
def test_a_content_type_that_cannot_be_sent_is_refused(media_type):
    with pytest.raises(ValueError, match="value of 'Content-Type'"):
        Fault.content_type(media_type)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault.status(503, body={"a": object()}),
        lambda: Fault.status(503, body={"a": "\ud800"}),
        lambda: Fault.status(503, body=[1]),
        lambda: Fault.status(503, headers={"Retry-After": 5}),
        lambda: Fault.members(a={1, 2}),
        lambda: Fault.members(omit="scope"),
        lambda: Fault.status("503"),
        lambda: Fault.status(True),
        lambda: Fault.redirect("/x", "307"),
        lambda: Fault.stall("1"),
        lambda: Fault.delay("2"),
        lambda: Fault.latency(None),
        lambda: Fault.drip(True),
        lambda: Fault.reset().times("2"),
        lambda: FaultScript().extend([503]),
        lambda: FaultScript().extend([Fault.reset]),
    ],
)
def test_what_cannot_be_played_is_refused_at_once(make):
    with pytest.raises(TypeError, match=r"not|no JSON"):
        make()


@pytest.mark.parametrize(
    ("fault", "content_type", "body"),
    [
        (Fault.status(502, body="Bad"), "text/plain; charset=utf-8", b"Bad"),
        (Fault.status(502, body=b"<p>", headers={"Content-Type": "a/b"}), "a/b", b"<p>"),
        (Fault.status(502, body=b""), None, b""),
        (Fault.status(502, body={"error": "x"}), "application/json", b'{"error": "x"}'),
        (Fault.status(502, body="Bad") & Fault.members(a=1), "text/plain; charset=utf-8", b"Bad"),
        (Fault.status(502, body="[1]") & Fault.members(a=1), "text/plain; charset=utf-8", b"[1]"),
        (Fault.status(502, body={"a": 1, "b": 2}) & Fault.members(omit=["a"], b=3), None, None),
    ],
)
def test_a_scripted_body_is_sent_with_its_media_type(broker, fault, content_type, body):
    broker.script(fault)
    answer = requests.post(broker.token_url, timeout=5)
    assert answer.status_code == 502
    if body is None:
        assert answer.json() == {"b": 3}
    else:
        assert (answer.headers.get("Content-Type"), answer.content) == (content_type, body)


def test_the_faults_that_no_answer_has_had_are_known(broker):
    used, unused = Fault.status(503).times(3), Fault.delay(1).times(2)
    broker.script(Fault.status(500), used, unused)
    broker.api_script(Fault.reset())
    for _ in range(2):
        requests.post(broker.token_url, timeout=5)
    assert broker.unapplied_faults == (unused, Fault.reset())
    for _ in range(2):
        requests.post(broker.token_url, timeout=5)
    assert broker.unapplied_faults == (unused, Fault.reset())
    broker.clear_scripts()
    assert broker.unapplied_faults == ()
    broker.script(Fault.refuse(), Fault.status(500))
    assert broker.unapplied_faults == (Fault.status(500),)
