"""Driver of a Python client in a separate process, the host, with deadlines."""

from __future__ import annotations

import base64
import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mockbroker.broker.clock import real_seconds
from mockbroker.model.client import ClientConfig, ClientFactory
from mockbroker.report.steps import Place
from mockbroker_contract.drivers.client_output import ClientOutputPrinter
from mockbroker_contract.drivers.conversation import ProgramDied, ProgramSilent
from mockbroker_contract.drivers.driver import (
    GET_TOKEN,
    REQUEST,
    Answer,
    Holdings,
    Raised,
    Returned,
)
from mockbroker_contract.drivers.failures import ClientCrashed, NotTested
from mockbroker_contract.drivers.host_process import HostBrokenByClientError, HostError, HostProcess
from mockbroker_contract.drivers.protocol import config_members
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.drivers.target import TargetError, absolute_target
from mockbroker_contract.timing.run_time import START_SECONDS, RealTime, RunTime, VirtualTime

__all__ = ["PythonClients", "PythonDriver"]

# Hello includes the import of the user's module, and of all that it imports.
_HELLO_SECONDS = 30.0
# These operations take milliseconds. The rest is for a machine that is busy with other things.
_SHORT_SECONDS = 20.0
# Long enough for a client that ends a connection in order, and short because no clause judges it.
_CLOSING_SECONDS = 2.0
_PROMPT_CLOSING_SECONDS, _ALL_CLOSING_SECONDS = 0.2, 5.0
"""Seconds for closing a client, and additional seconds for all slow closes together."""
_BRIEF_SECONDS = 2.0
_FORKED = (
    "the factory is an object of the test run, so the client's process is forked from it: it has "
    "what the run had imported and opened by then, and that may have read the user's own settings; "
    "threads that the run had started do not run there"
)
_IMPORTED = "do not replace it in the modules that the client imports"
_FROM_RUN = (
    "restore it before the first clause, or return the name of the factory, "
    "'package.module:factory', which is imported in a process without it"
)
_BROKE = "the client broke its own process: "
_ENDED_FOR_ANOTHER = "the client's process was ended, because another client in it hung"


class HostBroken(ClientCrashed):
    """Ending caused by a client that made its host process unusable."""


