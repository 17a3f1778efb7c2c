"""The fixture `auth_broker`, as tests of other projects use it."""

from __future__ import annotations

import pytest


def test_everything_that_it_offers(run):
    run("""
        def test_nightly_sync(auth_broker):
            assert auth_broker.token_url.startswith("http://127.0.0.1:")
            assert auth_broker.credentials.client_id
            auth_broker.register("other", "s3cr:et")
            assert get_token(auth_broker, ("other", "s3cr:et")).status_code == 200
            assert get_token(auth_broker, ("other", "s3cr")).status_code == 401

            auth_broker.expires_in = 60
            token = get_token(auth_broker)
            assert token.json()["expires_in"] == 60
            auth_broker.clock.advance(59)
            assert call(auth_broker, token).status_code == 200
            auth_broker.clock.advance(1)
            assert call(auth_broker, token).status_code == 401

            auth_broker.script(Fault.status(503, retry_after=5).times(2), Fault.reset())
            for _ in range(2):
                answer = get_token(auth_broker)
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            with pytest.raises(requests.ConnectionError):
                get_token(auth_broker)

            token = get_token(auth_broker)
            auth_broker.api_script(Fault.status(500))
            assert [call(auth_broker, token).status_code for _ in range(2)] == [500, 200]
            auth_broker.revoke_tokens()
            assert call(auth_broker, token).status_code == 401

            assert len(auth_broker.token_requests) == 7
            assert len(auth_broker.api_calls) == 5
            assert len(auth_broker.journal) == 12

        def test_conforming(auth_broker):
            call(auth_broker, get_token(auth_broker))
            auth_broker.assert_conforms()

        def test_not_conforming(auth_broker):
            requests.get(auth_broker.token_url, timeout=5)
            with pytest.raises(AssertionError, match="request.method"):
                auth_broker.assert_conforms()

        def test_it_follows_a_frozen_clock(auth_broker):
            with freezegun.freeze_time("2030-01-01") as frozen:
                token = get_token(auth_broker)
                frozen.tick(3598)
                assert call(auth_broker, token).status_code == 200
                frozen.tick(1)
                assert call(auth_broker, token).status_code == 401
    """).assert_outcomes(passed=4)


def test_it_is_clean_for_each_test(run):
    run(
        """
        @pytest.mark.filterwarnings("ignore::mockbroker.UnappliedFaultWarning")
        @pytest.mark.parametrize("time", ["first", "second"])
        def test_clean(auth_broker, time):
            broker = auth_broker
            assert (len(broker.journal), broker.expires_in, broker.strict) == (0, 3599, True)
            assert get_token(broker, ("other", "secret")).status_code == 401
            token = get_token(broker)
            assert token.status_code == 200
            before = broker.clock.now()

            broker.register("other", "secret")
            broker.expires_in, broker.strict = 5, False
            broker.agreed_paths = ()
            broker.script(Fault.status(503).times(100))
            broker.api_script(Fault.stall(60))
            broker.clock.advance(10_000)

        def test_the_clock_is_back(auth_broker):
            import time
            assert abs(auth_broker.clock.now() - time.time()) < 5
    """,
        "-p",
        "no:randomly",
    ).assert_outcomes(passed=3)


@pytest.mark.parametrize("module", ["", "pytestmark = pytest.mark.auth_broker(expires_in=9)"])
def test_the_marker_sets_it_up_for_one_test(run, module):
    run(
        f"""
        {module}

        @pytest.mark.auth_broker(expires_in=60, profile="rfc6749", tls=True)
        def test_all(auth_broker):
            assert auth_broker.token_url.startswith("https://127.0.0.1:")
            assert auth_broker.profile.name == "rfc6749"
            token = get_token(auth_broker)
            assert token.json()["expires_in"] == 60
            assert call(auth_broker, token).status_code == 200

        @pytest.mark.auth_broker(tls=True)
        def test_tls_again(auth_broker):
            assert len(auth_broker.journal) == 0
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(auth_broker.token_url, timeout=5)

        @pytest.mark.auth_broker(profile="rfc6749")
        def test_profile(auth_broker):
            assert get_token(auth_broker).status_code == 200

        @pytest.mark.auth_broker(strict=False)
        def test_lenient(auth_broker):
            assert requests.post(auth_broker.token_url, timeout=5).status_code == 200

        def test_none(auth_broker):
            assert auth_broker.ca_file is None
            assert auth_broker.profile.name == "autograb"
            assert get_token(auth_broker).json()["expires_in"] == {9 if module else 3599}
    """
    ).assert_outcomes(passed=5)


def test_a_project_sets_its_profile_once(run, pytester):
    pytester.makepyprojecttoml("""
        [tool.pytest.ini_options]
        [tool.mockbroker]
        profile = "entra"
    """)
    run("""
        def test_entra(auth_broker):
            assert auth_broker.profile.name == "entra"
            pair = {"client_id": auth_broker.credentials.client_id,
                    "client_secret": auth_broker.credentials.client_secret}
            assert requests.post(auth_broker.token_url, GRANT | pair, timeout=5).status_code == 400
            scope = {"scope": "https://graph.microsoft.com/.default"}
            assert requests.post(auth_broker.token_url, GRANT | pair | scope, timeout=5).ok
    """).assert_outcomes(passed=1)


