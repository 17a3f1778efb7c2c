"""Driver of a client in any language, through a program that speaks the driver protocol."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mockbroker.model.client import ClientConfig
from mockbroker.report.next_steps import LOOK_AT_THE_DRIVER
from mockbroker_contract.drivers.client_output import ClientOutputPrinter
from mockbroker_contract.drivers.conversation import ProgramDied, ProgramSilent
from mockbroker_contract.drivers.driver import GET_TOKEN, REQUEST, Answer, Raised, Returned
from mockbroker_contract.drivers.failures import (
    ClientCrashed,
    DriverFailed,
    NotApplicable,
    NotTested,
    ScenarioEnded,
)
from mockbroker_contract.drivers.host.guard import UNGUARDED_PROGRAM, has_landlock
from mockbroker_contract.drivers.program import Program
from mockbroker_contract.drivers.protocol import (
    PROTOCOL,
    Hello,
    ProtocolError,
    Reply,
    config_members,
)
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.timing.faked_clock import FakedClock, faked_clocks
from mockbroker_contract.timing.run_time import MovedTime, RealTime, RunTime

__all__ = ["ProgramClients", "in_words", "introduction_of"]

# The start of a program includes that of its runtime, such as a JVM. Moving a clock or closing a
# client includes nothing that takes long.
_HELLO_SECONDS = 30.0
_SHORT_SECONDS = 2.0
# A program that dies at every test case would otherwise be started hundreds of times. After so many
# deaths the verdicts can no longer change.
_MAX_STARTS = 25
# A page of a terminal: the last traceback fits, the report stays readable.
_QUOTED_STDERR = 2000
_OWN_FOLDER_HINT = (
    "it runs in an empty folder of its own; --copy PATH puts a copy of what it reads there"
)


class ProgramClients:
    """Clients that a program drives. It is started on demand, and again after a failure.

    All clients live in one process, as they would in an application. A process for each client
    would hide state that is shared between them, which `cache.isolation` is about.
    """

    in_python = False

    maker = "the driver's open"
    remedy = LOOK_AT_THE_DRIVER

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = tuple(argv)
        self._hello: Hello | None = None
        self._trusted: str | None = None
        self._moved = 0.0
        self._names = map("c{}".format, itertools.count(1))
        self._program: Program | None = None
        self._clock: FakedClock | None = None
        self._sandbox: Sandbox | None = None
        self._printer: ClientOutputPrinter | None = None
        self._deaths = 0
        self.close_hangs = False
        """Whether the program did not answer a close; then no further client is closed."""
        self.failures: list[str] = []
        """The protocol errors of the program so far."""

    def use_sandbox(
        self,
        sandbox: Sandbox,
        *,
        shows_output: bool = False,
        shows_tracebacks: bool = False,  # noqa: ARG002 - a program decides what it sends
    ) -> None:
        """Run the program in this sandbox; called once, before any other method."""
        self._sandbox = sandbox
        self._printer = ClientOutputPrinter() if shows_output else None

    def network_obstacle(self) -> str:
        """Return an empty string: what a program replaces in itself is unknown."""
        return ""

    @property
    def limits(self) -> Sequence[str]:
        """Guarantees that the kernel does not give here."""
        return () if has_landlock() else (UNGUARDED_PROGRAM,)

    @property
    def sandbox(self) -> Sandbox:
        """The folders in which the program runs."""
        assert self._sandbox is not None, "use_sandbox() comes first"
        return self._sandbox

    @property
    def description(self) -> Mapping[str, Any]:
        """The program's answer to hello; the program is started if necessary."""
        return dataclasses.asdict(self._introduced())

    def times(self) -> Sequence[RunTime]:
        """Return the kinds of time: the program's own or that of libfaketime, then real time.

        The program's own clock is preferred, because its driver knows which clock the client reads.
        """
        real = RealTime(partial(self._use_clock, None))
        if "clock" in self._introduced().capabilities:
            return [MovedTime("driver", self._advance, partial(self._use_clock, None)), real]
        faked = [
            MovedTime("libfaketime", clock.advance, partial(self._use_clock, clock))
            for clock in faked_clocks(self.sandbox.outside)
        ]
        return [*faked, real]

    def _use_clock(self, clock: FakedClock | None) -> None:
        """Use that clock for the program; end the program if it runs with another clock."""
        # libfaketime is loaded when a process starts, so another clock needs another process.
        if clock is not self._clock:
            self._end()
            self._clock = clock

    def _introduced(self) -> Hello:
        if self._hello is None:
            self.running()
        assert self._hello is not None
        return self._hello

    def driver(self, config: ClientConfig, deadline: float) -> ProgramDriver:
        """Return the driver of a new client; ``deadline`` is in real seconds per operation.

        The client is made later, by `ProgramDriver.open`.
        """
        return ProgramDriver(self, next(self._names), config, deadline)

    def can_be_used_at_once(self, operation: str) -> bool:
        """Return whether many operations of that kind can run concurrently.

        The protocol has a burst of get_token only.
        """
        return operation == GET_TOKEN and "burst" in self._introduced().capabilities

    def _advance(self, seconds: float) -> None:
        """Move the program's clock by that many seconds, now or when it is started again."""
        # Kept, because a program that is started again begins with the machine's time.
        self._moved += seconds
        if self._program is not None:
            # The program was ended then. Its successor is advanced by all of `_moved` when it
            # starts.
            with contextlib.suppress(ProgramSilent):
                self.ask(self._program, "advance", _SHORT_SECONDS, seconds=seconds)

    def running(self, trusted: str | None = None) -> Program:
        """Return the program; start it, or start it again for another trusted CA.

        Raises TargetError if it cannot be started or gives no valid answer to hello. Raises
        DriverFailed if an earlier start succeeded.
        """
        # Many TLS libraries read the variables for the CA only when the process starts.
        if self._program is not None and self._trusted != trusted:
            self._end()
        if self._program is None:
            self._trusted = trusted
            self._program = self._started()
        return self._program

    def _started(self) -> Program:
        """Start the program and have it introduce itself; see `running` for the exceptions."""
        # Hangs are not counted here: `harness.hangs` limits them.
        times = len(self.failures) + self._deaths
        if times >= _MAX_STARTS:
            raise DriverFailed(f"the driver failed {times} times and is not started again")
        try:
            clock = {} if self._clock is None else self._clock.environment
            environment = {**self.sandbox.environment(self._trusted), **clock}
            program = Program(self._argv, self.sandbox, environment)
            if self._printer is not None:
                program.show = self._printer.add
        except OSError as error:
            raise TargetError(
                f"{self._argv[0]!r} cannot be started: {error.strerror}; name a program and its "
                "arguments, as they would be typed without a shell"
            ) from None
        try:
            self._hello = introduction_of(program)
            if self._moved and "clock" in self._hello.capabilities:
                program.exchange("advance", _SHORT_SECONDS, seconds=self._moved)
        except (ProtocolError, ProgramDied, ProgramSilent) as error:
            problem, details = in_words(program, str(error)), last_exchange_of(program)
            program.kill()
            # It has introduced itself before, so the command is right and the failure belongs to
            # the test case. Otherwise the whole run cannot begin, which is a mistake in the
            # command.
            if self._hello is not None:
                raise self._failed(error, details) from None
            raise TargetError(
                f"the driver gave no valid answer to hello: {problem}\n{_OWN_FOLDER_HINT}\n"
                f"{LOOK_AT_THE_DRIVER}"
            ) from None
        return program

    def ask(self, program: Program, op: str, deadline: float, **members: Any) -> Reply:
        """Return the program's answer.

        Raises ProgramSilent, DriverFailed if the program broke the protocol, ClientCrashed if it
        died; these three end the program. Raises NotApplicable if it does not support the
        operation.

        Ending the program after a failure is necessary: a late answer would be taken for that of
        the next request.
        """
        try:
            reply = program.exchange(op, deadline, **members)
        except ProgramSilent:
            self._end()
            raise
        except (ProtocolError, ProgramDied) as error:
            details = last_exchange_of(program)
            self._end()
            raise self._failed(error, details) from None
        if reply.is_unsupported:
            raise NotApplicable(f"the driver does not support {op}")
        return reply

    def _failed(self, error: Exception, details: str) -> DriverFailed | ClientCrashed:
        """Count a failure, and return the ending of the test case that it means."""
        if not isinstance(error, ProgramDied):
            self.failures.append(str(error))
            return DriverFailed(str(error), details=details)
        self._deaths += 1
        crash = ClientCrashed(str(error), details=details)
        # A search for a simpler example would start the program again for each attempt.
        crash.is_costly = True
        return crash

    def is_running(self, program: Program) -> bool:
        """Return whether that program is still the running one."""
        return self._program is program

    def _end(self) -> None:
        if self._program is not None:
            self._program.kill()
            self._program = None

    arranges_uses = False

    def restart(self) -> None:
        """Have the program exit; the next client is made in a new one.

        The files of the clients stay.
        """
        self.close()

    def ends_within(self, seconds: float) -> bool:
        """Raise NotApplicable: the protocol does not close a client without its program."""
        raise NotApplicable(
            f"the driver protocol does not show what a client leaves after {seconds:g} s"
        )

    def close(self) -> None:
        """Have the program exit, and end it.

        Processes that it leaves behind are killed.
        """
        if self._program is not None:
            self._program.shut_down()
            self._program = None


