"""Serving a broker with several processes, which share its state.

The first process, which the user started, listens to signals and starts the workers. Each worker
listens on the same port, and the system spreads the connections over them. The first process
replaces a worker that ends by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from mockbroker.broker.client_certificates import remove_files
from mockbroker.cli.request_log import RequestLog
from mockbroker.cli.serve import (
    announce,
    announce_end,
    mount_control,
    prepared,
    warn_of_other_hosts,
)
from mockbroker.cli.serve_options import ServeSettings
from mockbroker.cli.stop_signals import StopSignals
from mockbroker.cli.streams import warn
from mockbroker.processes.signals import hold_signals, release_signals

if TYPE_CHECKING:
    from mockbroker.fake_broker import Broker
    from mockbroker.server.certificates import ServerCertificate

__all__ = ["serve_by_workers"]

OnReady = Callable[[Callable[[], None]], None]
"""What a worker calls once it listens, with a function that ends it."""

FAILED = 1
"""The exit status of a worker that an exception ended."""


def serve_by_workers(settings: ServeSettings, signals: StopSignals) -> None:
    """Serve with several processes until a signal arrives; print how many requests there were.

    Raises click.ClickException, with a message of one sentence, if a setting is invalid.
    """
    _require_sharing(settings)
    from mockbroker.cli.published_files import published  # noqa: PLC0415 - only when needed
    from mockbroker.server.control.access import (  # noqa: PLC0415 - only when needed
        random_control_token,
    )
    from mockbroker.server.listener import origin_of  # noqa: PLC0415 - Flask only if served

    with (
        prepared(settings) as (broker, log, certificate),
        _reserved_port(settings.host, settings.port) as (port, is_on_loopback),
    ):
        if not is_on_loopback and settings.control_token is None:
            # Made here, so that it is the same in every worker.
            settings = replace(settings, control_token=random_control_token())
        ca_file = certificate.ca_file if certificate else None
        origin = origin_of(settings.host, port, is_tls=certificate is not None)
        # For the banner only: no request reaches the broker in this process.
        broker.mounted_at(origin, "", ca_file)
        before = broker.journal.total
        settings = replace(settings, port=port)
        service = _Service(broker=broker, log=log, certificate=certificate, settings=settings)
        workers = _Workers(service, signals)
        signals.stop_by(workers.stop)
        workers.start(settings.workers)
        try:
            with published(settings, broker):
                announce(broker, settings.control_token)
                workers.wait()
        except click.ClickException:
            workers.stop()
            raise
        announce_end((broker,), before)


def _require_sharing(settings: ServeSettings) -> None:
    """Raise click.ClickException if several processes cannot serve one broker."""
    import socket  # noqa: PLC0415 - only when needed

    if settings.state is None:
        raise click.UsageError(
            f"--workers {settings.workers} needs a Redis in which the processes share tokens and "
            "clients: add --state redis://HOST:PORT/0"
        )
    if not (hasattr(os, "fork") and hasattr(socket, "SO_REUSEPORT")):
        raise click.UsageError(
            "--workers needs a system with fork and SO_REUSEPORT, such as Linux; elsewhere start "
            "several servers of mockbroker.wsgi:app"
        )


@contextlib.contextmanager
def _reserved_port(host: str, port: int) -> Iterator[tuple[int, bool]]:
    """Yield a port that the workers can share and other programs cannot have; 0 takes a free one.

    The second value is whether only this machine can reach the port.

    Raises click.ClickException if the address cannot be used.
    """
    from mockbroker.server.ports import bind_at, is_loopback, listen_at  # noqa: PLC0415

    try:
        # Not shared, so that another broker on the port is an error and not one more worker.
        with listen_at(host, port) as free:
            number = free.getsockname()[1]
        reserved = bind_at(host, number, is_shared=True)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; "
            "choose another address with --host or --port (--port 0 takes a free port)"
        ) from error
    with reserved:
        is_on_loopback = is_loopback(reserved)
        if not is_on_loopback:
            warn_of_other_hosts(host)
        yield number, is_on_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """What each worker serves, and where; the settings have the number of the port."""

    broker: Broker
    log: RequestLog
    certificate: ServerCertificate | None
    settings: ServeSettings

    def run(self, signals: StopSignals, on_ready: OnReady) -> None:
        """Serve in this process until a signal arrives or ``on_ready``'s function is called."""
        from mockbroker.server.listener import Server  # noqa: PLC0415 - Flask only if served

        server = Server(
            self.settings.host,
            self.settings.port,
            tls=self.certificate,
            on_refused=self.log.refused,
            shares_port=True,
        )
        server.mount(self.broker)
        mount_control(server, self.broker, self.settings)
        # The control API may reset the broker, and the log continues.
        self.broker.journal.subscribe(self.log.answered, survives_reset=True, is_prompt=True)
        signals.stop_by(server.interrupt)
        on_ready(server.interrupt)
        server.serve_forever()


