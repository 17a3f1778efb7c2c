"""Clients that take from their process what the host in it needs."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
import threading
from typing import Any

import mockbroker_contract.drivers.host.session
from examples.model_client import make_client as make_model
from tests.hostile.kinds import FEW_USES, breaks, doing, odd

_HELD: list[Any] = []


@odd
def runs_out_of_descriptors(config):
    def hold():
        with contextlib.suppress(OSError):
            while True:
                _HELD.append(open(os.devnull))  # noqa: SIM115

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return doing(hold, config)


@odd
def forbids_descriptors(config):
    return doing(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)), config, every=FEW_USES)


@odd
def takes_sockets_away(config):
    def take():
        socket.socket = socket.create_connection = None

    return doing(take, config, every=FEW_USES)


@odd
def forgets_all_modules(config):
    return doing(sys.modules.clear, config, every=FEW_USES)


@odd
def writes_to_every_descriptor(config):
    def write():
        for descriptor in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(descriptor, b'{"id": 1, "ok": {}}\n')

    return doing(write, config, every=FEW_USES)


@breaks
def takes_threads_away(config):
    def take():
        threading.get_ident = threading.Barrier = None

    return doing(take, config, every=FEW_USES)


@breaks
def takes_the_hosts_names_away(config):
    def take():
        mockbroker_contract.drivers.host.session.bounded_text = None

    return doing(take, config, every=FEW_USES)


@breaks
def forges_answers(config):
    def forge():
        mockbroker_contract.drivers.host.session.Session._token = lambda *_: {"ok": {}}
        mockbroker_contract.drivers.host.session.Session._status = lambda *_: {"err": {}}

    return doing(forge, config, every=FEW_USES)


@odd
def clears_the_frames_above(config):
    def clear():
        frame = sys._getframe()
        while frame := frame.f_back:
            if frame.f_globals.get("__name__", "").startswith("mockbroker_contract"):
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
