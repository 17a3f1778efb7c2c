"""Checks of a driver's operations, step by step, before any clause is judged.

They need a client that works. A problem is blamed on the driver only if no behavior of the client
could explain it.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mockbroker.broker.faults import Fault
from mockbroker.fake_broker import Broker
from mockbroker.model.api_call import carrier_of
from mockbroker.model.client import ClientConfig
from mockbroker.model.credentials import Credentials, TokenState
from mockbroker.model.masking import mask
from mockbroker_contract.drivers.conversation import ProgramDied, ProgramSilent
from mockbroker_contract.drivers.driver import GET_TOKEN, REQUEST
from mockbroker_contract.drivers.program import Program
from mockbroker_contract.drivers.program_driver import ProgramClients, in_words, introduction_of
from mockbroker_contract.drivers.protocol import (
    CAPABILITIES,
    Hello,
    ProtocolError,
    Reply,
    config_members,
)
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.harness.preflight import checked_run
from mockbroker_contract.harness.settings import RunSettings

__all__ = ["DriverCheck", "check_driver"]

_CREDENTIALS = Credentials("driverclient", "drivers3cret")
_REFUSAL = Fault.status(401, body={"error": "invalid_client"})
# As long as a run allows for one operation by default.
_DEADLINE_SECONDS = 10.0
# As many as the clauses on concurrent uses start.
_AT_ONCE = 8
_LIFETIME = 3600


@dataclass(frozen=True, slots=True)
class DriverCheck:
    """Step that was checked, and the problem found, in words.

    ``is_skipped`` is True if the driver does not offer the operation, or if the client may be the
    cause. Secrets and tokens in the strings are masked.
    """

    what: str
    problem: str = ""
    is_skipped: bool = False


class _Wrong(Exception):  # noqa: N818 - a finding
    """A well-formed answer that contradicts what the broker received."""


class _Inconclusive(Exception):  # noqa: N818 - a finding
    """An unexpected answer that the client may have caused, so that the driver is not at fault."""


def check_driver(argv: Sequence[str], copies: Sequence[str] = ()) -> Iterator[DriverCheck]:
    """Check a driver's operations in order; after a failure, yield the rest as skipped.

    The driver's folder has copies of the files and folders that ``copies`` names. Raises OSError if
    the program cannot be started, TargetError if something cannot be copied.

    The generator owns the program and the sandbox; both end when it is exhausted or closed.
    """
    # The broker is lenient, because a client's mistakes are not the driver's fault.
    with (
        Broker(credentials=_CREDENTIALS, strict=False).running() as broker,
        contextlib.closing(Sandbox(copies)) as sandbox,
    ):
        # The program directly, without `ProgramClients`: that restarts a program after a failure,
        # which would hide what is checked here.
        program = Program(argv, sandbox, sandbox.environment())
        trial = _DriverTrial(program, broker)
        try:
            yield from trial.run()
        finally:
            program.kill()
    # After the checks, because this starts the program again, under each clock in turn.
    if trial.wants_a_clock:
        yield _what_moves_its_time(argv, copies)


def _what_moves_its_time(argv: Sequence[str], copies: Sequence[str]) -> DriverCheck:
    """Return by what a check would move the time of the driver's client."""
    settings = RunSettings(copies=tuple(copies))
    with checked_run(ProgramClients(argv), settings) as run:
        if run.time.is_virtual:
            return DriverCheck(f"a check moves the time of the client by {run.time.kind}")
    what = "a check moves the time of the client"
    waits = "nothing can: only tokens that expire within seconds are tested"
    return DriverCheck(what, waits, is_skipped=True)


