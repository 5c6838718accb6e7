"""The credit that is offered: a customer's profile, exact interest and payments, questions with one right answer.

Rules of the sums.  Interest is simple and linear: amount * monthly rate / 100 * days / 30.  A monthly
payment repays the amount in equal parts with a full month's interest on the whole amount:
amount / months + amount * monthly rate / 100.  Both are computed exactly in decimals and rounded once,
half up, to cents.  Neither contains the fee, which is paid once, or the coupon, which comes off the interest.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from td_gym.scenarios.sales.figures import TABLES

COMPUTED = ("cost_of_days", "monthly_payment")
"""Questions whose answers depend on an amount and a time."""
STATED = {
    "rate": "monthly_rate",
    "fee": "fee",
    "limit": "credit_limit",
    "coupon_value": "coupon",
    "coupon_expiry": "coupon_days",
}
"""Questions whose answers are figures of the profile, and the profile's names for these."""
QUESTIONS = (*COMPUTED, *STATED, "eligible")
MOST_MONEY, MOST_MONTHS = 1e7, 600
"""No credit is larger, or longer, than this; larger figures are not computed with."""


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


class Question(NamedTuple):
    """A profile question with its one right answer.

    ``amount`` and ``days`` (30 a month) are those asked about, 0 where the question names none; ``answer``
    is a number, or ``yes`` or ``no`` when ``kind`` is ``word``.
    """

    name: str
    amount: float
    days: int
    answer: str | float
    kind: str


@lru_cache(maxsize=4096)  # the same credit is spoken of again and again
def interest(amount: float, monthly_rate: float, days: int) -> float:
    """Return the interest of ``amount`` for ``days`` days at ``monthly_rate`` percent, in money to the cent.

    10,000 at 1.2 percent for 30 days cost 120.
    """
    return _half_up(_exact(amount) * _exact(monthly_rate) * days, 100 * 30)


@lru_cache(maxsize=4096)
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
    text = f"{TABLES['currency']}{value:,.2f}"
    return text.removesuffix(".00")


def ask(profile: Profile, name: str, amount: float = 0.0, days: int = 0) -> Question:
    """Return question ``name`` (one of ``QUESTIONS``) about ``profile``, with its right answer.

    ``cost_of_days`` needs ``amount`` and ``days``; ``monthly_payment`` needs ``amount`` and 30 ``days`` a month.
    """
    answer = computed(profile, name, amount, days) if name in COMPUTED else stated_answer(profile, name)
    return Question(name, amount, days, answer, TABLES["questions"][name]["kind"])


def computed(profile: Profile, name: str, amount: float, days: int) -> float:
    """Return the right answer to one of the ``COMPUTED`` questions about ``amount`` and ``days``."""
    if name == "cost_of_days":
        return interest(amount, profile.monthly_rate, days)
    return monthly_payment(amount, profile.monthly_rate, days // 30)


def question_text(question: Question) -> str:
    """Return the question in plain words."""
    text: str = TABLES["questions"][question.name]["text"]
    return text.format(amount=money(question.amount), days=question.days, months=question.days // 30)


def stated_answer(profile: Profile, name: str) -> str | float:
    """Return the answer to question ``name`` that stands in the profile: one of ``STATED``, or ``eligible``."""
    if name == "eligible":
        return "yes" if profile.eligible else "no"
    return float(getattr(profile, STATED[name]))
