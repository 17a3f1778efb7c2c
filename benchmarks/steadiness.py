"""Whether verdicts are the same in every run: in order, at random, in workers, on a busy machine.

Run it with `python benchmarks/steadiness.py [ROUNDS [CLIENT…]]`, or `tox -e steadiness`. Each
client, or each that is named, is checked in four ways, ROUNDS times each, one of them beside
processes that keep every processor busy. The exit status is 1 if any two reports on one client
differ.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["main"]

CHECKOUT = Path(__file__).parents[1]
ROUNDS = 5
EXAMPLES = "25"
MODEL = CHECKOUT / "examples" / "model_client.py"
DEFECTS = (
    "HasNoLock",
    "DropsItsTokenBeforeItHasTheNext",
    "ServesAStaleTokenWhileItRenews",
    "CountsFromArrival",
    "WaitsWithoutEnd",
)
WAYS = {
    "in order": ("-p", "no:randomly"),
    "in random order": ("-p", "randomly"),
    "in four processes": ("-p", "no:randomly", "-n", "4"),
    "beside busy processes": ("-p", "no:randomly"),
}
DEFECTIVE = """
from tests.mutants.defects import MUTANTS
from tests.mutants.workshop import make

def make_client(config):
    return make(MUTANTS["{name}"].cls, config)
"""


def report_on(target: Path, report: Path, *options: str) -> dict[str, Any]:
    """The JSON report of a contract run by pytest."""
    report.unlink(missing_ok=True)
    contract = ("--pyargs", "mockbroker_contract", "--contract-client", str(target))
    settings = ("--contract-examples", EXAMPLES, "--contract-json", str(report))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *contract, *settings, *options],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.is_file():
        sys.exit(f"no report:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def spin() -> None:
    """Keep a processor busy."""
    while True:
        pass


@contextlib.contextmanager
def busy_machine() -> Iterator[None]:
    """Every processor is busy while the context lasts."""
    others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()


def verdicts_in(report: dict[str, Any]) -> dict[str, str]:
    """The verdict on each clause, and the measured facts beside them."""
    measured = {f"measured {name}": str(value) for name, value in report["measured"].items()}
    return {row["id"]: row["verdict"] for row in report["clauses"]} | measured


def differences(reports: list[dict[str, str]]) -> Iterator[str]:
    """In words, what is not the same in all of them."""
    for name in sorted(set().union(*reports)):
        seen = Counter(report.get(name, "absent") for report in reports)
        if len(seen) > 1:
            yield f"{name}: {', '.join(f'{value} {count} times' for value, count in seen.items())}"


def clients(folder: Path, named: Sequence[str]) -> Iterator[Path]:
    """A sound client, and some with defects that show only by time or by threads."""
    if MODEL.stem in named or not named:
        yield MODEL
    for name in [each for each in DEFECTS if each in named or not named]:
        path = folder / f"{name}.py"
        path.write_text(DEFECTIVE.format(name=name), encoding="utf-8")
        yield path


def main() -> None:
    """Check each client again and again; say what differs."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    unsteady = False
    with tempfile.TemporaryDirectory() as folder:
        for client in clients(Path(folder), sys.argv[2:]):
            reports = []
            for way, options in WAYS.items():
                with busy_machine() if "busy" in way else contextlib.nullcontext():
                    for _ in range(rounds):
                        report = report_on(client, Path(folder) / "report.json", *options)
                        reports.append(verdicts_in(report))
            found = list(differences(reports))
            unsteady = unsteady or bool(found)
            broken = [name for name, what in reports[0].items() if what in {"failed", "advice"}]
            print(f"{client.stem}: {len(reports)} runs, {'; '.join(found) or 'all the same'}")
            print(f"  not kept: {', '.join(broken) or 'nothing'}", flush=True)
    sys.exit(unsteady)


if __name__ == "__main__":
    main()