class _DriverTrial:
    """One program that is checked with one broker."""

    def __init__(self, program: Program, broker: Broker) -> None:
        self._program = program
        self._broker = broker
        self._names = map("client-{}".format, itertools.count(1))
        self._offered: tuple[str, ...] = ()
        self._is_over = False

    @property
    def wants_a_clock(self) -> bool:
        """Whether the driver works, and does not move the time of its client by itself."""
        return bool(self._offered) and "clock" not in self._offered and not self._is_over

    def run(self) -> Iterator[DriverCheck]:
        first = self._tried("hello introduces the driver", self._hello)
        yield first
        # Without an introduction it is unknown which operations the driver offers.
        if first.problem:
            return
        steps: list[tuple[str, str, Callable[[], None]]] = [
            # From the simplest operation to those that need it, so that the first problem shown is
            # the cause.
            ("", "open makes a client from a config", self._open),
            (GET_TOKEN, "get_token returns the token that the broker issued", self._get_token),
            (
                GET_TOKEN,
                "get_token distinguishes clients: two clients get two tokens",
                self._two_clients,
            ),
            (REQUEST, "request makes a signed call and returns its status", self._request),
            (REQUEST, "request passes method, headers and body on", self._request_with_body),
            ("burst", f"burst returns {_AT_ONCE} tokens", self._burst),
            ("clock", "advance moves the clock: a token expires", self._advance),
            ("", "a refusal is answered with err, as the client's own error", self._refusal),
            ("", "a malformed token response is answered with err", self._malformed_answer),
            ("", "an unknown operation is unsupported", self._unknown),
            ("", "close ends one client and no other", self._close),
        ]
        for capability, what, step in steps:
            if capability and capability not in self._offered:
                yield DriverCheck(what, f"{capability} is not offered", is_skipped=True)
                continue
            yield self._tried(what, step)
        yield self._tried("bye ends the program and every process that it started", self._bye)

    def _tried(self, what: str, step: Callable[[], None]) -> DriverCheck:
        """Run a step and return its result; a broken conversation ends the trial."""
        if self._is_over:
            return DriverCheck(what, "not tried: the program has failed", is_skipped=True)
        try:
            step()
        except _Inconclusive as inconclusive:
            return DriverCheck(what, str(inconclusive), is_skipped=True)
        except (ProtocolError, ProgramDied, ProgramSilent) as error:
            # The conversation is out of step, or the program has ended: later answers would prove
            # nothing.
            self._is_over = True
            return DriverCheck(what, self._in_words(error))
        # The conversation is still in step, so the steps that follow are tried.
        except _Wrong as wrong:
            return DriverCheck(what, self._in_words(wrong))
        return DriverCheck(what)

    def _in_words(self, error: Exception) -> str:
        problem = in_words(self._program, str(error))
        return mask(problem, self._broker.registered, self._broker.token_issued_values)

    # -- the steps -----------------------------------------------------------------------------

    def _hello(self) -> None:
        hello: Hello = introduction_of(self._program)
        self._offered = hello.capabilities

    def _open(self) -> None:
        self._opened()

    def _get_token(self) -> None:
        self._token_of(self._opened())

    def _two_clients(self) -> None:
        other = Credentials("otherclient", "others3cret")
        self._broker.register(other.client_id, other.client_secret)
        one, two = self._opened(), self._opened(other)
        # A driver that keeps one client for all would make every clause on isolation fail.
        if self._token_of(one) == self._token_of(two):
            raise _Wrong("two clients with two client_ids got one token")

    def _request(self) -> None:
        url = f"{self._broker.api_url}/vehicle/1111111111111111?region=uk"
        self._call(self._opened(), "GET", url, 200)

    def _request_with_body(self) -> None:
        url = f"{self._broker.api_url}/vehicle"
        headers = {"Content-Type": "application/json", "X-Trace": "a, b"}
        # Not ASCII, so that a driver shows whether it encodes the text of the protocol as UTF-8.
        body = '{"plate": "ä-1"}'
        self._call(self._opened(), "POST", url, None, headers=headers, body=body)
        request = self._broker.api_calls[-1].request
        arrived = {name: request.headers.get(name) for name in headers}
        if request.method != "POST" or arrived != headers or request.body != body.encode():
            raise _Wrong(
                f"the API saw {request.method} with {arrived} and {len(request.body)} bytes; "
                f"expected POST with {headers} and {len(body.encode())} bytes"
            )

    def _burst(self) -> None:
        tokens = self._accepted_reply("burst", self._opened(), count=_AT_ONCE).value
        if len(tokens) != _AT_ONCE:
            raise _Wrong(f"burst was answered with {len(tokens)} tokens; expected {_AT_ONCE}")
        for token in tokens:
            self._must_be_valid(token, "burst")

    def _advance(self) -> None:
        name = self._opened()
        before = self._use(name)
        self._exchange("advance", seconds=float(_LIFETIME + 1))
        # Both clocks, because the broker must also regard the token as expired.
        self._broker.clock.advance(_LIFETIME + 1)
        if self._use(name) == before:
            raise _Wrong(
                f"{_LIFETIME + 1} s after it was issued for {_LIFETIME} s the same token was used; "
                "expected a new one. Leave clock out of the capabilities if the client's clock "
                "cannot be moved"
            )

    def _refusal(self) -> None:
        self._broker.script(_REFUSAL)
        self._must_fail(
            "the broker answered with 401 invalid_client",
            '{"kind": "oauth", "code": "invalid_client", "message": text}',
        )

    def _malformed_answer(self) -> None:
        self._broker.script(Fault.invalid_json())
        self._must_fail(
            "the broker answered with half of the JSON", '{"kind": "malformed", "message": text}'
        )

    def _must_fail(self, why: str, expected: str) -> None:
        """Have a client fetch a token from a broker that fails; the driver must answer with err."""
        has_tokens = GET_TOKEN in self._offered
        reply = self._reply_to(GET_TOKEN if has_tokens else REQUEST, self._opened())
        if reply.error is not None:
            return
        problem = f"{why}, and the driver did not answer err; expected {expected}"
        # A status in place of an error may be what this client's request() returns by design.
        if not has_tokens or not reply.value:
            raise _Inconclusive(f"{problem}, unless the client itself saw no failure in it")
        raise _Wrong(problem)

    def _unknown(self) -> None:
        if not self._program.exchange("fly", _DEADLINE_SECONDS).is_unsupported:
            raise _Wrong('an unknown operation was not answered {"unsupported": true}')

    def _close(self) -> None:
        name, other = self._opened(), self._opened()
        self._program.exchange("close", _DEADLINE_SECONDS, client=name)
        self._use(other)

    def _bye(self) -> None:
        problem = self._program.shut_down()
        if problem:
            raise _Wrong(problem)

    # -- what they have in common --------------------------------------------------------------

    def _opened(self, credentials: Credentials = _CREDENTIALS) -> str:
        """Have a client made by the driver, and return its name."""
        self._broker.expires_in = _LIFETIME
        name = next(self._names)
        config = ClientConfig(
            token_url=self._broker.token_url,
            api_base_url=self._broker.api_url,
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
        )
        self._accepted_reply("open", name, config=config_members(config))
        return name

    def _use(self, name: str) -> str | None:
        """Return the token that the client uses now."""
        if GET_TOKEN in self._offered:
            return self._token_of(name)
        self._call(name, "GET", f"{self._broker.api_url}/vehicle/1", 200)
        # Where the client returns no token, the API has seen it.
        return carrier_of(self._broker.api_calls[-1].request, self._broker.profile)

    def _token_of(self, name: str) -> str:
        token = self._accepted_reply("get_token", name).value
        self._must_be_valid(token, "get_token")
        return str(token)

    def _must_be_valid(self, token: Any, op: str) -> None:
        """Raise _Wrong unless the broker issued that token and it is valid."""
        _, state = self._broker.find_token(str(token))
        if state is not TokenState.VALID:
            raise _Wrong(f"{op} was answered with a string that is not a valid token of the broker")

    def _call(self, name: str, method: str, url: str, status: int | None, **how: Any) -> None:
        """Have a client call the API, and compare the status with what the API answered."""
        seen = len(self._broker.api_calls)
        reply = self._reply_to("request", name, method=method, url=url, **how)
        if reply.error is not None:
            raise _Wrong(f"the call was answered with {reply.error}; expected a status")
        if len(self._broker.api_calls) == seen:
            raise _Wrong("request was answered, and the API saw no call")
        response = self._broker.api_calls[-1].response
        answered = response.status if response else None
        if reply.value != answered or (status is not None and reply.value != status):
            raise _Wrong(f"request says status {reply.value}; the API answered {answered}")

    def _reply_to(self, op: str, name: str, **members: Any) -> Reply:
        """Return the driver's answer, by default to a GET of the API."""
        if op == "request":
            url = f"{self._broker.api_url}/vehicle/1"
            members = {"method": "GET", "url": url, "headers": {}, "body": None, **members}
        return self._exchange(op, client=name, **members)

    def _accepted_reply(self, op: str, name: str, **members: Any) -> Reply:
        """Return the driver's answer. Raises _Wrong if it is an err."""
        reply = self._reply_to(op, name, **members)
        if reply.error is not None:
            raise _Wrong(f"{op} was answered with {reply.error}; the broker refuses nothing here")
        return reply

    def _exchange(self, op: str, **members: Any) -> Reply:
        """Return the driver's answer. Raises _Wrong if an offered operation is unsupported."""
        reply = self._program.exchange(op, _DEADLINE_SECONDS, **members)
        if reply.is_unsupported and op in (*CAPABILITIES, "open", "advance"):
            raise _Wrong(f"{op} is unsupported, although hello says {list(self._offered)}")
        return reply
