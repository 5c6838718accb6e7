"""MultiWOZ with the customers of recorded dialogues, and the recorded desk as one to learn from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.protocol import MAX_CHARS
from td_gym.scenarios.multiwoz.briefing import Reading
from td_gym.scenarios.multiwoz.cases import Case, draw_case
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.episode import MultiWOZEpisode
from td_gym.scenarios.multiwoz.expert import draft
from td_gym.scenarios.multiwoz.goals import Goal
from td_gym.scenarios.multiwoz.planner import SKILLED
from td_gym.scenarios.multiwoz.records import Dialogue, Turn
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from td_gym.scenarios.multiwoz.schema import DOMAINS
from td_gym.scenarios.multiwoz.values import find_values
from td_gym.scenarios.scripted import CustomerPolicy, EpisodePolicy
from td_gym.seats import Demonstrator, SeatPolicy
from td_gym.slots import SLOT

_LEAST_TURNS = 20
_THE_END = "[end:5]"
_CLAIMS = frozenset(("nooffer", "nobook", "book", "offerbooked"))
"""Recorded acts that say what only a look-up or a booking can tell."""
_FACTS = frozenset(("name", "time", "money"))
"""Kinds of values that only a look-up or a customer can tell."""
_CODE = re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w{5,}\b|\d{7,}")
"""Train ids, references, postcodes in one word, and telephone numbers."""


@dataclass(frozen=True, slots=True)
class RecordedCase(Case):
    """The customer of a recorded dialogue, of whom nothing is known but what it says."""

    recording: str
    """Id of the dialogue."""

    def to_json(self) -> dict[str, Any]:
        """Return the case as plain data."""
        return {**Case.to_json(self), "recording": self.recording}


class RecordedCustomers(MultiWOZ):
    """MultiWOZ with the customers of ``recordings``: conversation ``seed`` is with number ``seed``, round and round.

    They say what they once said, whatever they are told.  An episode has an empty goal, so that only the customer's
    words come into it; hence no booking of what is there is refused.  The other options are those of ``MultiWOZ``.
    """

    customers: ClassVar[tuple[str, ...]] = ("recorded",)

    def __init__(
        self,
        data_dir: str | Path | None,
        recordings: Sequence[Dialogue],
        population: str = "",
        transfer: bool = False,
        disclosure: str = "honest",
        max_chars: int = MAX_CHARS,
    ) -> None:
        self.ids = [recording.id for recording in recordings]
        self._recordings = recordings
        self._exchanges = [exchanges(recording) for recording in recordings]
        max_turns = max((_LEAST_TURNS, *map(len, self._exchanges)))
        super().__init__(data_dir, population, transfer, disclosure, max_turns, max_chars)

    def make_episode(self, seed: int, split: str, row: int | None) -> MultiWOZEpisode:
        """Start conversation ``seed``; there is no row to pick."""
        case = draw_case(seed, self.person(seed, split, row), Goal({}))
        case = RecordedCase(case.persona, case.goal, case.day, case.time, self.ids[seed % len(self.ids)])
        return MultiWOZEpisode(self, seed, split, None, case)

    def make_customer(self, name: str) -> SeatPolicy:
        """Return the recorded customers."""
        return CustomerPolicy(self._say)

    def demonstrator(self, seed: int) -> Demonstrator:
        """Return the recorded desk; ``TdGymError`` where a recording is of the test split, from which nobody learns."""
        for recording in self._recordings:
            if recording.split == "test":
                raise TdGymError(f"Dialogue {recording.id} is of the test split; learn from train or validation.")
        return RecordedDesk(self.database, self._exchanges)

    def _say(self, episode: Episode) -> str:
        lines = self._exchanges[episode.seed % len(self.ids)]
        return lines[episode.service_turns][0].text if episode.service_turns < len(lines) else _THE_END


def exchanges(recording: Dialogue) -> tuple[tuple[Turn, Turn], ...]:
    """Return what the customer said that was answered, each with the answer; ``TdGymError`` where nothing was."""
    both = tuple((turn, after) for turn, after in pairwise(recording.turns) if _is_exchange(turn, after))
    if not both:
        raise TdGymError(f"Dialogue {recording.id} has no customer's message that was answered.")
    return both


def _is_exchange(turn: Turn, after: Turn) -> bool:
    return (turn.speaker, after.speaker) == ("user", "system")


class RecordedDesk(EpisodePolicy):
    """The desk of ``recordings``, to learn from: it says what was said, about what its own look-ups have found.

    It looks up and books as the rule agent does.  A recorded reply that tells what no tool has answered here cannot be
    learnt from: there the rule agent speaks.
    """

    def __init__(self, database: Database, recordings: Sequence[Sequence[tuple[Turn, Turn]]]) -> None:
        self._database = database
        self._recordings = recordings

    def draft(self, episode: Episode) -> str:
        """Return the next message with unfilled slots."""
        reading = Reading(episode.messages("service"), self._database)
        held = self._recordings[episode.seed % len(self._recordings)]
        own = draft(reading, SKILLED, episode.seed)
        if episode.service_turns >= len(held) or own.endswith("</action>"):
            return own
        return in_slots(held[episode.service_turns][1], reading, self._database) or own


def in_slots(reply: Turn, reading: Reading, database: Database) -> str:
    """Return a recorded reply with slots for what it tells, empty where ``reading`` does not bear it out."""
    slots, text = reading.slots(), SLOT.sub("", reply.text)
    names: dict[str, str] = {}
    for act in reply.acts:
        domain = act.domain if act.domain in DOMAINS else reading.state.domain  # "booking" is of what was spoken of
        if act.intent in _CLAIMS and not _borne_out(act.intent, domain, reading):
            return ""
        slot = _slot(domain, act.slot, slots)
        if slot and act.value not in ("", "?") and (slot != "count" or act.value.isdigit()):
            name = slot if domain == reading.state.domain else f"{domain}_{slot}"
            if names.setdefault(name, act.value) != act.value:
                return ""  # two of a kind, of which one at most was found
    if len({*names.values()}) < len(names):
        return ""  # which of the two is meant, the text does not say
    for name, value in names.items():
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", f"[{name}]", text, flags=re.IGNORECASE)
    return text if _is_bare(SLOT.sub(" ", text), slots, database) else ""


def _is_bare(text: str, slots: Mapping[str, str], database: Database) -> bool:
    """Return whether a text names nothing but what the customer wants."""
    wanted = {value for slot, value in slots.items() if "wanted_" in slot}
    values = find_values(text, database)
    return not _CODE.search(text) and all(v.kind not in _FACTS or v.value in wanted for v in values)


def _slot(domain: str, slot: str, slots: Mapping[str, str]) -> str:
    """Return the slot that tells this of ``domain``: what was found, else what is wanted; empty for neither."""
    known = ("count",) if slot == "choice" else (slot, f"wanted_{slot}")
    return next((name for name in known if slots.get(f"{domain}_{name}")), "")


def _borne_out(intent: str, domain: str, reading: Reading) -> bool:
    """Return whether what was looked up or booked last in ``domain`` says so too."""
    found, booked = reading.latest(domain, "query"), reading.latest(domain, "book")
    if intent == "nooffer":
        return found is not None and not found.count
    return booked is not None and bool(booked.error) == (intent == "nobook")