class PythonClients:
    """Clients of a factory, in a host that is started again after a client has ended it.

    ``source`` is the name of a target (``package.module:factory`` or ``path/to/file.py:factory``)
    or the factory itself; see `HostProcess` for the difference.

    Clients of several test cases live in one host, one after another and side by side, as in an
    application. A process for each would hide state that they share.

    Safe to use from several threads.
    """

    in_python = True

    maker = "the factory"
    remedy = "The factory is called with a ClientConfig; it must return the client."
    # The host is part of the kit: its failures are errors of the kit, not of a driver.
    failures = ()

    def __init__(self, source: str | ClientFactory) -> None:
        self._source = absolute_target(source) if isinstance(source, str) else source
        self._name = source if isinstance(source, str) else "the factory's module"
        self._host: HostProcess | None = None
        self._sandbox: Sandbox | None = None
        self._is_running = False
        self._description: dict[str, Any] = {}
        self._settings: dict[str, dict[str, Any]] = {}
        """Settings that differ from those of a new host, by the operation that sends them."""
        self._names = map("c{}".format, itertools.count(1))
        self.turn = threading.RLock()
        """Lock held while the host is started or asked: test cases that wait run in threads."""
        self._short_seconds = _SHORT_SECONDS
        self.closing_seconds = _ALL_CLOSING_SECONDS
        """Seconds left for slow closes; at 0, the driver closes no more clients."""

    def use_sandbox(
        self, sandbox: Sandbox, *, shows_output: bool = False, shows_tracebacks: bool = False
    ) -> None:
        """Run the clients in this sandbox; called once, before any other method."""
        self._sandbox = sandbox
        if shows_tracebacks:
            self._settings["show_tracebacks"] = {}
        self._host = HostProcess(self._source, sandbox, START_SECONDS)
        if shows_output:
            self._host.output.show = ClientOutputPrinter().add

    @property
    def limits(self) -> Sequence[str]:
        """Guarantees that do not hold for a forked factory, or under this kernel."""
        limits = tuple(self._description.get("limits", ()))
        return limits if isinstance(self._source, str) else (_FORKED, *limits)

    def network_obstacle(self) -> str:
        """Return what keeps requests in the client's process, and the next step, or nothing."""
        try:
            answer = self.running().exchange("surroundings", _SHORT_SECONDS)["ok"]
        except (HostError, ClientCrashed, ProgramDied, ProgramSilent, TargetError):
            answer = self._description  # as it was after the import
        for name, maker in answer.get("replaced", ()):
            return (
                f"a request of the client did not reach the broker: {maker} has replaced {name} in "
                f"the client's process; {_IMPORTED if isinstance(self._source, str) else _FROM_RUN}"
            )
        return ""

    @property
    def host(self) -> HostProcess:
        """The process in which the clients run."""
        assert self._host is not None, "use_sandbox() comes first"
        return self._host

    @property
    def description(self) -> Mapping[str, Any]:
        """Facts about the clients: the factory's name and its version.

        Raises TargetError if there is no usable factory.
        """
        if not self._description:
            self.running()
        return self._description

    def running(self) -> HostProcess:
        """Return the host, started if necessary. Raises TargetError for an unusable target."""
        assert self._sandbox is not None, "use_sandbox() comes first"
        with self.turn:
            if not self._is_running or self.host.has_ended:
                self._is_running = False
                self.host.start(self._sandbox.environment())
                # An error of the import has a traceback as well.
                if "show_tracebacks" in self._settings:
                    self.ask("show_tracebacks")
                # Made new for each host: its identity is the generation by which `is_running`
                # recognizes a host.
                self._description = self._introduced()
                self._is_running = True
                # A new host begins with the machine's clock and time zone.
                for op, members in self._settings.items():
                    self.ask(op, **members)
        return self.host

    def _introduced(self) -> dict[str, Any]:
        """Return what the host says of the factory.

        Raises TargetError if the factory cannot be used.
        """
        try:
            reply = self.host.exchange("hello", _HELLO_SECONDS)
        except ProgramDied as died:
            raise TargetError(
                f"{self._name} cannot be imported: it ended the program ({died.how})"
                f"{self._output_tail()}"
            ) from None
        except HostBrokenByClientError as error:
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

    def _output_tail(self) -> str:
        # The last lines, because a traceback ends with the error.
        lines = self.host.output.since(0).splitlines()[-5:]
        return "".join(f"\n  output: {line}" for line in lines)

    def times(self) -> Sequence[RunTime]:
        """Return the clock that is shared with the host, and the machine's.

        The virtual clock is preferred: time passes without waiting, and does not depend on the
        machine's speed.
        """
        virtual = VirtualTime(self.host.clock, partial(self._use_clock, "virtual"), self._set_zone)
        return [virtual, RealTime(partial(self._use_clock, "real"))]

    def _use_clock(self, clock: str) -> None:
        if self._settings.get("set_clock", {"clock": "real"}) != {"clock": clock}:
            self._send_setting("set_clock", clock=clock)

    def _set_zone(self, name: str | None) -> None:
        self._send_setting("zone", name=name)
        if name is None:  # that of every new host
            del self._settings["zone"]

    def _send_setting(self, op: str, **members: Any) -> None:
        """Send a setting to a running host; `running` sends it to a host that starts later."""
        # Last, because a switch of the clock resets the time zone.
        self._settings.pop(op, None)
        self._settings[op] = members
        if self._is_running and not self.host.has_ended:
            with contextlib.suppress(ProgramSilent, ClientCrashed):  # the host has ended meanwhile
                self.ask(op, **members)

    def driver(self, config: ClientConfig, deadline: float) -> PythonDriver:
        """Return the driver of a new client; ``deadline`` is in real seconds per operation.

        The client is made later, by `PythonDriver.open`.
        """
        return PythonDriver(
            self, next(self._names), config, deadline, Sandbox.trust(config.ca_file)
        )

    def can_be_used_at_once(self, operation: str) -> bool:
        """Return whether many operations of that kind can run concurrently.

        Any client can be called from many threads, or awaited in many tasks; whether it works is
        judged.
        """
        return operation in (GET_TOKEN, REQUEST)

    def ask(
        self, op: str, deadline: float | None = None, *, looks: bool = False, **members: Any
    ) -> dict[str, Any]:
        """Return the host's answer; the deadline is None for operations that do not use the client.

        If it ``looks``, the wait ends once it is certain that no answer will come in time.

        Raises ProgramSilent and ends the host. Raises ClientCrashed if the host ended or is
        unusable. Raises TargetError if the factory's result cannot be used.

        A host that does not answer in time is ended: its late answer would be taken for the next
        one.
        """
        try:
            with self.turn:
                reply = self._asked(op, deadline, looks=looks, **members)
        except ProgramDied as died:
            # Costly, because Hypothesis would otherwise try to simplify the example, with a new
            # host for each attempt.
            raise _costly(ClientCrashed(str(died))) from None
        except HostBrokenByClientError as error:
            raise _costly(HostBroken(f"{_BROKE}{error}")) from None
        if "unusable" in reply:
            raise TargetError(reply["unusable"])
        return reply

    def _asked(
        self, op: str, deadline: float | None, *, looks: bool, **members: Any
    ) -> dict[str, Any]:
        """Send a request, and end the host if it did not answer or is broken."""
        seconds = self._short_seconds if deadline is None else deadline
        try:
            return self.host.exchange(op, seconds, looks=looks, **members)
        except ProgramSilent:
            if deadline is None:  # the client stopped its process, and may do so again
                # A client that stops its process would otherwise cost the full time at every test
                # case.
                self._short_seconds = _BRIEF_SECONDS
            self.end()
            raise
        except HostBrokenByClientError:
            self.end()
            raise
        except ProgramDied:
            self._is_running = False
            raise

    def is_running(self, generation: object) -> bool:
        """Return whether the host with that description still runs."""
        # A client belongs to the host in which it was made. A new host does not know it.
        return self._is_running and self._description is generation

    def restart(self) -> None:
        """Let the host exit as a program does; the next client is made in a new one.

        The client's files stay.
        """
        with self.turn:
            self._is_running = False
            self.host.leave()

    arranges_uses = True

    def ends_within(self, seconds: float) -> bool:
        """Have the host end as a program does; return whether it did within that real time."""
        with self.turn:
            try:
                self.ask("join_threads", seconds)
            except ProgramSilent:
                return False
            finally:
                # A process that has joined its threads cannot start others.
                self.end()
            return True

    def end(self) -> None:
        """End the host, and every process that its clients have started.

        Other clients in it are lost as well: their next use raises NotTested.
        """
        self._is_running = False
        self.host.kill()

    def close(self) -> None:
        """End the process of the clients.

        The host may run its exit handlers for two seconds.
        """
        if self._host is not None:
            self._host.close()


