"""Advice on the next step that several messages share."""

from __future__ import annotations

__all__ = ["LOOK_AT_THE_DRIVER"]

LOOK_AT_THE_DRIVER = "run `mockbroker driver-test` to see what the driver does wrong"
"""Printed by the report, by `mockbroker check` and by pytest."""
