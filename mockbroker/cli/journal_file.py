"""The journal file: a line of JSON for each exchange, with secrets and tokens masked.

Unlike the journal in memory it is never cut, and other programs can read it while the broker runs.

A crash may leave the last line unfinished; the next start ends that line. The fields of a line are
named in `exchange_as_json`.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import stat
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mockbroker.contract.catalogue import clause_named
from mockbroker.model.authorization import read_authorization
from mockbroker.model.exchange import Exchange
from mockbroker.model.masking import (
    Mask,
    header_name,
    mask_body,
    mask_to_length,
    method_name,
    scheme_name,
)
from mockbroker.model.messages import Headers, Request, Response

__all__ = ["JournalFile", "exchange_as_json"]

# Far more than any sound token request or response; it bounds a line for tools that read it.
_MAX_BODY = 16 * 1024
"""How many characters of a body are written."""
_MAX_VALUE = 4 * 1024
"""How many characters of a target, and of the value of a header field, are written."""
# Masked as a whole: their values may be credentials of other systems, which no mask knows.
_CREDENTIALS_FIELDS = {"authorization", "proxy-authorization", "cookie", "set-cookie"}


def exchange_as_json(exchange: Exchange, mask: Mask) -> dict[str, Any]:
    """Return the exchange as values for JSON. Times are ISO 8601 in UTC, by the broker's clock.

    ``response`` is null if the client got no complete response.
    """
    token = exchange.token
    return {
        "number": exchange.number,
        "received_at": _iso(exchange.received_at),
        "answered_at": _iso(exchange.answered_at),
        "endpoint": exchange.endpoint.value,
        "request": _request(exchange.request, mask),
        "response": exchange.response and _response(exchange.response, mask),
        "client_id": exchange.credentials and exchange.credentials.client_id,
        "token": token and {"number": token.number, "expires_at": _iso(token.expires_at)},
        "token_state": exchange.token_state and exchange.token_state.value,
        "fault": exchange.fault,
        "breaches": [
            {
                "clause": breach.clause_id,
                "level": clause_named(breach.clause_id).level.value,
                "what": mask(breach.what),
                "expected": mask(breach.expected),
                "hints": [mask(hint) for hint in breach.hints],
            }
            for breach in exchange.breaches
        ],
    }


def _iso(seconds: float) -> str | float | None:
    """Return the time as ISO 8601, or the number if datetime cannot represent it.

    JSON has neither NaN nor Infinity, so those become null.
    """
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):  # outside the range of datetime
        return seconds if math.isfinite(seconds) else None  # JSON has neither NaN nor Infinity


def _request(request: Request, mask: Mask) -> dict[str, Any]:
    """Return the request as values for JSON.

    The method and the names of fields are checked as well: a damaged request may have a secret
    there.
    """
    return {
        "method": mask(method_name(request.method)),
        "target": mask_to_length(request.target, mask, _MAX_VALUE),
        "headers": _headers(request.headers, mask),
        **_body(request.body, mask),
    }


def _response(response: Response, mask: Mask) -> dict[str, Any]:
    """Return the response as values for JSON."""
    return {
        "status": response.status,
        "headers": _headers(response.headers, mask),
        **_body(response.body, mask),
    }


def _headers(headers: Headers, mask: Mask) -> list[list[str]]:
    """Return the fields in the order of the message; a name may occur twice."""
    return [[mask(header_name(name)), _masked_value(name, value, mask)] for name, value in headers]


def _masked_value(name: str, value: str, mask: Mask) -> str:
    """Return the value of a header field, masked; of credentials only the scheme remains."""
    if name.lower() not in _CREDENTIALS_FIELDS:
        return mask_to_length(value, mask, _MAX_VALUE)
    scheme = (
        scheme_name(read_authorization(value).scheme) if "authorization" in name.lower() else ""
    )
    return mask(f"{scheme} <masked>".lstrip())


def _body(body: bytes, mask: Mask) -> dict[str, Any]:
    """Return the body as a string; cut a long one and add its length in bytes."""
    masked = mask_body(body, mask, _MAX_BODY)
    return {"body": masked} | ({"body_bytes": len(body)} if len(body) > _MAX_BODY else {})


def _is_unfinished(path: Path) -> bool:
    """Return whether the file exists and ends in the middle of a line, as after a crash.

    A device or a pipe has no end to look at, so the answer is False.
    """
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        return file.read() != b"\n"


class JournalFile:
    """A file to which exchanges are appended, one line each. Thread-safe.

    Only its owner can read a new file (mode 0600); an existing file keeps its mode. An unfinished
    last line is ended first. Raises OSError if the file cannot be opened or is a symbolic link.
    Another user with write access to the directory could have made such a link to any file.
    """

    def __init__(self, path: Path, mask: Mask) -> None:
        # Before the file is opened, because a descriptor for appending cannot read.
        unfinished = _is_unfinished(path)
        # Unbuffered: a line is in the file before the client has its response, and a kill loses
        # none.
        self._file = os.fdopen(_open(path), "ab", buffering=0)
        self._mask = mask
        self._lock = threading.Lock()
        if unfinished:
            self._write_all(b"\n")

    @property
    def shared_mode(self) -> int:
        """The permissions of the file if its group or other users may read it; otherwise 0."""
        status = os.fstat(self._file.fileno())
        # A device or a pipe has other permissions, and Windows reports modes that mean nothing.
        is_shared = stat.S_ISREG(status.st_mode) and os.name == "posix" and status.st_mode & 0o044
        return stat.S_IMODE(status.st_mode) if is_shared else 0

    def write(self, exchange: Exchange) -> None:
        """Append an exchange. Raises OSError if writing fails."""
        self._append(exchange_as_json(exchange, self._mask))

    def write_refusal(self, received_at: float, why: str) -> None:
        """Append a request that reached no broker, because it was malformed or too large.

        Raises OSError if writing fails.
        """
        self._append({"received_at": _iso(received_at), "refused": why})

    def _append(self, row: dict[str, Any]) -> None:
        """Write an object as one line, under the lock."""
        # ASCII only, so that any tool can read the file, whatever its locale is. Made before the
        # lock is taken, because masking a large body takes a while.
        line = json.dumps(row).encode()
        with self._lock:
            self._write_all(line + b"\n")

    def _write_all(self, data: bytes) -> None:
        """Write all of the data. The caller holds the lock, or is the only user of the file."""
        while data:  # an unbuffered file may write only a part
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open(path: Path) -> int:
    """Open a file for appending; return its descriptor.

    Raises OSError for a symbolic link to a file. Links to devices and pipes are followed:
    /dev/stdout is one.
    """
    # O_APPEND: several processes may write to one journal, and the kernel puts each line at the
    # end. The mode is set on creation, because a chmod afterwards would leave a moment in between.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    no_link = getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags | no_link, 0o600)
    except OSError as error:
        # ELOOP is what O_NOFOLLOW reports for a symbolic link.
        if error.errno != errno.ELOOP:
            raise
        if not path.exists() or path.is_file():
            text = "it is a symbolic link; name the file that it leads to"
            raise OSError(error.errno, text, str(path)) from error
    return os.open(path, flags)  # a link to a device or a pipe, such as /dev/stdout
