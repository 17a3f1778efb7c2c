"""A verdict is the same wherever the machine is, also where clocks are put back and forth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[2] / "examples" / "model_client.py"
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")


def clauses_in(zone: str, folder: Path) -> list[dict[str, object]]:
    report = folder / "report.json"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mockbroker", "check", MODEL, "--examples", "3", "--json", report],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    clauses: list[dict[str, object]] = json.loads(report.read_text(encoding="utf-8"))["clauses"]
    return clauses


@pytest.mark.slow
@pytest.mark.whole_proof
def test_the_verdict_does_not_depend_on_the_zone(tmp_path):
    first, *others = (clauses_in(zone, tmp_path) for zone in ZONES)
    assert {row["verdict"] for row in first} == {"passed", "not-applicable"}
    assert all(other == first for other in others)
