"""What models are asked and answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple


class Request(NamedTuple):
    """One reply that is asked for."""

    role: str
    """For whom, as ``customer``; replies and tokens are counted by it."""
    messages: Sequence[Mapping[str, Any]]
    """The chat as the protocol has it, ``role`` and ``content`` each."""
    seed: int
    """Of the server's draws, where it minds one."""
    temperature: float = 1.0
    tools: Sequence[Mapping[str, Any]] = ()
    """Functions the model may call, as the protocol describes them."""
    schema: Mapping[str, Any] | None = None
    """JSON schema of the reply, to which servers that can hold the model; the reader of the reply checks it anyway."""

    def digest(self, *more: Any) -> str:
        """Return a checksum of all that the answer depends on; ``more`` are the model and its settings."""
        facts = json.dumps([*self._replace(schema=None), *more], ensure_ascii=False, sort_keys=True)
        return blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class ToolCall(NamedTuple):
    """A function that a model wants called."""

    name: str
    arguments: str
    """A JSON object, as the model wrote it."""


class Completion(NamedTuple):
    """A model's reply."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    read: int = 0
    """Tokens of the request."""
    written: int = 0
    """Tokens of the reply."""
