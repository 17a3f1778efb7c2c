"""The model client in a process that gevent has patched before anything else was imported."""

from gevent import monkey

monkey.patch_all()

from examples.model_client import make_client  # noqa: E402 - patching comes first

__all__ = ["make_client"]