class PythonDriver:
    """One client in the host, identified by a name.

    Operations are sent to the host that had the client made. If that host has ended they raise
    NotTested, because the client ended with it.
    """

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
        self._looks_at_waits = False
        self._begun: list[str] = []

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of operations that it offers.

        Raises TargetError if it has none.
        """
        # One turn for all of it: the host, its generation and the client must belong together.
        with self._clients.turn:
            try:
                answer = self._opened()
            # an earlier client may have broken it, so the operation gets a second, fresh host
            except HostBroken:
                answer = self._opened()
        if answer.error is not None or answer.hung:
            return answer
        with self._reading_answer("open"):
            return Answer(value=tuple(answer.value["capabilities"]))

    def _opened(self) -> Answer:
        """Make the client in the running host, and remember which host that is."""
        # Output from before belongs to earlier clients.
        self._seen_output = self._clients.running().output.position
        self._generation = self._clients.description
        # Before the client is made, because its constructor may show a secret as well.
        if self._is_watched:
            self._answer("watch", is_use=False)
        return self._answer(
            "open", config=config_members(self._config), environment=self._environment
        )

    def get_token(self) -> Answer:
        """Have the client get a token."""
        answer = self._answer("get_token")
        with self._reading_answer("get_token"):
            return _token_in(answer)

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call; see `Driver.request` for the arguments."""
        data = kwargs.get("data")
        # Base64, because a body may be any bytes and the channel carries JSON.
        raw = data.encode() if isinstance(data, str) else data
        body = None if raw is None else base64.b64encode(raw).decode()
        others = {
            "headers": kwargs.get("headers"),
            "params": kwargs.get("params"),
            "is_stream": kwargs.get("is_stream", False),
        }
        answer = self._answer("request", method=method, url=url, body=body, **others)
        with self._reading_answer("request"):
            return _status_in(answer)

    def get_tokens_at_once(self, count: int) -> list[Answer]:
        """Have the client get a token ``count`` times concurrently."""
        return self._burst(GET_TOKEN, count)

    def requests_at_once(self, method: str, url: str, count: int) -> list[Answer]:
        """Have the client make ``count`` signed calls concurrently."""
        return self._burst(REQUEST, count, method=method, url=url)

    def _burst(self, operation: str, count: int, **call: str) -> list[Answer]:
        """Use the client many times at once in the host; one request for all of them."""
        answer = self._answer("burst", count=count, operation=operation, call=call)
        return self._answers_in(answer, "burst", operation, count)

    def _answers_in(self, answer: Answer, op: str, operation: str, count: int) -> list[Answer]:
        """Return the answers of many uses; ``count`` times the same one if that was none."""
        if answer.hung or answer.error is not None:
            return [answer] * count
        with self._reading_answer(op):
            return [_read_use(operation, _answer_in(each)) for each in answer.value["answers"]]

    @property
    def arranged(self) -> PythonDriver:
        """The driver itself, which has the operations."""
        return self

    def begin(self, operation: str, count: int, **call: str) -> None:
        """Have the client begin ``count`` uses, and return at once; see `ArrangedUses.begin`."""
        self._begun = [*self._begun, *[operation] * count]
        self._answer("begin", is_use=False, operation=operation, count=count, call=call)

    def settle(self) -> bool:
        """Wait until each begun use has ended or waits for something; return whether all ended."""
        answer = self._answer("settle", is_use=False)
        with self._reading_answer("settle"):
            return answer.hung or bool(answer.value["ended"])

    def cancel(self, number: int) -> None:
        """Cancel the begun use with that number, counted from 0."""
        self._answer("cancel", is_use=False, number=number)

    def finish(self) -> list[Answer]:
        """Wait for every begun use, and return the answers in the order of their beginnings."""
        begun, self._begun = self._begun, []
        answer = self._answer("finish", operation=begun[0])
        return self._answers_in(answer, "finish", begun[0], len(begun))

    @property
    def event_loop(self) -> str:
        """The framework of the client's event loop; empty for a synchronous client."""
        answer = self._answer("loop", is_use=False)
        with self._reading_answer("loop"):
            return "" if answer.hung else str(answer.value["loop"])

    def change_loop(self) -> None:
        """Close the client's event loop; its next use makes another one."""
        self._answer("change_loop", is_use=False)

    def use_periodically(self, operation: str, count: int, seconds: float, **call: str) -> Answer:
        """Have the client do that operation ``count`` times, each after virtual ``seconds``."""
        answer = self._answer(
            "use_periodically", operation=operation, count=count, seconds=seconds, call=call
        )
        with self._reading_answer("use_periodically"):
            return answer if answer.value is None else Answer(value=int(answer.value["done"]))

    def use_forked(self, operation: str, **call: str) -> Answer:
        """Have the client do that operation once in a forked child of its process."""
        answer = self._answer("fork", operation=operation, call=call)
        with self._reading_answer("fork"):
            return _read_use(operation, answer)

    def use_in_processes(self, count: int, operation: str, **call: str) -> list[Answer]:
        """Make a client in each of ``count`` processes, and use it there once, all at once."""
        answer = self._answer(
            "processes",
            count=count,
            operation=operation,
            call=call,
            config=config_members(self._config),
        )
        return self._answers_in(answer, "processes", operation, count)

    def holdings(self) -> Holdings:
        """Return what the client holds in the host."""
        answer = self._answer("holdings", is_use=False)
        with self._reading_answer("holdings"):
            return Holdings(**answer.value)

    def threads_after_close(self) -> list[str]:
        """Close and drop the client; return the names of its threads that a program waits for."""
        answer = self._answer("drop", is_use=False)
        with self._reading_answer("drop"):
            return [str(name) for name in answer.value["threads"]]

    @property
    def leaves_something_running(self) -> bool:
        """Whether the client has a thread or task running between uses."""
        # A host that does not answer is busy in any case.
        answer = self._answer("busy", is_use=False)
        with self._reading_answer("busy"):
            return answer.hung or bool(answer.value["busy"])

    def watch(self) -> None:
        """Record what the client makes visible from its creation on."""
        self._is_watched = True

    def look_at_waits(self) -> None:
        """End an operation early once the client is known to wait beyond the deadline."""
        self._looks_at_waits = True

    def exposed(self) -> list[tuple[str, str]] | None:
        """Return new visible texts; None if the client's repr does not return in time."""
        # Counted as a use, with its deadline: the client's repr may hang.
        answer = self._answer("exposed")
        if answer.hung:
            return None
        output = self._clients.host.output
        # Read after the answer: the host has flushed its streams before it answered.
        written, self._seen_output = output.since(self._seen_output), output.position
        with self._reading_answer("exposed"):
            return [("output", written), *((str(w), str(t)) for w, t in answer.value["texts"])]

    def cut_off(self) -> None:
        """Count the current operation as one that never ends; safe from any thread."""
        self._clients.host.cut_off()

    def close(self) -> None:
        """Close the client, unless its host has ended.

        A slow close uses up time that all clients share; without any left, the host keeps the
        client unclosed.
        """
        if not self._clients.is_running(self._generation):
            return
        # No clause judges closing, and a client that closes slowly must not add minutes to a run.
        # So only slow closes count; a prompt one is called to the end.
        calls_close = self._clients.closing_seconds > 0
        began = real_seconds()
        try:
            self._clients.ask("close", _CLOSING_SECONDS, client=self._name, calls_close=calls_close)
        except ProgramSilent:
            # The close that hung has cost the host, so no further one is risked.
            self._clients.closing_seconds = 0
        except ClientCrashed:
            pass  # the host was ending; the next client gets a new host
        took = real_seconds() - began
        self._clients.closing_seconds -= max(0.0, took - _PROMPT_CLOSING_SECONDS)

    def _answer(self, op: str, *, is_use: bool = True, **members: Any) -> Answer:
        """Return the host's answer about this client; hung if it did not come in time."""
        deadline = self._deadline if is_use else None
        with self._clients.turn:
            if not self._clients.is_running(self._generation):
                raise NotTested(_ENDED_FOR_ANOTHER)
            try:
                looks = is_use and self._looks_at_waits
                reply = self._clients.ask(op, deadline, looks=looks, client=self._name, **members)
            except ProgramSilent as silent:
                return Answer(hung=True, wait=silent.wait)
        with self._reading_answer(op):
            return _answer_in(reply)

    @contextlib.contextmanager
    def _reading_answer(self, op: str) -> Iterator[None]:
        """Raise HostBroken if an answer that the client may have changed has an invalid shape."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError):
            self._clients.end()
            broken = HostBroken(f"{_BROKE}its answer to {op} has an invalid shape")
            raise _costly(broken) from None


def _costly(crash: ClientCrashed) -> ClientCrashed:
    crash.is_costly = True
    return crash


def _answer_in(reply: Mapping[str, Any]) -> Answer:
    changed = tuple(reply.get("changed", ()))
    if "err" not in reply:
        return Answer(value=reply["ok"], changed=changed)
    # JSON has no tuples, which `Raised` declares.
    error = {**reply["err"], **{name: tuple(reply["err"][name]) for name in ("bases", "texts")}}
    place = error.pop("place")
    return Answer(error=Raised(**error, place=place and Place(**place)), changed=changed)


def _read_use(operation: str, answer: Answer) -> Answer:
    return _token_in(answer) if operation == GET_TOKEN else _status_in(answer)


def _token_in(answer: Answer) -> Answer:
    if answer.value is None:
        return answer
    described = str(answer.value.get("described", ""))
    return Answer(value=answer.value["access_token"], described=described)


def _status_in(answer: Answer) -> Answer:
    return answer if answer.value is None else replace(answer, value=Returned(**answer.value))
