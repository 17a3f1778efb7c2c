"""The folders from which a child process imports the kit."""

from __future__ import annotations

from pathlib import Path

import mockbroker
import mockbroker_contract

__all__ = ["OWN_FOLDERS"]

OWN_FOLDERS = tuple(
    dict.fromkeys(
        # Resolved, because the child has another working directory, and a relative entry of
        # sys.path would lead elsewhere there.
        str(Path(package.__file__).resolve().parents[1])
        for package in (mockbroker, mockbroker_contract)
        if package.__file__
    )
)
"""One folder for an installed wheel; two for an editable install."""
