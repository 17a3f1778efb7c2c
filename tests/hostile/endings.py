"""Clients that end their process, and clients that do not come back."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import threading

from examples.model_client import TokenError
from tests.hostile.kinds import FEW_USES, crashes, doing, hangs


@crashes("exit status 0")
def exits_in_a_thread(config):
    def leave():
        thread = threading.Thread(target=os._exit, args=(0,))
        thread.start()
        thread.join()

    return doing(leave, config, every=FEW_USES)


@crashes("exit status 0")
def exits_by_posix(config):
    import posix

    return doing(lambda: posix._exit(0), config, every=FEW_USES)


@crashes("exit status 3")
def exits_with_a_status(config):
    return doing(lambda: os._exit(3), config, every=FEW_USES)


@crashes("SystemExit")
def exits_politely(config):
    return doing(lambda: sys.exit("enough"), config, every=FEW_USES)


@crashes("signal 9")
def kills_itself(config):
    return doing(lambda: os.kill(os.getpid(), signal.SIGKILL), config, every=FEW_USES)


@crashes("signal 9")
def kills_its_group(config):
    return doing(lambda: os.killpg(0, signal.SIGKILL), config, every=FEW_USES)


@crashes("signal 11")
def reads_from_nowhere(config):
    return doing(lambda: ctypes.string_at(0), config, every=FEW_USES)


@crashes("signal 6")
def aborts(config):
    return doing(os.abort, config, every=FEW_USES)


@crashes("exit status 0")
def becomes_another_program(config):
    return doing(lambda: os.execv("/bin/true", ["true"]), config, every=FEW_USES)


@crashes("launcher was killed")
def kills_its_parent(config):
    def kill():
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()

    return doing(kill, config, every=FEW_USES)


@crashes("launcher was killed")
def leaves_a_daemon_and_kills_its_parent(config):
    def leave():
        subprocess.Popen(["setsid", "sleep", "600"])
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()

    return doing(leave, config, every=FEW_USES)


@crashes("launcher was killed")
def forks_a_daemon_and_kills_its_parent(config):
    def leave():
        if os.fork() == 0:
            os.setsid()
            while True:
                signal.pause()
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()

    return doing(leave, config, every=FEW_USES)


# -- never --------------------------------------------------------------------------------------


@hangs
def computes_without_end(config):
    return doing(lambda: re.match(r"(a+)+$", "a" * 40 + "b"), config, every=FEW_USES)


@hangs
def loops(config):
    def loop():
        while True:
            pass

    return doing(loop, config, every=FEW_USES)


@hangs
def waits(config):
    return doing(threading.Event().wait, config, every=FEW_USES)


@hangs
def waits_in_c(config):
    one, other = socket.socketpair()
    return doing(lambda: (one.recv(1), other), config, every=FEW_USES)


@hangs
def stops_itself(config):
    return doing(lambda: os.kill(os.getpid(), signal.SIGSTOP), config, every=FEW_USES)


class _LoopsInStr(TokenError):
    def __str__(self) -> str:
        while True:
            pass


@hangs
def raises_what_loops(config):
    def fail():
        raise _LoopsInStr("")

    return doing(fail, config, every=FEW_USES)
