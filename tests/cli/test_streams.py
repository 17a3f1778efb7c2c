"""Output survives a reader that is gone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mockbroker.cli.streams import echo_or_raise


def test_a_reader_that_is_gone_ends_neither_the_command_nor_python(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        echo_or_raise("first")
        # What is written later, and the flush at the exit of Python, goes nowhere.
        assert os.fstat(writer).st_rdev == Path(os.devnull).stat().st_rdev
        echo_or_raise("second")
