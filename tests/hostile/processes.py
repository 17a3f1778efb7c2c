"""Clients that start other processes and threads, and leave some behind."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from typing import Any

import requests

from examples.model_client import TokenError, TokenManager
from examples.model_client import make_client as make_model
from tests.hostile.kinds import FEW_USES, doing, fetching, response_of, sound


@sound
def forks_and_waits(config):
    def fork():
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    return doing(fork, config)


@sound
def forks_and_lets_the_child_come_back(config):
    def fork():
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
        else:
            raise TokenError("the child")

    return doing(fork, config)


@sound
def forks_twice(config):
    def fork():
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        os.waitpid(pid, 0)

    return doing(fork, config, every=FEW_USES)


def _asked(queue: Any, url: str, pair: tuple[str, str], form: dict[str, str]) -> None:
    try:
        encoded = tuple(text.encode() for text in pair)
        response = requests.post(url, form, auth=encoded, timeout=5, allow_redirects=False)
        queue.put((response.status_code, response.content))
    except requests.RequestException:
        queue.put((0, b""))


def _fetched_in(context: Any, manager: TokenManager) -> requests.Response:
    queue = context.SimpleQueue()
    pair = (manager._client_id, manager._client_secret)
    arguments = (queue, manager._token_url, pair, manager._token_parameters())
    process = context.Process(target=_asked, args=arguments)
    process.start()
    process.join(20)
    if process.is_alive() or queue.empty():
        process.kill()
        raise TokenError("the child did not answer")
    return response_of(*queue.get())


@sound
def fetches_in_a_forked_process(config):
    context = multiprocessing.get_context("fork")
    return fetching(lambda manager: _fetched_in(context, manager), config)


def _doubled(number: int) -> int:
    return 2 * number


@sound
def uses_a_spawned_process(config):
    def use():
        process = multiprocessing.get_context("spawn").Process(target=_doubled, args=(2,))
        process.start()
        process.join()
        assert process.exitcode == 0

    return doing(use, config, every=5 * FEW_USES)  # which takes a second to import all this


@sound
def uses_a_pool_of_processes(config):
    def use():
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply(_doubled, (2,)) == 4

    return doing(use, config, every=FEW_USES)


@sound
def uses_an_executor_of_processes(config):
    def use():
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
            assert executor.submit(_doubled, 2).result() == 4

    return doing(use, config, every=FEW_USES)


@sound
def uses_an_executor_of_threads(config):
    client = make_model(config)
    executor = concurrent.futures.ThreadPoolExecutor(1)
    get_token = client.tokens.get_token
    client.tokens.get_token = lambda: executor.submit(get_token).result()
    return client


@sound
def leaves_a_process(config):
    return doing(lambda: subprocess.Popen(["sleep", "600"]), config, every=FEW_USES)


@sound
def leaves_a_daemon(config):
    command = ["setsid", "sh", "-c", "trap '' TERM HUP INT; sleep 600"]
    return doing(lambda: subprocess.Popen(command), config, every=FEW_USES)


@sound
def leaves_what_runs_away(config):
    def start():
        if os.fork() == 0:
            os.setsid()
            while True:  # under another process id each time, in a group whose leader is gone
                if os.fork():
                    os._exit(0)

    return doing(start, config, every=5 * FEW_USES)


@sound
def leaves_a_thread(config):
    def start():
        threading.Thread(target=threading.Event().wait, args=(600,)).start()

    return doing(start, config, every=FEW_USES)


@sound
def ignores_its_children(config):
    return doing(lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN), config)


@sound
def leaves_what_runs_away_slowly(config):
    def start():
        if os.fork() == 0:
            os.setsid()
            while True:
                if os.fork():
                    os._exit(0)
                threading.Event().wait(0.001)

    return doing(start, config, every=5 * FEW_USES)
