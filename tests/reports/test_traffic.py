"""The traffic of a finding as lines: what repeats is counted."""

from __future__ import annotations

from mockbroker.model.exchange import Endpoint
from mockbroker.model.exchange_record import ExchangeRecord
from mockbroker.report.wording import exchange_lines


def request_for_token(number: int, status: int = 200) -> ExchangeRecord:
    return ExchangeRecord(
        number=number,
        at_seconds=number / 2,
        endpoint=Endpoint.TOKEN,
        method="POST",
        target="/token",
        scheme="Basic",
        status=status,
        token=number if status == 200 else None,
        expires_in=60 if status == 200 else None,
    )


def refused_call(number: int) -> ExchangeRecord:
    return ExchangeRecord(
        number=number,
        at_seconds=number / 2,
        endpoint=Endpoint.API,
        method="GET",
        target="/v2",
        scheme="Bearer",
        status=401,
        token=number - 1,
        token_state="valid",
    )


def lines_of(*records: ExchangeRecord) -> list[str]:
    return exchange_lines(records, with_times=False)


def test_equal_requests_are_counted_whatever_their_tokens_are():
    lines = lines_of(*(request_for_token(number) for number in range(1, 9)))
    assert lines[0].startswith("#1 POST /token")
    assert lines[0].endswith("token #1, expires_in=60")
    assert lines[1:] == ["#2 to #8: the same, 7 times"]


def test_two_requests_in_turn_are_counted_as_a_pair():
    records = [request_for_token(n) if n % 2 else refused_call(n) for n in range(1, 12)]
    lines = lines_of(*records)
    assert [line.partition(" ")[0] for line in lines] == ["#1", "#2", "#3", "#11"]
    assert lines[2] == "#3 to #10: the same two, 4 times"


def test_what_differs_is_listed():
    records = [request_for_token(1), request_for_token(2), request_for_token(3, 503)]
    assert len(lines_of(*records)) == 3


def test_a_counted_line_keeps_the_time_of_the_first():
    lines = exchange_lines([request_for_token(n) for n in (1, 2, 3)], with_times=True)
    assert [line.partition("  ")[0] for line in lines] == ["+0.50 s", "#2 to #3: the same, 2 times"]
