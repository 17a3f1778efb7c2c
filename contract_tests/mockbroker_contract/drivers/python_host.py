"""The host of Python clients: a process that is started again when a client has ended it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mockbroker.model.client import ClientFactory
from mockbroker_contract.drivers.conversation import ProgramDied, ProgramSilent
from mockbroker_contract.drivers.failures import ClientCrashed
from mockbroker_contract.drivers.host_process import HostBrokenByClientError, HostProcess
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.timing.run_time import START_SECONDS, RealTime, RunTime, VirtualTime

__all__ = ["BROKE_ITS_PROCESS", "SHORT_SECONDS", "HostBroken", "PythonHost", "costly"]

# Hello includes the import of the user's module, and of all that it imports.
_HELLO_SECONDS = 30.0
SHORT_SECONDS = 20.0
"""Seconds for operations that take milliseconds; the rest is for a machine that is busy."""
_BRIEF_SECONDS = 2.0
_ALL_CLOSING_SECONDS = 5.0
"""Seconds for all slow closes together."""
BROKE_ITS_PROCESS = "the client broke its own process: "


class HostBroken(ClientCrashed):
    """Ending caused by a client that made its host process unusable."""


class PythonHost:
    """The process of all clients of a factory, started when it is needed, with its settings.

    ``source`` is the name of a target (``package.module:factory`` or ``path/to/file.py:factory``)
    or the factory itself; see `HostProcess` for the difference.

    Safe to use from several threads.
    """

    def __init__(
        self, source: str | ClientFactory, sandbox: Sandbox, *, shows_tracebacks: bool
    ) -> None:
        self._name = source if isinstance(source, str) else "the factory's module"
        self._sandbox = sandbox
        self.process = HostProcess(source, sandbox, START_SECONDS)
        self._is_running = False
        self._description: dict[str, Any] = {}
        self._settings: dict[str, dict[str, Any]] = {}
        """Settings that differ from those of a new host, by the operation that sends them."""
        if shows_tracebacks:
            self._settings["show_tracebacks"] = {}
        self.turn = threading.RLock()
        """Lock held while the host is started or asked: test cases that wait run in threads."""
        self._short_seconds = SHORT_SECONDS
        self.closing_seconds = _ALL_CLOSING_SECONDS
        """Seconds left for slow closes; at 0, the driver closes no more clients."""

    @property
    def introduction(self) -> Mapping[str, Any]:
        """Facts about the clients from the host that was started last; empty before the first."""
        return self._description

    @property
    def description(self) -> Mapping[str, Any]:
        """Facts about the clients: the factory's name and its version.

        Raises TargetError without a usable factory.
        """
        if not self._description:
            self.running()
        return self._description

    def running(self) -> HostProcess:
        """Return the host, started if necessary. Raises TargetError for an unusable target."""
        with self.turn:
            if not self._is_running or self.process.has_ended:
                self._is_running = False
                self.process.start(self._sandbox.environment())
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
        return self.process

    def _introduced(self) -> dict[str, Any]:
        """Return what the host says of the factory.

        Raises TargetError if the factory cannot be used.
        """
        try:
            reply = self.process.exchange("hello", _HELLO_SECONDS)
        except ProgramDied as died:
            raise TargetError(
                f"{self._name} cannot be imported: it ended the program ({died.how})"
                f"{self._output_tail()}"
            ) from None
        except HostBrokenByClientError as error:
            self.end()
            raise TargetError(
                f"{self._name} cannot be imported: {BROKE_ITS_PROCESS}{error}"
            ) from None
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
        lines = self.process.output.since(0).splitlines()[-5:]
        return "".join(f"\n  output: {line}" for line in lines)

    def times(self) -> Sequence[RunTime]:
        """Return the clock that is shared with the host, and the machine's.

        The virtual clock is preferred: time passes without waiting, and does not depend on the
        machine's speed.
        """
        virtual = VirtualTime(
            self.process.clock, partial(self._use_clock, "virtual"), self._set_zone
        )
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
        if self._is_running and not self.process.has_ended:
            with contextlib.suppress(ProgramSilent, ClientCrashed):  # the host has ended meanwhile
                self.ask(op, **members)

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
            raise costly(ClientCrashed(str(died))) from None
        except HostBrokenByClientError as error:
            raise costly(HostBroken(f"{BROKE_ITS_PROCESS}{error}")) from None
        if "unusable" in reply:
            raise TargetError(reply["unusable"])
        return reply

    def _asked(
        self, op: str, deadline: float | None, *, looks: bool, **members: Any
    ) -> dict[str, Any]:
        """Send a request, and end the host if it did not answer or is broken."""
        seconds = self._short_seconds if deadline is None else deadline
        try:
            return self.process.exchange(op, seconds, looks=looks, **members)
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

    def leave(self) -> None:
        """Let the host exit as a program does; the next client is made in a new one.

        The client's files stay.
        """
        with self.turn:
            self._is_running = False
            self.process.leave()

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
        self.process.kill()


def costly(crash: ClientCrashed) -> ClientCrashed:
    """Mark a crash as one whose repetition costs seconds, and return it."""
    crash.is_costly = True
    return crash