def introduction_of(program: Program) -> Hello:
    """Return the answer to hello. Raises ProtocolError, ProgramDied or ProgramSilent.

    The program has 30 s of real time for it, as its runtime may start slowly.
    """
    reply = program.exchange("hello", _HELLO_SECONDS, protocol=PROTOCOL)
    if not isinstance(reply.value, Hello):
        raise ProtocolError(f"hello was answered with {reply.error or 'unsupported'}")
    return reply.value


def in_words(program: Program, what: str) -> str:
    """Return the error, followed by the last request and answer of the program."""
    return f"{what}\n{last_exchange_of(program)}"


def last_exchange_of(program: Program) -> str:
    """Return the last request and answer of the program, and its stderr.

    The text is not masked: callers mask what they show.
    """
    asked, answered = program.last_exchange
    stderr = program.stderr_since()[-_QUOTED_STDERR:].strip()
    said = [f"  stderr: {line}" for line in stderr.splitlines()]
    return "\n".join([f"  asked: {asked}", f"  answered: {answered}", *said])


class ProgramDriver:
    """One client in the program, identified by a name.

    Its stderr cannot be assigned to one client, because all clients share the process. So it counts
    from the creation of this client on.
    """

    # Unknown for a foreign process. True is the safe assumption: the harness then waits briefly for
    # a refresh in the background before it concludes that there was none.
    leaves_something_running = True
    # The protocol has a burst of get_token only.
    arranged = None

    def __init__(
        self,
        clients: ProgramClients,
        name: str,
        config: ClientConfig,
        deadline: float,
    ) -> None:
        self._clients = clients
        self._name = name
        self._config = config
        self._deadline = deadline
        self._program: Program | None = None
        self._stderr_before = 0

    def open(self) -> Answer:
        """Make the client. The answer's value is the tuple of operations that it offers."""
        program = self._program = self._clients.running(self._config.ca_file)
        self._stderr_before = program.stderr_position
        answer = self._answer("open", config=config_members(self._config))
        if answer.error is not None or answer.hung:
            return answer
        offered = self._clients.description["capabilities"]
        return Answer(value=tuple(name for name in (GET_TOKEN, REQUEST) if name in offered))

    def get_token(self) -> Answer:
        """Have the client get a token."""
        return self._answer("get_token")

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        """Have the client make a signed call, with ``headers`` and ``data`` as `requests` has."""
        body = kwargs.get("data")
        try:
            text = body.decode() if isinstance(body, bytes) else body
        except UnicodeDecodeError:
            return Answer(
                error=Raised("TypeError", "the protocol carries strings; the body is not UTF-8")
            )
        headers = kwargs.get("headers") or {}
        answer = self._answer("request", method=method, url=url, headers=headers, body=text)
        return answer if answer.value is None else Answer(value=Returned(answer.value))

    def get_tokens_at_once(self, count: int) -> list[Answer]:
        """Have the client get a token ``count`` times concurrently."""
        answer = self._answer("burst", count=count)
        if answer.error is not None or answer.hung:
            return [answer] * count
        # Fewer tokens would let a client pass that serves only some of its callers.
        if len(answer.value) != count:
            raise DriverFailed(
                f"burst was answered with {len(answer.value)} tokens; expected {count}"
            )
        return [Answer(value=token) for token in answer.value]

    def requests_at_once(self, method: str, url: str, count: int) -> list[Answer]:
        """Raise NotApplicable, because the protocol has no such operation."""
        raise NotApplicable(f"the protocol cannot ask for {count} times {method} {url} at once")

    def watch(self) -> None:
        """Do nothing: stderr is always kept."""

    def look_at_waits(self) -> None:
        """Do nothing: what a program waits for is unknown."""

    def exposed(self) -> list[tuple[str, str]] | None:
        """Return the stderr output since the client was made."""
        if self._program is None:
            return []
        return [("its standard error", self._program.stderr_since(self._stderr_before))]

    def cut_off(self) -> None:
        """Count the current operation as one that never ends; safe from any thread."""
        if self._program is not None:
            self._program.cut_off()

    def close(self) -> None:
        """Close the client, unless its program has ended."""
        clients = self._clients
        if self._program is None or clients.close_hangs or not clients.is_running(self._program):
            return
        # No clause judges closing, so a close that fails or is unsupported is ignored.
        with contextlib.suppress(ScenarioEnded):
            clients.close_hangs = self._answer("close", seconds=_SHORT_SECONDS).hung

    def _answer(self, op: str, *, seconds: float | None = None, **members: Any) -> Answer:
        """Return the program's answer about this client; hung if it did not come in time.

        Raises NotTested if another client has ended the program meanwhile.
        """
        program = self._program
        if program is None or not self._clients.is_running(program):
            # The client is lost with its process, through no fault of its own.
            raise NotTested("the program was ended, because another client in it hung")
        deadline = self._deadline if seconds is None else seconds
        try:
            reply = self._clients.ask(program, op, deadline, client=self._name, **members)
        except ProgramSilent:
            return Answer(hung=True)
        return Answer(value=reply.value, error=reply.error)
