"""Scripted agents of the service seat: the rule agent, oracle, demonstrator and floors.

The rule agent is the classic one of the field: it tracks what the customer wants, looks it up, and answers with acts,
which are then put into words.  All but the oracle read chat messages only.  A
message is *drafted* with ``[slots]`` and filled just before it is sent, so that a small model can learn the drafts.
"""

from __future__ import annotations

from collections.abc import Iterable

from td_gym.draws import choice, mix, uniform
from td_gym.episode import Episode
from td_gym.protocol import Messages
from td_gym.scenarios.multiwoz.briefing import Reading
from td_gym.scenarios.multiwoz.cases import Case
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.planner import SKILLED, Habits, Planner
from td_gym.scenarios.multiwoz.schema import DOMAINS, UNKNOWN, Act
from td_gym.scenarios.scripted import EpisodePolicy, MessagePolicy, word, wordings
from td_gym.slots import SLOT, fill_slots

_WORDINGS = wordings(__package__)


def draft(reading: Reading, habits: Habits, seed: int) -> str:
    """Return the next message with unfilled slots."""
    plan = Planner(reading, habits, seed).plan()
    if plan.call:
        return f"<action>{_named(plan.call, plan.domain, reading)}</action>"
    return worded(plan.acts, reading, seed)


def worded(acts: Iterable[Act], reading: Reading, seed: int) -> str:
    """Return acts in sentences with unfilled slots."""
    used, turn = frozenset(reading.own), len(reading.own)
    sentences = []
    for act in acts:
        for key in _keys(act):
            (sentence,) = word(_WORDINGS, [key], used, seed, turn)
            sentences.append(_named(sentence, act.domain, reading))
    return " ".join(sentences)


def _keys(act: Act) -> tuple[str, ...]:
    """Return the entries of ``service.toml`` that word an act."""
    intent, domain, slot = act.intent, act.domain, act.slot
    match intent:
        case "greet":
            return ("ask_need",) if slot else ("greet",)
        case "reqmore":
            return ("ask_more",)
        case "stall":
            return ("stall",)
        case "bye":
            return ("close",)
        case "request":
            return (f"request_type_{domain}" if slot == "type" else f"request_{slot}",)
        case "recommend":
            return ("still_train" if domain == "train" else "still",) if slot else (f"offer_{domain}",)
        case "no_offer":
            return ("no_offer", "change")
        case "no_book":
            return tuple(key for key in ("no_book", f"rebook_{domain}") if key in _WORDINGS)
        case "booked":
            return ("booked_taxi" if domain == "taxi" else "booked",)
        case "offer_book":
            return (f"offer_book_{domain}",)
    usual, special = f"inform_{slot}", f"inform_{slot}_{act.value}"
    if act.value == UNKNOWN:
        usual, special = "unknown", f"unknown_{slot}"
    return (special if special in _WORDINGS else usual,)


def _named(text: str, domain: str, reading: Reading) -> str:
    """Return ``text`` with slots that name their domain, where it is not the one spoken of last."""
    if domain == reading.state.domain or domain not in DOMAINS:
        return text
    return SLOT.sub(lambda slot: f"[{domain}_{slot[0][1:-1]}]", text)


class RuleAgent(MessagePolicy):
    """The reference agent: tracks, looks up, asks, offers, answers and books by rule."""

    def __init__(self, database: Database, habits: Habits = SKILLED) -> None:
        self.database = database
        self.habits = habits

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        reading = Reading(messages, self.database)
        return fill_slots(draft(reading, self.habits, seed), messages, lambda _: reading.slots())


class Oracle(EpisodePolicy):
    """The rule agent that knows the goal: it need not ask; an upper reference only."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def draft(self, episode: Episode) -> str:
        """Return the next service message; what the customer has not said yet is taken from its goal."""
        reading = Reading(episode.messages("service"), self.database)
        case: Case = episode.case
        for domain in reading.state.touched:
            part, need = case.goal.domains.get(domain), reading.state.need(domain)
            if part and not part.fail_inform and not (domain == "taxi" and part.same):
                for slot, value in part.inform.items():
                    need.inform.setdefault(slot, value)
        filled = draft(reading, SKILLED, episode.seed)
        return fill_slots(filled, (), lambda _: reading.slots())


class Demonstrator(EpisodePolicy):
    """A human-like agent of mixed skill, for supervised data: some look up less, or pass questions over."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.seed = seed

    def draft(self, episode: Episode) -> str:
        """Return the next message with unfilled slots."""
        key = mix(self.seed, episode.seed, "demonstrator")
        habits = Habits(0.8 + 0.2 * uniform(key, "care"), choice((1, 5, 10, 20, 10_000), key, "offers_from"))
        return draft(Reading(episode.messages("service"), self.database), habits, key)


class Floor(MessagePolicy):
    """An agent that shows what no skill earns."""

    def __init__(self, database: Database, name: str) -> None:
        self.database = database
        self.name = name

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        turn = sum(message["role"] == "assistant" for message in messages)
        if self.name == "do_nothing":
            return choice(_WORDINGS["stall"], seed, turn)
        return fill_slots(self._random(seed, turn), messages, lambda _: Reading(messages, self.database).slots())

    def _random(self, seed: int, turn: int) -> str:
        """A random sentence; three in ten messages look something up."""
        if uniform(seed, turn, "tool") < 0.3:
            domain = choice(tuple(self.database.tables), seed, turn, "domain")
            return f"<action>query domain={domain}</action>"
        return choice(_WORDINGS[choice(sorted(_WORDINGS), seed, turn, "act")], seed, turn, "wording")
