"""Advice on the next step that several messages share."""

from __future__ import annotations

__all__ = ["LOOK_AT_THE_DRIVER"]

LOOK_AT_THE_DRIVER = "`mockbroker driver-test` tells what a driver does wrong"
