"""The options of `mockbroker serve`, as tests pass them without the command."""

from __future__ import annotations

from mockbroker import Credentials
from mockbroker.cli.serve_options import ServeSettings


def serve_settings(config, profile, **changes):
    """Options for one client with a secret; ``config`` is a file with the profile, or None."""
    settings = {
        "host": "127.0.0.1",
        "port": 0,
        "clients": (Credentials("shop", "s3cr:et"),),
        "expires_in": None,
        "profile": profile,
        "lenient": False,
        "tls": False,
        "journal": None,
        "config": config,
    }
    return ServeSettings(**{**settings, **changes})
