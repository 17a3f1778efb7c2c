"""Clients with exactly one defect, each made from the model client by the smallest override.

Importing it registers them all.
"""

from tests.mutants.defects import (
    assertion,
    basic,
    cache,
    cache_concurrency,
    cache_processes,
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
from tests.mutants.workshop import MUTANTS

__all__ = [
    "MUTANTS",
    "assertion",
    "basic",
    "cache",
    "cache_concurrency",
    "cache_processes",
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
