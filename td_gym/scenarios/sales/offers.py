"""The lender's offer: a customer's profile, exact interest and payments, and questions with one right answer.

Rules of the sums.  Interest is simple and linear: amount * monthly rate / 100 * days / 30.  A monthly
payment repays the amount in equal parts with a full month's interest on the whole amount:
amount / months + amount * monthly rate / 100.  Both are computed exactly in decimals and rounded once,
half up, to cents.  Neither contains the fee, which is paid once, or the coupon, which comes off the interest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from personas.selling import Prospect
from td_gym.draws import Stream
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
QUESTIONS = (
    "cost_of_days",
    "monthly_payment",
    "rate",
    "fee",
    "limit",
    "coupon_value",
    "coupon_expiry",
    "eligible",
)
_NEVER_COMPUTED = ("rate", "fee", "limit", "coupon_value", "coupon_expiry")
_ROUGHLY = 0.05
"""A figure said to be approximate is wrong when it is further off than this share."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the lender's system shows about a customer and the credit it may offer.  Money in whole cents."""

    credit_limit: float
    monthly_rate: float
    """Percent a month, such as 1.2."""
    fee: float
    """Paid once."""
    coupon: float
    """Money off the interest."""
    coupon_days: int
    """Days for which the coupon can still be used."""
    eligible: bool
    """Whether the customer meets the lender's conditions today."""
    phone_tail: str
    months_customer: int
    loans_before: int
    amount: float
    """The proposed amount."""
    months: int
    """The proposed duration."""

    @property
    def payment(self) -> float:
        """Monthly payment of the proposed credit."""
        return monthly_payment(self.amount, self.monthly_rate, self.months)

    @property
    def interest(self) -> float:
        """Interest of the proposed credit over its whole duration, without the coupon."""
        return interest(self.amount, self.monthly_rate, 30 * self.months)


@dataclass(frozen=True, slots=True)
class Question:
    """A profile question with its one right answer.

    ``amount`` and ``days`` (30 a month) are those asked about, 0 where the question names none; ``answer``
    is a number, or ``yes`` or ``no`` when ``kind`` is ``word``.
    """

    name: str
    text_key: str
    amount: float
    days: int
    answer: str | float
    kind: str


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


def interest(amount: float, monthly_rate: float, days: int) -> float:
    """Return the interest of ``amount`` for ``days`` days at ``monthly_rate`` percent, in money to the cent.

    10,000 at 1.2 percent for 30 days cost 120.
    """
    return _half_up(_exact(amount) * _exact(monthly_rate) * days, 100 * 30)


def monthly_payment(amount: float, monthly_rate: float, months: int) -> float:
    """Return the payment a month of ``amount`` over ``months`` months (at least 1), in money to the cent.

    10,000 at 1.2 percent over 10 months cost 1,000 + 120 a month.
    """
    return _half_up(_exact(amount) * (100 + _exact(monthly_rate) * months), 100 * months)


def _exact(value: float) -> Decimal:
    """Return the decimal that was meant: 1.1 is 11/10, not the float nearest to it."""
    return Decimal(repr(value))


def _half_up(numerator: Decimal, denominator: int) -> float:
    """Return ``numerator / denominator`` (not negative) rounded half up to hundredths, without rounding in between."""
    return int((200 * numerator + denominator) // (2 * denominator)) / 100


def money(value: float) -> str:
    """Return a sum of money as text: ``$1,200`` or ``$48.60``."""
    text = f"{tables()['currency']}{value:,.2f}"
    return text.removesuffix(".00")


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


def ask(profile: Profile, name: str, amount: float = 0.0, days: int = 0) -> Question:
    """Return question ``name`` (one of ``QUESTIONS``) about ``profile``, with its right answer.

    ``cost_of_days`` needs ``amount`` and ``days``; ``monthly_payment`` needs ``amount`` and 30 ``days`` a month.
    """
    answer: str | float
    if name == "cost_of_days":
        answer = interest(amount, profile.monthly_rate, days)
    elif name == "monthly_payment":
        answer = monthly_payment(amount, profile.monthly_rate, days // 30)
    else:
        answer = _stated(profile)[name]
    return Question(name, f"ask_{name}", amount, days, answer, tables()["questions"][name]["kind"])


def question_text(question: Question) -> str:
    """Return the question in plain words."""
    text: str = tables()["questions"][question.name]["text"]
    return text.format(amount=money(question.amount), days=question.days, months=question.days // 30)


def _stated(profile: Profile) -> Mapping[str, str | float]:
    """Return the answers that stand in the profile."""
    return {
        "rate": profile.monthly_rate,
        "fee": profile.fee,
        "limit": profile.credit_limit,
        "coupon_value": profile.coupon,
        "coupon_expiry": float(profile.coupon_days),
        "eligible": "yes" if profile.eligible else "no",
    }


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


def _matches(figure: Figure, name: str, answer: str | float) -> bool:
    within = tables()["questions"][name]["within"] + 1e-9
    return min(abs(figure.value - float(answer)), abs(figure.other - float(answer))) <= within


def _wrong(figure: Figure, name: str, answer: str | float) -> bool:
    if figure.hedged:
        return min(abs(figure.value - float(answer)), abs(figure.other - float(answer))) > _ROUGHLY * float(answer)
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
    stated = _stated(profile)
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
    days = {30 * profile.months, *(int(30 * f.value) for f in stated if f.unit == "months" and f.value < 1e4)}
    days |= {30, *(int(f.value) for f in stated if f.unit == "days" and f.value < 1e5)}
    for amount in amounts:
        if 0 < amount <= 1e9:
            for span in days:
                whole = figure.label == "monthly_payment"
                if span >= 30 or not whole:
                    question = ask(profile, figure.label, amount, span)
                    if not _wrong(figure, figure.label, question.answer):
                        return True
    return False
