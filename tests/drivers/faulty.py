"""A driver of a small sound client, which misbehaves as its one argument says.

Most faults show only in scenarios of chapter ``signing``, so that other clauses are judged, and
in the driver test.
"""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

FAULT = sys.argv[1]


class Client:
    def __init__(self, config):
        self.config, self.token, self.until = config, None, 0.0
        pair = f"{config['client_id']}:{config['client_secret']}"
        self.basic = "Basic " + base64.b64encode(pair.encode()).decode()

    def get_token(self):
        if self.token is None or time.time() >= self.until - 30:
            form = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
            headers = {"Authorization": self.basic}
            asked = urllib.request.Request(self.config["token_url"], form, headers)
            with urllib.request.urlopen(asked, timeout=self.config["timeout"]) as answer:
                members = json.load(answer)
            self.until = time.time() + members["expires_in"]
            self.token = members["access_token"]
        return self.token

    def request(self, asked):
        headers = {**asked["headers"], "Authorization": f"Bearer {self.get_token()}"}
        body = asked["body"].encode() if asked["body"] else None
        call = urllib.request.Request(asked["url"], body, headers, method=asked["method"])
        try:
            with urllib.request.urlopen(call, timeout=self.config["timeout"]) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code


def said(asked, clients):
    op = asked["op"]
    if op == "hello":
        offered = ["get_token", "request", "burst"]
        return {"ok": {"name": "faulty", "version": "1", "capabilities": offered}}
    if op == "open" and FAULT == "dies at open":
        die(op)
    if op == "open" and FAULT == "fails at open":
        return {"err": {"kind": "internal", "message": "cannot load the library"}}
    if op == "open":
        clients[asked["client"]] = Client(asked["config"])
    if op in ("open", "close", "bye"):
        return {"ok": {}}
    client = clients.get(asked.get("client"))
    if FAULT == "knows no clients" and clients:
        client = next(iter(clients.values()))
    return {"unsupported": True} if client is None else used(client, asked)


def used(client, asked):
    try:
        if FAULT == "takes anything for a token" and asked["op"] == "get_token":
            return {"ok": {"access_token": anything(client)}}
        if asked["op"] == "get_token":
            return {"ok": {"access_token": client.get_token()}}
        if asked["op"] == "burst":
            return {"ok": {"access_tokens": [client.get_token()] * asked["count"]}}
        return {"ok": {"status": client.request(asked)}}
    except urllib.error.HTTPError as refused:
        return {"err": {"kind": "oauth", "code": code_of(refused), "message": str(refused)}}
    except (OSError, http.client.HTTPException) as failed:
        return {"err": {"kind": "transport", "message": str(failed)}}
    except (ValueError, TypeError, LookupError) as failed:
        if FAULT == "lets exceptions through":
            raise
        return {"err": {"kind": "malformed", "message": repr(failed)}}


def anything(client):
    try:
        return client.get_token()
    except (OSError, ValueError):
        return ""


def code_of(refused):
    try:
        return json.load(refused).get("error", "")
    except ValueError:
        return ""


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def another(answer, **changes):
    return json.dumps({**json.loads(answer), **changes}) + "\n"


def internal_error(answer):
    err = {"kind": "internal", "message": "cannot load the library"}
    return json.dumps({"id": json.loads(answer)["id"], "err": err}) + "\n"


def die(_):
    sys.stderr.write("panic: out of cheese\n")
    sys.exit(7)


def leave_a_child():
    subprocess.Popen(["sleep", "1000"])


AT_START = {
    "is mute": lambda: time.sleep(1000),
    "leaves a child": leave_a_child,
    "floods stderr": lambda: sys.stderr.write("all is well\n" * 1_000_000),
}
IN_USE = {
    "is silent": lambda _: time.sleep(1000),
    "dies": die,
    "says another id": lambda answer: another(answer, id=-1),
    "prints junk": lambda answer: "fetching a token...\n" + answer,
    "floods stdout": lambda answer: "x" * 3_000_000 + answer,
    "nests deeply": lambda _: "[" * 200_000 + "\n",
    "answers twice": lambda answer: answer + answer,
    "says nothing useful": lambda answer: another(answer, ok="yes"),
    "fails itself": internal_error,
}


def main():
    clients = {}
    AT_START.get(FAULT, lambda: None)()
    for line in sys.stdin:
        asked = json.loads(line)
        answer = json.dumps({"id": asked["id"], **said(asked, clients)}) + "\n"
        client = clients.get(asked.get("client"))
        used = client and asked["op"] in ("get_token", "request")
        if used and client.config["client_id"] in ("signing-client", "driverclient"):
            answer = IN_USE.get(FAULT, str)(answer)
        if FAULT == "splits lines":
            sys.stdout.write(answer[:9])
            sys.stdout.flush()
            time.sleep(0.01)
            answer = answer[9:]
        if FAULT == "hangs at bye" and asked["op"] == "bye":
            time.sleep(1000)
        sys.stdout.write(answer)
        sys.stdout.flush()
        if asked["op"] == "bye":
            return


main()
