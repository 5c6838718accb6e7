"""The record evaluation works on: one finished dialogue, one line of ``dialogues.jsonl``.

A record holds what was said and done, what the environment counted and read in it, and, for tables by
demand, the traits of the persona that no agent ever sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any

from evals.verdicts import MARKS, WEIGHTS, is_verdict
from td_gym.errors import TdGymError
from td_gym.json_data import as_number

MOST_TURNS = 1_000_000
"""Largest limit on service turns that a record may name."""


@dataclass(frozen=True, slots=True)
class DialogueTurn:
    """One message of one seat; the names are those of ``td_gym.turns.Turn``."""

    seat: str
    """``service``, ``customer`` or ``expert``, whose turn is the strategy planned for the service turn after it."""
    text: str
    """The message as submitted, tags and all."""
    shown: str
    """What the other seat read; empty after a format error, and of an expert."""
    think: str = ""
    """The notes nobody else sees."""
    action: str = ""
    """The tool called, empty for none."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    tool_message: str = ""
    """What the tool answered, most often why it refused."""
    strategy: str = ""
    """The strategy that a service turn was read as, empty after a format error."""
    admissible: bool | None = None
    """Whether the procedure admitted that strategy when it was said, ``None`` where there is none."""
    relevance: int | None = None
    """How the customer took a service turn, 0..3; ``None`` where it heard nothing of it or did not answer."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One finished dialogue, from the first message to its outcome."""

    env: str
    """Id of the environment, ``td_gym/FoodDispute-v0``."""
    agent: str
    customer: str
    split: str
    seed: int
    row: int | None
    """Row of the scenario file, ``None`` for a generated case."""
    index: int
    """Position among the dialogues of this agent; agents are paired by it."""
    briefing: str
    """The service seat's system message: all the facts it was given."""
    turns: tuple[DialogueTurn, ...]
    costs: Mapping[str, float]
    """Sum over the dialogue of every named cost."""
    outcome: Mapping[str, Any]
    """``info["outcome"]``."""
    terms: Mapping[str, float] = field(default_factory=dict)
    """Mean over the messages of the service seat of every named turn term."""
    persona: Mapping[str, Any] = field(default_factory=dict)
    """The customer's hidden traits, such as ``demand`` or ``objection``; the recorder's alone."""
    max_turns: int | None = None
    """Limit on service turns; ``None`` in a record from before strategies and relevance were kept."""
    succeeded: bool = False
    """Whether the service seat reached its goal."""
    session_reward: float | None = None
    """What the service seat earned; ``None`` in a record from before it was kept."""
    verdict: Mapping[str, Any] = field(default_factory=dict)
    """Marks of a language model by principle, and its reason; empty where none was asked."""

    @property
    def service_turns(self) -> tuple[DialogueTurn, ...]:
        """The turns of the service seat, in order."""
        return tuple(turn for turn in self.turns if turn.seat == "service")

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Dialogue:
        """Build a record from plain JSON data; ``TdGymError`` names the field that is missing or wrong."""
        values = _known_fields(cls, record, "a dialogue", _KINDS)
        if not values["turns"] or not all(isinstance(turn, Mapping) for turn in values["turns"]):
            raise _wrong("turns", "a dialogue", "must hold turns, one at least")
        turns = [DialogueTurn(**_known_fields(DialogueTurn, turn, "a turn", _TURN_KINDS)) for turn in values["turns"]]
        for turn in turns:
            if not all(isinstance(value, str) for value in turn.arguments.values()):
                raise _wrong("arguments", "a turn", "must hold text alone")
        _check_numbers(values)
        if values.get("verdict") and not is_verdict(values["verdict"]):
            marks = ", ".join(map(str, MARKS))
            raise _wrong("verdict", "a dialogue", f"needs one of {marks} as each of {', '.join(WEIGHTS)}")
        return cls(**{**values, "turns": tuple(turns)})


_Kinds = Mapping[str, tuple[type, ...]]
_KINDS: _Kinds = {
    **dict.fromkeys(("env", "agent", "customer", "split", "briefing"), (str,)),
    **dict.fromkeys(("seed", "index"), (int,)),
    **dict.fromkeys(("row", "max_turns"), (int, NoneType)),
    **dict.fromkeys(("costs", "outcome", "terms", "persona", "verdict"), (Mapping,)),
    "turns": (list, tuple),
    "succeeded": (bool,),
    "session_reward": (int, float, NoneType),
}
_TURN_KINDS: _Kinds = {
    **dict.fromkeys(("seat", "text", "shown", "think", "action", "tool_message", "strategy"), (str,)),
    "arguments": (Mapping,),
    "admissible": (bool, NoneType),
    "relevance": (int, NoneType),
}


def _check_numbers(values: Mapping[str, Any]) -> None:
    """Refuse costs, terms and rewards that are no numbers, any number that a float cannot hold, and endless turns."""
    if (limit := values.get("max_turns")) is not None and not 1 <= limit <= MOST_TURNS:
        raise _wrong("max_turns", "a dialogue", f"must be between 1 and {MOST_TURNS}")
    if (reward := values.get("session_reward")) is not None:
        as_number(reward, "Field 'session_reward' of a dialogue")
    for name in ("costs", "terms", "outcome"):
        for key, value in values.get(name, {}).items():
            if name != "outcome" or (isinstance(value, int | float) and not isinstance(value, bool)):
                as_number(value, f"Field {name!r} of a dialogue: {key!r}")


def _wrong(name: str, what: str, reason: str) -> TdGymError:
    return TdGymError(f"Field {name!r} of {what} {reason}; record it again.")


def _known_fields(
    cls: type[Dialogue] | type[DialogueTurn], record: Mapping[str, Any], what: str, kinds: _Kinds
) -> dict[str, Any]:
    """Return the fields of ``record`` that ``cls`` has; ``TdGymError`` where one is missing or none of its kind."""
    needed = {each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING}
    missing = sorted(needed - record.keys())
    if missing:
        raise _wrong(missing[0], what, "is missing")
    found = {name: value for name, value in record.items() if name in kinds}
    for name, value in found.items():
        # Python takes true and false for whole numbers.
        right = bool in kinds[name] if isinstance(value, bool) else isinstance(value, kinds[name])
        if not right:
            raise _wrong(name, what, f"is {type(value).__name__}")
    return found


def as_jsonl(dialogues: Iterable[Dialogue]) -> str:
    """Return dialogues as the content of ``dialogues.jsonl``, one a line."""
    lines = (json.dumps(dialogue.to_json(), ensure_ascii=False, allow_nan=False) for dialogue in dialogues)
    return "".join(f"{line}\n" for line in lines)


def read_dialogues(path: Path) -> list[Dialogue]:
    """Read a ``dialogues.jsonl``; ``TdGymError`` names the file and the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise TdGymError(f"Cannot read dialogues from {str(path)!r}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise TdGymError(f"{str(path)!r} is not UTF-8 text; give a dialogues.jsonl.") from error
    dialogues = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise TdGymError(f"{str(path)!r}, line {number}: not JSON ({reason}).") from error
        if not isinstance(record, Mapping):
            raise TdGymError(f"{str(path)!r}, line {number}: not a record of a dialogue.")
        try:
            dialogues.append(Dialogue.from_json(record))
        except TdGymError as error:
            raise TdGymError(f"{str(path)!r}, line {number}: {error}") from error
    if not dialogues:
        raise TdGymError(f"{str(path)!r} holds no dialogue; give a dialogues.jsonl that an evaluation wrote.")
    return dialogues
