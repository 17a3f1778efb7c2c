"""Workers that judge the clauses of a check concurrently: forked processes of this one.

pytest-xdist starts new processes, each of which imports pytest and the kit for a second. A fork of
this process takes milliseconds. POSIX only; elsewhere the session judges all clauses by itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import FrameType
from typing import Any, NoReturn

import msgspec
import pytest

from mockbroker.broker.client_certificates import remove_files
from mockbroker.broker.clock import real_seconds
from mockbroker.contract.authentication import METHODS
from mockbroker.contract.catalogue import clause_named
from mockbroker.contract.clauses.errors import TIMEOUT
from mockbroker.contract.clauses.lifecycle import LIFECYCLE
from mockbroker.processes.signals import ENDING_SIGNALS
from mockbroker.processes.tree import be_signalled_when_parent_ends
from mockbroker.report.finding import Finding
from mockbroker.report.kit_error import KitError
from mockbroker_contract.isolation.one_processor import one_processor
from pytest_mockbroker.collector import VerdictCollector
from pytest_mockbroker.kit_failures import kit_error_from
from pytest_mockbroker.markers import RECEIVER, clause_id_of

__all__ = ["ClauseWorkers", "can_fork"]

_PIECE = 65_536
_SECONDS_TO_END = 2.0
"""The time that a worker has after an interruption to report what it found so far."""
_FIRST = (TIMEOUT.id, LIFECYCLE.id)
"""A client without a timeout is waited for while others work. The state machine takes longest."""
_TOKEN_REQUESTS = frozenset({"request", *(method.chapter for method in METHODS)})
"""The chapters whose clauses are judged by the same test cases, which are run once."""


def can_fork() -> bool:
    """Return whether this system has processes that can be forked."""
    return hasattr(os, "fork")


class _Stopped(KeyboardInterrupt):
    """Raised in a worker by SIGTERM; a subclass, as that of `Interruption`."""


class ClauseWorkers:
    """Plugin that has the clauses of a session judged by forked workers.

    ``count`` is how many there may be. Each worker has a contract run of its own: a client process,
    brokers and folders. It judges whole chapters, since the clauses of a chapter use each other's
    test cases. Its reports go through a pipe to the hooks of this process.

    ``reporters`` are plugins of this process that display the run; the workers do without them.
    """

    def __init__(self, count: int, reporters: Sequence[object]) -> None:
        self._count = count
        self._reporters = reporters

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Judge the items in workers; return None, for pytest's own loop, if one is enough."""
        queue = _ChapterQueue(_chapters(session.items))
        count = min(self._count, len(queue))
        if count < 2 or session.config.option.collectonly:  # noqa: PLR2004 - more than one
            return None
        workers: list[_Worker] = []
        # A collection of garbage writes into each object that it visits. The processes share the
        # memory of frozen objects, which no collection visits.
        gc.collect()
        gc.freeze()
        try:
            with queue.opened():
                # Not all at once: those that were forked end, even if the next cannot be.
                for number in range(count):
                    workers += [self._fork(session, queue, number)]
            _Relay(session, workers).run()
        finally:
            _end(session, workers)
        return True

    def _fork(self, session: pytest.Session, queue: _ChapterQueue, number: int) -> _Worker:
        """Fork a worker. Raises OSError if the system has no resources for it."""
        reader, writer = os.pipe()
        # Before any thread of this process exists: a lock that a thread holds stays held in a fork.
        pid = os.fork()
        if not pid:
            os.close(reader)
            _work(session, queue, _Outlet(session.config, writer), number, self._reporters)
        os.close(writer)
        return _Worker(pid, reader)


