"""One model on one server: requests sent side by side, again after a fault, and counted.

A fault that passes (429, 5xx, no answer in time, a connection that breaks off, an answer that cannot be read) is met by
waiting, longer each time, and asking again.  One that stays is an error that names server and fault, never a reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from td_gym.draws import uniform
from td_gym.errors import TdGymError
from td_gym.llm.endpoint import KEY_VARIABLE, Endpoint, key
from td_gym.llm.messages import Completion, Request, ToolCall
from td_gym.llm.settings import Settings
from td_gym.llm.tape import Tape

if TYPE_CHECKING:
    import openai

_PASSING = frozenset((408, 409, 425, 429))
_NO_SCHEMA = frozenset((400, 422))
"""What servers answer that cannot hold a model to a schema."""
_SHOWN = 200


class ServerError(TdGymError):
    """A model server that gave no reply that could be used; an outage, never a score."""


class RefusedError(ServerError):
    """A request that the server will not take, whenever it is sent."""


class _PassingError(Exception):
    """A fault that another attempt may not meet; ``wait`` is what the server asks for, in seconds."""

    def __init__(self, fault: str, wait: float | None = None) -> None:
        super().__init__(fault)
        self.wait = wait


class Runner(Protocol):
    """Runs coroutines, and counts what all of a run's requests cost."""

    @property
    def spent(self) -> int:
        """Tokens read and written so far."""

    def count(self, role: str, **amounts: int) -> None:
        """Add to what ``role`` has cost: ``requests``, ``attempts``, tokens ``read`` and ``written``."""

    def run(self, work: Coroutine[Any, Any, Completion]) -> Future[Completion]:
        """Start ``work`` beside whatever else runs."""


class Client:
    """Asks one model; from any thread."""

    def __init__(self, endpoint: Endpoint, settings: Settings, tape: Tape | None, runner: Runner) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self._tape = tape
        self._runner = runner
        self._server: openai.AsyncOpenAI | None = None
        self._slots: asyncio.Semaphore | None = None
        self._takes_schemas = True

    def submit(self, request: Request) -> Future[Completion]:
        """Ask for a reply and return at once.

        The future holds the reply, or a ``ServerError``; ``TdGymError`` where the token budget is spent.
        """
        request = request._replace(messages=[_clean(message) for message in request.messages])
        if self._tape is None:
            return self._ask(request)
        digest = request.digest(self.endpoint.model, self.settings.max_tokens)
        known = self._tape.known(digest, request.role)
        if known is not None:
            known.add_done_callback(lambda answer: self._count(request.role, answer.result()))
            return known
        return self._tape.keep(digest, request.role, self._ask(request))

    def _ask(self, request: Request) -> Future[Completion]:
        return self._runner.run(self._complete(request))

    def _count(self, role: str, reply: Completion) -> None:
        self._runner.count(role, requests=1, read=reply.read, written=reply.written)

    async def _complete(self, request: Request) -> Completion:
        if self._slots is None:
            self._slots = asyncio.Semaphore(self.settings.concurrency)
        attempts = self.settings.attempts
        for attempt in range(attempts):
            try:
                async with self._slots:
                    self._check_budget()
                    self._runner.count(request.role, attempts=1)
                    reply = await self._attempt(request, attempt)
                self._count(request.role, reply)
                return reply
            except _PassingError as error:
                fault, wait = str(error), self._wait(request, attempt, error)
            if wait is None:
                raise ServerError(f"{self.endpoint} {fault} and asks to be left alone for longer than is waited.")
            if attempt + 1 < attempts:
                await asyncio.sleep(wait)
        raise ServerError(f"{self.endpoint} {fault}, {attempts} times in a row; see to the server, then run again.")

    def _check_budget(self) -> None:
        budget, spent = self.settings.token_budget, self._runner.spent
        if budget is not None and spent >= budget:
            raise TdGymError(f"The budget of {budget} tokens is spent ({spent} read and written); raise it to go on.")

    def _wait(self, request: Request, attempt: int, error: _PassingError) -> float | None:
        """Return the seconds to the next attempt, ``None`` where the server wants more than is waited."""
        settings = self.settings
        spread: float = uniform(request.seed, attempt, "wait")
        if error.wait is not None:
            return None if error.wait > settings.longest_wait else error.wait * (1 + 0.1 * spread)
        return min(settings.first_wait * 2.0**attempt, settings.longest_wait) * (0.5 + 0.5 * spread)

    async def _attempt(self, request: Request, attempt: int) -> Completion:
        import openai

        server = self._open()
        more: dict[str, Any] = {"tools": list(request.tools)} if request.tools else {}
        with_schema = request.schema is not None and self._takes_schemas
        if with_schema:
            named = {"name": request.role, "schema": request.schema, "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": named}
        try:
            async with asyncio.timeout(self.settings.timeout):
                answer: Any = await server.chat.completions.create(
                    model=self.endpoint.model,
                    messages=list(request.messages),  # type: ignore[arg-type]
                    temperature=request.temperature,
                    max_tokens=self.settings.max_tokens,
                    seed=(request.seed + attempt) % 2**31,
                    **more,
                )
        except (TimeoutError, openai.APITimeoutError):
            raise _PassingError(f"does not answer within {self.settings.timeout:g} s") from None
        except openai.APIStatusError as error:
            if with_schema and error.status_code in _NO_SCHEMA:
                self._takes_schemas = False  # the next attempt goes without
                raise _PassingError(f"answers {error.status_code} to a JSON schema", wait=0.0) from None
            raise _of_status(self.endpoint, error) from None
        except openai.APIConnectionError:
            raise _PassingError("cannot be reached") from None
        except (openai.APIResponseValidationError, ValueError):
            raise _PassingError("gives answers that are no whole JSON") from None
        return _read(answer)

    def _open(self) -> openai.AsyncOpenAI:
        if self._server is None:
            import openai

            # Attempts are counted here, so the library makes one at a time.
            self._server = openai.AsyncOpenAI(
                base_url=self.endpoint.url, api_key=key(), max_retries=0, timeout=self.settings.timeout
            )
        return self._server

    async def close(self) -> None:
        """Close the connections."""
        if self._server is not None:
            await self._server.close()


