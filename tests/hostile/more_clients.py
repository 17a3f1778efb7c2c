"""More clients of the kinds of `tests.hostile.clients`, found by attacking the kit."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contract_tests.host.session
from examples.model_client import make_client as make_model
from tests.hostile.clients import FEW_USES, doing

__all__ = ["BREAKS_ITS_PROCESS", "ODD", "SOUND"]

SOUND: dict[str, Callable[[Any], Any]] = {}
"""What must be judged as the client that it is: every clause passes."""
BREAKS_ITS_PROCESS: dict[str, Callable[[Any], Any]] = {}
"""What spoils the process it lives in so that nothing can be asked of it: a crash that says so."""
ODD: dict[str, Callable[[Any], Any]] = {}
"""What does the strangest things: any verdict but an error of the kit."""


def sound(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
    SOUND[factory.__name__] = factory
    return factory


def breaks(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
    BREAKS_ITS_PROCESS[factory.__name__] = factory
    return factory


def odd(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
    ODD[factory.__name__] = factory
    return factory


# -- the process -------------------------------------------------------------------------------


@breaks
def takes_threads_away(config):
    def take():
        threading.get_ident = threading.Barrier = None

    return doing(take, config, every=FEW_USES)


@breaks
def takes_the_hosts_names_away(config):
    def take():
        contract_tests.host.session.bounded_text = None

    return doing(take, config, every=FEW_USES)


@breaks
def forges_answers(config):
    def forge():
        contract_tests.host.session.Session._token = lambda *_: {"ok": {}}
        contract_tests.host.session.Session._status = lambda *_: {"err": {}}

    return doing(forge, config, every=FEW_USES)


@odd
def clears_the_frames_above(config):
    def clear():
        frame = sys._getframe()
        while frame := frame.f_back:
            if frame.f_globals.get("__name__", "").startswith("contract_tests"):
                frame.f_globals.clear()

    return doing(clear, config, every=FEW_USES)


@odd
def leaves_no_memory_for_threads(config):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (50_000_000, 50_000_000))

    return doing(limit, config, every=FEW_USES)


@odd
def exits_in_its_class(config):
    client = make_model(config)

    class Client(type(client)):  # type: ignore[misc]
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            os._exit(0)

        def __iter__(self) -> Any:
            os._exit(0)

    client.__class__ = Client
    return client


@sound
def goes_down_a_thousand_folders(config):
    def go():
        for _ in range(1000):
            Path("x" * 50).mkdir(exist_ok=True)
            os.chdir("x" * 50)

    return doing(go, config, every=10 * FEW_USES)


@sound
def takes_a_while_to_close(config):
    client = make_model(config)

    async def close() -> None:
        await asyncio.sleep(1)

    client.close = close
    return client


@sound
def never_ends_when_it_is_forgotten(config):
    client = make_model(config)

    class Client(type(client)):  # type: ignore[misc]
        def __del__(self) -> None:
            threading.Event().wait()

    client.__class__ = Client
    return client


@sound
def leaves_what_runs_away_slowly(config):
    def start():
        if os.fork() == 0:
            os.setsid()
            while True:
                if os.fork():
                    os._exit(0)
                threading.Event().wait(0.001)

    return doing(start, config, every=5 * FEW_USES)


@sound
def travels_in_time(config):
    import time_machine  # noqa: PLC0415 - it may not be installed

    def travel():
        with time_machine.travel(0, tick=False):
            time.time()

    return doing(travel, config)
