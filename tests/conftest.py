"""What every test run says at its end."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the fuzz of the wire counted, in whichever process it ran."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    counts = [text for r in reports for name, text in r.user_properties if name == "wire_fuzz"]
    if counts:
        terminalreporter.section("fuzz of the wire")
        for text in sorted(counts):
            terminalreporter.line(text)
