"""Driving a Python client in a process of its own, the host, with deadlines."""

from __future__ import annotations

import base64
import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from mockbroker.broker.clock import real_seconds
from mockbroker.model.client import ClientConfig, ClientFactory
from mockbroker_contract.drivers.conversation import ProgramDied, ProgramSilent
from mockbroker_contract.drivers.driver import GET_TOKEN, REQUEST, Answer, Raised, Returned
from mockbroker_contract.drivers.failures import ClientCrashed, NotTested
from mockbroker_contract.drivers.host_process import HostProcess, SpoiltHostError
from mockbroker_contract.drivers.protocol import config_members
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.drivers.shown_output import ShownOutput
from mockbroker_contract.drivers.target import TargetError, absolute_target
from mockbroker_contract.timing.run_time import START_SECONDS, RealTime, RunTime, VirtualTime

__all__ = ["PythonClients", "PythonDriver"]

_HELLO_SECONDS = 30.0
_SHORT_SECONDS = 20.0
_CLOSING_SECONDS = 2.0
_PROMPT_CLOSING_SECONDS, _ALL_CLOSING_SECONDS = 0.2, 5.0
"""Closing a client may take so long, and all clients that take longer may take so much more."""
_BRIEF_SECONDS = 2.0
_FORKED = (
    "the factory is an object of the test run, so the client's process is forked from it: it has "
    "what the run had imported and opened by then, and that may have read the user's own settings; "
    "threads that the run had started do not run there"
)
_BROKE = "the client broke the process it lives in: "
_ENDED_FOR_ANOTHER = "the client's process was ended, because another client in it hung"


class HostBroken(ClientCrashed):
    """The client did something to its process by which the host fails."""


