"""A tokenizer in processes of its own, so that long texts do not hold up the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, ClassVar


class TokenizerBase(ABC):
    """A tokenizer that can be sent to another process, and is loaded there."""

    @abstractmethod
    def init_tokenizer(self) -> None:
        """Loads the tokenizer into the attribute `tokenizer`."""

    @abstractmethod
    def encode(self, msg: Any, tokenize: bool = True) -> Any:
        """Tokens of a text, or of messages; with `tokenize=False` the text of messages."""

    @abstractmethod
    def decode(self, token_ids: Any) -> str:
        """The text of tokens."""


_tokenizer: TokenizerBase | None = None


def _begin(tokenizer: TokenizerBase) -> None:
    global _tokenizer
    # The pool's owner decides when it ends; a Ctrl-C in the terminal reaches all processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tokenizer.init_tokenizer()
    _tokenizer = tokenizer


def _encode(msg: Any, tokenize: bool) -> Any:
    return _loaded().encode(msg, tokenize)


def _decode(token_ids: Any) -> str:
    return _loaded().decode(token_ids)


def _loaded() -> TokenizerBase:
    if _tokenizer is None:
        raise RuntimeError("this process is none of a TokenizerPool")
    return _tokenizer


class TokenizerPool:
    """Processes that encode and decode; one pool in a process, whoever asks for it.

    The first `TokenizerPool(tokenizer)` makes it, and raises `ValueError` without a tokenizer;
    later ones are the same pool. Processes start with the first text.
    """

    _instance: ClassVar[TokenizerPool | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()
    _pool: ProcessPoolExecutor | None

    def __new__(
        cls, tokenizer: TokenizerBase | None = None, max_workers: int | None = None
    ) -> TokenizerPool:
        with cls._lock:
            if cls._instance is None:
                if tokenizer is None:
                    raise ValueError("Tokenizer must be provided")
                # A tokenizer that cannot be loaded says so here, not in another process.
                tokenizer.init_tokenizer()
                pool = super().__new__(cls)
                # Not by fork: the server's threads hold locks that a copy could never open.
                pool._pool = ProcessPoolExecutor(
                    max_workers or os.cpu_count(), get_context("spawn"), _begin, (tokenizer,)
                )
                cls._instance = pool
            return cls._instance

    async def encode(self, msg: Any, tokenize: bool = True) -> Any:
        """What the tokenizer's `encode` says. Raises what it raises."""
        return await self._run(_encode, msg, tokenize)

    async def decode(self, token_ids: Any) -> str:
        """What the tokenizer's `decode` says. Raises what it raises."""
        return str(await self._run(_decode, token_ids))

    def shutdown(self, wait: bool = True) -> None:
        """Ends the processes; texts that wait are not begun. The next pool is a new one."""
        with self._lock:
            if TokenizerPool._instance is self:
                TokenizerPool._instance = None
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=wait, cancel_futures=True)

    async def _run(self, function: Any, *arguments: Any) -> Any:
        pool = self._pool
        if pool is None:
            raise RuntimeError("TokenizerPool is shut down")
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
