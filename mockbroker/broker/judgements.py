"""Judging token requests: what is wrong with one, and which client sent it.

A client sends the same token request again and again. Judging takes longer than anything else that
a request needs, so the latest judgements are remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain

from mockbroker.broker.arrivals import Arrival
from mockbroker.broker.clients import ClientRegistry
from mockbroker.broker.mounting import Mounting
from mockbroker.broker.settings import Settings
from mockbroker.broker.used_assertions import UsedAssertions
from mockbroker.contract.authentication import recognise
from mockbroker.contract.authentication.signed_assertion import assertion_in, proven_use
from mockbroker.contract.expectations import TokenExpectation
from mockbroker.contract.judging import judge_token_request
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import Credentials
from mockbroker.model.messages import Request
from mockbroker.model.profile import Profile
from mockbroker.model.remembering import Remembered
from mockbroker.model.token_request import TokenRequest

__all__ = ["Judgement", "RequestJudge"]

REMEMBERED_COUNT = 64
"""How many judgements a broker remembers. Most clients have a single one."""
REMEMBERED_CHARACTERS = 4096
"""The longest request whose judgement is remembered, so that all of them take little memory."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A token request, its breaches, and the client that most likely sent it; None if unknown."""

    request: TokenRequest
    breaches: tuple[Breach, ...]
    credentials: Credentials | None


class RequestJudge:
    """Judges the token requests of one broker by its present settings and clients; thread-safe."""

    def __init__(
        self,
        settings: Settings,
        clients: ClientRegistry,
        mounting: Mounting,
        assertions: UsedAssertions,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._mounting = mounting
        self._assertions = assertions
        # Sound, because a judgement without an assertion depends on the arguments of the function
        # only, and those are immutable: time, tokens and faults are not among them. What a test may
        # change is the state, and a new state begins without results.
        self._remembered = Remembered(_judgement_alone, count=REMEMBERED_COUNT)

    def judge(self, arrival: Arrival) -> Judgement:
        """Judge a request by the clauses, and recognize the client that sent it.

        Its assertion, if it has one, counts as used from then on.
        """
        message = arrival.request
        profile, registered = self._mounting.profile, self._clients.registered
        state = (profile, registered, self._settings.scope)
        path = self._mounting.expected_token_path(message.path)
        judge_alone = (
            self._remembered.of(*state) if _is_short(message) else partial(_judgement_alone, *state)
        )
        found = judge_alone(message, path)
        if isinstance(found, Judgement):
            return found
        expected = TokenExpectation(
            profile,
            path,
            registered,
            state[2],
            received_at=arrival.received_at,
            audiences=self._mounting.audiences(arrival.origin, message),
            is_replayed=self._is_replayed(found, registered, profile),
        )
        return _judgement(found, expected)

    def _is_replayed(
        self, request: TokenRequest, registered: tuple[Credentials, ...], profile: Profile
    ) -> bool:
        """Record the use of the request's assertion; return whether it was used before.

        It counts as used whatever the answer is, as with a real server whose answer was lost.
        """
        use = proven_use(request, registered, profile)
        return bool(use) and not self._assertions.use(use)


def _judgement_alone(
    profile: Profile,
    registered: tuple[Credentials, ...],
    scope: str,
    message: Request,
    token_path: str,
) -> Judgement | TokenRequest:
    """Judge a request without an assertion; return one that has an assertion only taken apart.

    An assertion is judged by the time, by those used before and by the broker's URL besides.
    """
    request = TokenRequest.of(message, profile)
    if assertion_in(request) is not None:
        return request
    return _judgement(request, TokenExpectation(profile, token_path, registered, scope))


def _judgement(request: TokenRequest, expected: TokenExpectation) -> Judgement:
    """Judge a request by all that is expected of it."""
    breaches = judge_token_request(request, expected)
    return Judgement(request, breaches, recognise(request, expected))


def _is_short(message: Request) -> bool:
    """Return whether a request is short enough to be kept with its judgement."""
    size = len(message.body) + len(message.target) + len(message.certificate or b"")
    return size + sum(map(len, chain.from_iterable(message.headers))) <= REMEMBERED_CHARACTERS
