"""What keeps a test's requests from its broker: a proxy, or a library that mocks HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from mockbroker_contract.isolation.proxies import LOOPBACK_HOSTS, proxy_variables
from mockbroker_contract.isolation.replaced_network import replaced_functions

__all__ = ["obstacles", "variables_without_proxy"]

_ADVICE: Mapping[str, str] = {
    "responses": 'responses.add_passthru("{origin}")',
    "requests_mock": "requests_mock.real_http = True",
    "respx": 'respx.route(host="{host}").pass_through()',
    "pytest_httpx": "@pytest.mark.httpx_mock(should_mock=lambda request: request.url.host != "
    '"{host}")',
    "pook": 'pook.enable_network("{host}")',
    "aioresponses": 'aioresponses(passthrough=["{origin}"])',
    "httpretty": "httpretty.enable(allow_net_connect=True)",
    "vcr": "vcr.VCR(ignore_localhost=True)",
    "pytest_socket": '@pytest.mark.allow_hosts(["{host}"])',
}
"""By the package that intercepts requests, the line that lets those to the broker through."""
_LONGEST_CHAIN = 20


def variables_without_proxy() -> Mapping[str, str]:
    """Return the variables that keep requests to this machine from a proxy, if there is one."""
    if not proxy_variables():
        return {}
    before = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = ",".join(filter(None, (before, LOOPBACK_HOSTS)))
    # Both spellings, because curl and Python's urllib prefer the lower-case one.
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def obstacles(error: BaseException | None, *, tls: bool, was_reached: bool) -> Iterator[str]:
    """Yield what keeps the requests of a failed test from the broker, each with what to do.

    ``error`` is the exception of the test. ``was_reached`` says whether the broker saw a request,
    and ``tls`` whether it speaks HTTPS.
    """
    # Without the port, which is another one in each run.
    host, origin = "127.0.0.1", f"{'https' if tls else 'http'}://127.0.0.1"
    packages = set(_packages_in(error))
    if not was_reached:
        # A mock of the test's own fixtures is active still; that of a block has ended.
        packages |= {maker for _, maker in replaced_functions()}
    for package in sorted(packages & _ADVICE.keys()):
        yield (
            f"{package} intercepts the requests of this test; this lets those to the broker "
            f"through: {_ADVICE[package].format(origin=origin, host=host)}"
        )
    proxies = proxy_variables()
    if proxies and not was_reached:
        yield (
            f"{', '.join(proxies)}: a client that ignores NO_PROXY, or was made before the "
            "fixture, sends its requests to that proxy; unset the variable for the test run"
        )


def _packages_in(error: BaseException | None) -> Iterator[str]:
    """Yield the packages whose code an exception, or one that led to it, has passed."""
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        trace = error.__traceback__
        while trace is not None:
            yield str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
