"""A conversation as a person reads it."""

from __future__ import annotations

from td_gym.episode import Episode
from td_gym.protocol import format_call
from td_gym.turns import Turn


def render(episode: Episode) -> str:
    """Return every message so far, tool calls included, and how it ended."""
    lines = [_line(turn) for turn in episode.transcript]
    if episode.outcome is not None:
        lines.append("-- " + ", ".join(f"{name}: {_short(value)}" for name, value in episode.outcome.items()))
    return "\n".join(lines) + "\n"


def _line(turn: Turn) -> str:
    call = format_call(turn.action, turn.arguments)
    shown = turn.shown.replace("\n", "\n  ")
    line = f"{turn.seat}: {shown}" if not call else f"{turn.seat} ({call}): {shown}"
    return f"{line}\n  tool: {turn.tool_message}" if turn.tool_message else line


def _short(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
