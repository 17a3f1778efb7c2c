"""The fixture `auth_broker_session` and the ini settings: for apps that read settings once."""

from __future__ import annotations

import os

import pytest

IN_ORDER = ("-p", "no:randomly", "-p", "no:xdist")
INI = """
    [pytest]
    auth_broker_env =
        FLEET_TOKEN_URL = {token_url}
        FLEET_API = {api_url}/
        FLEET_LOGIN = {client_id}:{client_secret}
        FLEET_CA = {ca_file}
"""
APP = """
    import os, requests

    TOKEN_URL, API = os.environ["FLEET_TOKEN_URL"], os.environ["FLEET_API"]
    LOGIN, CA = os.environ["FLEET_LOGIN"].split(":"), os.environ["FLEET_CA"] or None
    token = ""

    def title():
        global token
        if not token:
            grant = {"grant_type": "client_credentials"}
            answer = requests.post(TOKEN_URL, grant, auth=tuple(LOGIN), verify=CA, timeout=5)
            token = answer.json()["access_token"]
        headers = {"Authorization": "Bearer " + token}
        return requests.get(API + "vehicle/7", headers=headers, verify=CA, timeout=5)
"""


@pytest.fixture
def project(pytester, monkeypatch, without_other_plugins):
    """A project with an app that reads its settings when it is imported."""
    monkeypatch.setenv("FLEET_API", "before")
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(fleet=APP)
    monkeypatch.syspath_prepend(pytester.path)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
    return pytester


def test_an_app_has_its_settings_when_a_conftest_imports_it(run, project):
    project.makeconftest("import fleet")
    run(
        """
        import fleet

        def test_it(auth_broker):
            assert fleet.title().status_code == 200
            assert fleet.TOKEN_URL == auth_broker.token_url
            auth_broker.assert_conforms()

        @pytest.mark.auth_broker(expires_in=60, strict=False)
        def test_the_marker_is_honoured(auth_broker, auth_broker_session):
            fleet.token = ""
            assert fleet.title().status_code == 200
            assert auth_broker.token_requests[0].token.expires_in == 60
            assert auth_broker is auth_broker_session

        def test_the_next_one_is_clean(auth_broker):
            assert (len(auth_broker.journal), auth_broker.expires_in) == (0, 3599)
            assert auth_broker.strict

        def test_without_a_fixture():
            fleet.token = ""
            assert fleet.title().status_code == 200
    """,
        *IN_ORDER,
    ).assert_outcomes(passed=4)


def test_the_environment_is_restored(project):
    project.makeconftest("import fleet")
    project.makepyfile("def test_it(): pass")
    project.inline_run("-p", "no:randomly").assertoutcome(passed=1)
    assert os.environ["FLEET_API"] == "before"
    assert "FLEET_TOKEN_URL" not in os.environ


@pytest.mark.slow
def test_each_worker_of_xdist_has_a_broker_of_its_own(run, project):
    project.makeconftest("import fleet")
    run(
        """
        import fleet

        @pytest.mark.parametrize("number", range(8))
        def test_it(auth_broker, number):
            fleet.token = ""
            assert fleet.title().status_code == 200
            assert len(auth_broker.journal) == 2
    """,
        *("-n", "2"),
    ).assert_outcomes(passed=8)


