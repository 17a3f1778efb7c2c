"""Content codings: which ones a request allows, and compression by them (RFC 9110, 8.4)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping

from mockbroker.model.messages import Headers

__all__ = ["CODINGS", "allows_coding"]

CODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    # RFC 9110, 8.4.1.2: deflate is the zlib format. Some servers send the bare stream instead.
    "deflate": zlib.compress,
}
"""The function of each content coding by which a broker can compress its answers."""


def allows_coding(headers: Headers, coding: str) -> bool:
    """Return whether the Accept-Encoding of a request allows that content coding.

    A request without the field allows none here, although RFC 9110, 12.5.3, lets a server choose
    any: no server compresses then, and a client that sends no such field need not decompress.
    """
    qualities: dict[str, str] = {}
    # RFC 9110, 5.3: several fields of one name mean the same as one field with a list.
    for part in ",".join(headers.get_all("Accept-Encoding")).split(","):
        name, _, weight = part.partition(";")
        qualities[name.strip().lower()] = weight.strip().lower().removeprefix("q=")
    # RFC 9110, 12.5.3: "*" matches any coding that the field does not name.
    quality = qualities.get(coding, qualities.get("*", "0"))
    # A weight has at most three decimals (RFC 9110, 12.4.2); only those of zeros exclude a coding.
    return quality.strip("0.") != "" or quality == ""
