"""The offer of one conversation, and whether a message states its figures rightly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from personas.selling import Prospect
from td_gym.draws import Stream
from td_gym.scenarios.sales.credit import (
    QUESTIONS,
    Profile,
    Question,
    ask,
    interest,
    money,
    monthly_payment,
    question_text,
    stated_answers,
)
from td_gym.scenarios.sales.figures import Figure, figures, tables
from td_gym.scenarios.sales.numerals import numbers

__all__ = [
    "QUESTIONS",
    "Case",
    "Profile",
    "Question",
    "answers",
    "ask",
    "draw_case",
    "draw_profile",
    "false_figures",
    "interest",
    "money",
    "monthly_payment",
    "numbers",
    "question_text",
    "states_wrongly",
]
_NEVER_COMPUTED = ("rate", "fee", "limit", "coupon_value", "coupon_expiry")
_MOST, _LONGEST = 1e7, 600
"""No credit is larger, or longer in months, than this; larger figures are not computed with."""
_ROUGHLY = 0.05
"""A figure said to be approximate is wrong when it is further off than this share."""


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
            "questions": [asdict(question) for question in self.questions],
        }


def draw_profile(draws: Stream, phone_tail: str) -> Profile:
    """Draw a customer's profile."""
    table = tables()["profile"]
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
    specs = tables()["questions"]
    names = list(QUESTIONS)
    questions = []
    for _ in range(persona.curiosity):
        name = draws.weighted(names, [specs[name]["weight"] for name in names])
        names.remove(name)
        amount, days = 0.0, 0
        if name == "cost_of_days":
            asked = tables()["asked"]
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
        return _eligibility(text) == question.answer
    claims = _claims(text, question)
    return bool(claims) and all(
        not claim.hedged and _matches(claim, question.name, question.answer) for claim in claims
    )


@lru_cache(maxsize=8192)
def states_wrongly(text: str, question: Question) -> bool:
    """Return whether ``text`` states something else than the right answer to ``question`` as the answer."""
    if question.kind == "word":
        return _eligibility(text) not in ("", question.answer)
    return any(_wrong(claim, question.name, question.answer) for claim in _claims(text, question))


def _claims(text: str, question: Question) -> list[Figure]:
    """Return the figures of ``text`` that can be meant as the answer: those said to be, or else the unnamed ones."""
    stated = figures(text)
    named = [figure for figure in stated if figure.label == question.name]
    if named:
        return named
    unit = {"rate": "percent", "coupon_expiry": "days"}.get(question.name, "money")
    units = (unit, "money") if unit != "money" else (unit,)
    loose = [figure for figure in stated if not figure.label and figure.bare | (figure.unit == unit != "money")]
    return [figure for figure in loose if figure.unit in units and question.amount not in (figure.value, figure.other)]


def _distance(figure: Figure, answer: str | float) -> float:
    return min(abs(figure.value - float(answer)), abs(figure.other - float(answer)))


def _matches(figure: Figure, name: str, answer: str | float) -> bool:
    within: float = tables()["questions"][name]["within"] + 1e-9
    return _distance(figure, answer) <= within


def _wrong(figure: Figure, name: str, answer: str | float) -> bool:
    if figure.hedged:
        return _distance(figure, answer) > _ROUGHLY * float(answer)
    return not _matches(figure, name, answer)


@lru_cache(maxsize=1)
def _eligibility_cues() -> Mapping[str, re.Pattern[str]]:
    return {
        name: re.compile(
            "|".join(rf"(?<![a-z]){re.escape(phrase)}" if phrase[:3] != "n't" else phrase for phrase in phrases)
        )
        for name, phrases in tables()["eligible"].items()
    }


@lru_cache(maxsize=8192)
def _eligibility(text: str) -> str:
    """Return ``yes`` or ``no`` when ``text`` says that the customer meets the conditions or not, else empty."""
    text = text.lower().replace("’", "'")
    cues = _eligibility_cues()
    rest, denials = cues["no"].subn(" ", text)
    claims = cues["yes"].search(rest) is not None
    if cues["open"].search(text) or (denials and claims):
        return ""
    if denials or claims:
        return "no" if denials else "yes"
    word = re.match(r"\W*(yes|no)\b(?!\s+\w+)", text)
    return word[1] if word else ""


@lru_cache(maxsize=8192)
def false_figures(text: str, profile: Profile) -> frozenset[str]:
    """Return the names of the profile figures that ``text`` states wrongly.

    Only figures said to be one are judged.  A monthly payment or an interest is right when it fits the
    proposed credit, or any amount and duration that the text names itself.
    """
    stated = stated_answers(profile)
    found = {f.label for f in figures(text) if f.label in _NEVER_COMPUTED and _wrong(f, f.label, stated[f.label])}
    computed = [figure for figure in figures(text) if figure.label in ("monthly_payment", "cost_of_days")]
    if computed:
        found |= {figure.label for figure in computed if not _fits(figure, text, profile)}
    if _eligibility(text) not in ("", stated["eligible"]):
        found.add("eligible")
    return frozenset(found)


def _fits(figure: Figure, text: str, profile: Profile) -> bool:
    stated = figures(text)
    amounts = {profile.amount, *(f.value for f in stated if f.unit == "money" and f.label in ("", "aside", "limit"))}
    months = {profile.months, *(int(f.value) for f in stated if f.unit == "months" and 1 <= f.value <= _LONGEST)}
    days = {30, *(30 * count for count in months), *(int(f.value) for f in stated if f.unit == "days")}
    spans = {30 * count for count in months} if figure.label == "monthly_payment" else days
    right = (
        ask(profile, figure.label, amount, span).answer
        for amount in amounts
        for span in spans
        if 0 < amount <= _MOST and 0 < span <= 30 * _LONGEST
    )
    return any(not _wrong(figure, figure.label, answer) for answer in right)
