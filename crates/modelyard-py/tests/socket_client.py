"""A WebSocket client for tests: it never waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PATIENCE_S = 20


@contextlib.asynccontextmanager
async def connected(socket_path: str, path: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A socket that was accepted."""
    options = {"compression": None, "max_size": None, **options}
    async with asyncio.timeout(PATIENCE_S):
        async with unix_connect(socket_path, f"ws://worker{path}", **options) as client:
            yield client


async def refused(socket_path: str, path: str) -> tuple[int, bytes]:
    """Status and body of the answer that came instead of a socket."""
    try:
        async with connected(socket_path, path):
            raise AssertionError("it was accepted")
    except InvalidStatus as error:
        return error.response.status_code, bytes(error.response.body or b"")


async def closed(client: ClientConnection) -> tuple[int, str]:
    """Code and reason with which the worker closes."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed as error:
        assert error.rcvd is not None, "the worker did not say why"
        return error.rcvd.code, error.rcvd.reason
