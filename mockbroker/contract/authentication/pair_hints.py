"""Likely mistakes in a pair of client_id and secret, however a request carries the pair.

Each method gets the pair out of a request in its own way, and shares these hints. They compare with
every registered client, because a client may have the credentials of another one.
"""

from __future__ import annotations

from collections.abc import Callable

from mockbroker.contract.authentication.method import Hint
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.token_request import TokenRequest

__all__ = [
    "UNKNOWN_CLIENT",
    "Pair",
    "another_secret",
    "client_named",
    "on_pair",
    "sent_twice",
    "surrounded",
    "swapped",
]

UNKNOWN_CLIENT = (
    "no client with that client_id is registered: does it belong to another environment?"
)
"""The hint on a client_id that is not registered."""

Pair = tuple[str, str]
"""A client_id and a secret, as a request carries them; neither need be registered."""


def on_pair(
    hint: Callable[[Pair, TokenExpectation], str], pair_of: Callable[[TokenRequest], Pair]
) -> Hint:
    """Return the hint on a request for a hint on the pair that the request carries."""
    return lambda request, expected: hint(pair_of(request), expected)


def client_named(client_id: str, expected: TokenExpectation) -> Credentials | None:
    """Return the registered client of that id, or None."""
    # The client_id is public, so a plain lookup is enough; only secrets are compared in constant
    # time.
    return next((c for c in expected.credentials if c.client_id == client_id), None)


def swapped(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize a pair in which id and secret are swapped."""
    client_id, secret = pair
    known = client_named(secret, expected)
    if known and same_text(known.client_secret, client_id):
        return "id and secret are swapped: client_id comes first, client_secret second"
    return ""


def surrounded(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize white space or quotes around the id or the secret."""
    causes = {
        # None makes `str.strip` remove white space of any kind.
        None: "there is white space around the id or the secret: was it copied with it?",
        "\"'": "the id or the secret has quotes around it: were they copied from a .env file?",
    }
    for characters, hint in causes.items():
        client_id, secret = (part.strip(characters) for part in pair)
        known = client_named(client_id, expected)
        # A pair that did not change was right before, and has nothing around it.
        if known and same_text(known.client_secret, secret) and pair != (client_id, secret):
            return hint
    return ""


def another_secret(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize a registered client_id with a wrong secret."""
    client_id, secret = pair
    known = client_named(client_id, expected)
    if known is None or same_text(known.client_secret, secret):
        return ""
    if any(same_text(each.client_secret, secret) for each in expected.credentials):
        # The id is quoted, the secret never; it is cut, because a client may send anything as its
        # id.
        return f"the secret belongs to another client than {client_id[:60]!r}"
    if not secret:
        return "the secret is empty: is the variable that holds it set?"
    return f"the client_id {client_id[:60]!r} is registered, but with another secret"


def sent_twice(place: str) -> str:
    """Return the hint on credentials in a second place; they belong in ``place`` only."""
    return f"the credentials are sent twice; send them {place} only"
