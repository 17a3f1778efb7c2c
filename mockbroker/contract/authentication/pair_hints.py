"""Likely mistakes in a pair of client_id and secret, however a request carries the pair.

Each method gets the pair out of a request in its own way, and shares these hints. They compare with
every registered client, because a client may have the credentials of another one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from mockbroker.contract.authentication.altered_pair import altered
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.model.credentials import Credentials, same_text
from mockbroker.model.placeholders import placeholder_in, stands_for_nothing
from mockbroker.model.typography import QUOTES, without_invisible

__all__ = ["Pair", "is_plausible", "left_in", "mistakes_in_pair", "sent_twice"]

Pair = tuple[str, str]
"""A client_id and a secret, as a request carries them; neither need be registered."""

# Pairs that documentation prints. A test may well have a client with the id "client".
_EXAMPLES = frozenset(
    {("username", "password"), ("user", "password"), ("user", "pass"), ("id", "secret")}
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_LONGEST_ID = 60
"""How much of a client_id is quoted: a client may send anything as its id."""


def left_in(place: str, placeholder: str) -> str:
    """Return the hint on a placeholder that is left in some place."""
    return f"a placeholder is left in {place}: {placeholder}; replace it by the value"


def sent_twice(place: str) -> str:
    """Return the hint on credentials in a second place; they belong in ``place`` only."""
    return f"the credentials are sent twice; send them {place} only"


def is_plausible(pair: Pair) -> bool:
    """Return whether the pair may be that of a client: both parts, and no placeholder."""
    return all(pair) and not any(_left_out(pair))


def mistakes_in_pair(pair: Pair, expected: TokenExpectation) -> Iterator[str]:
    """Yield the likely mistakes in a pair; none if it is that of a registered client."""
    if any(_is_pair_of(known, pair) for known in expected.credentials):
        return
    # A placeholder in the id says nothing about the secret, and the other way round.
    names = expected.profile.parameter_names
    ids = frozenset(known.client_id for known in expected.credentials)
    left_out = list(_left_out(pair, names.client_id, ids))
    if left_out:
        # The credentials of a client may look like a placeholder themselves.
        alteration = altered(pair, expected)
        yield from [alteration] if alteration else left_out
        return
    causes = (_swapped, _empty, _surrounded, _repeated, altered, _changed_id, _another_secret)
    unknown = (
        f"no client with that {names.client_id} is registered: does it belong to another "
        "environment?"
    )
    yield next(filter(None, (cause(pair, expected) for cause in causes)), unknown)


def _is_pair_of(known: Credentials, pair: Pair) -> bool:
    """Return whether the pair is exactly that of the client."""
    return known.client_id == pair[0] and same_text(known.client_secret, pair[1])


def _client_named(client_id: str, expected: TokenExpectation) -> Credentials | None:
    """Return the registered client of that id, or None."""
    # The client_id is public, so a plain lookup is enough; only secrets are compared in constant
    # time.
    return next((c for c in expected.credentials if c.client_id == client_id), None)


def _left_out(pair: Pair, id_name: str = "client_id", ids: Collection[str] = ()) -> Iterator[str]:
    """Yield the hints on placeholders, and on words for a missing value, but on none of the ids."""
    if tuple(part.lower() for part in pair) in _EXAMPLES:
        yield left_in("the credentials", ":".join(pair))
        return
    # $env:CLIENT_ID of PowerShell has a colon, at which the pair was divided.
    if pair[0].lower() == "$env":
        yield left_in("the credentials", placeholder_in(":".join(pair)))
        return
    for name, part in {f"the {id_name}": pair[0], "the secret": pair[1]}.items():
        if part in ids:
            continue
        placeholder = placeholder_in(part)
        if placeholder:
            yield left_in(name, placeholder)
        elif stands_for_nothing(part):
            yield f"{name} is the word {part.strip()!r}: is the variable that holds it set?"


def _swapped(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize a pair in which id and secret are swapped."""
    client_id, secret = pair
    known = _client_named(secret, expected)
    if known and same_text(known.client_secret, client_id):
        names = expected.profile.parameter_names
        return (
            f"id and secret are swapped: {names.client_id} comes first, {names.client_secret} "
            "second"
        )
    return ""