class PythonClients:
    """The clients that a factory makes, in a host that is started again when one has ended it.

    ``source`` is the name of a target (``package.module:factory`` or ``path/to/file.py:factory``)
    or the factory itself; see `HostProcess` for the difference.
    """

    maker = "the factory"
    remedy = "The factory is called with a ClientConfig; it must return the client."
    failures = ()

    def __init__(self, source: str | ClientFactory) -> None:
        self._source = absolute_target(source) if isinstance(source, str) else source
        self._name = source if isinstance(source, str) else "the factory's module"
        self._host: HostProcess | None = None
        self._sandbox: Sandbox | None = None
        self._is_running = False
        self._description: dict[str, Any] = {}
        self._clock = "real"
        self._zone: str | None = None
        self._names = map("c{}".format, itertools.count(1))
        self.turn = threading.RLock()
        """Held while the host is started or asked: scenarios that wait are played by threads."""
        self._short_seconds = _SHORT_SECONDS
        self.closing_seconds = _ALL_CLOSING_SECONDS
        """The seconds that are left for slow closes; without any, clients are no longer closed."""

    def live_in(self, sandbox: Sandbox, *, shows_output: bool = False) -> None:
        """Have the clients live in these folders; called once, before anything else."""
        self._sandbox = sandbox
        self._host = HostProcess(self._source, sandbox, START_SECONDS)
        if shows_output:
            self._host.output.show = ShownOutput().add

    @property
    def limits(self) -> Sequence[str]:
        """What does not hold for a factory of the test run, or under this kernel."""
        told = tuple(self._description.get("limits", ()))
        return told if isinstance(self._source, str) else (_FORKED, *told)

    @property
    def host(self) -> HostProcess:
        """The process in which the clients live."""
        assert self._host is not None, "live_in() comes first"
        return self._host

    @property
    def description(self) -> Mapping[str, Any]:
        """What is known of the clients by themselves: what makes them, and of which version.

        Raises TargetError if there is no usable factory.
        """
        if not self._description:
            self.running()
        return self._description

    def running(self) -> HostProcess:
        """The host, started if it is not running. Raises TargetError for an unusable target."""
        assert self._sandbox is not None, "live_in() comes first"
        with self.turn:
            if not self._is_running or self.host.has_ended:
                self._is_running = False
                self.host.start(self._sandbox.environment())
                self._description = self._introduced()
                self._is_running = True
                if self._clock != "real":
                    self.ask("live_by", clock=self._clock)
                if self._zone is not None:
                    self.ask("zone", name=self._zone)
        return self.host

    def _introduced(self) -> dict[str, Any]:
        try:
            reply = self.host.exchange("hello", _HELLO_SECONDS)
        except ProgramDied as died:
            raise TargetError(
                f"{self._name} cannot be imported: it ended the program ({died.how}){self._said()}"
            ) from None
        except SpoiltHostError as error:
            self.end()
            raise TargetError(f"{self._name} cannot be imported: {_BROKE}{error}") from None
        except ProgramSilent:
            self.end()
            raise TargetError(
                f"{self._name} was still being imported after {_HELLO_SECONDS:g} s; "
                "import must not wait for anything"
            ) from None
        if "unusable" in reply:
            raise TargetError(reply["unusable"])
        return dict(reply["ok"])

    def _said(self) -> str:
        lines = self.host.output.since(0).splitlines()[-5:]
        return "".join(f"\n  output: {line}" for line in lines)

    def times(self) -> Sequence[RunTime]:
        """The clock that is shared with the host, and the machine's."""
        virtual = VirtualTime(
            self.host.clock, partial(self._live_by, "virtual"), self._live_in_zone
        )
        return [virtual, RealTime(partial(self._live_by, "real"))]

    def _live_by(self, clock: str) -> None:
        if self._clock != clock:
            self._clock = clock
            self._tell("live_by", clock=clock)

    def _live_in_zone(self, name: str | None) -> None:
        self._zone = name
        self._tell("zone", name=name)

    def _tell(self, op: str, **members: Any) -> None:
        """Tell a host that runs; one that is started later is told then."""
        if self._is_running and not self.host.has_ended:
            with contextlib.suppress(ProgramSilent, ClientCrashed):  # the host has ended by now
                self.ask(op, **members)

    def driver(
        self, config: ClientConfig, deadline: float, trusted: str | None = None
    ) -> PythonDriver:
        """What drives a new client; an operation may take ``deadline`` seconds of real time."""
        return PythonDriver(self, next(self._names), config, deadline, Sandbox.trust(trusted))

    def can_be_used_at_once(self, operation: str) -> bool:
        """Whether many operations of that kind can begin at one moment; threads can."""
        return operation in (GET_TOKEN, REQUEST)

    def ask(self, op: str, deadline: float | None = None, **members: Any) -> dict[str, Any]:
        """What the host answers; None is the deadline for what does not use the client.

        Raises ProgramSilent, which ends the host, ClientCrashed if it ended by itself or is ended
        because it cannot go on, TargetError if what the factory made cannot be used.
        """
        try:
            with self.turn:
                reply = self._asked(op, deadline, **members)
        except ProgramDied as died:
            raise _costly(ClientCrashed(str(died))) from None
        except SpoiltHostError as error:
            raise _costly(HostBroken(f"{_BROKE}{error}")) from None
        if "unusable" in reply:
            raise TargetError(reply["unusable"])
        return reply

    def _asked(self, op: str, deadline: float | None, **members: Any) -> dict[str, Any]:
        seconds = self._short_seconds if deadline is None else deadline
        try:
            return self.host.exchange(op, seconds, **members)
        except ProgramSilent:
            if deadline is None:  # the client stops its process, and may do so again
                self._short_seconds = _BRIEF_SECONDS
            self.end()
            raise
        except SpoiltHostError:
            self.end()
            raise
        except ProgramDied:
            self._is_running = False
            raise

    def is_running(self, generation: object) -> bool:
        """Whether the host that had that description still runs."""
        return self._is_running and self._description is generation

    def end(self) -> None:
        """End the host, and everything that its clients have started."""
        self._is_running = False
        self.host.kill()

    def close(self) -> None:
        """End whatever the clients live in."""
        if self._host is not None:
            self._host.close()