class _Workers:
    """The worker processes; each runs the same service."""

    def __init__(self, service: _Service, signals: StopSignals) -> None:
        self._service = service
        self._signals = signals
        self._process_ids: set[int] = set()
        # The first process writes nothing into it. Its end ends the pipe, which the workers notice.
        self._alive_read, self._alive_write = os.pipe()

    def start(self, count: int) -> None:
        """Start so many workers, and return once they listen; after a signal they end at once.

        Raises click.ClickException if one cannot start.
        """
        for _ in range(count):
            self._start_one()

    def stop(self) -> None:
        """Ask every worker to end; `wait` waits for it. A signal handler may call it."""
        for process_id in tuple(self._process_ids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGTERM)

    def wait(self) -> None:
        """Return once every worker has ended; start another for one that ends by itself.

        Raises click.ClickException if none can start.
        """
        while self._process_ids:
            process_id, status = os.wait()
            self._process_ids.discard(process_id)
            if self._signals.received is None:
                code = os.waitstatus_to_exitcode(status)
                why = f"signal {-code}" if code < 0 else f"exit status {code}"
                warn(f"worker {process_id} ended by itself ({why}); another one takes its place")
                self._start_one()

    def _start_one(self) -> None:
        """Start a worker. Raises click.ClickException, and stops all, if it ends at once."""
        ready_read, ready_write = os.pipe()
        # A signal between the two steps would miss the new worker.
        hold_signals()
        process_id = os.fork()
        if not process_id:
            os.close(ready_read)
            self._work(ready_write)
        self._process_ids.add(process_id)
        release_signals()
        os.close(ready_write)
        has_started = bool(os.read(ready_read, 1))
        os.close(ready_read)
        if not has_started:
            self.stop()
            raise click.ClickException("a worker could not start; its own message says why")

    def _work(self, ready_write: int) -> None:
        """Serve, and end the process; it never returns."""
        # A worker stops none of the others.
        self._process_ids.clear()
        os.close(self._alive_write)

        def on_ready(end: Callable[[], None]) -> None:
            """Report that the worker listens, and end it when the first process has ended."""
            threading.Thread(target=self._end_after_parent, args=(end,), daemon=True).start()
            os.write(ready_write, b".")
            os.close(ready_write)

        status = FAILED
        try:
            release_signals()
            self._service.run(self._signals, on_ready)
            status = 0
        # Everything: an exception that leaves this method would run the first process's code.
        except BaseException:  # noqa: BLE001 - see above
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    stream.flush()
            remove_files()
            os._exit(status)

    # A test sees its effect. Coverage sees no other thread than the first of a forked process.
    def _end_after_parent(self, end: Callable[[], None]) -> None:  # pragma: no cover - see above
        """Call ``end`` once the first process has ended, even if it was killed."""
        os.read(self._alive_read, 1)
        end()
