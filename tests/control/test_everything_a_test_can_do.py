"""Each public name of what a Python test holds has its endpoint, or a reason why it has none."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mockbroker import Broker, Clock, Fault, Journal
from mockbroker.server.control.fault_body import FaultBody
from mockbroker.server.control.routes import resolve


@dataclass(frozen=True)
class Without:
    """Why a name has no endpoint."""

    reason: str


SERVER_CALLS = Without("the server calls it")
BROKER = {
    "accepted_certificates": SERVER_CALLS,
    "agreed_paths": "PATCH /settings",
    "api": "POST /api/routes",
    "api_calls": "GET /journal",  # ?endpoint=api
    "api_script": "POST /faults/api",
    "api_scripted": "GET /faults",
    "api_url": "GET /",
    "audience": Without("it is the token URL, or what precedes the profile's path in it"),
    "auth": "GET /clients",
    "asks_for_certificates": SERVER_CALLS,
    "is_prompt": SERVER_CALLS,
    "assert_conforms": "POST /conformance/verify",
    "ca_file": "GET /",
    "clear_scripts": "DELETE /faults",
    "clock": "GET /clock",
    "close_idle_connections": "POST /connections/close-idle",
    "control_url": "GET /",
    "end_travel": Without("it moves the test's own process; POST /clock/advance moves the broker"),
    "credentials": "GET /clients",
    "current_use": Without("the contract run sets it, in its own process"),
    "expire_token": "POST /tokens/expire",
    "expires_in": "PATCH /settings",
    "find_token": "POST /tokens/find",
    "handle": SERVER_CALLS,
    "journal": "GET /journal",
    "masked": "POST /mask",
    "mounted_at": SERVER_CALLS,
    "observed": "GET /conformance",
    "plan_faults": Without("serve --scenario does it"),
    "problem_with": "POST /conformance/verify",
    "profile": "PATCH /settings",
    "register": "POST /clients",
    "registered": "GET /clients",
    "release": "POST /release",
    "remove": "DELETE /clients/shop",
    "reset": "POST /reset",
    "revoke_token": "POST /tokens/revoke",
    "revoke_tokens": "POST /tokens/revoke",
    "rotate_signing_key": "POST /keys/rotate",
    "running": Without("the broker runs already"),
    "scope": "PATCH /settings",
    "script": "POST /faults/token",
    "scripted": "GET /faults",
    "shares_state": Without("who starts the processes knows it"),
    "strict": "PATCH /settings",
    "token_answer": "PATCH /settings",
    "token_endings": "GET /events",
    "token_issued_values": "GET /tokens",
    "token_policy": "PATCH /settings",
    "token_requests": "GET /journal",  # ?endpoint=token
    "token_url": "GET /",
    "token_values": "PATCH /settings",
    "tokens": "GET /tokens",
    "trace": "GET /journal",
    "travel": Without("it moves the test's own process; POST /clock/advance moves the broker"),
    "unapplied_faults": "GET /faults",
    "unmounted": SERVER_CALLS,
    "withdraw": "POST /faults/token",  # refuse_seconds, after which a refusal is withdrawn
}
JOURNAL = {
    "assert_seen": "POST /journal/verify",
    "clear": "DELETE /journal",
    "clearings": "GET /events",
    "count": "GET /journal",
    "dropped": "GET /journal",
    "index": "GET /journal",
    "mask": "POST /mask",
    "record": Without("the broker records"),
    "reset": "POST /reset",
    "since": "GET /journal",
    "size": Without("it is given when the broker is made"),
    "size_bytes": Without("it is given when the broker is made"),
    "snapshot": "GET /journal",
    "is_prompt": SERVER_CALLS,
    "subscribe": "GET /events",
    "total": "GET /journal",
}
CLOCK = {
    "advance": "POST /clock/advance",
    "advanced_seconds": "GET /events",
    "now": "GET /clock",
    "reset": "POST /reset",
}
FAULTS = {
    "chunked": "chunked",
    "close_delimited": "close_delimited",
    "compressed": "compressed",
    "flawed_token": "token_flaw",
    "content_type": "content_type",
    "cut_short": "cut_short",
    "delay": "delay_seconds",
    "drip": "drip_seconds",
    "invalid_json": "invalid_json",
    "latency": "latency_seconds",
    "members": "members",
    "redirect": "redirect",
    "refuse": "refuse_seconds",
    "reset": "reset",
    "stall": "stall_seconds",
    "status": "status",
    "times": "times",
}
NOT_AN_EFFECT = {"answers_by_itself", "describe"}


def public(held: object) -> set[str]:
    return {name for name in dir(held) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("held", "table"), [(Broker(), BROKER), (Journal(), JOURNAL), (Clock(), CLOCK)]
)
def test_every_public_name_has_an_endpoint_or_a_reason(held, table):
    assert public(held) == set(table)


def test_every_endpoint_of_the_tables_exists():
    named = [each for table in (BROKER, JOURNAL, CLOCK) for each in table.values()]
    endpoints = [each for each in named if isinstance(each, str)]
    assert [each for each in endpoints if resolve(*each.split(" ")) is None] == []


def test_every_fault_has_its_key():
    fields = set(Fault.__dataclass_fields__)
    assert public(Fault) - fields - NOT_AN_EFFECT == set(FAULTS)
    assert set(FAULTS.values()) <= set(FaultBody.__struct_fields__)
