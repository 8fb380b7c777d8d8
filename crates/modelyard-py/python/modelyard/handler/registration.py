"""How a worker makes itself known to the proxy in front of it."""

from __future__ import annotations

from typing import Any

from modelyard.config import APP_ID, env


def registration() -> dict[str, Any] | None:
    """What the proxy is told, as the HTTP side wants to know it.

    `None` if REGISTER_ENABLED says no.
    Raises `ValueError` for a variable that is no number where one is wanted.
    """
    if not env.register.enabled:
        return None
    return {
        "proxy_socket": env.register.proxy_socket,
        "interval_s": env.register.interval,
        "id": APP_ID,
        "endpoint": env.app.name,
        "max_concurrent_reqs": max(1, env.model.concurrency),
        "type": env.app.atype,
        "provider": env.register.provider,
    }
