"""The offer of one conversation, and whether a message states its figures rightly."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from personas.prospect import Prospect
from td_gym.draws import Stream
from td_gym.scenarios.sales.credit import (
    COMPUTED,
    MOST_MONEY,
    MOST_MONTHS,
    QUESTIONS,
    Profile,
    Question,
    ask,
    computed,
    interest,
    stated_answer,
)
from td_gym.scenarios.sales.figures import TABLES, Figure
from td_gym.scenarios.sales.message import read

_YES_OR_NO = re.compile(r"\W*(yes|no)\b(?!\s+\w)", re.IGNORECASE)
_ROUGHLY = 0.05
"""A figure said to be approximate is wrong when it is further off than this share."""
_TOLERANCES: dict[str, float] = {name: spec["within"] + 1e-9 for name, spec in TABLES["questions"].items()}
"""How far an exact figure may be off, by question."""
_WEIGHTS: dict[str, float] = {name: TABLES["questions"][name]["weight"] for name in QUESTIONS}
"""How often each question is asked, against the others."""


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation's truth: who is called, what can be offered, and what the customer will ask."""

    persona: Prospect
    profile: Profile
    questions: tuple[Question, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the case as plain data, for ``debug=True`` and for recorders."""
        return {
            "persona": self.persona.to_json(),
            "profile": asdict(self.profile),
            "questions": [question._asdict() for question in self.questions],
        }


def draw_profile(draws: Stream, phone_tail: str) -> Profile:
    """Draw a customer's profile."""
    table = TABLES["profile"]
    limit = float(draws.choice(table["credit_limit"]))
    amount = 100.0 * round(limit * draws.choice(table["amount_share"]) / 100)
    months: int = draws.choice(table["months"])
    rate: float = draws.choice(table["monthly_rate"])
    most = interest(amount, rate, 30 * months) / 2
    return Profile(
        credit_limit=limit,
        monthly_rate=rate,
        fee=float(draws.choice(table["fee"])),
        coupon=float(draws.choice([value for value in table["coupon"] if value <= most])),
        coupon_days=_between(draws, table["coupon_days"]),
        eligible=draws.uniform() < table["eligible"],
        phone_tail=phone_tail,
        months_customer=_between(draws, table["months_customer"]),
        loans_before=_between(draws, table["loans_before"]),
        amount=amount,
        months=months,
    )


def _between(draws: Stream, bounds: list[int]) -> int:
    return draws.integer(bounds[0], bounds[1] + 1)


def draw_case(seed: int, split: str, persona: Prospect) -> Case:
    """Draw the offer of conversation ``seed`` in ``split``, and ``persona.curiosity`` different questions."""
    draws = Stream(seed, f"offer/{split}")
    profile = draw_profile(draws, persona.identity.phone_tail)
    weights = _WEIGHTS.copy()
    questions = []
    for _ in range(persona.curiosity):
        name = draws.weighted_key(weights)
        del weights[name]
        amount, days = 0.0, 0
        if name == "cost_of_days":
            asked = TABLES["asked"]
            amount = float(draws.choice([value for value in asked["amount"] if value <= profile.credit_limit]))
            days = draws.choice(asked["days"])
        elif name == "monthly_payment":
            amount, days = profile.amount, 30 * profile.months
        questions.append(ask(profile, name, amount, days))
    return Case(persona, profile, tuple(questions))


@lru_cache(maxsize=8192)
def answers(text: str, question: Question) -> bool:
    """Return whether ``text`` answers ``question`` rightly and exactly.

    The right figure must be there, not "about" it, and no other figure for the same thing beside it.
    """
    if question.kind == "word":
        return _yes_or_no(text) == question.answer
    claims = _claims(text, question)
    return bool(claims) and all(
        not claim.hedged and _matches(claim, question.name, question.answer) for claim in claims
    )


@lru_cache(maxsize=8192)
def states_wrongly(text: str, question: Question) -> bool:
    """Return whether ``text`` states something else than the right answer to ``question`` as the answer.

    A figure without a name is taken for the answer only where no other figure is named.
    """
    if question.kind == "word":
        return _yes_or_no(text) not in ("", question.answer)
    claims = _claims(text, question)
    if any(figure.label not in ("", "aside", question.name) for figure in read(text).figures):
        claims = [claim for claim in claims if claim.label]
    return any(_wrong(claim, question.name, question.answer) for claim in claims)


def _claims(text: str, question: Question) -> list[Figure]:
    """Return the figures of ``text`` that can be meant as the answer: those said to be, or else the unnamed ones."""
    stated = read(text).figures
    named = [figure for figure in stated if figure.label == question.name]
    if named:
        return named
    unit = {"rate": "percent", "coupon_expiry": "days"}.get(question.name, "money")
    loose = [
        figure
        for figure in stated
        if not figure.label and ((figure.unit == "money" and figure.bare) or figure.unit == unit != "money")
    ]
    return [figure for figure in loose if question.amount not in (figure.value, figure.other)]


def _distance(figure: Figure, answer: str | float) -> float:
    right = float(answer)
    return min(abs(figure.value - right), abs(figure.other - right))


def _matches(figure: Figure, name: str, answer: str | float) -> bool:
    return _distance(figure, answer) <= _TOLERANCES[name]


def _wrong(figure: Figure, name: str, answer: str | float) -> bool:
    if figure.hedged:
        return _distance(figure, answer) > _ROUGHLY * float(answer)
    return not _matches(figure, name, answer)


def _yes_or_no(text: str) -> str:
    """Return the answer to a question about eligibility: what the text says of it, or else the word it opens with."""
    opening = _YES_OR_NO.match(text)
    return read(text).eligible or (opening[1].lower() if opening else "")


def false_figures(text: str, profile: Profile) -> frozenset[str]:
    """Return the names of the profile figures that ``text`` states wrongly.

    Only figures said to be one are judged.  A monthly payment or an interest is right when it fits the
    proposed credit, or any amount and duration that the text names itself; an interest is not judged
    where the text names neither, since the customer may have named them.
    """
    message = read(text)
    stated = message.figures
    found = {f.label for f in stated if f.label in QUESTIONS and not _is_true(f, stated, profile)}
    if message.eligible not in ("", stated_answer(profile, "eligible")):
        found.add("eligible")
    return frozenset(found)


def _is_true(figure: Figure, stated: tuple[Figure, ...], profile: Profile) -> bool:
    if figure.label in COMPUTED:
        return _fits(figure, stated, profile)
    return not _wrong(figure, figure.label, stated_answer(profile, figure.label))


def _fits(figure: Figure, stated: tuple[Figure, ...], profile: Profile) -> bool:
    """Whether ``figure``, one of those ``stated``, is right for the proposed credit or for another that they name."""
    name = figure.label
    if not _wrong(figure, name, computed(profile, name, profile.amount, 30 * profile.months)):
        return True
    spoken_of = any(f.unit in ("days", "months") or (f.unit == "money" and f.label in ("", "aside")) for f in stated)
    if name == "cost_of_days" and not spoken_of:
        return True
    right = _right_answers(name, stated, profile)
    nearest = chain(_nearest(figure.value, right), _nearest(figure.other, right))
    return any(not _wrong(figure, name, answer) for answer in nearest)


@lru_cache(maxsize=16)  # a message can name a hundred amounts, and as many figures to hold against them
def _right_answers(name: str, stated: tuple[Figure, ...], profile: Profile) -> list[float]:
    """Return the answers to ``name`` for every amount and duration ``stated`` or proposed, the least first."""
    amounts = {profile.amount, *(f.value for f in stated if f.unit == "money" and f.label in ("", "aside", "limit"))}
    spans = {30 * profile.months}
    spans |= {30 * int(f.value) for f in stated if f.unit == "months" and 1 <= f.value <= MOST_MONTHS}
    if name == "cost_of_days":
        spans |= {30, *(int(f.value) for f in stated if f.unit == "days" and 1 <= f.value <= 30 * MOST_MONTHS)}
    sums = [amount for amount in amounts if 0 < amount <= MOST_MONEY]
    return sorted({computed(profile, name, amount, span) for amount in sums for span in spans})


def _nearest(value: float, ascending: list[float]) -> list[float]:
    """Return the neighbours of ``value`` among numbers in ascending order, the one below and the one not below."""
    place = bisect_left(ascending, value)
    return ascending[max(0, place - 1) : place + 1]
