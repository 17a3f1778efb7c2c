"""The clock that libfaketime shows to a program that has none to move."""

from __future__ import annotations

from pathlib import Path

from mockbroker_contract.timing import faked_clock
from mockbroker_contract.timing.faked_clock import FakedClock, faked_clocks


def test_a_program_reads_the_difference_from_a_file(tmp_path):
    file = tmp_path / "clock"
    clock = FakedClock(Path("/lib/faketime.so"), file, is_monotonic_faked=True)
    assert file.read_text() == "+0.000\n"
    clock.advance(59)
    clock.advance(0.5)
    assert file.read_text() == "+59.500\n"
    assert clock.environment["FAKETIME_TIMESTAMP_FILE"] == str(file)
    assert "/lib/faketime.so" in clock.environment.values()
    assert {path.name for path in tmp_path.iterdir()} == {"clock"}


def test_both_kinds_of_clock_are_offered_where_the_library_is(tmp_path, monkeypatch):
    monkeypatch.setattr(faked_clock, "_PLACES", (f"{tmp_path}/lib*/faketime.so",))
    assert list(faked_clocks(tmp_path)) == []
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "faketime.so").write_bytes(b"")
    moved, left_alone = faked_clocks(tmp_path)
    assert "FAKETIME_DONT_FAKE_MONOTONIC" not in moved.environment
    assert left_alone.environment["FAKETIME_DONT_FAKE_MONOTONIC"] == "1"
    files = {each.environment["FAKETIME_TIMESTAMP_FILE"] for each in (moved, left_alone)}
    assert len(files) == 2
