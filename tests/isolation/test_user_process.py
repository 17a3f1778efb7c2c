"""A contract run leaves the user's pytest process as it is, while it runs and afterwards."""

from __future__ import annotations

import json
import os

import pytest

from tests.plugin.conftest import MODEL_CLIENT, WARNINGS

# A plugin, because the hooks of a conftest.py do not see the tests of other folders.
WATCHER = """
import gc, json, locale, logging, os, signal, socket, sys, tempfile, threading, time, warnings
from pathlib import Path

import pytest
from hypothesis.internal.conjecture import providers

HERE = Path(__file__).parent
SEEN, REPORTS, ITEMS = {}, {}, []

# Audit events show changes that are undone before a hook could see them.
OF_PYTEST = ("PYTEST_CURRENT_TEST", b"PYTEST_CURRENT_TEST")
CHANGES = {"os.putenv", "os.unsetenv", "os.chdir"}

def notice(event, arguments):
    if ITEMS and event in CHANGES and arguments[0] not in OF_PYTEST:
        SEEN.setdefault(event, repr(arguments))

sys.addaudithook(notice)

def state():
    umask = os.umask(0o22)
    os.umask(umask)
    return {
        "affinity": sorted(os.sched_getaffinity(0)),
        "environment": {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
        "zone": [list(time.tzname), time.timezone],
        "time": [repr(f) for f in (time.time, time.sleep, time.monotonic)],
        "handlers": {n.name: repr(signal.getsignal(n)) for n in signal.valid_signals()
                     if isinstance(n, signal.Signals)},
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "wakeup": signal.set_wakeup_fd(-1),
        "folder": os.getcwd(),
        "umask": umask,
        "path": list(sys.path),
        "hooks": [repr(h) for h in (sys.excepthook, sys.unraisablehook, sys.breakpointhook,
                                    threading.excepthook)],
        "locale": locale.setlocale(locale.LC_ALL),
        "limits": [sys.getrecursionlimit(), sys.getswitchinterval()],
        "timeout": socket.getdefaulttimeout(),
        "tempdir": tempfile.tempdir,
        "levels": [logging.getLogger().level, logging.root.manager.disable],
        "draws": [repr(providers._get_local_constants), id(providers.CONSTANTS_CACHE)],
        "collects": gc.isenabled(),
    }

def compare(place, before, after):
    for name in before:
        if before[name] != after[name]:
            SEEN.setdefault(f"{name}, {place}", [repr(before[name]), repr(after[name])])

@pytest.hookimpl(trylast=True)
def pytest_sessionstart():
    REPORTS["before"] = state()

def pytest_runtest_logreport(report):
    compare(f"{report.when} of {report.nodeid}", REPORTS["before"], state())
    REPORTS[report.nodeid] = report.outcome

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    # pytest sets filters for a test, and removes them inside of this wrapper.
    before = list(warnings.filters), warnings.showwarning
    ITEMS.append(item)
    try:
        return (yield)
    finally:
        ITEMS.pop()
        if before != (list(warnings.filters), warnings.showwarning):
            SEEN.setdefault("warnings", item.nodeid)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish():
    yield
    before = REPORTS.pop("before")
    compare("at the end", before, state())
    file = HERE / f"process-{os.getpid()}.json"
    file.write_text(json.dumps({"changes": SEEN, "outcomes": REPORTS}))
"""
FACTORY = f"""
import pytest

@pytest.fixture(scope="session")
def contract_client_factory():
    import importlib.util, sys
    spec = importlib.util.spec_from_file_location("model", {str(MODEL_CLIENT)!r})
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.make_client
"""
# These change time, the zone, threads, log records and the trust of a client, and draw examples.
CLAUSES = ("cache.reuse", "cache.thread-safe", "refresh.ahead", "secrecy.token", "tls.verify")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs CPU affinity")
@pytest.mark.parametrize(
    "way",
    ["factory", *(pytest.param(way, marks=pytest.mark.slow) for way in ("target", "workers"))],
)
def test_a_contract_run_changes_nothing_of_the_users_process(pytester, way):
    pytester.makeconftest(FACTORY if way == "factory" else "")
    pytester.makeini("[pytest]\n")  # that folder is the root, also beside the clauses' own
    pytester.makepyfile(
        watcher=WATCHER,
        test_first="def test_before_the_run(): pass",
        test_last="def test_after_the_clauses(): pass",
    )
    selected = [each for clause in CLAUSES for each in ("--contract-only", clause)]
    client = [] if way == "factory" else ["--contract-client", str(MODEL_CLIENT)]
    workers = ["-n", "2"] if way == "workers" else []
    plugins = ["-p", "watcher", "-p", "no:randomly", "--import-mode=importlib"]
    done = pytester.runpytest_subprocess(
        *(*WARNINGS, *plugins, *workers, *client, *selected, "--contract-examples", "5"),
        *("test_first.py", "--pyargs", "mockbroker_contract", "test_last.py"),
    )
    assert done.ret == 0, done.outlines
    seen = [json.loads(file.read_text()) for file in pytester.path.glob("process-*.json")]
    assert [each["changes"] for each in seen] == [{}] * (3 if way == "workers" else 1)
    names = {name for each in seen for name in each["outcomes"]}
    assert len(names) == len(CLAUSES) + len(["test_first", "test_last"])
