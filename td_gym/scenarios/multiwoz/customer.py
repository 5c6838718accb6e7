"""The scripted customer of MultiWOZ: reads what the service said, and works through its agenda.

It cannot look into the tables, so it takes what it is told; whether that was true is the episode's
to judge.  A message that cannot be read, and having to say things again, costs patience.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from td_gym.draws import Stream
from td_gym.episode import Episode
from td_gym.scenarios.multiwoz.acts import read_service
from td_gym.scenarios.multiwoz.agenda import Mind, Move, begin, hear, share_met, speak
from td_gym.scenarios.multiwoz.language import Voice
from td_gym.scenarios.wording import joined

if TYPE_CHECKING:
    from td_gym.scenarios.multiwoz.cases import Case
    from td_gym.scenarios.multiwoz.scenario import MultiWOZ

# Shares of 1, 2 and 3 acts a turn in MultiWOZ 2.1's dev dialogues, by what is said.
COUNTS: Mapping[str, tuple[float, float, float]] = {
    "inform": (0.565, 0.365, 0.07),
    "book": (0.29, 0.142, 0.567),
    "request": (0.688, 0.23, 0.082),
}
ASKS_REFERENCE = 0.25
"""Share of those who ask for the reference together with the booking."""
LONGEST, MOST_ACTS = 700, 25
"""Length of a message, and number of things said in it, beyond which nothing is taken in."""
UNREADABLE, REPEATED = 0.35, 0.25
"""Irritation for a message that cannot be taken in, and for the same message again."""


def reply(episode: Episode) -> str:
    """Return the customer's next message, with an end mark when it is through."""
    case: Case = episode.case
    voice = Voice(case.persona, episode.split, Stream(episode.seed, f"customer/{episode.service_turns}"))
    memory = episode.memory.get("customer")
    if memory is None:
        mind = begin(case.goal)
        episode.memory["customer"] = vars(mind)
        moves = speak(mind, case.goal, _count(mind, voice.draws))
        return voice.colour(voice.put(moves, first=True), opening=True)
    mind = Mind.of(memory)
    if episode.transcript[-1].action == "transfer":
        return f"{voice.say('parting', 'short')} {_mark(mind, case)}"
    remark = _listen(mind, episode)
    if mind.irritation > _patience(case):
        return f"{voice.colour(voice.say('parting', 'angry'), irritated=True)} [hangup:1]"
    if remark == "confused":
        return voice.colour(voice.say("answer", "confused"))
    moves = speak(mind, case.goal, _count(mind, voice.draws))
    if moves[-1].intent == "book" and not mind.waits(mind.domain, "book") and voice.draws.uniform() < ASKS_REFERENCE:
        moves.append(Move("request", mind.domain, "ref"))
    ending = ""
    if moves[-1].intent == "bye":
        moves = moves[:-1]
        ending = (
            f"{voice.say('parting', 'content' if share_met(mind, case.goal) == 1.0 else 'short')} {_mark(mind, case)}"
        )
    remark = voice.say("answer", remark) if remark else ""
    text = voice.colour(voice.put(moves), irritated=mind.irritation > _patience(case) / 2) if moves else ""
    return joined(remark, text, ending)


def _count(mind: Mind, draws: Stream) -> int:
    """Draw how many acts the customer says unasked, by what comes up next."""
    intent = next((move[0] for move in reversed(mind.stack) if move[0] in COUNTS), "inform")
    return draws.weighted((1, 2, 3), COUNTS[intent])


def _listen(mind: Mind, episode: Episode) -> str:
    """Take in the last service message; return what there is to say of its manner: ``confused``, ``repeated``."""
    case: Case = episode.case
    scenario: MultiWOZ = episode.scenario  # type: ignore[assignment]
    text = episode.transcript[-1].shown
    acts = read_service(text, scenario.database, mind.domain) if len(text) <= LONGEST else ()
    if not text.strip() or len(text) > LONGEST or len(acts) > MOST_ACTS:
        mind.irritation += UNREADABLE
        return "confused"
    hear(mind, case.goal, acts)
    earlier = (turn.shown for turn in reversed(episode.transcript[:-1]) if turn.seat == "service" and turn.shown)
    if text == next(earlier, ""):
        mind.irritation += REPEATED
        return "repeated"
    return ""


def _patience(case: Case) -> float:
    """Return the irritation at which this customer leaves."""
    return 0.6 + 0.1 * case.persona.patience


def _mark(mind: Mind, case: Case) -> str:
    """Return the end mark: how much of the goal is met as far as the customer can tell, less what it cost to get it."""
    rating = 1.0 + 4.0 * max(0.0, share_met(mind, case.goal) - 0.25 * mind.irritation)
    return f"[end:{rating:.4f}]"