def _chapters(items: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """Return the items by chapter, the chapter that takes longest first.

    The chapters whose clauses share their test cases are one. A clause that goes first is a chapter
    of its own.
    """
    chapters: dict[str, list[pytest.Item]] = {}
    for item in items:
        clause_id = clause_id_of(item)
        chapter = clause_named(clause_id).chapter
        name = "token requests" if chapter in _TOKEN_REQUESTS else chapter
        chapters.setdefault(clause_id if clause_id in _FIRST else name, []).append(item)
    first = [chapters.pop(clause_id) for clause_id in _FIRST if clause_id in chapters]
    return [*first, *sorted(chapters.values(), key=len, reverse=True)]


class _ChapterQueue:
    """A queue of chapters, from which several processes take.

    It is a pipe with a byte for each chapter: the kernel gives every byte to one reader.
    """

    def __init__(self, chapters: list[list[pytest.Item]]) -> None:
        self._chapters = chapters
        self._reader = -1

    def __len__(self) -> int:
        """Return the number of all chapters, taken or not."""
        return len(self._chapters)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Fill the queue for the processes that are forked in the context."""
        self._reader, writer = os.pipe()
        os.write(writer, bytes(range(len(self._chapters))))
        # Before the forks: a worker that inherits the writer would wait for itself.
        os.close(writer)
        try:
            yield
        finally:
            os.close(self._reader)

    def next(self) -> list[pytest.Item]:
        """Return the next chapter; empty if none is left."""
        number = os.read(self._reader, 1)
        return self._chapters[number[0]] if number else []


# -- in the worker -----------------------------------------------------------------------------


class _Outlet:
    """Plugin of a worker that sends the reports to the parent, as lines of JSON."""

    def __init__(self, config: pytest.Config, writer: int) -> None:
        self._config = config
        self._writer = writer

    def send(self, **message: Any) -> None:
        """Send a message. Raises OSError if the parent has ended."""
        line = json.dumps(message).encode() + b"\n"
        while line:
            line = line[os.write(self._writer, line) :]

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        """Send that the next clause begins."""
        self.send(begun=nodeid, location=location)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send a report, in pytest's own form for workers."""
        hook = self._config.hook
        self.send(report=hook.pytest_report_to_serializable(config=self._config, report=report))


def _work(
    session: pytest.Session,
    queue: _ChapterQueue,
    outlet: _Outlet,
    number: int,
    reporters: Sequence[object],
) -> NoReturn:
    """Judge chapters from the queue until none is left, and end this process."""
    try:
        # A worker without its parent would judge on and on. Asked here, since a fork does not
        # inherit it.
        be_signalled_when_parent_ends()
        _answer_signals_as_a_worker()
        plugins = session.config.pluginmanager
        for plugin in (*reporters, plugins.get_plugin(RECEIVER)):
            plugins.unregister(plugin)
        plugins.register(outlet)
        with one_processor(number):
            _judge(queue)
        outlet.send(done=True)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            findings = VerdictCollector.of(session.config).take_findings()
            outlet.send(findings=msgspec.to_builtins(findings), done=True)
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        # The parent may have ended, and be the reason.
        with contextlib.suppress(OSError):
            reported = kit_error_from(error, "it ended the run")
            outlet.send(error=msgspec.to_builtins(reported), done=True)
    finally:
        remove_files()
        # Not sys.exit(): the end of pytest and of the command are the parent's.
        os._exit(0)


def _answer_signals_as_a_worker() -> None:
    """Let the parent decide about the signals of a terminal, and end by SIGTERM."""
    for each in ENDING_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)


def _stop(_number: int, _frame: FrameType | None) -> None:
    # Once: a second one must not interrupt the report of the first.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stopped


