"""The broker: it judges requests, issues tokens and remembers; it knows no HTTP framework."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

from mockbroker.broker.answers import Reply, TokenAnswer, dated, json_response
from mockbroker.broker.arrivals import Arrival, Outcome, exchange_of, faulty_reply
from mockbroker.broker.clock import Clock, SupportsClock
from mockbroker.broker.conformance import assert_conforms
from mockbroker.broker.faults import Fault, FaultScript
from mockbroker.broker.journal import SIZE_BYTES, Journal
from mockbroker.broker.profiles import profile_named
from mockbroker.broker.protected_api import forbidden, is_agreed, presented_token, sample_answer
from mockbroker.broker.refusals import (
    api_refusal,
    default_api_error,
    default_token_error,
    token_refusal,
)
from mockbroker.broker.tokens import TOKEN_LIMIT, TokenStore, random_jwt, random_token
from mockbroker.contract.authentication import recognise
from mockbroker.contract.clause import Level
from mockbroker.contract.expectations import ApiExpectation, TokenExpectation
from mockbroker.contract.judging import judge_api_call, judge_token_request
from mockbroker.model.breach import Breach
from mockbroker.model.credentials import AccessToken, Credentials, TokenState
from mockbroker.model.exchange import Endpoint, Exchange, Trace
from mockbroker.model.masking import mask, shown
from mockbroker.model.messages import Request, Response
from mockbroker.model.profile import Profile, lifetime_problem
from mockbroker.model.token_request import TokenRequest

if TYPE_CHECKING:
    from mockbroker.server.certificates import ServerCertificate
    from mockbroker.server.listener import Server

__all__ = ["Broker"]

SHORT_TOKEN_PATH = "/request-token"  # noqa: S105 - a path, no password


class Broker:
    """A fake auth-broker: a token endpoint and a protected API.

    ``profile`` is a `Profile` or the name of one that ships. ``credentials`` are random unless
    given. ``expires_in`` is the lifetime, in seconds, of tokens issued from now on; the profile
    says it unless given. A ``strict`` broker refuses what is wrong with a request; a lenient one
    records it and answers as if the request were right.

    ``journal_size`` and ``journal_bytes`` limit how many exchanges are remembered, and about how
    much memory they take; ``token_limit`` limits the number of tokens. Beyond it the broker
    forgets tokens, those that have expired or were revoked first: a forgotten one is refused as
    too old to be remembered.

    Raises ValueError if ``expires_in`` is no finite number from 0, a limit is less than 1, or the
    client_id has a colon; TypeError if the credentials are no texts.
    """

    def __init__(
        self,
        *,
        profile: str | Profile = "autograb",
        credentials: Credentials | None = None,
        expires_in: float | None = None,
        strict: bool = True,
        clock: SupportsClock | None = None,
        journal_size: int = 1000,
        journal_bytes: int = SIZE_BYTES,
        token_limit: int = TOKEN_LIMIT,
    ) -> None:
        self.profile = profile_named(profile) if isinstance(profile, str) else profile
        self._own_credentials = _checked(credentials or _random_credentials())
        self._own_clock = Clock()
        self._given_clock = clock
        self.journal = Journal(journal_size, size_bytes=journal_bytes, mask=self.masked)
        self._settings = (self.profile.expires_in if expires_in is None else expires_in, strict)
        self._tokens = TokenStore(token_limit)
        self._script = FaultScript()
        self._api_script = FaultScript()
        self._released = threading.Event()
        self._base_url = self._prefix = ""
        self.ca_file: str | None = None
        """The certificate, in PEM, that clients must trust to reach the broker over TLS."""
        self._lock = threading.Lock()
        self._use_settings()

    def _use_settings(self) -> None:
        self.credentials = self._own_credentials
        self.expires_in, self.strict = self._settings
        self._own_clock.reset()
        self.clock: SupportsClock = self._given_clock or self._own_clock
        self.scope = ""
        self.token_answer = TokenAnswer()
        self.token_values: Callable[[], str] | None = None
        self.agreed_paths: Sequence[str] = ("/",)
        self.current_use: int | None = None
        self._registered: tuple[Credentials, ...] = (self.credentials,)

    # What a test sets up

    @property
    def expires_in(self) -> float:
        """The lifetime, in seconds, of tokens issued from now on.

        Setting it raises ValueError unless it is a finite number from 0.
        """
        return self._expires_in

    @expires_in.setter
    def expires_in(self, seconds: float) -> None:
        problem = lifetime_problem(seconds)
        if problem:
            raise ValueError(problem)
        self._expires_in = seconds

    def register(self, client_id: str, client_secret: str) -> Credentials:
        """Let another client ask for tokens; a known client_id gets the new secret instead.

        Raises ValueError if the client_id has a colon, which Basic cannot carry (RFC 7617, 2),
        and TypeError if either is no text.
        """
        credentials = _checked(Credentials(client_id, client_secret))
        with self._lock:
            others = tuple(c for c in self._registered if c.client_id != client_id)
            kept_first = self._registered[0].client_id == client_id
            self._registered = (credentials, *others) if kept_first else (*others, credentials)
        return credentials

    @property
    def registered(self) -> tuple[Credentials, ...]:
        """The credentials of every client that may ask for tokens."""
        return self._registered

    def script(self, *faults: Fault) -> None:
        """Play these faults at the next answers of the token endpoint."""
        self._script.extend(faults)

    def api_script(self, *faults: Fault) -> None:
        """Play these faults at the next answers of the API."""
        self._api_script.extend(faults)

    def clear_scripts(self) -> None:
        """Play none of the faults that still wait."""
        self._script.clear()
        self._api_script.clear()

    def revoke_tokens(self) -> None:
        """Make every token issued so far worthless."""
        self._tokens.revoke_all()

    def reset(self) -> None:
        """Return to the state in which the broker was made; stalled answers end at once.

        Subscriptions to the journal end. A clock that was passed in is left alone.
        """
        self.release()
        self.clear_scripts()
        self._tokens.clear()
        self.journal.reset()
        self._use_settings()

    def release(self) -> None:
        """End at once every answer that is delayed, stalled or dripping."""
        with self._lock:
            self._released.set()
            self._released = threading.Event()

    # What a test looks at

    @property
    def token_url(self) -> str:
        """Where clients ask for tokens. Raises RuntimeError while no server carries the broker."""
        return self._mounted_base() + self.profile.token_path

    @property
    def api_url(self) -> str:
        """The base URL of the API. Raises RuntimeError while no server carries the broker."""
        return self._mounted_base() + self.profile.api_prefix

    @property
    def token_requests(self) -> tuple[Exchange, ...]:
        """The exchanges with the token endpoint that the journal still holds."""
        return self.trace().token_requests

    @property
    def api_calls(self) -> tuple[Exchange, ...]:
        """The exchanges with the API that the journal still holds."""
        return self.trace().api_calls

    def trace(self) -> Trace:
        """Everything in the journal, as a value that can be judged."""
        return Trace(self.journal.snapshot())

    def find_token(self, value: str) -> tuple[AccessToken | None, TokenState]:
        """The token of exactly that value and its state now.

        If there is none, it is None, and the state UNKNOWN, or FORGOTTEN beyond the token limit.
        """
        token = self._tokens.find(value)
        if token is None:
            return None, self._tokens.state_of_missing(value)
        return token, self._tokens.state(token, self.clock.now())

    def assert_conforms(self, fail_on: Level = Level.MUST) -> None:
        """Assert that what was seen breaks no clause as binding as ``fail_on``.

        Raises AssertionError with the breaches and the exchanges that show them, secrets masked;
        also if no token was asked for, because then nothing was shown.
        """
        __tracebackhide__ = True
        assert_conforms(self.trace(), fail_on, self.profile, self.masked)

    @property
    def token_issued_values(self) -> Collection[str]:
        """The values of the tokens issued, those forgotten left out; they grow with the next."""
        return self._tokens.index

    def masked(self, text: str) -> str:
        """Return the text with every secret and every token of this broker replaced.

        They are found in any usual encoding. The cost does not grow with the number of tokens.
        """
        return mask(text, self._registered, self._tokens.index)

    def _without_secrets(self, breaches: Sequence[Breach]) -> tuple[Breach, ...]:
        return tuple(
            replace(
                breach,
                what=self.masked(breach.what),
                expected=self.masked(breach.expected),
                hint=self.masked(breach.hint),
            )
            for breach in breaches
        )

    # Where it listens

    @contextlib.contextmanager
    def running(
        self, host: str = "127.0.0.1", port: int = 0, *, tls: ServerCertificate | None = None
    ) -> Iterator[Broker]:
        """Serve the broker in a thread while the block runs; port 0 takes a free one.

        With a ``tls`` certificate (`throw_away_certificate` makes one) it speaks HTTPS only.
        Raises OSError if the address cannot be had.
        """
        from mockbroker.server.listener import Server  # noqa: PLC0415 - the shell is loaded when needed

        server: Server
        with Server(host, port, tls=tls) as server:
            server.mount(self)
            yield self

    def mounted_at(self, origin: str, prefix: str, ca_file: str | None = None) -> None:
        """Told by the server: the broker's URLs begin with these, and who signed for them."""
        with self._lock:
            self.ca_file = ca_file
            self._base_url, self._prefix = origin + prefix, prefix
            if self._released.is_set():
                self._released = threading.Event()

    def unmounted(self) -> None:
        """Told by the server: the broker has no URLs any more, and nothing may stall."""
        with self._lock:
            self._base_url = ""
            self._released.set()

    def _mounted_base(self) -> str:
        if not self._base_url:
            raise RuntimeError("the broker is not running; use `with broker.running():`")
        return self._base_url

    # What the shell asks

    def handle(self, request: Request, origin: str) -> Reply:
        """Answer a request to any path below the broker's prefix."""
        path = request.path.removeprefix(self._prefix)
        if self._is_token_path(path):
            return self.handle_token_request(request, origin)
        if (path + "/").startswith(self.profile.api_prefix.rstrip("/") + "/"):
            return self.handle_api_call(request, origin)
        return self._handle_elsewhere(request, origin)

    def _is_token_path(self, path: str) -> bool:
        if path in {self.profile.token_path, SHORT_TOKEN_PATH}:
            return True
        return _last_part(path) == _last_part(self.profile.token_path)

    def _arrival(
        self, endpoint: Endpoint, request: Request, origin: str, script: FaultScript | None = None
    ) -> Arrival:
        return Arrival(
            endpoint=endpoint,
            request=request,
            origin=origin,
            received_at=self.clock.now(),
            fault=None if script is None else script.next(),
            released=self._released,
        )

    def handle_token_request(self, request: Request, origin: str) -> Reply:
        """Answer a request for a token, and record the exchange."""
        arrival = self._arrival(Endpoint.TOKEN, request, origin, self._script)
        expectation = self._token_expectation(request)
        parts = TokenRequest.of(request)
        outcome = Outcome(
            response=default_token_error(arrival.scripted_status),
            breaches=judge_token_request(parts, expectation),
            credentials=recognise(parts, expectation),
        )
        if arrival.needs_answer:
            outcome = self._answer_token_request(arrival, outcome)
        return self._finish(arrival, outcome)

    def _token_expectation(self, request: Request) -> TokenExpectation:
        path = self._prefix + self.profile.token_path
        if self.profile.name == "autograb" and request.path == SHORT_TOKEN_PATH:
            path = SHORT_TOKEN_PATH
        return TokenExpectation(self.profile, path, self._registered, self.scope)

    def _answer_token_request(self, arrival: Arrival, seen: Outcome) -> Outcome:
        if self.strict:
            refusal = token_refusal(arrival.request, self._without_secrets(seen.breaches))
            if refusal is not None:
                return replace(seen, response=refusal)
        credentials = seen.credentials or self._registered[0]
        token = self._issue(credentials, arrival.origin + self._prefix + self.profile.token_path)
        response = self.token_answer.response(self._documented_members(token))
        return replace(seen, response=response, credentials=credentials, token=token)

    def _issue(self, credentials: Credentials, issuer: str) -> AccessToken:
        now, lifetime = self.clock.now(), self.expires_in
        if self.token_values is not None:
            value = self.token_values()
        elif self.profile.token_format == "jwt":  # noqa: S105 - a format, no password
            value = random_jwt(issuer, credentials.client_id, now, lifetime)
        else:
            value = random_token()
        return self._tokens.issue(
            value,
            issuer=issuer,
            credentials=credentials,
            scope=self.scope or self.profile.scope or "",
            issued_at=now,
            expires_in=lifetime,
        )

    def _documented_members(self, token: AccessToken) -> dict[str, object]:
        members: dict[str, object] = {
            "access_token": token.value,
            "expires_in": _whole(token.expires_in),
            "scope": token.scope,
            "token_type": "bearer",
        }
        if self.profile.scope is False:
            del members["scope"]
        return members

    def handle_api_call(self, request: Request, origin: str) -> Reply:
        """Answer a call to the protected API, and record the exchange."""
        arrival = self._arrival(Endpoint.API, request, origin, self._api_script)
        expectation = ApiExpectation(self._tokens.index, self._registered)
        token, state = presented_token(request, self._tokens, arrival.received_at)
        outcome = Outcome(
            response=default_api_error(arrival.scripted_status, arrival.received_at),
            breaches=judge_api_call(request, expectation),
            credentials=token.credentials if token else None,
            token=token,
            token_state=state,
        )
        if arrival.needs_answer:
            outcome = replace(outcome, response=self._answer_api_call(request, outcome))
        return self._finish(arrival, outcome)

    def _answer_api_call(self, request: Request, seen: Outcome) -> Response:
        state = seen.token_state or TokenState.MISSING
        breaches = self._without_secrets(seen.breaches) if self.strict else ()
        if not self.strict and state is TokenState.EXPIRED:
            state = TokenState.VALID
        refusal = api_refusal(state, breaches)
        if refusal is not None:
            return refusal
        path = request.path.removeprefix(self._prefix).removeprefix(self.profile.api_prefix)
        if not is_agreed(path, self.agreed_paths):
            return forbidden(self.masked(shown(request.path)))
        return sample_answer(request, path, self.masked)

    def _handle_elsewhere(self, request: Request, origin: str) -> Reply:
        message = (
            f"nothing at {self.masked(shown(request.path))}: "
            f"tokens are at {self._prefix}{self.profile.token_path}, "
            f"the API is below {self._prefix}{self.profile.api_prefix}/"
        )
        outcome = Outcome(response=json_response(404, {"error": True, "message": message}))
        return self._finish(self._arrival(Endpoint.ELSEWHERE, request, origin), outcome)

    def _finish(self, arrival: Arrival, outcome: Outcome) -> Reply:
        response = dated(outcome.response, arrival.received_at)
        reply = Reply(response=response, released=arrival.released)
        if arrival.fault is not None:
            if arrival.fault.latency_seconds:
                self.clock.advance(arrival.fault.latency_seconds)
            reply = faulty_reply(reply, arrival.fault)
        answered_at, use = self.clock.now(), self.current_use
        told = partial(exchange_of, arrival, outcome, reply, answered_at=answered_at, use=use)
        self.journal.record(told)
        return reply


def _whole(seconds: float) -> float:
    """The number as an int where it is one, so that JSON says 3599 and not 3599.0."""
    return int(seconds) if float(seconds).is_integer() else seconds


def _last_part(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2].lower()


def _random_credentials() -> Credentials:
    return Credentials(f"client-{token_hex(4)}", token_hex(16))


def _checked(credentials: Credentials) -> Credentials:
    named = {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
    for name, value in named.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not of type {type(value).__name__}")
    if ":" in credentials.client_id:
        raise ValueError(
            f"client_id {credentials.client_id!r} has a colon, which Basic cannot carry "
            "(RFC 7617, 2)"
        )
    return credentials
