"""Sound clients of different designs, and clients that only pretend."""

from __future__ import annotations

from tests.mutants.sound import challenged, independent, variants  # noqa: F401 - they register
from tests.mutants.sound.pretenders import canned_token_client, null_client
from tests.mutants.sound.registry import SOUND

__all__ = ["SOUND", "canned_token_client", "null_client"]
