"""Asking over HTTP whether a service is well."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable

# A proxy of the environment is for calls to the outside; a check asks what runs here.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


async def http_health_check(url: str, timeout: float = 5.0, expected_status: int = 200) -> bool:
    """Whether a GET is answered with a status, within seconds; never raises."""
    return await asyncio.to_thread(_status, url, timeout) == expected_status


def create_http_health_check(
    url: str, timeout: float = 5.0, expected_status: int = 200
) -> Callable[[], Awaitable[bool]]:
    """A health check for `SubprocessManager` that asks a URL."""

    async def check() -> bool:
        return await http_health_check(url, timeout, expected_status)

    return check


def _status(url: str, timeout: float) -> int | None:
    try:
        with _open(url, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError):
        return None
