"""A person in one seat of a conversation, in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from evals.escaping import printable
from evals.recording import Recorder
from td_gym.episode import Episode
from td_gym.llm.client import as_unicode

Speaker = Callable[[Episode], tuple[str, str]]
"""Who answers for a seat: the next message, and the strategy planned for it, empty for none."""
QUIT = ":quit"
HELP = ":help"
_HELP = {
    "service": "Write one line and press Enter.{tools} :quit leaves without finishing.",
    "customer": "Write one line and press Enter. To end the conversation close a line with a rating, for example "
    "'Thanks, bye. [end:4]', or hang up with '[hangup:1]'. :quit leaves without finishing.",
}
_TOOLS = (
    " A tool ({tools}) is called in the same line, for example <action>{tool}</action> in front of your words; its "
    "arguments stand behind its name, as your briefing says."
)


def converse(
    episode: Episode,
    seat: str,
    others: Speaker,
    read: TextIO,
    write: TextIO,
    recorder: Recorder,
) -> bool:
    """Let a person play ``seat`` of ``episode`` and return whether the conversation reached its end.

    ``others`` speaks for every other seat, ``recorder`` follows the conversation.
    """
    tools = [*episode.scenario.tools]
    rules = _HELP[seat].format(tools=_TOOLS.format(tools=", ".join(tools), tool=tools[0]) if tools else "")
    print(f"Your briefing ({seat}):\n\n{_lines(episode.briefing(seat))}\n\n{rules}\n", file=write)
    while episode.outcome is None:
        planned = ""
        if episode.next_seat == seat:
            text = _ask(read, write, seat, rules)
            if text is None:
                print("You left before the end; this conversation is not scored.", file=write)
                return False
        else:
            text, planned = others(episode)
        if episode.next_seat == "service":
            recorder.before(episode, planned)
        result = episode.submit(episode.next_seat, text)
        recorder.after(result.costs, result.terms, result.relevance, result.rewards.get("service", 0.0))
        turn = episode.transcript[-1]
        if turn.seat != seat:
            print(f"{turn.seat}: {_lines(turn.shown)}", file=write, flush=True)
        elif turn.tool_message:
            print(f"tool: {_lines(turn.tool_message)}", file=write, flush=True)
    print(
        "The conversation is over: " + ", ".join(f"{key} {value}" for key, value in episode.outcome.items()), file=write
    )
    return True


def _ask(read: TextIO, write: TextIO, seat: str, rules: str) -> str | None:
    while True:
        print(f"{seat} (you)> ", end="", file=write, flush=True)
        line = read.readline()
        if not line or line.strip() == QUIT:
            print(file=write)
            return None
        if line.strip() != HELP:
            return as_unicode(line.rstrip("\r\n"))
        print(rules, file=write)


def _lines(text: str) -> str:
    """Keep line breaks, escape everything else that could steer the terminal."""
    return "\n".join(printable(line) for line in text.splitlines())