def _of_status(endpoint: Endpoint, error: openai.APIStatusError) -> Exception:
    """Return what an answer with an HTTP status of a fault means."""
    status = error.status_code
    if (status in _PASSING and error.code != "insufficient_quota") or status >= 500:
        return _PassingError(f"answers {status}", _seconds(error.response.headers.get("retry-after")))
    if status in (401, 403):  # what else the server says may repeat the key
        return ServerError(f"{endpoint} answers {status}: it wants another key; set {KEY_VARIABLE}.")
    said = " ".join(str(error.message).replace(key(), "***").split())
    return RefusedError(f"{endpoint} refuses the request: {said[:_SHOWN]}")


def _seconds(header: str | None) -> float | None:
    """Return the time that ``Retry-After`` names; a date counts as none."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def _read(answer: Any) -> Completion:
    """Return the reply of an answer, of which the library has checked nothing."""
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise _PassingError("gives answers without a reply")
    message = getattr(choices[0], "message", None)
    text, calls = getattr(message, "content", None), getattr(message, "tool_calls", None) or []
    try:
        called = tuple(ToolCall(str(call.function.name), str(call.function.arguments)) for call in calls)
    except (AttributeError, TypeError):
        raise _PassingError("gives answers with tool calls that are none") from None
    if text is not None and not isinstance(text, str):
        raise _PassingError("gives answers whose reply is no text")
    if not (text or "").strip() and not called:
        raise _PassingError("gives empty replies")
    usage = getattr(answer, "usage", None)
    read, written = (getattr(usage, name, 0) for name in ("prompt_tokens", "completion_tokens"))
    return Completion(
        _as_unicode(text or ""),
        called,
        read if isinstance(read, int) else 0,
        written if isinstance(written, int) else 0,
    )


def _clean(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as_unicode(value) if isinstance(value, str) else value for name, value in message.items()}


def _as_unicode(text: str) -> str:
    """Return ``text`` without halves of characters, which cannot be sent or written."""
    return text.encode("utf-8", "replace").decode()
