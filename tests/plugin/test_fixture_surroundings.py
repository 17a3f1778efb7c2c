"""What keeps a test's requests from the broker is named, with the line that lets them through."""

from __future__ import annotations

import re

import pytest

USE = """
    import re

    {imports}

    def title(broker):
        grant = {{"grant_type": "client_credentials"}}
        return {get}

    {decorator}
    def test_it(auth_broker{fixture}):
        {before}
        assert title(auth_broker).status_code == 200
"""
BY_REQUESTS = "requests.post(broker.token_url, grant, auth=broker.auth, timeout=5)"
BY_HTTPX = "httpx.post(broker.token_url, data=grant, auth=broker.auth)"
MOCKS = {
    "responses": ("import responses", BY_REQUESTS, "@responses.activate", ""),
    "requests_mock": ("", BY_REQUESTS, "", ", requests_mock"),
    "respx": ("import httpx, respx", BY_HTTPX, "@respx.mock", ""),
}


@pytest.mark.parametrize("library", MOCKS)
def test_a_library_that_intercepts_requests_is_named_with_the_line_that_helps(
    run, library, monkeypatch
):
    monkeypatch.delenv("PYTEST_ADDOPTS")
    imports, get, decorator, fixture = MOCKS[library]
    parts = {"imports": imports, "get": get, "decorator": decorator, "fixture": fixture}
    ini = ("-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:randomly")
    result = run(USE.format(**parts, before="pass"), *ini)
    result.assert_outcomes(failed=1)
    said = re.search(
        rf"^{library} intercepts the requests of this test; this lets those to the broker "
        r"through: (.*)$",
        result.stdout.str(),
        re.MULTILINE,
    )
    assert said
    assert "the broker saw no request" in result.stdout.str()
    run(USE.format(**parts, before=said[1]), *ini).assert_outcomes(passed=1)


def test_a_mock_of_a_fixture_is_named_although_the_app_hides_the_exception(run, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS")
    result = run(
        """
        def test_it(auth_broker, requests_mock):
            with pytest.raises(requests.RequestException):
                get_token(auth_broker)
            assert auth_broker.token_requests
    """,
        *("-p", "no:randomly", "-p", "no:asyncio", "-p", "no:anyio"),
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["requests_mock intercepts the requests of this test; this lets *"])


def test_a_test_without_the_broker_may_mock_what_it_likes(run, pytester, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS")
    pytester.makefile(".ini", pytest="[pytest]\nauth_broker_env = FLEET = {token_url}\n")
    result = run(
        """
        def test_it(requests_mock):
            requests.get("http://example.org")
    """,
        *("-p", "no:randomly", "-p", "no:asyncio", "-p", "no:anyio"),
    )
    result.assert_outcomes(failed=1)
    assert "auth-broker traffic" not in result.stdout.str()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
def test_a_proxy_does_not_get_the_requests_to_the_broker(run, monkeypatch, variable):
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    run("""
        import os

        def test_it(auth_broker):
            assert get_token(auth_broker).ok
            assert os.environ["no_proxy"] == "example.org,127.0.0.1,localhost,::1"
    """).assert_outcomes(passed=1)


def test_a_proxy_that_a_client_uses_nevertheless_is_named(run, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    result = run("""
        import os

        def test_it(auth_broker):
            proxies = {"http": os.environ["HTTP_PROXY"]}
            requests.post(auth_broker.token_url, proxies=proxies, timeout=5)
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["HTTP_PROXY: a client that ignores NO_PROXY, or was made before *"]
    )


def test_forbidden_sockets_are_named_with_the_marker_that_helps(run, monkeypatch):
    others = "-p no:anyio -p no:asyncio -p no:requests_mock -p no:respx -p no:time_machine"
    monkeypatch.setenv("PYTEST_ADDOPTS", f"{others} --disable-socket")
    code = """
        {marker}
        def test_it(auth_broker):
            assert get_token(auth_broker).ok
    """
    result = run(code.format(marker=""))
    result.assert_outcomes(errors=1)
    marker = '@pytest.mark.allow_hosts(["127.0.0.1"])'
    assert (
        "pytest_socket intercepts the requests of this test; this lets those to the broker "
        f"through: {marker}"
    ) in result.stdout.str()
    run(code.format(marker=marker)).assert_outcomes(passed=1)
