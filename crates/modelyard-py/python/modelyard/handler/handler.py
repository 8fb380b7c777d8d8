"""The life of a worker process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading

from modelyard._core import log_to_stderr
from modelyard._log import configure
from modelyard.worker import _new_loop

from .registration import registration
from .server import BaseServer, Server

_log = logging.getLogger("modelyard.handler")


class Handler:
    """Runs a server until the process is told to stop, and tells the proxy about it meanwhile."""

    def __init__(self, server: BaseServer | None = None) -> None:
        self._server = server

    def serve(self) -> None:
        """Serve; returns when SIGINT or SIGTERM came and what ran has ended. A second signal ends
        the process at once.

        Raises `RuntimeError` if the server cannot listen, `ValueError` without a server.
        """
        if self._server is None:
            raise ValueError("there is nothing to serve; write Handler(server=Server(...))")
        log_to_stderr(False, configure(json_lines=False))
        loop = _new_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._run(self._server))
        except KeyboardInterrupt:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            _log.info("the worker has ended")

    async def _run(self, server: BaseServer) -> None:
        if isinstance(server, Server):
            server.registration = registration()
        _obey_signals(server)
        await server.serve()


def _obey_signals(server: BaseServer) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
        asked = True
        server.shutdown()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
