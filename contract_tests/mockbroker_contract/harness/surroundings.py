"""What keeps the client's requests from the broker although the client is not its cause."""

from __future__ import annotations

from collections.abc import Callable

from mockbroker_contract.drivers.target import TargetError
from mockbroker_contract.harness.run import ContractRun
from mockbroker_contract.isolation.proxies import proxy_variables
from mockbroker_contract.isolation.replaced_network import loopback_obstacle

__all__ = ["SurroundingsError", "needs_free_way", "needs_sockets"]


class SurroundingsError(TargetError):
    """Something other than the client keeps its requests from the broker."""


def needs_sockets() -> None:
    """Raise SurroundingsError if this process cannot connect to itself: something forbids sockets.

    Cheap, so that it can be called before each clause: a fixture may forbid them meanwhile.
    """
    obstacle = loopback_obstacle()
    if obstacle:
        raise SurroundingsError(
            f"{obstacle} to 127.0.0.1, so no client can reach the broker; allow that address in "
            "this test run, or run `mockbroker check TARGET`, which uses no plugins and conftest.py"
        )


def needs_free_way(run: ContractRun, reaches: Callable[[], bool]) -> None:
    """Raise SurroundingsError if a mock or a proxy keeps the client's requests from the broker.

    Called when one has not reached it. ``reaches`` uses the client, and returns whether the same
    request reaches it now.
    """
    mocked = run.clients.network_obstacle()
    if mocked:
        raise SurroundingsError(mocked)
    proxies = proxy_variables()
    if not proxies:
        return
    # Whether a client observes NO_PROXY is its own matter, so that it is tried without a proxy.
    run.sandbox.keeps_proxies = False
    run.clients.restart()
    if reaches():
        raise SurroundingsError(
            f"{', '.join(proxies)}: the client sends its requests to the proxy of the environment, "
            "although NO_PROXY has the broker's address; unset the variable for the check"
        )
    run.sandbox.keeps_proxies = True
    run.clients.restart()