def _judge(queue: _ChapterQueue) -> None:
    chapter = queue.next()
    while chapter:
        after_chapter = _NextOfQueue(queue)
        for item, next_item in zip(chapter, (*chapter[1:], after_chapter), strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
        chapter = after_chapter.chapter


class _NextOfQueue:
    """Stand-in for the item after the last one of a chapter.

    pytest tears down the fixtures that the next item does not use, and asks for its collectors
    only then. The next chapter is taken from the queue at that moment. If it were taken before the
    last item is judged, it would wait for this worker while another one is idle.
    """

    def __init__(self, queue: _ChapterQueue) -> None:
        self._queue = queue

    @cached_property
    def chapter(self) -> list[pytest.Item]:
        """The next chapter; empty if none is left."""
        return self._queue.next()

    def listchain(self) -> list[Any]:
        """Return the collectors of the next item, and the item; empty if none is left."""
        return self.chapter[0].listchain() if self.chapter else []


# -- in the parent -----------------------------------------------------------------------------


@dataclass
class _Worker:
    """A worker, seen from its parent: ``reader`` is the pipe of its messages."""

    pid: int
    reader: int
    is_done: bool = False
    _rest: bytes = field(default=b"", repr=False)

    def receive(self) -> list[dict[str, Any]] | None:
        """Return the messages that have arrived, or wait for the next; None if no more come."""
        piece = os.read(self.reader, _PIECE)
        if not piece:
            return None
        *lines, self._rest = (self._rest + piece).split(b"\n")
        messages: list[dict[str, Any]] = list(map(json.loads, lines))
        self.is_done |= any("done" in message for message in messages)
        return messages


class _Relay:
    """The messages of all workers, passed on to the hooks of the parent."""

    def __init__(self, session: pytest.Session, workers: Sequence[_Worker]) -> None:
        self._session = session
        self._workers = workers

    def run(self, within: float | None = None) -> None:
        """Pass on what the workers send, until all have ended or that many seconds have passed.

        Raises what a hook raises, such as pytest.exit for a client that cannot be judged.
        """
        ends_at = None if within is None else real_seconds() + within
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker.reader, selectors.EVENT_READ, worker)
            while selector.get_map():
                ready = selector.select(None if ends_at is None else ends_at - real_seconds())
                if not ready:
                    return
                for key, _ in ready:
                    messages = key.data.receive()
                    if messages is None:
                        selector.unregister(key.fd)
                        self._has_ended(key.data)
                    for message in messages or ():
                        self._receive(message)
                        self._stop_if_asked()

    def _has_ended(self, worker: _Worker) -> None:
        if not worker.is_done:
            VerdictCollector.of(self._session.config).receive_error(
                KitError("the kit failed: a process that judged clauses ended")
            )

    def _receive(self, message: dict[str, Any]) -> None:
        config = self._session.config
        if "begun" in message:
            config.hook.pytest_runtest_logstart(
                nodeid=message["begun"], location=tuple(message["location"])
            )
        if "report" in message:
            report = config.hook.pytest_report_from_serializable(
                config=config, data=message["report"]
            )
            config.hook.pytest_runtest_logreport(report=report)
        if "findings" in message:
            VerdictCollector.of(config).receive_findings(
                msgspec.convert(message["findings"], list[Finding])
            )
        if "error" in message:
            VerdictCollector.of(config).receive_error(msgspec.convert(message["error"], KitError))

    def _stop_if_asked(self) -> None:
        """End the session as pytest's own loop does after each item."""
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)


def _end(session: pytest.Session, workers: Sequence[_Worker]) -> None:
    """End the workers that still run, and take what they found so far."""
    running = [worker for worker in workers if not worker.is_done]
    for worker in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGTERM)
    # The session may have ended by an exception already, and a second one would hide it.
    with contextlib.suppress(Exception, pytest.exit.Exception):
        _LastFindings(session, running).run(_SECONDS_TO_END)
    for worker in workers:
        os.close(worker.reader)
        if not worker.is_done:
            # Its hosts notice its end, and remove the folders of the client.
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(worker.pid, 0)


class _LastFindings(_Relay):
    """The messages of workers that were asked to end: their reports come too late to count."""

    def _receive(self, message: dict[str, Any]) -> None:
        if "findings" in message:
            super()._receive({"findings": message["findings"]})

    def _stop_if_asked(self) -> None:
        """Go on: the session has ended."""

    def _has_ended(self, worker: _Worker) -> None:
        """Accept it: the worker was asked to end."""
