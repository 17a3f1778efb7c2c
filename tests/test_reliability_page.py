"""The bounds and counts that the page on reliability states are those of the code."""

from __future__ import annotations

from pathlib import Path

from benchmarks.worst_requests import worst_requests
from mockbroker.model.forms import LOOKED_AT_BYTES, PARAMETER_LIMIT
from mockbroker.server import intake, listener
from mockbroker.server.application import BODY_LIMIT_BYTES
from tests.test_wire_fuzz import SEEDS, STREAMS
from tests.wire_fuzz import CHECK_EVERY

PAGE = (Path(__file__).parents[1] / "docs" / "reliability.md").read_text(encoding="utf-8")
KIB, MIB = 1024, 1024 * 1024


def test_the_bounds_are_those_of_the_server():
    bounds = [line.split("|")[2].strip() for line in PAGE.splitlines() if line.startswith("| ")]
    assert bounds[1:10] == [
        f"{BODY_LIMIT_BYTES // MIB} MiB",
        f"{intake.HEADER_LIMIT_BYTES // KIB} KiB, {intake.HEADER_LINE_LIMIT} header field lines",
        f"{intake.BLANK_LIMIT}",
        f"{intake.FRAMING_LIMIT_BYTES // KIB} KiB",
        f"{LOOKED_AT_BYTES // KIB} KiB, {PARAMETER_LIMIT} parameters",
        f"{intake.REQUEST_LIMIT_SECONDS:g} s",
        f"{listener.HANDSHAKE_LIMIT_SECONDS:g} s",
        f"{intake.IDLE_LIMIT_SECONDS:g} s",
        f"{listener.CONNECTION_LIMIT}",
    ]


def test_the_counts_are_those_of_the_tests():
    streams = len(SEEDS) * sum(count for _, count in STREAMS.values())
    assert f"sends {streams:,} of these streams" in PAGE
    assert f"after each {CHECK_EVERY} streams" in " ".join(PAGE.split())
    assert f"sends {len(worst_requests())} kinds of requests" in PAGE
