"""The clauses of the contract, one module per chapter: ``clauses.refresh.AHEAD``.

Other code names a clause by its object, so that a misspelt name fails at import.

Each module has its clauses, their judges and their preconditions, and lists the clauses in
``CLAUSES``.
"""

from __future__ import annotations

from mockbroker.contract.clauses import (
    assertion,
    basic,
    cache,
    certificate,
    cleanup,
    errors,
    lifecycle,
    post,
    refresh,
    request,
    response,
    secrecy,
    signing,
    tls,
)

__all__ = [
    "assertion",
    "basic",
    "cache",
    "certificate",
    "cleanup",
    "errors",
    "lifecycle",
    "post",
    "refresh",
    "request",
    "response",
    "secrecy",
    "signing",
    "tls",
]
