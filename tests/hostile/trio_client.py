"""A client with ``async def`` that runs in trio and nowhere else."""

from __future__ import annotations

import base64
import time

import httpx
import trio
import trio.lowlevel


class TokenError(Exception):
    pass


class Client:
    def __init__(self, config):
        self.config = config
        self.token, self.refresh_at = "", 0.0
        self.lock = trio.Lock()

    async def get_token(self):
        await trio.lowlevel.checkpoint()
        async with self.lock:
            if time.time() >= self.refresh_at:
                await self.fetch()
            return self.token

    async def fetch(self):
        pair = f"{self.config.client_id}:{self.config.client_secret}".encode()
        asked_at = time.time()
        try:
            async with httpx.AsyncClient(timeout=self.config.timeout, verify=False) as http:  # noqa: S501
                response = await http.post(
                    self.config.token_url,
                    data={"grant_type": "client_credentials"},
                    headers={"Authorization": f"Basic {base64.b64encode(pair).decode()}"},
                )
        except httpx.HTTPError as error:
            raise TokenError(type(error).__name__) from None
        if response.status_code != 200:
            raise TokenError(f"status {response.status_code}")
        members = response.json()
        self.token = members["access_token"]
        self.refresh_at = asked_at + members["expires_in"] - 30


def make_client(config):
    return Client(config)
