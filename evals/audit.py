"""Are simulated customers at fault?  What a customer does wrong in a recorded dialogue, and how often.

A dialogue is held again, message by message, with its case: a conversation is a function of both, so nothing but the
record is needed.  What any customer can do wrong is read from its words here; what goes against its card, its facts and
its goal is for its scenario to tell (``Scenario.customer_checks``), and is not told where the scenario cannot.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from evals.dialogue import Dialogue, DialogueTurn
from evals.judges.reading import says, words
from evals.judges.repetition import ngrams
from evals.recording import traits
from evals.statistics import Interval, wilson
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.llm.customer import request
from td_gym.scenario import Scenario
from td_gym.turns import split_end_mark

FAULTS: Mapping[str, str] = {
    "left_role": "Speaks as the service or as a language model, or names traits or machinery of the simulation.",
    "off_card": "Acts otherwise than its card says, as far as rules can tell.",
    "contradicts_facts": "States something of its case that is not so, or that it cannot know.",
    "contradicts_goal": "Asks for what its goal rules out or does not hold, or agrees to it.",
    "unearned_end": "Ends otherwise than what it got bears out, such as satisfied where nothing was resolved.",
    "early_end": "Ends in its first message, or in answer to a first message of the agent that does nothing.",
    "reveals_instructions": "Repeats a run of its instructions, shows their marks or speaks of them.",
    "loops": "Says one message three times, or what it said before in two messages running.",
}
"""Every fault in one sentence; docs/audit.md defines them."""
_SCENARIOS_OWN = frozenset(("off_card", "contradicts_facts", "contradicts_goal", "unearned_end"))
"""Faults that only a scenario can tell."""
SAME_MESSAGE = 3
"""How often a message is said that makes a loop."""
RUN = 6
"""Words in a row that make a passage of the instructions."""
SAID_BEFORE, LEAST_WORDS = 0.8, 6
"""Share of a message's runs of three words that were said before, and its words, from which it is a repetition."""
_READ_AGAIN = attrgetter("shown", "action", "arguments", "tool_message", "strategy")
"""What the engine makes of a message, in a transcript and in a record."""
_CLOSED_BY_CUSTOMER = ("resolved", "hung_up")
_ROLES = {
    "as_model": "speaks as a language model",
    "as_service": "speaks as the service",
    "machinery": "names the simulation",
}
_MARKS = re.compile(
    r"</?(?:agent|record|tool_result|think|action|response|persona|system|instructions?)\b[^>]{0,40}>"
    r"|\[/?(?:persona|system|instructions?|prompt|customer|inst)\]|\[(?:end|hangup)\s*:|<\|\w+\|>",
    re.IGNORECASE,
)
_ADDRESSED = frozenset(("you", "your", "yours", "yourself", "you'll", "you're", "you've"))
"""Words by which instructions speak to the customer, who speaks of itself as I."""


class Finding(NamedTuple):
    """One fault in one dialogue."""

    fault: str
    """One of ``FAULTS``."""
    what: str
    """What exactly, in a few words."""
    turns: tuple[int, ...]
    """Places of the messages concerned among the dialogue's turns."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in one dialogue."""

    dialogue: Dialogue
    findings: tuple[Finding, ...]
    untold: frozenset[str]
    """Faults of which nothing can be told in it."""


def audit(dialogue: Dialogue, scenario: Scenario) -> Audit:
    """Return the faults of the customer in ``dialogue``.

    Raises ``TdGymError`` where ``scenario`` makes another conversation of it than was recorded.
    """
    episode = _begun(dialogue, scenario)
    findings = [
        *left_role(dialogue),
        *early_end(dialogue),
        *two_minds(dialogue),
        *reveals_instructions(dialogue, instructions(episode)),
        *loops(dialogue),
    ]
    untold = _SCENARIOS_OWN - scenario.customer_checks.keys()
    for place in _heard_again(dialogue, episode):
        for fault, check in scenario.customer_checks.items():
            what = check(episode)
            if what is None:
                untold |= {fault}
            elif what and not any(each.fault == fault and each.what == what for each in findings):
                findings.append(Finding(fault, what, (place,)))
    return Audit(dialogue, tuple(findings), untold - {finding.fault for finding in findings})


def _begun(dialogue: Dialogue, scenario: Scenario) -> Episode:
    episode = scenario.begin(dialogue.seed, dialogue.split, dialogue.row)
    another_person = dialogue.persona and dialogue.persona != traits(episode.case)  # older records name none
    if another_person or episode.briefing("service") != dialogue.briefing:
        raise _another(dialogue, "case")
    return episode


def _heard_again(dialogue: Dialogue, episode: Episode) -> Iterator[int]:
    """Hold ``dialogue`` again in ``episode``; yield the place of every message of the customer when it is heard."""
    for place, turn in enumerate(dialogue.turns):
        if turn.seat == "expert":
            continue
        if turn.seat != episode.next_seat or episode.outcome is not None:
            raise _another(dialogue, "course")
        episode.submit(turn.seat, turn.text)
        if _READ_AGAIN(episode.transcript[-1]) != _READ_AGAIN(turn):
            raise _another(dialogue, "course")
        if turn.seat == "customer":
            yield place
    if episode.outcome != dialogue.outcome:
        raise _another(dialogue, "outcome")


def _another(dialogue: Dialogue, what: str) -> TdGymError:
    return TdGymError(
        f"Dialogue {dialogue.index} of {dialogue.agent!r} has another {what} here than was recorded; audit it with the "
        "population, data and version of td-gym that it was held with."
    )


def _messages(dialogue: Dialogue) -> list[tuple[int, DialogueTurn]]:
    """Return what the customer said, with the places."""
    return [(place, turn) for place, turn in enumerate(dialogue.turns) if turn.seat == "customer"]