def _empty(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize an empty id or an empty secret."""
    if all(pair):
        return ""
    id_name = expected.profile.parameter_names.client_id
    if not any(pair):
        return f"the {id_name} and the secret are empty: are the variables that hold them set?"
    name = "secret" if pair[0] else id_name
    return f"the {name} is empty: is the variable that holds it set?"


def _surrounded(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize white space, quotes, brackets or punctuation around the id or the secret."""
    causes = {
        # None makes `str.strip` remove white space of any kind.
        None: "there is white space around the id or the secret: was it copied with it?",
        QUOTES: "the id or the secret has quotes around it: were they copied from a .env file?",
        "<>[]{}()": "the id or the secret has brackets around it, as a placeholder has",
        ",;.": "punctuation follows the id or the secret: was it copied with it?",
        " \t\r\n" + QUOTES + "<>[]{}(),;.": (
            "there are quotes, white space or brackets around the id or the secret"
        ),
    }
    for characters, hint in causes.items():
        client_id, secret = (part.strip(characters) for part in pair)
        known = _client_named(client_id, expected)
        # A pair that did not change was right before, and has nothing around it.
        if known and same_text(known.client_secret, secret) and pair != (client_id, secret):
            return hint
    return ""


def _repeated(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize a part that is there twice, or has the name of its setting with it."""
    sent = ":".join(pair)
    names = expected.profile.parameter_names
    id_name, both = names.client_id, f"{names.client_id}:{names.client_secret}"
    for known in expected.credentials:
        client_id, secret = known.client_id, known.client_secret
        twice = {
            f"{client_id}:{client_id}:{secret}": f"the {id_name} is there twice",
            f"{client_id}:{secret}:{secret}": "the secret is there twice",
            f"{client_id}:{secret}{secret}": "the secret is there twice",
            f"{client_id}:{client_id}": f"the {id_name} was sent in place of the secret",
            f"{secret}:{secret}": f"the secret was sent in place of the {id_name}",
            f"{client_id}:{client_id}{secret}": f"the {id_name} is there twice",
        }
        for form, hint in twice.items():
            if same_text(form, sent):
                return f"{hint}; send {both}"
        if same_text(without_invisible(sent), f"{client_id}:{secret}"):
            return "there is an invisible character in the id or the secret"
        if not secret or secret not in sent:
            continue
        if sent.startswith(f"{client_id}:{secret}"):
            return f"further characters follow the secret; send {both} alone"
        if sent.endswith(f"{client_id}:{secret}"):
            return f"characters stand before the {id_name}; send {both} alone"
        before, _, after = sent.partition(secret)
        named = re.fullmatch(rf"\W*(\w+\s*[=:]\s*)?{re.escape(client_id)}\W*(\w+\W*)?", before)
        if named and not after.strip(QUOTES + " ,;}"):
            return "the names of the settings were sent with the credentials; send the values only"
    return ""


def _changed_id(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize an id that is nearly that of a client, or the login of a person."""
    client_id, name = pair[0], expected.profile.parameter_names.client_id
    ids = [known.client_id for known in expected.credentials]
    if client_id in ids:
        return ""
    same_secret = [c for c in expected.credentials if same_text(c.client_secret, pair[1])]
    shown = repr(client_id[:_LONGEST_ID])
    if _EMAIL.fullmatch(client_id):
        return f"the {name} is an e-mail address, {shown}: send the {name}, not a login name"
    lowered = {each.lower(): each for each in ids}
    if client_id.lower() in lowered:
        wanted = lowered[client_id.lower()]
        return f"the {name} is {shown}; the registered one is {wanted!r}: case matters"
    if same_secret:
        return f"the secret is that of {same_secret[0].client_id!r}, but the {name} is {shown}"
    near = get_close_matches(client_id, ids, n=1, cutoff=0.75)
    if near and len(client_id) <= _LONGEST_ID:
        return f"the {name} is {shown}, which is not registered; did you mean {near[0]!r}?"
    return ""


def _another_secret(pair: Pair, expected: TokenExpectation) -> str:
    """Recognize a registered client_id with a wrong secret."""
    client_id, secret = pair
    name = expected.profile.parameter_names.client_id
    known = _client_named(client_id, expected)
    if known is None:
        return ""
    if any(same_text(each.client_secret, secret) for each in expected.credentials):
        # The id is quoted, the secret never.
        return f"the secret belongs to another client than {client_id[:_LONGEST_ID]!r}"
    return f"the {name} {client_id[:_LONGEST_ID]!r} is registered, but with another secret"
