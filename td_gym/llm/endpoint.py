"""``MODEL@URL``: which model, on which server."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from td_gym.errors import TdGymError

KEY_VARIABLE = "OPENAI_API_KEY"
"""The environment variable that holds the key for servers that want one; :meth:`Endpoint.key` has the exception."""


def is_web_address(url: str) -> bool:
    """Return whether ``url`` has http or https, a host and, if any, a port, and only characters that addresses have."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        return False


class Endpoint(NamedTuple):
    """A model on a server that speaks OpenAI's chat protocol."""

    model: str
    url: str
    """Its base, most often ending in ``/v1``."""

    @classmethod
    def parse(cls, spec: str) -> Endpoint:
        """Read ``MODEL@URL``, of which the model may hold an ``@`` and the URL none.

        Raises ``TdGymError`` for anything else, without repeating what might be a secret.
        """
        model, _, url = spec.rpartition("@")
        if "//" in model:
            raise TdGymError(f"Leave user, password and key out of the URL; a key is read from {KEY_VARIABLE}.")
        if not (model and model.isprintable() and is_web_address(url)):
            raise TdGymError("A model on a server is named MODEL@URL, as qwen@http://localhost:8000/v1.")
        if "?" in url or "#" in url:
            raise TdGymError(f"Leave everything behind ? or # out of the URL; a key is read from {KEY_VARIABLE}.")
        return cls(model, url.rstrip("/"))

    def __str__(self) -> str:
        return f"{self.model}@{self.url}"

    @property
    def key_variable(self) -> str:
        """The environment variable of a key for this server alone: ``OPENAI_API_KEY_`` and its host in capitals."""
        return f"{KEY_VARIABLE}_{re.sub(r'[^a-z0-9]', '_', urlsplit(self.url).hostname or '').upper()}"

    def key(self) -> str:
        """Return the key for this server: its own where one is set, be it empty, or else that of all servers.

        Servers that want none get the word ``none``.  Raises ``TdGymError`` for a key that cannot be sent.
        """
        variable = self.key_variable if self.key_variable in os.environ else KEY_VARIABLE
        found = os.environ.get(variable, "").strip() or "none"
        if not (found.isascii() and found.isprintable()):
            raise TdGymError(f"{variable} holds characters that no key has; set it again.")
        return found
