"""The command ``mockbroker``, also run by ``python -m mockbroker``.

It imports as little as possible before signals are held back: an import of the commands takes long
enough for a signal to arrive.
"""

from __future__ import annotations

from typing import NoReturn

from mockbroker.processes.signals import hold_signals

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and end the process.

    Signals that ask for an end are held back until the command has handlers for them.
    """
    hold_signals()
    from mockbroker.cli.commands import main as run  # noqa: PLC0415 - it takes long enough for a signal

    run()


if __name__ == "__main__":
    main()
