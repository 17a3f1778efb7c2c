"""The parts of docs/benchmarks.md: what each measures, its text, and what it is compared with."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.results import MeasureSettings, Result, Table

__all__ = ["PARTS", "Part", "tables_of"]


def tables_of(result: Result) -> str:
    """Return the tables of a result in Markdown."""
    return "\n\n".join(table.markdown for table in result.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the page. ``name`` is that of its module and of its command.

    The module has a function ``measure``. ``before`` and ``after`` stand around the figures, in
    Markdown. ``peers`` are distributions of Python, and ``node_peers`` packages of npm, whose
    versions are stored. ``text_of`` says how the page shows a result.
    """

    name: str
    title: str
    before: str
    after: str = ""
    peers: tuple[str, ...] = ()
    node_peers: tuple[str, ...] = ()
    text_of: Callable[[Result], str] = tables_of

    @property
    def command(self) -> str:
        """The command that measures this part."""
        return f"python -m benchmarks {self.name}"

    def measure(self, settings: MeasureSettings) -> tuple[Table, ...]:
        """Measure. Imports the module only now: some need what only `tox -e bench` installs."""
        module = importlib.import_module(f"benchmarks.{self.name}")
        tables: tuple[Table, ...] = module.measure(settings)
        return tables

    def versions(self, settings: MeasureSettings) -> dict[str, str]:
        """Return the versions of the peers that are installed, by name."""
        found = {name: _distribution(name) for name in self.peers}
        found |= {name: _node_package(settings.npm, name) for name in self.node_peers}
        if self.node_peers:
            found["Node.js"] = _node()
        return {name: number for name, number in found.items() if number}


def _power(result: Result) -> str:
    # Imported here: the module needs the mutants, which take a second to import.
    from benchmarks.power import text_of  # noqa: PLC0415

    return text_of(result)


def _distribution(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _node_package(folder: Path, name: str) -> str:
    file = folder / "node_modules" / name / "package.json"
    return str(json.loads(file.read_text(encoding="utf-8"))["version"]) if file.is_file() else ""


def _node() -> str:
    program = shutil.which("node")
    if program is None:
        return ""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("v")


PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part(
            name="check_time",
            title="How long a check takes",
            before="Each check is one of all clauses, as a user starts it, and each figure the "
            "median of 5. The defects are a token that is used too long, a parameter that is not "
            "asked for, and a new token after each refusal. `-j` has as many processes as the "
            "machine has processors unless it is given, and one more for a program.",
            after="A process that judges clauses uses one processor, because client and broker "
            "work alternately. The Node.js clients are openid-client and, without a timeout, "
            "@badgateway/oauth2-client. What a program waits for is unknown, so errors.timeout "
            "waits for the second one for 15 seconds.",
            node_peers=("openid-client", "@badgateway/oauth2-client"),
        ),
        Part(
            name="check_memory",
            title="How much memory a check takes",
            before="The figures are the highest of a run, sampled twenty times a second. The sum "
            "is over the command, the processes that judge clauses and the hosts of clients; a "
            "page that several of them share counts once.",
        ),
        Part(
            name="power",
            title="What examples find",
            before="Each mutant is a client with one defect; see [the kill matrix]"
            "(kill-matrix.md). Only the clauses that show the defect are judged, in one process, "
            "until one of them is broken. The time includes the start of the client. Random "
            "examples alone means 100 random examples for each clause that draws any, and no "
            "chosen boundary values.",
            text_of=_power,
        ),
        Part(
            name="throughput",
            title="Token requests a second",
            before="`mockbroker serve` beside oauth2-mock-server, each a program of its own that "
            "logs to a file. The figures are medians of 5 rounds of 2,000 requests, in which the "
            "servers take turns. The client is a bare socket for each connection.",
            node_peers=("oauth2-mock-server",),
        ),
        Part(
            name="workers",
            title="What a second worker adds",
            before="`mockbroker serve` with its state in memory, and in a Redis on the same "
            "machine that is reached by a Unix socket. The figures are medians of 5 rounds of 4 "
            "seconds with 16 connections, in which the brokers take turns. The client and Redis "
            "share the processors with the workers.",
            after="A token request asks Redis three times. One worker alone is therefore slower "
            "than a process with its state in memory.",
            peers=("redis", "hiredis"),
        ),
        Part(
            name="servers",
            title="What a token request costs, by server",
            before="The broker's server (h11, threads, and one loop for plain requests) beside "
            "others that run the same application: 500 requests in 5 rounds. The figures are "
            "microseconds for each request, with the client's share.",
            after="Werkzeug's server closes every connection. Speed was not the only reason for "
            "our own server. The others merge repeated headers, which the contract must "
            "distinguish. Their timeouts for idle connections use a clock that tests move.",
            peers=("h11", "flask", "cheroot", "waitress", "werkzeug"),
        ),
        Part(
            name="growth",
            title="What a request costs after many tokens",
            before="The broker's own work without a network, in microseconds, as the median of "
            "200. With a journal file each exchange is also masked, written, and formatted as a "
            "line for a terminal.",
        ),
        Part(
            name="million_tokens",
            title="A million tokens",
            before="One broker issues 1,000,000 tokens and answers 100,000 calls, with the default "
            "limits. The last thousand requests of each kind are measured in turn with those to a "
            "new broker; the ratio is that of these two. Client and broker are one process.",
            after="Beyond the limit each new token has an old one forgotten, which costs some "
            "microseconds: little beside a request, and much beside the broker's own work. [What a "
            "broker remembers](in-tests.md#what-a-broker-remembers) says which one.",
        ),
        Part(
            name="plugin_cost",
            title="What the plugin costs a test run",
            before="Alternating runs of pytest in which every other installed plugin is blocked; "
            "each figure is the median of 21.",
            peers=("pytest", "pluggy"),
        ),
        Part(
            name="help_time",
            title="How long the command takes to start",
            before="The median of 15 runs that take turns.",
            peers=("click",),
        ),
        Part(
            name="dependencies",
            title="What the dependencies cost",
            before="The installed size of each runtime dependency, and the processor time of its "
            "import in a new interpreter. Several are imported by others as well, so the figures "
            "do not add up.",
            after="A module is imported where it is needed: a test run that does not use the "
            "plugin imports none of them but pytest.",
        ),
        Part(
            name="worst_requests",
            title="The costliest requests",
            before="Requests of at most 1 MiB, each of a kind that some server takes long for. "
            "The figures are processor time with the client's share, as the median of 3. "
            "[Reliability](reliability.md#the-costliest-requests) says what is in them.",
        ),
    )
}
"""The parts by name, in the order of the page."""