def test_the_marker_finds_the_projects_own_profiles(run, pytester):
    pytester.makepyprojecttoml("""
        [tool.pytest.ini_options]
        [tool.mockbroker.profiles.acme]
        token_path = "/oauth2/v1/access_token"
        client_authentication = "post"
    """)
    run("""
        @pytest.mark.auth_broker(profile="acme")
        def test_acme(auth_broker):
            assert auth_broker.token_url.endswith("/oauth2/v1/access_token")
            pair = {"client_id": auth_broker.credentials.client_id,
                    "client_secret": auth_broker.credentials.client_secret}
            assert requests.post(auth_broker.token_url, GRANT | pair, timeout=5).ok
    """).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("lifetime=60", "the auth_broker marker has no setting lifetime; there are expires_in,"),
        ("60", "the auth_broker marker has no setting 60; there are expires_in, profile, strict"),
        ("profile='acme'", "the auth_broker marker: unknown profile 'acme'; `mockbroker"),
        ("expires_in=-1", "the auth_broker marker: expires_in must be a finite number of seconds"),
        ("tls=True, expires_in='60'", "finite number of seconds, 0 or more, not '60'"),
    ],
)
def test_a_marker_that_cannot_be_is_one_sentence(run, marker, message):
    result = run(f"""
        @pytest.mark.auth_broker({marker})
        def test_it(auth_broker):
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{message}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_fixture_of_that_name_may_be_the_projects_own(run):
    result = run("""
        @pytest.fixture
        def auth_broker():
            return {}

        def test_it(auth_broker):
            assert auth_broker
    """)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_failing_test_shows_its_traffic_and_no_secret(run):
    result = run("""
        def test_it(auth_broker):
            auth_broker.register("shop", "s3cr:et-of-shop")
            pair = ("shop\\n", "s3cr:et-of-shop")
            call(auth_broker, get_token(auth_broker, ("shop", "s3cr:et-of-shop")))
            assert requests.post(auth_broker.token_url, GRANT, auth=pair, timeout=5).ok
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*auth-broker traffic*",
            "#1 POST /auth-broker/request-token Authorization: Basic <masked> → 200 *",
            "#2 GET /v2/vehicles/7 Authorization: Bearer <token #1, valid> → 200",
            "#3 POST /auth-broker/request-token Authorization: Basic <masked> → 401",
            "*✗ basic.*",
            "*hint: *line feed*printf*",
        ]
    )
    _, _, traffic = result.stdout.str().partition("auth-broker traffic")
    assert "s3cr:et" not in traffic
    assert "c2hvcA" not in traffic


def test_a_failing_test_that_saw_nothing_says_so_and_others_say_nothing(run):
    result = run("""
        def test_quiet(auth_broker):
            raise RuntimeError("quiet")

        def test_other():
            raise RuntimeError("other")
    """)
    result.assert_outcomes(failed=2)
    assert result.stdout.str().count("auth-broker traffic") == 1
    result.stdout.fnmatch_lines(["the broker saw no request"])


MANY = """
    @pytest.mark.parametrize("number", range(12))
    def test_many(auth_broker, number):
        assert len(auth_broker.journal) == 0
        assert get_token(auth_broker).ok
        assert call(auth_broker, get_token(auth_broker)).ok
        assert len(auth_broker.journal) == 3
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("-n", "2"),
        ("-n", "2", "--dist", "loadfile"),
        ("-p", "randomly", "-p", "no:xdist"),
        ("-p", "no:cacheprovider"),
        ("-p", "no:randomly", "-p", "no:xdist", "-p", "no:asyncio", "-p", "no:anyio"),
    ],
    ids=" ".join,
)
def test_it_gets_on_with_other_plugins(run, arguments, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS")
    run(MANY, *arguments).assert_outcomes(passed=12)


def test_it_serves_asynchronous_tests(run, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS")
    run(
        """
        import httpx

        async def use(broker):
            pair = (broker.credentials.client_id, broker.credentials.client_secret)
            async with httpx.AsyncClient() as client:
                assert (await client.post(broker.token_url, data=GRANT, auth=pair)).is_success
            broker.assert_conforms()

        @pytest.mark.asyncio
        async def test_asyncio(auth_broker):
            await use(auth_broker)

        @pytest.mark.anyio
        async def test_anyio(auth_broker, anyio_backend_name):
            await use(auth_broker)

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
    """,
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ).assert_outcomes(passed=2)


def test_a_run_that_does_not_use_it_imports_nothing_heavy(pytester):
    pytester.makepyfile("""
        import sys

        def test_it():
            heavy = {"flask", "werkzeug", "hypothesis", "requests", "freezegun", "h11", "click",
                     "mockbroker.fake_broker", "mockbroker_contract",
                     "pytest_mockbroker.settings"}
            assert not heavy & sys.modules.keys()
            assert "pytest_mockbroker.plugin" in sys.modules
    """)
    result = pytester.runpytest_subprocess(
        *("-p", "no:anyio", "-p", "no:hypothesispytest", "-p", "no:randomly", "-p", "no:xdist"),
        *("-p", "no:requests_mock", "-p", "no:socket", "-p", "no:respx"),
    )
    result.assert_outcomes(passed=1)


def test_its_help_tells_of_the_options_and_markers(pytester):
    pytester.runpytest_subprocess("--help").stdout.fnmatch_lines(["*--contract-client=TARGET*"])
    pytester.runpytest_subprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.auth_broker(expires_in, profile, strict, tls)*"]
    )
