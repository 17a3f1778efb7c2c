"""The pytest plugin that is loaded at every start: options, markers and fixtures.

A test run that uses none of it must not slow down: expensive imports happen at first use.
"""

from __future__ import annotations

import itertools
import sys
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mockbroker.cli.options import CLIENT, EXEC, KNOWN, ONLY, PYTEST_OPTIONS, Surface
from pytest_mockbroker.markers import CLAUSE_MARKER, RAISED, RECEIVER, SESSION, clause_id_of

if TYPE_CHECKING:
    from mockbroker.fake_broker import Broker
    from mockbroker.model.client import ClientFactory
    from mockbroker_contract.harness.run import ContractRun
    from pytest_mockbroker.collector import VerdictCollector

__all__: list[str] = []

_MARKERS = (
    "auth_broker(expires_in, profile, strict, tls): settings of the fixture for this test",
    f"{CLAUSE_MARKER}(clause): the clause of the contract that this test judges",
)
_BROKER_INI: dict[str, tuple[str, Any, Any]] = {
    "auth_broker_env": (
        "environment variables to set before collection: NAME = {token_url}, {api_url}, …",
        "linelist",
        [],
    ),
    "auth_broker_profile": (
        "profile of auth_broker and auth_broker_session; by default that of [tool.mockbroker]",
        None,
        "",
    ),
    "auth_broker_tls": ("whether auth_broker and auth_broker_session use TLS", "bool", False),
    "auth_broker_strict_faults": (
        "whether a test fails whose scripted faults were never applied",
        "bool",
        False,
    ),
}
# Failures in threads and finalizers, which pytest reports at whatever test runs then. Under "-W
# error" they would fail a clause.
_LEFT_BY_CLIENTS = ("PytestUnraisableExceptionWarning", "PytestUnhandledThreadExceptionWarning")
_CHECKED = tuple(f"contract_{option.key}" for option in (CLIENT, EXEC, KNOWN))
_KIT = "mockbroker_contract"
_CLIENT_OPTIONS = tuple(Surface.PYTEST.spell(option) for option in (CLIENT, EXEC))
# A run that already failed keeps its own status.
_SUCCESS_STATUSES = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ``--contract-*`` options and the same as ini settings.

    Both come from one table with those of the command, so that names and help agree.
    """
    group = parser.getgroup("contract", "the contract of token clients (mockbroker)")
    for option in PYTEST_OPTIONS:
        spelling, setting = Surface.PYTEST.spell(option), Surface.INI.spell(option)
        # The same attribute that pytest would derive. If it is given, pytest does not compare it
        # with that of every other option, which takes longer than all the rest here.
        text = option.help_with_default
        common: dict[str, Any] = {"dest": setting, "default": None, "help": text}
        if option.is_flag:
            # None and not False, so that a flag that was not given leaves the ini setting in force.
            group.addoption(spelling, action="store_true", **common)
            parser.addini(setting, text, type="bool", default=False)
        elif option.is_repeatable:
            group.addoption(spelling, action="append", metavar=option.metavar, **common)
            parser.addini(setting, text, type="linelist")
        else:
            group.addoption(spelling, metavar=option.metavar, **common)
            parser.addini(setting, text)
    for name, (text, kind, default) in _BROKER_INI.items():
        parser.addini(name, text, type=kind, default=default)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Set the environment of ``auth_broker_env`` before any module of the project is imported.

    A wrapper that goes first, because pytest imports the conftest files in such a wrapper.
    """
    if early_config.getini("auth_broker_env"):
        _session_of(early_config).set_environment()
    return (yield)


def _session_of(config: pytest.Config) -> Any:
    """Return the brokers of this run, which are made at first use and last until its end."""
    started = config.stash.get(SESSION, None)
    if started is not None:
        return started
    from pytest_mockbroker.broker_session import BrokerSession  # noqa: PLC0415 - only if used
    from pytest_mockbroker.broker_settings import IniSettings  # noqa: PLC0415 - only if used

    session = BrokerSession(IniSettings.of(config))
    config.stash[SESSION] = session
    # Also if the run ends before a test, such as by an error in a conftest.py.
    config.add_cleanup(session.close)
    return session


