"""A driver without a client, which answers as its argument says.

The argument is a JSON list with an object for each start of the program; the last one also counts
for all starts that follow. The object has an answer for each operation: an outcome, a line as a
string, or one of the `ACTIONS`. Other operations are answered with an empty ``ok``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

SCRIPTS = json.loads(sys.argv[1])


def die() -> None:
    sys.exit(7)


def fall_silent() -> None:
    signal.pause()


def close_output() -> None:
    os.close(1)
    signal.pause()


def close_input() -> None:
    os.close(0)
    write('{"id": 2, "ok": {"access_token": "t"}}')
    signal.pause()


def stop_the_supervisor() -> None:
    os.kill(os.getppid(), signal.SIGSTOP)
    write('{"id": 2, "ok": {"access_token": "t"}}')


def ask_for_help() -> None:
    sys.stderr.write("help!\n")
    sys.stderr.flush()
    signal.pause()


ACTIONS = {
    each.__name__: each
    for each in (die, fall_silent, close_output, close_input, stop_the_supervisor, ask_for_help)
}


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    started = Path("starts")
    starts = len(started.read_text()) if started.exists() else 0
    started.write_text("x" * (starts + 1))
    script = SCRIPTS[min(starts, len(SCRIPTS) - 1)]
    for line in sys.stdin:
        request = json.loads(line)
        answer = script.get(request["op"], {"ok": {}})
        if isinstance(answer, dict):
            write(json.dumps({"id": request["id"], **answer}))
        elif answer in ACTIONS:
            ACTIONS[answer]()
        else:
            write(answer)
        if request["op"] == "bye" and answer != {"ok": {"stays": True}}:
            return


main()
