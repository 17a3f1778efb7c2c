"""What Redis stores of tokens, clients, faults and exchanges: typed records, as MessagePack.

A string may have half of a surrogate pair, and a fault numbers of any size. MessagePack has
neither, so such a record is JSON.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, TypeVar, Union

import msgspec

from mockbroker.broker.faults import Fault, Manner, TokenFlaw
from mockbroker.model.credentials import AccessToken, Credentials
from mockbroker.model.exchange import Exchange
from mockbroker.model.typed_reading import read

__all__ = [
    "client_of",
    "client_record",
    "exchange_of",
    "exchange_record",
    "fault_of",
    "fault_record",
    "octets",
    "token_of",
    "token_record",
]

T = TypeVar("T")
_JSON_OPENINGS = (b"{", b"[")
"""In MessagePack these bytes are numbers, and no record is a number."""

_Seconds = Union[int, float]
_Token = tuple[str, str, str, str, str, _Seconds, _Seconds, str, bool, Union[_Seconds, None]]
_Client = tuple[str, str, str, str, str, str, str, str]


class _FaultRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A fault without its count; what JSON can have any value stands as a string of JSON.

    At most one of the bodies is not None.
    """

    status_code: int | None = None
    body_bytes: bytes | None = None
    body_text: str | None = None
    body_json: str | None = None
    headers: list[tuple[str, str]] = []
    changes_json: str = "{}"
    omit: list[str] = []
    media_type: str | None = None
    breaks_json: bool = False
    token_flaw: TokenFlaw | None = None
    manner: Manner = Manner.NORMAL
    coding: str = ""
    spread_seconds: float = 0.0
    delay_seconds: float = 0.0
    latency_seconds: float = 0.0


_encode = msgspec.msgpack.Encoder().encode
_token_decoder = msgspec.msgpack.Decoder(_Token)
_client_decoder = msgspec.msgpack.Decoder(_Client)
_exchange_decoder = msgspec.msgpack.Decoder(Exchange)


def octets(text: str) -> bytes:
    """Return the string in UTF-8, halves of surrogate pairs included, as a key or a member."""
    return text.encode("utf-8", "surrogatepass")


def _encoded(value: object) -> bytes:
    """Return a record."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(msgspec.to_builtins(value)).encode()


def _decoded(record: bytes, decoder: msgspec.msgpack.Decoder[T], kind: Any) -> T:
    """Return the value of a record."""
    if not record.startswith(_JSON_OPENINGS):
        return decoder.decode(record)
    value: T = msgspec.convert(json.loads(record), kind)
    return value


def token_record(
    token: AccessToken, *, is_given: bool, previous_ends_at: float | None = None
) -> bytes:
    """Return the record of a token without its number, which Redis gives.

    ``previous_ends_at`` is when the client's previous token ends, in Unix seconds, or None.
    """
    client = token.credentials
    return _encoded(
        (
            token.value,
            token.issuer,
            client.client_id,
            client.client_secret,
            token.scope,
            token.issued_at,
            token.expires_in,
            token.bound_to,
            is_given,
            previous_ends_at,
        )
    )


def token_of(numbered: bytes) -> tuple[AccessToken, bool, float | None]:
    """Return the token of a number, a colon and a record, and the other facts of `token_record`."""
    number, _, record = numbered.partition(b":")
    (
        value,
        issuer,
        client_id,
        secret,
        scope,
        issued_at,
        expires_in,
        bound_to,
        is_given,
        ends_at,
    ) = _decoded(record, _token_decoder, _Token)
    client = Credentials(client_id, secret)
    token = AccessToken(value, int(number), issuer, client, scope, issued_at, expires_in, bound_to)
    return token, is_given, ends_at


def client_record(credentials: Credentials) -> bytes:
    """Return the record of a client."""
    return _encoded(
        (
            credentials.client_id,
            credentials.client_secret,
            credentials.private_key,
            credentials.key_id,
            credentials.public_keys,
            credentials.certificate,
            credentials.certificate_file,
            credentials.key_file,
        )
    )


def client_of(record: bytes) -> Credentials:
    """Return the client of a record."""
    return Credentials(*_decoded(record, _client_decoder, _Client))


def exchange_record(exchange: Exchange) -> bytes:
    """Return the record of an exchange; its number is not read back."""
    return _encoded(exchange)


def exchange_of(record: bytes, number: int) -> Exchange:
    """Return the exchange of a record, with the number that Redis gave it."""
    exchange = _decoded(record, _exchange_decoder, Exchange)
    breaches = tuple(replace(breach, exchanges=(number,)) for breach in exchange.breaches)
    token = exchange.token
    if token is not None and float(token.expires_in).is_integer():
        # The declared type is float, so that the record's 3599 was read as 3599.0.
        token = replace(token, expires_in=int(token.expires_in))
    return replace(exchange, number=number, breaches=breaches, token=token)


def fault_record(fault: Fault) -> bytes:
    """Return the record of a fault without its count, which Redis counts down."""
    body = fault.body
    is_members = not (body is None or isinstance(body, (bytes, str)))
    return _encoded(
        _FaultRecord(
            status_code=fault.status_code,
            body_bytes=body if isinstance(body, bytes) else None,
            body_text=body if isinstance(body, str) else None,
            body_json=json.dumps(body) if is_members else None,
            headers=list(fault.headers),
            changes_json=json.dumps(fault.changes),
            omit=list(fault.omit),
            media_type=fault.media_type,
            breaks_json=fault.breaks_json,
            token_flaw=fault.token_flaw,
            manner=fault.manner,
            coding=fault.coding,
            spread_seconds=fault.spread_seconds,
            delay_seconds=fault.delay_seconds,
            latency_seconds=fault.latency_seconds,
        )
    )


def fault_of(record: bytes, count: int) -> Fault:
    """Return the fault of a record. Raises ReadingError if the record is malformed."""
    is_json = record.startswith(_JSON_OPENINGS)
    value = json.loads(record) if is_json else msgspec.msgpack.decode(record)
    found = read(value, _FaultRecord, "a fault in Redis")
    body = found.body_bytes if found.body_text is None else found.body_text
    return Fault(
        status_code=found.status_code,
        body=body if found.body_json is None else json.loads(found.body_json),
        headers=tuple(found.headers),
        changes=json.loads(found.changes_json),
        omit=tuple(found.omit),
        media_type=found.media_type,
        breaks_json=found.breaks_json,
        token_flaw=found.token_flaw,
        manner=found.manner,
        coding=found.coding,
        spread_seconds=found.spread_seconds,
        delay_seconds=found.delay_seconds,
        latency_seconds=found.latency_seconds,
        count=count,
    )