def test_tls_and_a_profile_come_from_the_ini_file(run, project):
    project.makefile(
        ".ini", pytest=INI + "    auth_broker_tls = true\n    auth_broker_profile = rfc6749\n"
    )
    run(
        """
        import fleet

        @pytest.mark.parametrize("again", [False, True])
        def test_it(auth_broker, again):
            fleet.token = ""
            assert fleet.TOKEN_URL.startswith("https://") and fleet.TOKEN_URL.endswith("/token")
            assert fleet.title().status_code == 200
            assert len(auth_broker.journal) == 2
    """
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FLEET = {token}", "auth_broker_env: 'FLEET = {token}' has an unknown placeholder; known"),
        ("FLEET = {token_url", "auth_broker_env: 'FLEET = {token_url' has an unknown placeholder"),
        ("{token_url}", "auth_broker_env: '{token_url}' is not a variable; write it as NAME={"),
    ],
)
def test_a_malformed_line_is_one_sentence(run, pytester, line, message):
    pytester.makefile(".ini", pytest=f"[pytest]\nauth_broker_env = {line}\n")
    result = run("def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_an_unknown_profile_is_one_sentence(run, pytester):
    pytester.makefile(".ini", pytest="[pytest]\nauth_broker_profile = acme\n")
    result = run("def test_it(auth_broker): pass")
    result.stdout.fnmatch_lines(["*the ini setting auth_broker_profile: unknown profile 'acme'*"])


def test_the_session_fixture_serves_an_app_of_the_session(run):
    run(
        """
        @pytest.fixture(scope="session")
        def app(auth_broker_session):
            auth_broker_session.register("shop", "s3cr:et")
            auth_broker_session.expires_in = 300
            auth_broker_session.api.route("GET", "/title", json="Golf")
            return auth_broker_session.token_url, auth_broker_session.api_url

        def title(app, token):
            headers = {"Authorization": "Bearer " + token}
            return requests.get(app[1] + "/title", headers=headers, timeout=5)

        def shop_token(app):
            answer = requests.post(app[0], GRANT, auth=("shop", "s3cr:et"), timeout=5)
            assert answer.json()["expires_in"] == 300
            return answer.json()["access_token"]

        kept = []

        def test_one(app, auth_broker):
            assert auth_broker.token_url == app[0]
            auth_broker.register("shop", "rotated")
            auth_broker.register("other", "secret")
            auth_broker.profile = "rfc6749"
            auth_broker.expires_in = 1
            auth_broker.api.route("GET", "/title", status=500)
            auth_broker.script(Fault.status(503).times(9))
            auth_broker.clock.advance(5000)
            assert get_token(auth_broker).status_code == 503

        def test_two(app):
            kept.append(shop_token(app))
            assert title(app, kept[0]).json() == "Golf"

        def test_three(app, auth_broker_session):
            assert title(app, kept[0]).json() == "Golf"
            assert len(auth_broker_session.journal) == 4

        def test_four(app, auth_broker):
            assert len(auth_broker.journal) == 0
            assert get_token(auth_broker, ("other", "secret")).status_code == 401
            refused = title(app, kept[0])
            assert refused.status_code == 401
            assert refused.json()["hint"].startswith(
                "this token was issued to the client in an earlier test ("
                "test_the_session_fixture_serves_an_app_of_the_session.py::test_two): the app "
                "keeps tokens between tests; clear its cache"
            )
            auth_broker.journal.clear()
            assert title(app, kept[0]).status_code == 401
            assert title(app, shop_token(app)).json() == "Golf"
            auth_broker.assert_conforms()
    """,
        *IN_ORDER,
    ).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("tls=True", "tls would change the URL, but the tests of this run share the URL of"),
        ("profile='rfc6749'", "profile 'rfc6749' would change the URL, but the tests of this run"),
    ],
)
def test_a_marker_that_would_change_the_shared_url_is_one_sentence(run, marker, message):
    result = run(f"""
        @pytest.mark.auth_broker({marker})
        def test_it(auth_broker, auth_broker_session):
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*the auth_broker marker: {message}*; set auth_broker_*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_profile_with_the_same_paths_takes_the_place_of_the_sessions(run, pytester):
    pytester.makepyprojecttoml("""
        [tool.pytest.ini_options]
        [tool.mockbroker.profiles.jwt]
        token_format = "jwt"
    """)
    run(
        """
        @pytest.mark.auth_broker(profile="jwt", expires_in=7)
        def test_jwt(auth_broker, auth_broker_session):
            token = get_token(auth_broker, auth_broker.auth).json()
            assert (token["access_token"].count("."), token["expires_in"]) == (2, 7)

        def test_opaque(auth_broker, auth_broker_session):
            token = get_token(auth_broker).json()
            assert (token["access_token"].count("."), token["expires_in"]) == (0, 3599)
    """,
        *IN_ORDER,
    ).assert_outcomes(passed=2)


def test_a_failing_test_shows_what_the_sessions_broker_saw_in_it(run, project):
    result = run(
        """
        import fleet

        def test_one():
            assert fleet.title().status_code == 200

        def test_two():
            assert fleet.title().status_code == 500

        def test_three():
            assert False, "sent nothing"
    """,
        *IN_ORDER,
    )
    result.assert_outcomes(passed=1, failed=2)
    assert result.stdout.str().count("auth-broker traffic") == 1
    result.stdout.fnmatch_lines(["*auth-broker traffic*", "#3 GET /v2/vehicle/7 *→ 200"])


def test_requests_of_a_thread_that_a_test_left_behind_are_not_part_of_the_next(run):
    result = run(
        """
        import threading

        go, gone = threading.Event(), threading.Event()

        def test_one(auth_broker):
            url, pair = auth_broker.token_url, auth_broker.auth

            def renew():
                go.wait(10)
                for _ in range(2):
                    answers.append(requests.post(url, GRANT, auth=pair, timeout=5))
                gone.set()

            threading.Thread(target=renew, daemon=True).start()

        answers = []

        def test_two(auth_broker):
            go.set()
            assert gone.wait(10)
            assert len(auth_broker.token_requests) == 0
            assert get_token(auth_broker).ok
            assert len(auth_broker.journal) == 1
            assert [each.status_code for each in answers] == [401, 401]
            assert "earlier test" in answers[0].json()["hint"]
            assert False, "show it"
    """,
        *IN_ORDER,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["#1 POST *→ 200*", "not part of this test: 2 token requests with the credentials of an *"]
    )


def test_the_failed_handler_of_a_session_is_reported(run):
    result = run("""
        @pytest.fixture(scope="session")
        def app(auth_broker_session):
            auth_broker_session.api.route("GET", "/vehicles/{id}", handler=lambda _: {}["title"])
            return auth_broker_session

        def test_it(app):
            assert call(app, get_token(app)).status_code == 500
    """)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the handler of route GET /vehicles/{id} raised for GET *"])


def test_the_failed_handler_of_a_test_is_reported(run):
    result = run("""
        @pytest.mark.parametrize("status", [500, 200])
        def test_it(auth_broker, status):
            def handler(request):
                assert request.parameters == {"id": "8"}
            auth_broker.api.route("GET", "/vehicles/{id}", handler=handler)
            assert call(auth_broker, get_token(auth_broker)).status_code == status
    """)
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*the handler of route GET /vehicles/{id} raised for GET /vehicles/7:*",
            "*AssertionError*",
        ]
    )
    assert result.stdout.str().count("ERROR at teardown of test_it") == 1


def test_a_fault_that_was_never_applied_is_a_warning_or_an_error(run, pytester):
    code = """
        def test_it(auth_broker):
            auth_broker.script(Fault.status(503).times(5))
            auth_broker.api_script(Fault.status(418), Fault.reset())
            get_token(auth_broker)

        def test_that_fails(auth_broker):
            auth_broker.script(Fault.status(503))
            raise RuntimeError

        @pytest.mark.parametrize("end", [pytest.skip, pytest.xfail])
        def test_that_ends_early(auth_broker, end):
            auth_broker.script(Fault.status(503))
            end("here")
    """
    message = "2 scripted faults never applied, because no request came for it: status 418, reset"
    result = run(code, "-W", "default")
    result.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=1, warnings=1)
    result.stdout.fnmatch_lines([f"*UnappliedFaultWarning: {message}"])
    pytester.makefile(".ini", pytest="[pytest]\nauth_broker_strict_faults = true\n")
    result = run(code, "-W", "default")
    result.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=1, errors=1)
    result.stdout.fnmatch_lines([f"*{message}"])


@pytest.mark.parametrize("fixture", ["", "auth_broker_session, "])
def test_a_travel_ends_with_its_test(run, fixture):
    run(
        f"""
        import pathlib, time

        def ahead():
            # No library moves the time of files.
            pathlib.Path("now").touch()
            return time.time() - pathlib.Path("now").stat().st_mtime

        def test_one({fixture}auth_broker):
            token = get_token(auth_broker)
            auth_broker.travel(3599)
            assert call(auth_broker, token).status_code == 401
            assert ahead() > 3590

        def test_two():
            assert abs(ahead()) < 60
    """,
        *IN_ORDER,
    ).assert_outcomes(passed=2)
