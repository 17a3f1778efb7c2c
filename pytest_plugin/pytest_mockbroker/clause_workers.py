"""Workers that judge the clauses of a session concurrently: forked processes of this one.

pytest-xdist starts new processes, each of which imports pytest and the kit for a second. A fork of
this process takes milliseconds. POSIX only; elsewhere a check judges all clauses by itself, and
pytest-xdist does what it does.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection, Pipe, wait
from types import FrameType
from typing import Any, NoReturn

import msgspec
import pytest
from _pytest.runner import runtestprotocol  # the runner's own hook reports as well

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
from pytest_mockbroker.markers import clause_id_of

__all__ = ["ClauseWorkers", "can_fork"]

_SECONDS_TO_END = 2.0
"""The time that a worker has after an interruption to report what it found so far."""
_FIRST = (TIMEOUT.id, LIFECYCLE.id)
"""A client without a timeout is waited for while others work. The state machine takes longest."""
_LONGEST = ("cache", "refresh", "response")
"""The chapters that take longest of the others, if a client is sound; the first one longest."""
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
    test cases. Its reports go through a pipe to the hooks of this process, and to none of its own.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def pytest_report_header(self) -> str:
        """Say at the top of a run by pytest that the processes are not those of pytest-xdist."""
        return f"contract: up to {self._count} processes judge the clauses"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Judge the items in workers; return None, for pytest's own loop, if one is enough."""
        queue = _ChapterQueue(_chapters(session.items))
        count = min(self._count, len(queue))
        options = session.config.option
        # pytest's own loop ends a session whose tests could not be collected.
        is_broken = session.testsfailed and not options.continue_on_collection_errors
        # What a thread of another plugin holds, such as a lock, would stay held in a fork.
        has_threads = threading.active_count() > 1
        if count < 2 or options.collectonly or is_broken or has_threads:  # noqa: PLR2004 - more than one
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
            gc.unfreeze()
        return True

    def _fork(self, session: pytest.Session, queue: _ChapterQueue, number: int) -> _Worker:
        """Fork a worker. Raises OSError if the system has no resources for it."""
        reader, writer = Pipe(duplex=False)
        pid = os.fork()
        if not pid:
            reader.close()
            _work(session, queue, _Outlet(session.config, writer), number)
        writer.close()
        return _Worker(pid, reader)


def _chapters(items: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """Return the items by chapter, the chapter that takes longest first.

    So the last ones are short, and no worker judges long after the others have ended. The chapters
    whose clauses share their test cases are one. A clause that goes first is a chapter of its own.
    """
    chapters: dict[str, list[pytest.Item]] = {}
    for item in items:
        clause_id = clause_id_of(item)
        chapter = clause_named(clause_id).chapter
        name = "token requests" if chapter in _TOKEN_REQUESTS else chapter
        chapters.setdefault(clause_id if clause_id in _FIRST else name, []).append(item)
    first = [chapters.pop(name) for name in (*_FIRST, *_LONGEST) if name in chapters]
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
    """Plugin of a worker that sends the reports to the parent, in messages of plain values.

    No other plugin of the worker gets them: one that writes reports has its files in the parent.
    """

    def __init__(self, config: pytest.Config, writer: Connection) -> None:
        self._config = config
        self._writer = writer

    def send(self, **message: Any) -> None:
        """Send a message. Raises OSError if the parent has ended."""
        # Whole, also if the parent ends this process meanwhile: it could not read the next one.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            self._writer.send(message)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: Any) -> bool:
        """Send that the next clause begins, and judge it."""
        self.send(begun=item.nodeid, location=item.location)
        runtestprotocol(item, log=False, nextitem=nextitem)
        return True

    # The outermost wrapper, because the collector's own puts the verdict into the report.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send a report, in pytest's own form for workers."""
        report = yield
        hook = self._config.hook
        self.send(report=hook.pytest_report_to_serializable(config=self._config, report=report))
        return report


def _work(session: pytest.Session, queue: _ChapterQueue, outlet: _Outlet, number: int) -> NoReturn:
    """Judge chapters from the queue until none is left, and end this process."""
    try:
        # A worker without its parent would judge on and on. Asked here, since a fork does not
        # inherit it.
        be_signalled_when_parent_ends()
        _answer_signals_as_a_worker()
        plugins = session.config.pluginmanager
        capture = plugins.get_plugin("capturemanager")
        if capture is not None:
            # The parent and all workers have one file for what is captured, and one place in it.
            capture.stop_global_capturing()
            capture.start_global_capturing()
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
    """A worker, seen from its parent: ``reader`` is the connection from which its messages come."""

    pid: int
    reader: Connection
    is_done: bool = False

    def receive(self) -> dict[str, Any] | None:
        """Return a message, once it has arrived; None if no more come."""
        try:
            message: dict[str, Any] = self.reader.recv()
        except (EOFError, OSError):  # OSError for a worker that was killed in the middle of one
            return None
        self.is_done |= "done" in message
        return message


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
        running = list(self._workers)
        while running:
            seconds = None if ends_at is None else max(0, ends_at - real_seconds())
            ready = wait([worker.reader for worker in running], seconds)
            if not ready:
                return
            for worker in [each for each in running if each.reader in ready]:
                message = worker.receive()
                if message is None:
                    running.remove(worker)
                    self._has_ended(worker)
                else:
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
                nodeid=message["begun"], location=message["location"]
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
        worker.reader.close()
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
