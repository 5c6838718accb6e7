"""The model servers of a run: one client each, one thread for all requests, one count of what was asked."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Coroutine
from concurrent.futures import Future
from threading import RLock, Thread, current_thread
from typing import TYPE_CHECKING, Any

from td_gym.errors import TdGymError, installed_extras
from td_gym.llm.client import Client
from td_gym.llm.endpoint import Endpoint
from td_gym.llm.messages import Completion
from td_gym.llm.settings import Settings
from td_gym.llm.tape import Tape

if TYPE_CHECKING:
    import openai

_PATIENCE = 10.0
"""Seconds for which closing waits."""


class Models:
    """Where clients come from; close it, or use it in a ``with`` statement.

    Args:
        settings: How servers are asked.
        tape: A recording to make or to replay; a replayed one needs no server and no key.
    """

    def __init__(self, settings: Settings = Settings(), tape: Tape | None = None) -> None:  # noqa: B008 (frozen)
        self.settings = settings
        self.tape = tape
        self._usage: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._spent = 0
        self._clients: dict[Endpoint, Client] = {}
        self.opened: list[openai.AsyncOpenAI] = []
        """Connections, to be closed with these servers."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._process = os.getpid()
        self._closed = False
        self._lock = RLock()

    def __deepcopy__(self, memo: dict[int, Any]) -> Models:
        """Return these servers themselves: copies of an environment ask the same ones."""
        return self

    def client(self, spec: str) -> Client:
        """Return the client of ``MODEL@URL``; nothing is asked yet.

        Raises ``TdGymError`` for a spec that is none, and where the extra ``llm`` is missing.
        """
        endpoint = Endpoint.parse(spec)
        if not (self.tape and self.tape.replays):
            with installed_extras():
                import openai  # noqa: F401
        with self._lock:
            if endpoint not in self._clients:
                self._clients[endpoint] = Client(endpoint, self)
            return self._clients[endpoint]

    def run(self, work: Coroutine[Any, Any, Completion]) -> Future[Completion]:
        """Start ``work`` in the thread of these servers; ``TdGymError`` when they are closed, or another process's."""
        with self._lock:
            if self._closed or self._process != os.getpid():
                work.close()
                raise TdGymError(
                    "These model servers are closed; make the environment or the agent again."
                    if self._closed
                    else "Model servers are asked by the process that opened them; open them in each process."
                )
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=_run, args=(self._loop, self.opened), name="td-gym-llm", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def count(self, role: str, **amounts: int) -> None:
        """Add to what ``role`` has cost."""
        with self._lock:
            self._usage[role].update(amounts)

    def spend(self, tokens: int) -> None:
        """Add to what is ``spent``."""
        with self._lock:
            self._spent += tokens

    @property
    def spent(self) -> int:
        """Tokens that servers have read and written so far, those of answers that could not be used among them."""
        return self._spent

    def usage(self) -> dict[str, dict[str, int]]:
        """Return by role the ``requests`` answered, the ``attempts`` it took, and the tokens ``read`` and ``written``.

        What a recording answers is counted as it was; it takes no attempts.
        """
        with self._lock:
            return {role: dict(sorted(count.items())) for role, count in sorted(self._usage.items())}

    def close(self) -> None:
        """Give up what is under way, close connections and recording; nothing can be asked afterwards."""
        with self._lock:
            loop, thread, closed = self._loop, self._thread, self._closed
            self._loop = self._thread = None
            self._closed = True
        if closed or self._process != os.getpid():
            return
        try:
            if loop is not None and thread is not None:
                asyncio.run_coroutine_threadsafe(self._finish(), loop).result(_PATIENCE)
                loop.call_soon_threadsafe(loop.stop)
                thread.join(_PATIENCE)
                loop.close()
        finally:
            if self.tape is not None:
                self.tape.close()

    def __del__(self) -> None:
        """Close what nobody closed; not where the thread could not be waited for."""
        if not sys.is_finalizing() and current_thread() is not self._thread:
            self.close()

    async def _finish(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(server.close() for server in self.opened), return_exceptions=True)

    def __enter__(self) -> Models:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _run(loop: asyncio.AbstractEventLoop, opened: list[openai.AsyncOpenAI]) -> None:
    """Run ``loop``, and hold what is ``opened`` meanwhile: so nobody's garbage takes connections along unclosed."""
    loop.run_forever()
    opened.clear()  # they are closed by now
