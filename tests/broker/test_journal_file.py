"""Every line of a journal file is complete JSON, whatever came."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockbroker import Broker, Credentials
from mockbroker.cli.journal_file import JournalFile
from mockbroker.model.messages import Headers, Request

SHOP = Credentials("shop", "s3cr:et")
LATIN_1 = st.text(st.characters(max_codepoint=255), max_size=50)
REQUESTS = st.builds(
    Request,
    LATIN_1,
    LATIN_1.map(lambda text: "/v2/" + text),
    st.lists(st.tuples(LATIN_1, LATIN_1), max_size=4).map(Headers.of),
    st.binary(max_size=100),
)


def strict(line: str) -> object:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(line, parse_constant=refuse)


@given(REQUESTS)
def test_whatever_bytes_come_make_a_line_of_json(tmp_path_factory, request_):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    broker = Broker(credentials=SHOP)
    file = JournalFile(path, broker.masked)
    broker.journal.subscribe(file.write)
    broker.handle(request_, "http://b")
    file.close()
    (line,) = path.read_text().splitlines()
    assert strict(line)["number"] == 1


def test_a_time_that_is_none_makes_a_line_of_json_too(tmp_path):
    file = JournalFile(tmp_path / "journal.jsonl", str)
    file.write_refusal(math.nan, "why not")
    file.write_refusal(1e300, "late")
    file.close()
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert [strict(line)["received_at"] for line in lines] == [None, 1e300]


def test_a_line_that_was_left_unfinished_spoils_no_other(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"cut off')
    for why in ("first", "second"):
        file = JournalFile(path, str)
        file.write_refusal(0, why)
        file.close()
    unfinished, *lines = path.read_text().splitlines()
    assert unfinished == '{"cut off'
    assert [strict(line)["refused"] for line in lines] == ["first", "second"]


@pytest.mark.parametrize("cut", [16 * 1024, 32 * 1024])
def test_a_long_body_is_cut_and_what_is_cut_in_two_is_hidden(cut, tmp_path):
    path = tmp_path / "journal.jsonl"
    broker = Broker(credentials=Credentials("shop", "a-secret-of-some-length"))
    file = JournalFile(path, broker.masked)
    broker.journal.subscribe(file.write)
    secret = b"a%2Dsecret%2Dof%2Dsome%2Dlength"
    for shift in range(len(secret)):
        body = b"x" * (cut - shift) + secret + b"x" * 100_000
        broker.handle(Request("POST", "/v2/x", Headers(), body), "http://b")
    file.close()
    for line in path.read_text().splitlines():
        request = strict(line)["request"]
        assert request["body_bytes"] > 100_000
        assert 10_000 < len(request["body"]) < 20_000
        assert set(request["body"]) <= set("x<secret>…")
        assert request["body"].endswith("x…") or cut == 16 * 1024


@pytest.mark.parametrize("place", ["target", "header"])
def test_a_long_target_or_field_is_cut_and_what_is_cut_in_two_is_hidden(place, tmp_path):
    path = tmp_path / "journal.jsonl"
    broker = Broker(credentials=Credentials("shop", "a-secret-of-some-length"))
    file = JournalFile(path, broker.masked)
    broker.journal.subscribe(file.write)
    secret = "a%2Dsecret%2Dof%2Dsome%2Dlength"
    for cut in (4 * 1024, 20 * 1024):
        for shift in range(len(secret)):
            text = "/" + "x" * (cut - 1 - shift) + secret + "x" * 40_000
            fields = Headers.of([("X-A", text)] if place == "header" else [])
            request = Request("GET", text if place == "target" else "/zz", fields)
            broker.handle(request, "http://b")
    file.close()
    for line in path.read_text().splitlines():
        request = strict(line)["request"]
        shown = request["target"] if place == "target" else request["headers"][0][1]
        assert set(shown) <= set("/x<secret>…")
        assert 4_000 < len(shown) <= 4 * 1024 + 1
