"""Drives the model client, in JSON lines: what a driver in any language has to do.

Try it: mockbroker check --exec "python examples/drivers/model_client.py"
"""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.model_client import TokenError, make_client

clients: dict[str, Any] = {}
ahead: list[float] = []
real_time = time.time
time.time = lambda: real_time() + sum(ahead)


def hello(_: dict[str, Any]) -> Any:
    capabilities = ["get_token", "request", "burst", "clock"]
    return {"name": "model client", "version": "1", "capabilities": capabilities}


def open_client(asked: dict[str, Any]) -> Any:
    clients[asked["client"]] = make_client(SimpleNamespace(**asked["config"]))
    return {}


def get_token(asked: dict[str, Any]) -> Any:
    return {"access_token": clients[asked["client"]].get_token()}


def request(asked: dict[str, Any]) -> Any:
    client = clients[asked["client"]]
    answer = client.request(
        asked["method"], asked["url"], headers=asked["headers"], data=asked["body"]
    )
    return {"status": answer.status_code}


def burst(asked: dict[str, Any]) -> Any:
    start = threading.Barrier(asked["count"])

    def one(_: int) -> str:
        start.wait()
        return str(clients[asked["client"]].get_token())

    with ThreadPoolExecutor(asked["count"]) as pool:
        return {"access_tokens": list(pool.map(one, range(asked["count"])))}


def advance(asked: dict[str, Any]) -> Any:
    ahead.append(asked["seconds"])
    return {}


def close(asked: dict[str, Any]) -> Any:
    clients.pop(asked["client"]).close()
    return {}


def error(kind: str, raised: Exception) -> dict[str, Any]:
    frames = traceback.extract_tb(raised.__traceback__)
    *_, frame = (each for each in frames if each.filename.endswith("model_client.py"))
    return {
        "kind": kind,
        "message": f"{type(raised).__name__}: {raised}",
        "place": {"file": "model_client.py", "line": frame.lineno, "function": frame.name},
        "traceback": "".join(traceback.format_exception(raised)),
    }


OPERATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "hello": hello,
    "open": open_client,
    "get_token": get_token,
    "request": request,
    "burst": burst,
    "advance": advance,
    "close": close,
    "bye": lambda _: {},
}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    operation = OPERATIONS.get(asked["op"])
    if operation is None:
        return {"unsupported": True}
    try:
        return {"ok": operation(asked)}
    except (TokenError, ValueError) as raised:
        return {"err": error("oauth", raised)}
    except requests.RequestException as raised:
        return {"err": error("transport", raised)}


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"id": asked["id"], **answer(asked)}), flush=True)
    if asked["op"] == "bye":
        break
