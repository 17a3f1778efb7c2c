"""A client that runs in trio, in a module that also has something for asyncio."""

from __future__ import annotations

import asyncio

import trio
import trio.lowlevel

from tests.hostile.trio_client import Client as TrioClient

__all__ = ["make_client"]


class Client:
    def __init__(self, config):
        self.client = TrioClient(config)

    async def get_token(self):
        await trio.lowlevel.checkpoint()
        return await self.client.get_token()

    def get_token_in_asyncio(self):
        return asyncio.run(self.client.get_token())


async def make_client(config):
    await trio.lowlevel.checkpoint()
    return Client(config)