def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let forks judge a run of the contract alone that asks for processes of pytest-xdist.

    Those would each import pytest and the kit, and repeat test cases that clauses share. A user
    who names a way to distribute the tests gets that one.
    """
    # pytest-xdist goes first in this hook: `tx` has an entry for each process of -n by now.
    processes = getattr(config.option, "tx", None) or ()
    if len(processes) < 2 or config.option.dist != "load" or set(processes) != {"popen"}:  # noqa: PLR2004 - more than one
        return
    if not (config.option.pyargs and all(map(_is_of_kit, config.args))):
        return
    from pytest_mockbroker.clause_workers import ClauseWorkers, can_fork  # noqa: PLC0415 - only if used

    if can_fork():
        config.option.dist, config.option.tx, config.option.numprocesses = "no", [], None
        config.pluginmanager.register(ClauseWorkers(len(processes)))


def _is_of_kit(argument: str) -> bool:
    """Return whether an argument of pytest names the kit's package, a module or a test of it."""
    return argument.partition("::")[0].partition(".")[0] == _KIT


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; check settings at once if the command line has them.

    Settings in the ini file matter only once a clause is collected. Under xdist that happens in
    another process.
    """
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    # In a worker of pytest-xdist the reports go to the controller, whose receiver gets them.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_VerdictReceiver(config), RECEIVER)
    given = [config.getoption(name) for name in _CHECKED]
    # The controller of pytest-xdist collects nothing, so this is its only occasion to reject a
    # setting with one message.
    in_workers = config.getoption("dist", "no") != "no"
    if any(given) or (in_workers and any(map(config.getini, _CHECKED))):
        _check_settings(config)


def _check_settings(config: pytest.Config) -> None:
    from pytest_mockbroker.settings import check_settings  # noqa: PLC0415 - only if used

    check_settings(config)


def collector_of(config: pytest.Config) -> VerdictCollector:
    """Return the collector of verdicts, which is registered with the first clause.

    Imports the collector and the kit, which takes a noticeable time: call it only for runs with
    clauses.
    """
    from pytest_mockbroker.collector import VerdictCollector  # noqa: PLC0415 - only if used

    return VerdictCollector.of(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Register the collector of verdicts once a clause has been collected.

    First, so that other plugins see only the clauses that remain.
    """
    clauses = [item for item in items if item.get_closest_marker(CLAUSE_MARKER)]
    if clauses:
        _check_settings(config)
        collector_of(config)
        if config.pluginmanager.has_plugin("warnings"):
            for item, warning in itertools.product(clauses, _LEFT_BY_CLIENTS):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::pytest.{warning}"))
        _deselect(config, items, _unwanted(config, clauses))
        if hasattr(config, "workerinput"):
            from mockbroker.contract.clauses.lifecycle import (  # noqa: PLC0415 - only if used
                LIFECYCLE,
            )

            # The longest clause goes first, so that no worker starts it last.
            # A stable sort: the other clauses keep the order of the catalogue.
            items.sort(key=lambda item: clause_id_of(item) != LIFECYCLE.id)


def _unwanted(config: pytest.Config, clauses: list[pytest.Item]) -> list[pytest.Item]:
    """Return the clause tests that the option --contract-only leaves out."""
    from mockbroker.contract.catalogue import CATALOGUE  # noqa: PLC0415 - only if used
    from pytest_mockbroker.settings import values_of  # noqa: PLC0415 - only if used

    selection = values_of(config)[ONLY]
    if not selection:
        return []
    selected = {clause.id for clause in CATALOGUE if clause in selection}
    return [item for item in clauses if clause_id_of(item) not in selected]


def _deselect(config: pytest.Config, items: list[pytest.Item], unwanted: list[pytest.Item]) -> None:
    """Deselect tests, and report them to pytest as such."""
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in unwanted]


