"""The model client in a process that eventlet has patched before anything else was imported."""

import eventlet

eventlet.monkey_patch()

from examples.model_client import make_client  # noqa: E402 - patching comes first

__all__ = ["make_client"]
