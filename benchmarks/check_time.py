"""How long a check of the model client takes.

Run it with `python benchmarks/check_time.py`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["main"]

ROUNDS = 5
MODEL = str(Path(__file__).parents[1] / "examples" / "model_client.py")


def seconds_of(*command: str) -> float:
    """Run the command with this Python; return how many seconds it took."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", *command], stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def check(*options: str) -> Callable[[], float]:
    """Return a measurement of a check as a user runs it."""
    return lambda: seconds_of("mockbroker", "check", MODEL, *options)


def contract_run(*options: str) -> Callable[[], float]:
    """Return a measurement of the same clauses in a run of pytest."""
    arguments = ("-q", "-p", "no:randomly", *options, "--pyargs", "mockbroker_contract")
    return lambda: seconds_of("pytest", *arguments, "--contract-client", MODEL)


MEASURED: dict[str, Callable[[], float]] = {
    "mockbroker check": check(),
    "mockbroker check -j 1": check("-j", "1"),
    "mockbroker check --examples 100": check("--examples", "100"),
    "pytest --pyargs mockbroker_contract": contract_run(),
    "pytest -n 2 --pyargs mockbroker_contract": contract_run("-n", "2"),
}


def main() -> None:
    """Measure in turn, so that a busy moment slows down all alike; print the table."""
    rounds = [{name: measure() for name, measure in MEASURED.items()} for _ in range(ROUNDS)]
    print(f"a check of the model client, median of {ROUNDS}")
    for name in MEASURED:
        print(f"{statistics.median(each[name] for each in rounds):6.1f} s  {name}")


if __name__ == "__main__":
    main()
