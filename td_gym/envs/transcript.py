"""A conversation as text: as a seat reads it turn by turn, and as a person reads it whole."""

from __future__ import annotations

from td_gym.episode import Episode
from td_gym.protocol import format_call, without_notes
from td_gym.turns import Turn


def lines(turn: Turn, seat: str, max_chars: int, notes: bool = True) -> str:
    """Return a turn as lines of ``seat``'s transcript, each behind a line break, with or without its own ``notes``.

    Continuation lines are indented, so none looks like a turn.
    """
    if turn.aside and turn.seat != seat:
        return ""
    if turn.seat != seat:
        return f"\n{turn.seat}: {_indented(turn.shown)}"
    text = turn.text[:max_chars] if notes else without_notes(turn.text[:max_chars])
    answer = f"\ntool: {_indented(turn.tool_message)}" if turn.tool_message else ""
    return f"\n{turn.seat}: {_indented(text)}{answer}"


def render(episode: Episode) -> str:
    """Return every message so far, tool calls included, and how it ended."""
    told = [_line(turn) for turn in episode.transcript]
    if episode.outcome is not None:
        if "error" in episode.outcome:  # nobody heard it, but whoever reads this wants to see it
            malformed = episode.transcript[-1]
            told[-1] = f"{malformed.seat}: {_indented(malformed.text[: episode.scenario.max_chars])}"
        told.append("-- " + ", ".join(f"{name}: {_short(value)}" for name, value in episode.outcome.items()))
    return "\n".join(told) + "\n"


def _line(turn: Turn) -> str:
    call = format_call(turn.action, turn.arguments)
    shown = _indented(turn.shown)
    line = f"{turn.seat}: {shown}" if not call else f"{turn.seat} ({call}): {shown}"
    return f"{line}\n  tool: {_indented(turn.tool_message)}" if turn.tool_message else line


def _indented(text: str) -> str:
    """Return ``text`` with all lines but the first indented, whatever parts them."""
    return "\n  ".join(text.splitlines())


def _short(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
