"""How long a check takes: of the model client, of clients with defects, of a Node.js client."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.results import MeasureSettings, Table

__all__ = ["MODEL", "measure"]

ROUNDS = 5
ROOT = Path(__file__).parents[1]
MODEL = "examples/model_client.py"
NODE_DRIVERS = "node examples/drivers/node/"
WITHOUT_CLOCK = "node benchmarks/clients/without_clock.mjs "
WITH_TIMEOUT, WITHOUT_TIMEOUT = "openid_client.mjs", "badgateway_oauth2_client.mjs"
# 0 nothing failed, 1 the client does not conform: both are the end of a whole check.
_WHOLE = (0, 1)


def seconds_of(*command: str) -> float:
    """Run the command with this Python; return how many seconds it took.

    Raises RuntimeError unless it ended as a whole check does.
    """
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    spent = time.monotonic() - began
    if done.returncode not in _WHOLE:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    return spent


def check(*arguments: str) -> Callable[[], float]:
    """Return a measurement of a check as a user runs it."""
    return lambda: seconds_of("mockbroker", "check", *arguments)


def contract_run(*options: str) -> Callable[[], float]:
    """Return a measurement of the same clauses in a run of pytest."""
    arguments = ("-q", "-p", "no:randomly", *options, "--pyargs", "mockbroker_contract")
    return lambda: seconds_of("pytest", *arguments, "--contract-client", MODEL)


MEASURED: dict[str, tuple[str, Callable[[], float]]] = {
    "model client": ("10 s", check(MODEL)),
    "model client, `-j 1`": ("", check(MODEL, "-j", "1")),
    "a client with three defects": ("1.5 times as long", check("benchmarks/clients/defects.py")),
    "the model client without a timeout": (
        "1.5 times as long",
        check("benchmarks/clients/no_timeout.py"),
    ),
    "`pytest --pyargs mockbroker_contract`": ("", contract_run()),
    "the same with `-n 2`": ("", contract_run("-n", "2")),
    "a Node.js client, by a driver with a clock": (
        "20 s",
        check("--exec", NODE_DRIVERS + WITH_TIMEOUT),
    ),
    "the same without a clock": ("30 s", check("--exec", WITHOUT_CLOCK + WITH_TIMEOUT)),
    "a Node.js client without a timeout, with a clock": (
        "20 s",
        check("--exec", NODE_DRIVERS + WITHOUT_TIMEOUT),
    ),
    "the same again without a clock": ("30 s", check("--exec", WITHOUT_CLOCK + WITHOUT_TIMEOUT)),
}


def measure(_: MeasureSettings) -> tuple[Table, ...]:
    """Measure in turn, so that a busy moment slows down all alike.

    Clients for Node.js are left out if Node.js or the client is not installed.
    """
    has_node = shutil.which("node") and (ROOT / "examples/drivers/node/node_modules").is_dir()
    chosen = {name: m for name, m in MEASURED.items() if has_node or "clock" not in name}
    rounds = [{name: run() for name, (_, run) in chosen.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in chosen}
    model = medians["model client"]
    rows = tuple(
        (name, medians[name], medians[name] / model, wanted) for name, (wanted, _) in chosen.items()
    )
    return (Table(("check of", "seconds", "beside the first", "at most"), rows),)