class PythonDriver:
    """One client in the host, by its name there."""

    def __init__(
        self,
        clients: PythonClients,
        name: str,
        config: ClientConfig,
        deadline: float,
        environment: Mapping[str, str],
    ) -> None:
        self._clients = clients
        self._name = name
        self._config = config
        self._deadline = deadline
        self._environment = dict(environment)
        self._generation: object = None
        self._seen_output = 0
        self._is_watched = False

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of operations that it offers.

        Raises TargetError if it has none.
        """
        with self._clients.turn:
            try:
                answer = self._opened()
            except HostBroken:  # by clients before this one, it may be
                answer = self._opened()
        if answer.error is not None or answer.hung:
            return answer
        with self._sense("open"):
            return Answer(value=tuple(answer.value["capabilities"]))

    def _opened(self) -> Answer:
        self._seen_output = self._clients.running().output.position
        self._generation = self._clients.description
        if self._is_watched:
            self._answer("watch", is_use=False)
        return self._answer(
            "open", config=config_members(self._config), environment=self._environment
        )

    def get_token(self) -> Answer:
        """Ask the client for a token."""
        answer = self._answer("get_token")
        with self._sense("get_token"):
            return _token_in(answer)

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call, with ``headers`` and ``data`` as `requests` has."""
        data = kwargs.get("data")
        raw = data.encode() if isinstance(data, str) else data
        body = None if raw is None else base64.b64encode(raw).decode()
        headers = kwargs.get("headers")
        answer = self._answer("request", method=method, url=url, headers=headers, body=body)
        with self._sense("request"):
            return _status_in(answer)

    def get_tokens_at_once(self, count: int) -> list[Answer]:
        """Ask the client for a token, that many times at one moment."""
        return self._burst(GET_TOKEN, count)

    def requests_at_once(self, method: str, url: str, count: int) -> list[Answer]:
        """Have the client make a signed call, that many times at one moment."""
        return self._burst(REQUEST, count, method=method, url=url)

    def _burst(self, operation: str, count: int, **call: str) -> list[Answer]:
        answer = self._answer("burst", count=count, operation=operation, call=call)
        if answer.hung:
            return [answer] * count
        read = _token_in if operation == GET_TOKEN else _status_in
        with self._sense("burst"):
            return [read(_answer_in(each)) for each in answer.value["answers"]]

    @property
    def leaves_something_running(self) -> bool:
        """Whether the client goes on with something although nobody uses it."""
        answer = self._answer("busy", is_use=False)
        with self._sense("busy"):
            return answer.hung or bool(answer.value["busy"])

    def watch(self) -> None:
        """Keep what the client lets others see, from when it is made."""
        self._is_watched = True

    def exposed(self) -> list[tuple[str, str]] | None:
        """What was seen since it was asked for last; None if the client's repr does not return."""
        answer = self._answer("exposed")
        if answer.hung:
            return None
        output = self._clients.host.output
        written, self._seen_output = output.since(self._seen_output), output.position
        with self._sense("exposed"):
            return [("output", written), *((str(w), str(t)) for w, t in answer.value["texts"])]

    def cut_off(self) -> None:
        """Take the operation that is running now for one that never ends; from any thread."""
        self._clients.host.cut_off()

    def close(self) -> None:
        """Close the client, unless its host has ended."""
        if not self._clients.is_running(self._generation):
            return
        politely = self._clients.closing_seconds > 0
        began = real_seconds()
        try:
            self._clients.ask("close", _CLOSING_SECONDS, client=self._name, politely=politely)
        except ProgramSilent:
            self._clients.closing_seconds = 0
        except ClientCrashed:
            pass  # it was about to end; the next client gets a fresh host
        took = real_seconds() - began
        self._clients.closing_seconds -= max(0.0, took - _PROMPT_CLOSING_SECONDS)

    def _answer(self, op: str, *, is_use: bool = True, **members: Any) -> Answer:
        deadline = self._deadline if is_use else None
        with self._clients.turn:
            if not self._clients.is_running(self._generation):
                raise NotTested(_ENDED_FOR_ANOTHER)
            try:
                reply = self._clients.ask(op, deadline, client=self._name, **members)
            except ProgramSilent:
                return Answer(hung=True)
        with self._sense(op):
            return _answer_in(reply)

    @contextlib.contextmanager
    def _sense(self, op: str) -> Iterator[None]:
        """Around the reading of an answer, which the client can have changed as it likes."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError):
            self._clients.end()
            broken = HostBroken(f"{_BROKE}its answer to {op} makes no sense")
            raise _costly(broken) from None


def _costly(crash: ClientCrashed) -> ClientCrashed:
    crash.is_costly = True
    return crash


def _answer_in(reply: Mapping[str, Any]) -> Answer:
    if "err" not in reply:
        return Answer(value=reply["ok"])
    error = {**reply["err"], **{name: tuple(reply["err"][name]) for name in ("bases", "texts")}}
    return Answer(error=Raised(**error))


def _token_in(answer: Answer) -> Answer:
    return answer if answer.value is None else Answer(value=answer.value["access_token"])


def _status_in(answer: Answer) -> Answer:
    return answer if answer.value is None else Answer(value=Returned(**answer.value))
