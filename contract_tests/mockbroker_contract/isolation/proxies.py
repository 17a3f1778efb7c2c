"""The variables of the environment that lead requests to a proxy."""

from __future__ import annotations

import os

__all__ = ["LOOPBACK_HOSTS", "proxy_variables"]

_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
"""Their names in lower case; programs read both cases."""
LOOPBACK_HOSTS = "127.0.0.1,localhost,::1"
"""What NO_PROXY must have: brokers are on this machine, which no proxy reaches."""


def proxy_variables() -> list[str]:
    """Return the names of the environment's variables that name a proxy."""
    return sorted(name for name in os.environ if name.lower() in _PROXIES and os.environ[name])
