"""How long a full check of the model client takes, and how much of that is HTTP.

Run it with `python benchmarks/check_time.py`. The HTTP share is the time that the client spends
between handing a request to its HTTP library's adapter and having the answer: the exchanges that
a check cannot do without.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests.adapters

from mockbroker.cli.commands import cli

__all__ = ["main"]

ROUNDS = 3
MODEL = str(Path(__file__).parents[1] / "examples" / "model_client.py")


def now() -> float:
    """Real seconds, also where a test has frozen the clock."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


@contextlib.contextmanager
def timed_exchanges() -> Iterator[list[float]]:
    """Collect how long each exchange of `requests` takes."""
    spent: list[float] = []
    original = requests.adapters.HTTPAdapter.send

    def send(*arguments: Any, **options: Any) -> Any:
        began = now()
        try:
            return original(*arguments, **options)
        finally:
            spent.append(now() - began)

    requests.adapters.HTTPAdapter.send = send  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        requests.adapters.HTTPAdapter.send = original  # type: ignore[method-assign]


def check_in_process(*options: str) -> tuple[float, float, int]:
    """Seconds of a check, seconds of HTTP in it, and the number of exchanges."""
    with timed_exchanges() as spent, contextlib.redirect_stdout(io.StringIO()):
        began = now()
        with contextlib.suppress(SystemExit):
            cli.main(["check", MODEL, *options], standalone_mode=False)
        return now() - began, sum(spent), len(spent)


def check_as_program(*options: str) -> float:
    """Seconds of a check as a user runs it."""
    began = now()
    command = [sys.executable, "-m", "mockbroker", "check", MODEL, *options]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return now() - began


def check_by_pytest(workers: int) -> float:
    """Seconds of a contract run by pytest, in that many workers; 0 is without them."""
    began = now()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-n", str(workers)]
    command += ["--pyargs", "mockbroker_contract", "--contract-client", MODEL]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return now() - began


def main() -> None:
    """Measure and print the table."""
    rounds = [
        (
            check_as_program(),
            check_as_program("--examples", "5"),
            check_by_pytest(workers=0),
            check_by_pytest(workers=2),
        )
        for _ in range(ROUNDS)
    ]
    full, quick, one, two = (statistics.median(column) for column in zip(*rounds, strict=True))
    inside = [check_in_process() for _ in range(ROUNDS)]
    wall, http = (statistics.median(column) for column in list(zip(*inside, strict=True))[:2])
    print(f"a check of the model client, median of {ROUNDS}")
    print(f"default examples    {full:6.1f} s")
    print(f"--examples 5        {quick:6.1f} s ({quick / full:.0%})")
    print(f"pytest              {one:6.1f} s")
    print(f"pytest -n 2         {two:6.1f} s ({one / two:.2f} times as fast)")
    print(f"HTTP                {http:6.1f} s of {wall:.1f} s in process ({http / wall:.0%})")
    print(f"exchanges           {inside[0][2]:6d}, {http / inside[0][2] * 1e3:.1f} ms each")


if __name__ == "__main__":
    main()
