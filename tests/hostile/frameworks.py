"""Clients that bring a framework for concurrency, or another program."""

from __future__ import annotations

import asyncio
import subprocess

import requests

from examples.model_client import TokenError, TokenManager
from examples.model_client import make_client as make_model
from tests.hostile.kinds import fetching, response_of, sound


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
                    data=manager._token_parameters(),
                    headers=manager._token_headers(),
                )

        try:
            response = trio.run(post)
        except httpx.HTTPError as error:
            raise TokenError(type(error).__name__) from None
        return response_of(response.status_code, response.content)

    return fetching(fetch, config)


@sound
def runs_curl(config):
    def fetch(manager: TokenManager) -> requests.Response:
        command = ["curl", "-sS", "-m", "5", "-o", "-", "-w", "\n%{http_code}", "--data"]
        command += ["grant_type=client_credentials", "-H", f"Authorization: {manager._basic()}"]
        done = subprocess.run([*command, manager._token_url], capture_output=True, check=False)
        if done.returncode:
            raise TokenError("curl failed")
        content, _, status = done.stdout.rpartition(b"\n")
        return response_of(int(status), content)

    return fetching(fetch, config)