class _VerdictReceiver:
    """Plugin that passes verdicts on to the process that reports the run.

    Under xdist that is the controller, which learns of clauses only from their reports.

    It is registered at every start, and imports the collector only when a report comes that belongs
    to the contract.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Pass on a report that carries findings. First, so that the terminal shows the verdict."""
        if any(name.startswith("contract_") for name, _ in report.user_properties):
            collector_of(self._config).receive(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Pass on that a module of the kit could not be collected."""
        # A path of an installed package lies outside of the root folder; joining keeps an absolute
        # one.
        path = self._config.rootpath / report.fspath
        if report.failed and _KIT in path.parts:
            collector_of(self._config).receive_uncollected(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a run that names a client but judges it by no clause."""
        if exitstatus in _SUCCESS_STATUSES and self._judges_nothing:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print why such a run failed."""
        if self._judges_nothing:
            terminalreporter.write_line(
                f"{self._option_given} names a client, but this run has no tests of the contract; "
                "add --pyargs mockbroker_contract",
                red=True,
            )

    @property
    def _option_given(self) -> str:
        """The option that named the client on pytest's command line, not in an ini file."""
        # As typed, without addopts and PYTEST_ADDOPTS: those apply to every run of a project, also
        # to runs without clauses. An argument may be a Path.
        given = {arg.partition("=")[0] for arg in map(str, self._config.invocation_params.args)}
        return next((name for name in _CLIENT_OPTIONS if name in given), "")

    @property
    def _judges_nothing(self) -> bool:
        return bool(
            self._option_given
            and not self._config.option.collectonly
            and not self._config.pluginmanager.has_plugin("contract-verdicts")
            # A plugin such as that of --last-failed may have deselected every named clause.
            and not any(_KIT in argument for argument in self._config.args)
        )


# Neither fixture has another one for the brokers of the run: with each test, pytest would take
# longer to look for that one than these take for all the rest.
@pytest.fixture
def auth_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Provide a running auth-broker, clean for each test; see `mockbroker.Broker`.

    Function scope. The URL is the same for all tests without a special marker, the credentials are
    the test's own. If the test uses ``auth_broker_session`` as well, or the ini file has
    ``auth_broker_env``, it is the session's broker, reset for the test. Assertions, faults and
    recorded requests are the test's own.
    """
    with _session_of(request.config).for_test(request.node) as broker:
        yield broker


@pytest.fixture(scope="session")
def auth_broker_session(pytestconfig: pytest.Config) -> Iterator[Broker]:
    """Provide the auth-broker of the session, for an app that reads its settings once.

    Session scope. URL and credentials never change. Tokens and the journal last for the session,
    until a test uses ``auth_broker``, which resets them. What fixtures of the session set up, such
    as clients and routes, stays.
    """
    session = _session_of(pytestconfig)
    yield session.broker
    session.check_handlers()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the traffic of a failed test that used a broker.

    A wrapper, because only the finished report says that the test failed. The fixture's value is
    still there after the call phase.
    """
    report = yield
    session = item.config.stash.get(SESSION, None)
    if session is None or call.excinfo is None:
        return report
    # Also if it was skipped, or was expected to fail.
    item.stash[RAISED] = True
    if report.failed:
        from mockbroker.fake_broker import Broker  # noqa: PLC0415 - only if used

        # Items of other plugins, such as doctests, may have no fixtures.
        found = getattr(item, "funcargs", {}).get("auth_broker")
        # A project may have its own fixture of that name.
        has_own = isinstance(found, Broker)
        error = call.excinfo.value
        text = session.traffic_of(item, found if has_own else None, error)
        if text:
            report.sections.append(("auth-broker traffic", text))
    return report


@pytest.fixture(scope="session")
def contract_client_factory(pytestconfig: pytest.Config) -> ClientFactory | str:
    """Return the factory of the client to check, or the name of one: ``package.module:factory``.

    Override it in a conftest.py. A name is imported in the client's own process. A factory
    object of this process reaches the client's process by fork.

    Session scope. Raises TargetError if the options name no client.
    """
    from pytest_mockbroker.settings import target_from_options  # noqa: PLC0415 - only if used

    return target_from_options(pytestconfig)


def _factory_of_session(request: pytest.FixtureRequest) -> ClientFactory | str:
    """Return the value of the fixture. Raises TargetError if it cannot be a client factory."""
    from mockbroker_contract.drivers.host.errors import name_of_class  # noqa: PLC0415 - only if used
    from mockbroker_contract.drivers.target import TargetError  # noqa: PLC0415 - only if used

    try:
        found: ClientFactory | str = request.getfixturevalue("contract_client_factory")
    except TargetError:
        raise
    # A fixture of the user may raise anything; pytest.fail() raises a BaseException.
    except (Exception, pytest.fail.Exception) as error:
        raise TargetError(
            f"the fixture contract_client_factory failed: {_in_words(error)}"
        ) from error
    # eventlet's green threads never run while a server of the kit waits in a real thread.
    # Looked up and not imported: eventlet is the user's choice.
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        raise TargetError(
            "eventlet has patched this test run, so that no broker can run in it; patch in the "
            "client's module instead, or run `mockbroker check TARGET`"
        )
    if isinstance(found, str) or callable(found):
        return found
    raise TargetError(
        f"the fixture contract_client_factory returned a {name_of_class(type(found))}; it must "
        "return a factory, or the name of one: 'package.module:factory'"
    )


def _in_words(error: BaseException) -> str:
    """Return the error of a fixture as text, with its place if pytest did not raise it."""
    if isinstance(error, pytest.FixtureLookupError):
        return f"fixture {error.argname!r} not found"
    if isinstance(error, pytest.fail.Exception):  # such as a fixture scope that does not fit
        return str(error)
    # As the last line of a traceback, which a user knows how to read.
    message = "".join(traceback.format_exception_only(type(error), error)).strip()
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{message} ({Path(last.filename).name}, line {last.lineno})"


@pytest.fixture(scope="session")
def contract(request: pytest.FixtureRequest) -> Iterator[ContractRun]:
    """Provide the contract run that all clauses share.

    Session scope, because starting the client's process and the servers takes longer than most
    clauses. Under pytest-xdist each worker has its own.
    """
    from mockbroker_contract.drivers.python_clients import PythonClients  # noqa: PLC0415 - only if used
    from mockbroker_contract.harness.preflight import checked_run  # noqa: PLC0415 - only if used
    from pytest_mockbroker.settings import program_from_options, run_settings  # noqa: PLC0415

    config = request.config
    program = program_from_options(config)
    clients = program or PythonClients(_factory_of_session(request))
    with checked_run(clients, run_settings(config)) as run:
        # The collector asks the run for findings on other clauses, also after an interruption.
        collector_of(config).judge_with(run)
        yield run
