"""How servers are asked."""

from __future__ import annotations

from dataclasses import dataclass

from td_gym.errors import as_count, as_positive


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits on what is asked of the servers of one run; ``TdGymError`` for one out of range."""

    concurrency: int = 64
    """Requests to a model at once."""
    timeout: float = 60.0
    """Seconds after which an unanswered request is given up, and sent again."""
    attempts: int = 8
    """How often a request is sent before the server counts as failing."""
    first_wait: float = 0.5
    """Seconds before the second attempt, doubled for each after it; where a server asks for longer, that."""
    longest_wait: float = 60.0
    """Seconds between two attempts at most; a server that asks for more counts as failing."""
    max_tokens: int = 512
    """Tokens of one reply."""
    token_budget: int | None = None
    """Tokens read and written in all, after which nothing more is asked; none for no limit.

    What is under way then is still answered, and what a recording holds costs nothing.
    """

    def __post_init__(self) -> None:
        for name in ("concurrency", "attempts", "max_tokens", "token_budget"):
            if (value := getattr(self, name)) is not None:
                as_count(name, value)
        for name in ("timeout", "first_wait", "longest_wait"):
            as_positive(name, getattr(self, name))
