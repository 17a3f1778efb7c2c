"""Clients of a Python factory, which live in a process of their own, the host."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from mockbroker.model.client import ClientConfig, ClientFactory
from mockbroker_contract.drivers.client_output import ClientOutputPrinter
from mockbroker_contract.drivers.conversation import ProgramDied, ProgramSilent
from mockbroker_contract.drivers.driver import GET_TOKEN, REQUEST
from mockbroker_contract.drivers.failures import ClientCrashed
from mockbroker_contract.drivers.host_process import HostError, HostProcess
from mockbroker_contract.drivers.python_driver import PythonDriver
from mockbroker_contract.drivers.python_host import SHORT_SECONDS, PythonHost
from mockbroker_contract.drivers.sandbox import Sandbox
from mockbroker_contract.drivers.target import TargetError, absolute_target
from mockbroker_contract.timing.run_time import RunTime

__all__ = ["PythonClients"]

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
        self._host: PythonHost | None = None
        self._names = map("c{}".format, itertools.count(1))

    def use_sandbox(
        self, sandbox: Sandbox, *, shows_output: bool = False, shows_tracebacks: bool = False
    ) -> None:
        """Run the clients in this sandbox; called once, before any other method."""
        self._host = PythonHost(self._source, sandbox, shows_tracebacks=shows_tracebacks)
        if shows_output:
            self._host.process.output.show = ClientOutputPrinter().add

    @property
    def _prepared(self) -> PythonHost:
        assert self._host is not None, "use_sandbox() comes first"
        return self._host

    @property
    def limits(self) -> Sequence[str]:
        """Guarantees that do not hold for a forked factory, or under this kernel."""
        limits = tuple(self._prepared.introduction.get("limits", ()))
        return limits if isinstance(self._source, str) else (_FORKED, *limits)

    def network_obstacle(self) -> str:
        """Return what keeps requests in the client's process, and the next step, or nothing."""
        try:
            answer = self._prepared.running().exchange("surroundings", SHORT_SECONDS)["ok"]
        except (HostError, ClientCrashed, ProgramDied, ProgramSilent, TargetError):
            answer = self._prepared.introduction  # as it was after the import
        for name, maker in answer.get("replaced", ()):
            return (
                f"a request of the client did not reach the broker: {maker} has replaced {name} in "
                f"the client's process; {_IMPORTED if isinstance(self._source, str) else _FROM_RUN}"
            )
        return ""

    @property
    def host(self) -> HostProcess:
        """The process in which the clients run."""
        return self._prepared.process

    @property
    def description(self) -> Mapping[str, Any]:
        """Facts about the clients: the factory's name and its version.

        Raises TargetError without a usable factory.
        """
        return self._prepared.description

    def times(self) -> Sequence[RunTime]:
        """Return the clocks that the host can follow; see `PythonHost.times`."""
        return self._prepared.times()

    def driver(self, config: ClientConfig, deadline: float) -> PythonDriver:
        """Return the driver of a new client; ``deadline`` is in real seconds per operation.

        The client is made later, by `PythonDriver.open`.
        """
        return PythonDriver(
            self._prepared, next(self._names), config, deadline, Sandbox.trust(config.ca_file)
        )

    def can_be_used_at_once(self, operation: str) -> bool:
        """Return whether many operations of that kind can run concurrently.

        Any client can be called from many threads, or awaited in many tasks; whether it works is
        judged.
        """
        return operation in (GET_TOKEN, REQUEST)

    arranges_uses = True

    def restart(self) -> None:
        """Let the host exit as a program does; the next client is made in a new one.

        The client's files stay.
        """
        self._prepared.leave()

    def ends_within(self, seconds: float) -> bool:
        """Have the host end as a program does; return whether it did within that real time."""
        return self._prepared.ends_within(seconds)

    def end(self) -> None:
        """End the host, and every process that its clients have started.

        Other clients in it are lost as well: their next use raises NotTested.
        """
        self._prepared.end()

    def close(self) -> None:
        """End the process of the clients.

        The host may run its exit handlers for two seconds.
        """
        if self._host is not None:
            self._host.process.close()
