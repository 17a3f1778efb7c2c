"""Clients that do to their process whatever a client may do, by accident or by malice.

Each factory is a kind: the model client, with one thing done at some of its uses. The table says
what has to come of it.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import ctypes
import gc
import io
import json
import logging
import multiprocessing
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import freezegun
import requests

from examples.model_client import TokenError, TokenManager
from examples.model_client import make_client as make_model

__all__ = ["CRASHES", "HANGS", "ODD", "SOUND"]

SOUND: dict[str, Callable[[Any], Any]] = {}
"""What must be judged as the client that it is: every clause passes."""
CRASHES: dict[str, tuple[Callable[[Any], Any], str]] = {}
"""What ends its process, and how that is told."""
HANGS: dict[str, Callable[[Any], Any]] = {}
"""What does not come back."""
ODD: dict[str, Callable[[Any], Any]] = {}
"""What returns or raises the strangest things: any verdict but an error of the kit."""

FEW_USES = 4
_USES = 0


def sound(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
    SOUND[factory.__name__] = factory
    return factory


def crashes(how: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def register(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
        CRASHES[factory.__name__] = factory, how
        return factory

    return register


def hangs(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
    HANGS[factory.__name__] = factory
    return factory


def odd(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
    ODD[factory.__name__] = factory
    return factory


def doing(act: Callable[[], Any], config: Any, *, every: int = 1, client: Any = None) -> Any:
    """The model client, which does something before each, or each so many, of its uses."""
    client = client or make_model(config)
    manager = client.tokens
    get_token = manager.get_token

    def act_and_get_token() -> str:
        global _USES  # noqa: PLW0603 - counted over all clients of a process
        _USES += 1
        if _USES % every == 0:
            act()
        return get_token()

    manager.get_token = act_and_get_token
    return client


def fetching(fetch: Callable[[TokenManager], requests.Response], config: Any) -> Any:
    """The model client, which sends its token request in a way of its own."""
    client = make_model(config)
    manager = client.tokens
    manager.send_token_request = lambda: fetch(manager)
    return client


# -- processes ---------------------------------------------------------------------------------


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
    arguments = (queue, manager._token_url, pair, manager.token_parameters())
    process = context.Process(target=_asked, args=arguments)
    process.start()
    process.join(20)
    if process.is_alive() or queue.empty():
        process.kill()
        raise TokenError("the child did not answer")
    return _response(*queue.get())


def _response(status: int, content: bytes) -> requests.Response:
    if not status:
        raise TokenError("the broker cannot be reached")
    response = requests.Response()
    response.status_code, response._content = status, content
    return response


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


# -- the process itself ------------------------------------------------------------------------


@sound
def changes_directory(config):
    return doing(lambda: os.chdir("/"), config)


@sound
def removes_its_directory(config):
    def remove():
        with contextlib.suppress(FileNotFoundError):  # it has, before
            shutil.rmtree(os.getcwd(), ignore_errors=True)

    return doing(remove, config, every=FEW_USES)


@sound
def removes_its_temporary_folder(config):
    return doing(
        lambda: shutil.rmtree(tempfile.gettempdir(), ignore_errors=True), config, every=FEW_USES
    )


@sound
def clears_the_environment(config):
    def clear():
        os.environ.clear()
        os.environ["NO_PROXY"] = "*"

    return doing(clear, config)


@sound
def changes_the_umask(config):
    return doing(lambda: os.umask(0o777), config)


@sound
def lowers_the_recursion_limit(config):
    def lower():
        with contextlib.suppress(RecursionError):
            sys.setrecursionlimit(150)

    return doing(lower, config, every=FEW_USES)


@sound
def handles_signals(config):
    def handle():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        signal.alarm(1)

    return doing(handle, config)


@sound
def sets_a_default_timeout(config):
    return doing(lambda: socket.setdefaulttimeout(3), config)


@sound
def replaces_its_output(config):
    def replace():
        sys.stdout, sys.stderr = io.StringIO(), None

    return doing(replace, config)


@sound
def closes_its_output(config):
    def close():
        for stream in (sys.stdout, sys.stderr):
            stream.close()

    return doing(close, config)


def _without_connections(config: Any) -> Any:
    """The model client, which keeps no connection that it could close by its number."""
    client = make_model(config)
    for session in (client._session, client.tokens._session):
        session.headers["Connection"] = "close"
    return client


@sound
def closes_descriptors(config):
    client = _without_connections(config)
    return doing(lambda: os.closerange(3, 4096), config, client=client)


@sound
def closes_descriptors_in_a_thread(config):
    def close_meanwhile():
        thread = threading.Thread(target=os.closerange, args=(3, 4096))
        thread.start()
        thread.join()

    return doing(close_meanwhile, config, client=_without_connections(config))


@sound
def leaves_deep_folders(config):
    make = "import os\nfor _ in range(1100): os.mkdir('x' * 20); os.chdir('x' * 20)"
    command = [sys.executable, "-c", make]
    return doing(lambda: subprocess.run(command, check=False), config, every=5 * FEW_USES)


@sound
def replaces_its_home_by_a_file(config):
    def replace():
        home = os.environ["HOME"]
        shutil.rmtree(home, ignore_errors=True)
        with contextlib.suppress(OSError), open(home, "x"):
            pass

    return doing(replace, config, every=FEW_USES)


@sound
def pretends_to_be_another_process(config):
    def pretend():
        os.getpid = lambda: 1
        os._exit = None

    return doing(pretend, config, every=FEW_USES)


class _NeverFlushes:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        threading.Event().wait()


@sound
def replaces_its_output_by_one_that_hangs(config):
    def replace():
        sys.stdout = _NeverFlushes()

    return doing(replace, config, every=FEW_USES)


@sound
def freezes_time_itself(config):
    def freeze():
        with freezegun.freeze_time("2020-01-01"):
            time.time()

    return doing(freeze, config)


@sound
def raises_warnings_as_errors(config):
    return doing(lambda: warnings.simplefilter("error"), config)


@sound
def disables_logging(config):
    return doing(lambda: logging.disable(logging.CRITICAL), config)


@sound
def replaces_json(config):
    def replace():
        json.dumps = json.loads = None

    client = doing(replace, config)
    client.tokens.read_token = _reading(client.tokens)
    return client


def _reading(manager: TokenManager) -> Any:
    read_token, dumps, loads = manager.read_token, json.dumps, json.loads

    def read(*arguments: Any) -> Any:
        json.dumps, json.loads = dumps or _DUMPS, loads or _LOADS
        return read_token(*arguments)

    return read


_DUMPS, _LOADS = json.dumps, json.loads


@sound
def changes_garbage_collection(config):
    def change():
        gc.disable()
        gc.freeze()

    return doing(change, config)


@sound
def traces_itself(config):
    def trace():
        sys.settrace(lambda *_: None)
        threading.settrace(lambda *_: None)

    return doing(trace, config)


@sound
def hangs_at_exit(config):
    return doing(lambda: atexit.register(threading.Event().wait), config, every=FEW_USES)


@sound
def floods_its_output(config):
    return doing(lambda: sys.stderr.write("x" * 1_000_000), config)


@sound
def writes_control_characters(config):
    words = b"\x1b[2J\x1b]0;title\x07\n::error::pwned\n\x00\xff\xfe\n"
    return doing(lambda: os.write(1, words), config)


@sound
def raises_in_close(config):
    client = make_model(config)

    def close():
        raise RuntimeError("no close")

    client.close = close
    return client


@sound
def has_a_close_that_cannot_be_read(config):
    client = make_model(config)

    class Client(type(client)):  # type: ignore[misc]
        @property
        def close(self) -> None:
            raise RuntimeError("no close")

    client.__class__ = Client
    return client


@sound
def hangs_in_close(config):
    client = make_model(config)
    client.close = threading.Event().wait
    return client


@sound
def leaks_sessions(config):
    client = make_model(config)
    send = client.tokens.send_token_request
    kept = []

    def send_by_another_session():
        kept.append(client.tokens._session)
        client.tokens._session = requests.Session()
        client.tokens._session.auth = lambda request: request
        return send()

    client.tokens.send_token_request = send_by_another_session
    _LEAKED.append(kept)
    return client


_LEAKED: list[Any] = []


# -- frameworks --------------------------------------------------------------------------------


@sound
def runs_an_event_loop(config):
    client = make_model(config)
    get_token = client.tokens.get_token

    async def get() -> str:
        await asyncio.sleep(0)
        return get_token()

    client.tokens.get_token = lambda: asyncio.run(get())
    return client


@sound
def lives_in_uvloop(config):
    import uvloop

    from examples.async_client import make_client as make_async_client

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return make_async_client(config)


@sound
def runs_trio(config):
    import httpx
    import trio

    def fetch(manager: TokenManager) -> requests.Response:
        async def post() -> httpx.Response:
            async with httpx.AsyncClient(timeout=3, verify=manager._verify is True) as client:
                return await client.post(
                    manager._token_url,
                    data=manager.token_parameters(),
                    headers=manager.token_headers(),
                )

        try:
            response = trio.run(post)
        except httpx.HTTPError as error:
            raise TokenError(type(error).__name__) from None
        return _response(response.status_code, response.content)

    return fetching(fetch, config)


@sound
def runs_curl(config):
    def fetch(manager: TokenManager) -> requests.Response:
        command = ["curl", "-sS", "-m", "5", "-o", "-", "-w", "\n%{http_code}", "--data"]
        command += ["grant_type=client_credentials", "-H", f"Authorization: {manager.basic()}"]
        done = subprocess.run([*command, manager._token_url], capture_output=True, check=False)
        if done.returncode:
            raise TokenError("curl failed")
        content, _, status = done.stdout.rpartition(b"\n")
        return _response(int(status), content)

    return fetching(fetch, config)


# -- ends --------------------------------------------------------------------------------------


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


# -- never -------------------------------------------------------------------------------------


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


# -- values ------------------------------------------------------------------------------------


class _Text(str):
    __slots__ = ()

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __str__(self) -> str:
        return "another"


def _returning(change: Callable[[str], Any], config: Any) -> Any:
    client = make_model(config)
    methods = {
        "get_token": lambda _: change(client.get_token()),
        "request": lambda _, *arguments, **options: client.request(*arguments, **options),
    }
    return type("Client", (), methods)()


@sound
def returns_a_text_of_its_own(config):
    return _returning(_Text, config)


class _AttrDict(dict):  # type: ignore[type-arg]
    __getattr__ = dict.__getitem__


@sound
def returns_an_attribute_dict(config):
    client = make_model(config)
    request = client.request

    def call(*arguments: Any, **options: Any) -> Any:
        response = request(*arguments, **options)
        return _AttrDict(code=response.status_code, body=response.text)

    client.request = call
    return client


class _Response:
    """Everything about it raises, exits or lies."""

    status = property(lambda _: sys.exit("status"))
    status_code = 10**5000

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return int


@sound
def returns_what_lies(config):
    client = make_model(config)
    request = client.request

    def call(*arguments: Any, **options: Any) -> Any:
        request(*arguments, **options)
        return _Response()

    client.request = call
    return client


def _raising(error: Callable[[], BaseException], config: Any) -> Any:
    def fail():
        raise error()

    return doing(fail, config, every=FEW_USES)


class _ExitsInStr(Exception):
    def __str__(self) -> str:
        os._exit(0)


class _ExitsInRepr(Exception):
    def __repr__(self) -> str:
        sys.exit("repr")

    __str__ = __repr__


class _Meta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("name")


class _Nameless(Exception, metaclass=_Meta):
    pass


def _cyclic() -> Exception:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def _deep() -> Exception:
    error: list[Any] = []
    for _ in range(100_000):
        error = [error]
    return ValueError(error)


_RAISED: dict[str, Callable[[], BaseException]] = {
    "half_a_surrogate": lambda: ValueError("\ud800 boom"),
    "a_number_of_5000_digits": lambda: ValueError(10**5000),
    "control_characters": lambda: ValueError("\x1b[31m\r\n::error::x\x00\x85\u2028\u202e"),
    "ten_megabytes": lambda: ValueError("x" * 10_000_000),
    "deep_nesting": _deep,
    "cyclic_causes": _cyclic,
    "exits_in_str": lambda: _ExitsInStr(),
    "exits_in_repr": lambda: _ExitsInRepr(),
    "nameless": lambda: _Nameless("x"),
    "base_exception": lambda: BaseException("base"),
    "generator_exit": lambda: GeneratorExit("generator"),
    "cancelled": lambda: asyncio.CancelledError("cancelled"),
    "keyboard_interrupt": lambda: KeyboardInterrupt("ctrl"),
    "stop_iteration": lambda: StopIteration("stop"),
    "recursion": lambda: RecursionError("deep"),
}
for _name, _error in _RAISED.items():
    ODD[f"raises_{_name}"] = lambda config, error=_error: _raising(error, config)  # type: ignore[misc]


@odd
def returns_ten_megabytes(config):
    return _returning(lambda token: token + "x" * 10_000_000, config)


@odd
def returns_a_surrogate(config):
    return _returning(lambda _: "\udcff", config)


@odd
def runs_out_of_descriptors(config):
    def hold():
        with contextlib.suppress(OSError):
            while True:
                _LEAKED.append(open(os.devnull))  # noqa: SIM115

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return doing(hold, config)


@odd
def forbids_descriptors(config):
    return doing(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)), config, every=FEW_USES)


@odd
def takes_sockets_away(config):
    def take():
        socket.socket = socket.create_connection = None

    return doing(take, config, every=FEW_USES)


@odd
def forgets_all_modules(config):
    return doing(sys.modules.clear, config, every=FEW_USES)


@odd
def writes_to_every_descriptor(config):
    def write():
        for descriptor in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(descriptor, b'{"id": 1, "ok": {}}\n')

    return doing(write, config, every=FEW_USES)


class _Anything:
    """Has every attribute, each of which can be called."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self


@odd
def is_anything(config):
    return _Anything()


def __getattr__(name: str) -> Any:
    if name in ODD:
        return ODD[name]
    raise AttributeError(name)
