"""Communication, 0-28: fourteen rubric items of 0, 1 or 2, in the shape of the scale of arXiv 2602.22697.

The items are our own: a published rubric for the scale is not available.
"""

from __future__ import annotations

import re

from evals.dialogue import Dialogue
from evals.judges.briefing import read_briefing
from evals.judges.fluency import well_formed
from evals.judges.lexicon import load, load_words
from evals.judges.reading import clauses, content_words, says, sentences, words
from evals.judges.rubric import Item, exchanges, grade, repetitions, service_texts, total

_ANSWERS = (
    ("asks_refund", ("refuses_refund", "voucher_word", "promises")),
    ("asks_identity", ("identity",)),
    ("asks_why", ("explains", "asks_detail")),
    ("asks_when", ("explains",)),
    ("asks_compensation", ("voucher_word", "refuses_refund", "asks_evidence", "asks_detail")),
)
"""Kinds of question a customer asks, and the readings that answer each."""


def communication(dialogue: Dialogue) -> float:
    """Return the sum of the fourteen items."""
    return total(ITEMS, dialogue)


def greets(dialogue: Dialogue) -> int:
    """Greeting: 2 when the first service message greets, 1 when a later one does, 0 never."""
    return _first(dialogue, "greets")


def apologises_once(dialogue: Dialogue) -> int:
    """Apology: 2 for one or two in the dialogue, 1 for three, 0 for none or for more."""
    count = sum(
        load("service")["apologises"].search(s) is not None for t in service_texts(dialogue) for s in sentences(t)
    )
    return 2 if count in (1, 2) else 1 if count == 3 else 0


def names_feeling(dialogue: Dialogue) -> int:
    """Feeling: 2 when the customer's feeling or right to it is named in the first three messages, 1 later, 0 never."""
    said = [n for n, text in enumerate(service_texts(dialogue)) if says(text, "feels")]
    return 0 if not said else 2 if said[0] < 3 else 1


def names_problem(dialogue: Dialogue) -> int:
    """Problem: 2 when a message names the dish or takes up two topic words of the complaint, 1 for one, 0 for none."""
    complaint = content_words(" ".join(turn.shown for turn in dialogue.turns if turn.seat == "customer"))
    facts = read_briefing(dialogue.briefing)
    dishes = frozenset().union(*(content_words(line.name) for line in facts.lines))
    topic = (complaint | content_words(facts.issue)) - _SMALL_TALK
    said = frozenset().union(*(content_words(text) for text in service_texts(dialogue)))
    return 2 if said & dishes else min(2, len(said & topic))


def answers_questions(dialogue: Dialogue) -> int:
    """Answers: share of the customer's questions and demands answered by the next message; 65 % 2, 35 % 1."""
    asked = [(question, answer) for question, answer in exchanges(dialogue) if _asks(question)]
    if not asked:
        return 2
    share = sum(_answered(question, answer) for question, answer in asked) / len(asked)
    return 2 if share >= 0.65 else 1 if share >= 0.35 else 0


def is_concise(dialogue: Dialogue) -> int:
    """Length: share of service messages of one to three sentences and at most 60 words; all 2, half 1."""
    texts = service_texts(dialogue)
    return grade(sum(1 <= len(sentences(text)) <= 3 and len(words(text)) <= 60 for text in texts) / len(texts))


def avoids_repetition(dialogue: Dialogue) -> int:
    """Repetition: 2 when no sentence comes again word for word, 1 when one does, 0 for more."""
    return max(0, 2 - repetitions(dialogue))


def avoids_robot_speak(dialogue: Dialogue) -> int:
    """Robot speak: 2 without stock phrases of machines and forms, 1 with one, 0 with more."""
    return max(0, 2 - _count(dialogue, "robot"))


def closes_politely(dialogue: Dialogue) -> int:
    """Close: 2 when the last service message takes leave or thanks, 1 when an earlier one does, 0 never."""
    texts = service_texts(dialogue)
    if says(texts[-1], "closes"):
        return 2
    return 1 if any(says(text, "closes") for text in texts) else 0


def fits_emotion(dialogue: Dialogue) -> int:
    """Tone: share of heated customer messages answered with feeling, an apology or help; a calm customer needs none."""
    heated = [answer for message, answer in exchanges(dialogue) if load("customer")["heated"].search(message)]
    if not heated:
        return 2
    share = sum(any(says(answer, kind) for kind in _SOOTHES) for answer in heated) / len(heated)
    return 2 if share >= 0.5 else 1 if share > 0 else 0


def blames_nobody(dialogue: Dialogue) -> int:
    """Blame: 2 without blaming the customer, 0 with."""
    return 0 if _count(dialogue, "blames_customer") else 2


def gives_next_step(dialogue: Dialogue) -> int:
    """Next step: share of service messages before the last that ask, offer or do; three quarters 2, half 1."""
    texts = service_texts(dialogue)[:-1] or service_texts(dialogue)
    share = sum(says(text, "next_step") or says(text, "explains") for text in texts) / len(texts)
    return 2 if share >= 0.75 else grade(share)


def completes_sentences(dialogue: Dialogue) -> int:
    """Whole sentences: 2 when at least 95 % of the service's sentences are well-formed, 1 for 75 %, else 0."""
    said = [sentence for text in service_texts(dialogue) for sentence in sentences(text)]
    share = sum(well_formed(sentence) for sentence in said) / max(len(said), 1)
    return 2 if share >= 0.95 else 1 if share >= 0.75 else 0


def puts_no_pressure(dialogue: Dialogue) -> int:
    """Pressure: 2 without pressure, begging for ratings or promises that cannot be kept, 1 with one, 0 with more."""
    table = load("service")
    empty = sum(
        table["promises"].search(clause) is not None
        and not table["negated"].search(clause)
        and not table["hypothetical"].search(clause)
        for text in service_texts(dialogue)
        for clause in clauses(text)
    )
    return max(0, 2 - empty - _count(dialogue, "pressures"))


ITEMS: tuple[Item, ...] = (
    greets,
    apologises_once,
    names_feeling,
    names_problem,
    answers_questions,
    is_concise,
    avoids_repetition,
    avoids_robot_speak,
    closes_politely,
    fits_emotion,
    blames_nobody,
    gives_next_step,
    completes_sentences,
    puts_no_pressure,
)

_SOOTHES = ("feels", "apologises", "voucher_word", "asks_evidence", "asks_detail", "closes")
_SMALL_TALK = content_words(" ".join(load_words("common", "small_talk")))
_QUESTION = re.compile(r"\?")


def _asks(message: str) -> bool:
    return _QUESTION.search(message) is not None or load("customer")["asks_refund"].search(message) is not None


def _answered(question: str, answer: str) -> bool:
    customer = load("customer")
    kinds = [readings for kind, readings in _ANSWERS if customer[kind].search(question)]
    if any(says(answer, reading) for readings in kinds for reading in readings):
        return True
    return bool((content_words(question) - _SMALL_TALK) & content_words(answer))


def _first(dialogue: Dialogue, reading: str) -> int:
    said = [n for n, text in enumerate(service_texts(dialogue)) if says(text, reading)]
    return 0 if not said else 2 if said[0] == 0 else 1


def _count(dialogue: Dialogue, reading: str) -> int:
    pattern = load("service")[reading]
    return sum(len(pattern.findall(sentence)) for text in service_texts(dialogue) for sentence in sentences(text))