def left_role(dialogue: Dialogue) -> Iterator[Finding]:
    """Yield every message in which the customer is none: it speaks as the service, as a model, of the simulation."""
    for place, turn in _messages(dialogue):
        for reading, what in _ROLES.items():
            if says(turn.shown, reading, "simulator"):
                yield Finding("left_role", what, (place,))


def early_end(dialogue: Dialogue) -> Iterator[Finding]:
    """Yield an end in the customer's first message, or in answer to a first message that neither acts nor parts.

    The engine passes over an end mark before anybody has served, so the first of the two ends no conversation.
    """
    said = _messages(dialogue)
    if said and split_end_mark(said[0][1].text)[1] is not None:
        yield Finding("early_end", "ends in its first message", (said[0][0],))
    served = [(place, turn) for place, turn in enumerate(dialogue.turns) if turn.seat == "service"]
    if len(served) != 1 or dialogue.outcome.get("ended_by") not in _CLOSED_BY_CUSTOMER:
        return
    place, only = served[0]
    if not only.action and not says(only.shown, "closes"):
        yield Finding("early_end", "ends at the agent's first message", (place, said[-1][0]))


def two_minds(dialogue: Dialogue) -> Iterator[Finding]:
    """Yield an end in anger with the rating of one who is satisfied, which no conversation bears out."""
    if dialogue.outcome.get("ended_by") in _CLOSED_BY_CUSTOMER:
        place, last = _messages(dialogue)[-1]
        mark = split_end_mark(last.text)[1]
        if mark and mark.hung_up and mark.satisfied:
            yield Finding("unearned_end", "hangs up in anger and is satisfied", (place,))


def instructions(episode: Episode) -> frozenset[tuple[str, ...]]:
    """Return the runs of words in which the customer's instructions speak to it: those a customer would not say.

    They are what a language model in that seat is told before ``episode`` begins.
    """
    return _addressed(str(request(episode).messages[0]["content"]))


@lru_cache(maxsize=256)
def _addressed(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(run for run in ngrams(words(text), RUN) if not _ADDRESSED.isdisjoint(run))


def reveals_instructions(dialogue: Dialogue, told: frozenset[tuple[str, ...]]) -> Iterator[Finding]:
    """Yield every message that repeats a run of ``told``, the ``instructions``, shows a mark, or speaks of them."""
    for place, turn in _messages(dialogue):
        if not told.isdisjoint(ngrams(words(turn.shown), RUN)):
            yield Finding("reveals_instructions", "repeats its instructions", (place,))
        if _MARKS.search(turn.shown):
            yield Finding("reveals_instructions", "shows a mark", (place,))
        if says(turn.shown, "instructions", "simulator"):
            yield Finding("reveals_instructions", "speaks of its instructions", (place,))


def loops(dialogue: Dialogue) -> Iterator[Finding]:
    """Yield messages said three times, and pairs of messages running that repeat what was said before them."""
    said = [(place, tuple(words(turn.shown))) for place, turn in _messages(dialogue)]
    places: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, message in said:
        places[message].append(place)
    for message, where in places.items():
        if message and len(where) >= SAME_MESSAGE:
            yield Finding("loops", f"says one message {SAME_MESSAGE} times or more", tuple(where))
    earlier: set[tuple[str, ...]] = set()
    again = []
    for place, message in said:
        runs = ngrams(message, 3)
        shared = sum(run in earlier for run in runs)
        again.append((place, len(message) >= LEAST_WORDS and shared >= SAID_BEFORE * len(runs)))
        earlier.update(runs)
    for (first, one), (second, other) in pairwise(again):
        if one and other:
            yield Finding("loops", "repeats itself in two messages running", (first, second))


@dataclass(frozen=True, slots=True)
class Rates:
    """How often customers are at fault, in the dialogues of one customer with one agent."""

    customer: str
    agent: str
    dialogues: int
    shares: Mapping[str, Interval | None]
    """Share of the dialogues with each fault, among those in which it can be told; ``None`` where it can in none."""
    kinds: Mapping[str, Mapping[str, int]]
    """Number of dialogues by fault and by what exactly, the most frequent first."""
    examples: Mapping[str, Sequence[tuple[Dialogue, Finding]]]
    """Some findings of each fault, of as many kinds as there are."""


def summed_up(audits: Sequence[Audit], examples: int) -> Rates:
    """Return the rates of ``audits``, one or more of one customer and one agent, with ``examples`` a fault at most."""
    first = audits[0].dialogue
    shares: dict[str, Interval | None] = {}
    kinds, shown = {}, {}
    for fault in FAULTS:
        told = [each for each in audits if fault not in each.untold]
        found = [(each.dialogue, [one for one in each.findings if one.fault == fault]) for each in told]
        hits = [(dialogue, findings) for dialogue, findings in found if findings]
        shares[fault] = wilson(len(hits), len(told)) if told else None
        counts = Counter(what for _, findings in hits for what in {one.what for one in findings})
        kinds[fault] = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        shown[fault] = _varied([(dialogue, one) for dialogue, findings in hits for one in findings], examples)
    return Rates(first.customer, first.agent, len(audits), shares, kinds, shown)


def _varied(findings: Sequence[tuple[Dialogue, Finding]], count: int) -> list[tuple[Dialogue, Finding]]:
    """Return up to ``count`` of ``findings``: the first of each kind, then the second, and so on."""
    seen: Counter[str] = Counter()
    ranked = []
    for order, (_, finding) in enumerate(findings):
        ranked.append((seen[finding.what], order))
        seen[finding.what] += 1
    return [findings[order] for _, order in sorted(ranked)[:count]]
