"""One model on one server: requests sent side by side, again after a fault, and counted.

A fault that passes (429, 5xx, no answer in time, a connection that breaks off, an answer that cannot be read or used)
is met by waiting, longer each time, and asking again.  One that stays is an error that names server and fault, never
a reply.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from td_gym.draws import uniform
from td_gym.errors import TdGymError
from td_gym.llm.endpoint import KEY_VARIABLE, Endpoint
from td_gym.llm.messages import Completion, Request, ToolCall

if TYPE_CHECKING:
    import openai

    from td_gym.llm.models import Models

_PASSING = frozenset((408, 409, 425, 429))
_NOT_TAKEN = frozenset((400, 422))
"""What servers answer to a parameter that they, or a model of theirs, do not take."""
_OWN_TEMPERATURE = 1.0
"""What the protocol takes the temperature for where none is sent."""
_SHOWN = 200
_THOUGHT, _THOUGHT_END = "<think>", "</think>"


class ServerError(TdGymError):
    """A model server that gave no reply that could be used; an outage, never a score."""


class RefusedError(ServerError):
    """A request that the server will not take, whenever it is sent; ``status`` is the HTTP status it says so with."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _PassingError(Exception):
    """A fault that another attempt may not meet; ``wait`` is what the server asks for, in seconds."""

    def __init__(self, fault: str, wait: float | None = None) -> None:
        super().__init__(fault)
        self.wait = wait


class Client:
    """Asks one model; from any thread."""

    def __init__(self, endpoint: Endpoint, models: Models) -> None:
        self.endpoint = endpoint
        self.settings = models.settings
        self._models = models
        self._server: openai.AsyncOpenAI | None = None
        self._slots: asyncio.Semaphore | None = None
        self._not_taken: set[str] = set()

    def __deepcopy__(self, memo: dict[int, Any]) -> Client:
        """Return the client itself: copies of an environment ask the same servers."""
        return self

    def submit(self, request: Request) -> Future[Completion]:
        """Ask for a reply and return at once.

        The future holds the reply, or a ``ServerError``, or a ``TdGymError`` where the token budget is spent.  Raises
        ``TdGymError`` where a replayed recording holds no reply.
        """
        request = request._replace(messages=[_clean(message) for message in request.messages])
        tape = self._models.tape
        if tape is None:
            return self._ask(request)
        digest = request.digest(*self.endpoint, self.settings.max_tokens)
        answer, is_new = tape.answer(digest, request.role, lambda: self._ask(request))
        if not is_new:
            answer.add_done_callback(lambda given: self._count_again(request.role, given))
        return answer

    def _ask(self, request: Request) -> Future[Completion]:
        return self._models.run(self._complete(request))

    def _count_again(self, role: str, given: Future[Completion]) -> None:
        """Count an answer that another request of the same words brought, or a recording holds."""
        if not given.cancelled() and given.exception() is None:
            reply = given.result()
            self._models.count(role, requests=1, read=reply.read, written=reply.written)

    async def _complete(self, request: Request) -> Completion:
        if self._slots is None:
            self._slots = asyncio.Semaphore(self.settings.concurrency)
        attempts = self.settings.attempts
        for attempt in range(attempts):
            try:
                async with self._slots:
                    reply = await self._attempt(request, attempt)
                self._models.count(request.role, requests=1)
                return reply
            except _PassingError as error:
                fault, wait = str(error), self._wait(request, attempt, error)
            if wait is None:
                raise ServerError(f"{self.endpoint} {fault} and asks to be left alone for longer than is waited.")
            if attempt + 1 < attempts:
                await asyncio.sleep(wait)
        raise ServerError(f"{self.endpoint} {fault}, {attempts} times in a row; see to the server, then run again.")

    def _check_budget(self) -> None:
        budget, spent = self.settings.token_budget, self._models.spent
        if budget is not None and spent >= budget:
            raise TdGymError(f"The budget of {budget} tokens is spent ({spent} read and written); raise it to go on.")

    def _wait(self, request: Request, attempt: int, error: _PassingError) -> float | None:
        """Return the seconds to the next attempt, ``None`` where the server wants more than is waited."""
        settings = self.settings
        asked = error.wait or 0.0
        if asked > settings.longest_wait:
            return None
        spread: float = uniform(request.seed, attempt, "wait")
        own = min(settings.first_wait * 2.0**attempt, settings.longest_wait) * (0.5 + 0.5 * spread)
        return max(own, asked * (1 + 0.1 * spread))

    async def _attempt(self, request: Request, attempt: int) -> Completion:
        """Ask once; where the server does not take a parameter that can be spared, once more without it."""
        import openai

        server = self._open()
        while True:
            parameters = self._parameters(request, attempt)
            self._check_budget()
            self._models.count(request.role, attempts=1)
            try:
                async with asyncio.timeout(self.settings.timeout):
                    answer: Any = await server.chat.completions.create(
                        model=self.endpoint.model,
                        messages=list(request.messages),  # type: ignore[arg-type]
                        **parameters,
                    )
            except (TimeoutError, openai.APITimeoutError):
                raise _PassingError(f"does not answer within {self.settings.timeout:g} s") from None
            except openai.APIStatusError as error:
                if (name := _spared(error, parameters)) is None:
                    raise self._of_status(error) from None
                self._not_taken.add(name)
            except openai.APIConnectionError:
                raise _PassingError("cannot be reached") from None
            except (openai.APIResponseValidationError, ValueError, RecursionError):
                raise _PassingError("gives answers that are no whole JSON") from None
            else:
                return self._read(request, answer)

    def _parameters(self, request: Request, attempt: int) -> dict[str, Any]:
        """Return what is sent beside the words, but for what the server has said that it does not take."""
        length, spared = self.settings.max_tokens, self._not_taken
        wanted: dict[str, Any] = {
            "temperature": request.temperature,
            "max_tokens": length,
            "seed": (request.seed + attempt) % 2**31,
        }
        if request.tools:
            wanted["tools"] = list(request.tools)
        if request.schema is not None:
            named = {"name": request.role, "schema": request.schema, "strict": True}
            wanted["response_format"] = {"type": "json_schema", "json_schema": named}
        if "max_tokens" in spared:
            wanted["max_completion_tokens"] = length  # its later name
        if request.temperature != _OWN_TEMPERATURE:
            spared = spared - {"temperature"}
        return {name: value for name, value in wanted.items() if name not in spared}

    def _read(self, request: Request, answer: Any) -> Completion:
        """Return the reply of an answer, of which the library has checked nothing, and count its tokens."""
        read, written = self._tokens(answer)
        self._models.spend(read + written)
        self._models.count(request.role, read=read, written=written)
        choices = getattr(answer, "choices", None)
        if not isinstance(choices, list) or not choices:
            raise _PassingError("gives answers without a reply")
        message = getattr(choices[0], "message", None)
        text, calls = getattr(message, "content", None), getattr(message, "tool_calls", None) or []
        if text is not None and not isinstance(text, str):
            raise _PassingError("gives answers whose reply is no text")
        try:
            called = tuple(ToolCall(str(call.function.name), str(call.function.arguments)) for call in calls)
        except (AttributeError, TypeError):
            raise _PassingError("gives answers with tool calls that are none") from None
        if getattr(choices[0], "finish_reason", None) == "length":
            raise _PassingError(f"is cut off after {self.settings.max_tokens} tokens (see --max-tokens)")
        words = self._printable(without_thoughts(text or ""))
        if not (words or (called and request.tools)):
            raise _PassingError("gives empty replies")
        return Completion(words, called if request.tools else (), read, written)

    def _tokens(self, answer: Any) -> tuple[int, int]:
        """Return the tokens read and written, 0 where an answer does not say."""
        usage = getattr(answer, "usage", None)
        counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
        if self.settings.token_budget is not None and not all(isinstance(count, int) for count in counts):
            raise ServerError(f"{self.endpoint} does not say how many tokens it took; leave the token budget out.")
        read, written = (max(0, count) if isinstance(count, int) else 0 for count in counts)
        return read, written

    def _of_status(self, error: openai.APIStatusError) -> Exception:
        """Return what an answer with an HTTP status of a fault means."""
        endpoint, status = self.endpoint, error.status_code
        if (status in _PASSING and error.code != "insufficient_quota") or status >= 500:
            return _PassingError(f"answers {status}", _seconds(error.response.headers.get("retry-after")))
        if status in (401, 403):  # what else the server says may repeat parts of the key
            wanted = f"set {KEY_VARIABLE}, or {endpoint.key_variable} for this server alone"
            return RefusedError(f"{endpoint} answers {status}: it wants another key; {wanted}.", status)
        said = " ".join(self._printable(str(error.message)).split())
        return RefusedError(f"{endpoint} refuses the request: {said[:_SHOWN]}", status)

    def _printable(self, text: str) -> str:
        """Return what the server wrote without the key, and without control characters but line breaks and tabs."""
        secret = self.endpoint.key()
        hidden = text if secret == "none" else text.replace(secret, "***")
        return "".join(each for each in as_unicode(hidden) if each >= " " or each in "\n\t")

    def _open(self) -> openai.AsyncOpenAI:
        if self._server is None:
            import openai

            # Attempts are counted here, so the library makes one at a time.
            self._server = openai.AsyncOpenAI(
                base_url=self.endpoint.url, api_key=self.endpoint.key(), max_retries=0, timeout=self.settings.timeout
            )
            self._server.organization = self._server.project = None  # which it takes from the environment
            self._models.opened.append(self._server)
        return self._server


def without_thoughts(text: str) -> str:
    """Return a reply without the thoughts that reasoning models write before it, closed or never closed.

    Some templates open the thought themselves, so that only its end stands in the reply.
    """
    words = text.strip()
    before, end, after = words.partition(_THOUGHT_END)
    if before.startswith(_THOUGHT) or (end and _THOUGHT not in before):
        return after.strip()
    return words


def _spared(error: openai.APIStatusError, parameters: Mapping[str, Any]) -> str | None:
    """Return which of ``parameters`` a server refuses and can be done without, ``None`` where there is none.

    Those are the length by the older of its names, the seed, a temperature that is the protocol's own, and the schema,
    which whoever reads the reply checks anyway and which servers refuse in words of their own.
    """
    if error.status_code not in _NOT_TAKEN:
        return None
    named = {error.param} if error.param else set(re.findall(r"['\"`](\w+)['\"`]", str(error.body)))
    named &= parameters.keys()
    if parameters.get("temperature") != _OWN_TEMPERATURE:
        named.discard("temperature")
    by_name = (name for name in ("max_tokens", "seed", "temperature") if name in named)
    return next(by_name, "response_format" if "response_format" in parameters else None)


def _seconds(header: str | None) -> float | None:
    """Return the time that ``Retry-After`` names; a date counts as none."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def _clean(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_unicode(value) if isinstance(value, str) else value for name, value in message.items()}


def as_unicode(text: str) -> str:
    """Return ``text`` without halves of characters, which cannot be sent or written."""
    return text.encode("utf-8", "replace").decode()
