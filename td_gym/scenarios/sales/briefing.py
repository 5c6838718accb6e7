"""What each seat knows before the first word, and how the service side reads it back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from td_gym.protocol import Messages
from td_gym.scenarios.sales.credit import (
    MOST_MONEY,
    MOST_MONTHS,
    Profile,
    interest,
    money,
    monthly_payment,
    question_text,
)
from td_gym.scenarios.sales.figures import figures
from td_gym.scenarios.sales.offers import Case
from td_gym.scenarios.wording import counted

ROLE = """You are an agent of the lender CrediLine, in a text chat with a customer whom you contact, unasked, \
to offer a consumer instalment credit.

Rules
- Say who you are and that this is a sales call about a credit, and name the interest and the fee, before you ask \
for an order. Find out what the customer needs, present the credit, answer questions exactly from the figures below, \
meet objections, ask for the order, and close politely.
- Interest is simple: amount x monthly rate x days / 30. A monthly payment is amount / months + amount x monthly \
rate. Both are rounded half up to cents, and contain neither the fee nor the coupon.
- The coupon takes its value off the interest. It is at your discretion, at most one per conversation, and the \
desk's budget allows it in about 20 of 100 conversations. Book it with the tool when you offer it in words.
- Confirm an order only after the customer has clearly agreed to it.
- A customer who is not eligible today gets no credit: say so, offer nothing, and part politely.
- Never guarantee approval, never hide the fee or the interest, and never press a customer who has clearly refused.
- Talk like a person{disclosure}
- Write one to three plain sentences, and do not repeat yourself.
"""
_CURRENCY = "USD"
_NUMBER = r"\d+(?:\.\d+)?"
_READ = re.compile(
    rf"""^CUSTOMER\ (?P<name>.+)$\n
    ^Phone\ number\ ends\ in\ (?P<phone_tail>\d{{4}})\.\ With\ CrediLine\ for\ (?P<months_customer>\d+)\ months?;
    \ earlier\ credits:\ (?P<loans_before>\d+)\.$\n
    ^Eligible\ today:\ (?P<eligible>yes|no)\.$\n\n
    ^CREDIT$\n
    ^Limit:\ (?P<limit>{_NUMBER})\ {_CURRENCY}$\n
    ^Interest:\ (?P<rate>{_NUMBER})\ percent\ a\ month$\n
    ^Fee:\ (?P<fee>{_NUMBER})\ {_CURRENCY},\ once$\n
    ^Coupon:\ (?P<coupon>{_NUMBER})\ {_CURRENCY}\ off\ the\ interest,
    \ valid\ for\ (?P<coupon_days>\d+)\ days?$\n
    ^Proposal:\ (?P<amount>{_NUMBER})\ {_CURRENCY}\ over\ (?P<months>\d+)\ months?,""",
    re.MULTILINE | re.VERBOSE,
)
_DAYS_OF_COST = 30
"""Days for which ``[cost]`` is computed while the customer has named none."""
_NO_AMOUNT = ("monthly_payment", "fee", "coupon_value")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the service seat can read about the customer and the credit."""

    name: str
    profile: Profile

    @property
    def eligible(self) -> bool:
        """Whether the customer meets the lender's conditions today."""
        return self.profile.eligible


def service_briefing(case: Case, rules: str) -> str:
    """Return the service seat's system message: rules, tools, customer, credit, and a one-line summary."""
    profile, eligible = case.profile, "yes" if case.profile.eligible else "no"
    return f"""{rules}

CUSTOMER {case.persona.identity.name}
Phone number ends in {profile.phone_tail}. With CrediLine for {counted(profile.months_customer, "month")}; \
earlier credits: {profile.loans_before}.
Eligible today: {eligible}.

CREDIT
Limit: {profile.credit_limit:.2f} {_CURRENCY}
Interest: {profile.monthly_rate} percent a month
Fee: {profile.fee:.2f} {_CURRENCY}, once
Coupon: {profile.coupon:.2f} {_CURRENCY} off the interest, valid for {counted(profile.coupon_days, "day")}
Proposal: {profile.amount:.2f} {_CURRENCY} over {counted(profile.months, "month")}, {profile.payment:.2f} \
{_CURRENCY} a month

CASE
limit {profile.credit_limit:.0f}; rate {profile.monthly_rate}; fee {profile.fee:.0f}; coupon {profile.coupon:.0f}; \
eligible {eligible}"""


def customer_briefing(case: Case) -> str:
    """Return the customer seat's system message: the persona card, the matter, and what it wants to know."""
    asked = "".join(f"\n- {question_text(question)}" for question in case.questions)
    questions = f"What you want to know before you decide:{asked}" if asked else "You have no questions yourself."
    return (
        f"{case.persona.card()}\n\nYou know nothing about the offer but what the caller tells you. You can only pay "
        "what fits your monthly budget. A coupon would take money off the interest. Once you are told that you are not "
        f"eligible, you take your leave. The X of your end mark is from 1 to 5, decimals allowed. {questions}"
    )


@lru_cache(maxsize=2048)
def read_facts(briefing: str) -> Facts | None:
    """Read the facts back from a service briefing; ``None`` when the text is no such briefing."""
    match = _READ.search(briefing)
    if match is None:
        return None
    profile = Profile(
        credit_limit=float(match["limit"]),
        monthly_rate=float(match["rate"]),
        fee=float(match["fee"]),
        coupon=float(match["coupon"]),
        coupon_days=int(match["coupon_days"]),
        eligible=match["eligible"] == "yes",
        phone_tail=match["phone_tail"],
        months_customer=int(match["months_customer"]),
        loans_before=int(match["loans_before"]),
        amount=float(match["amount"]),
        months=int(match["months"]),
    )
    return Facts(match["name"], profile)


def heard(messages: Messages) -> list[str]:
    """Return what the customer has said, in order; a tool's result is not its words."""
    return [m["content"] for m in messages if m["role"] == "user" and not m["content"].startswith("<tool_result>")]


def slot_values(messages: Messages) -> dict[str, str]:
    """Return the values of the service language's slots from what the service seat has read.

    ``[cost]`` is the interest for the amount and days that the customer named last, and ``[payment]``,
    ``[amount]`` and ``[months]`` follow the amount and months it named last; the proposal and 30 days
    stand in while it has named none.
    """
    facts = read_facts(messages[0]["content"]) if messages else None
    if facts is None:
        return {}
    profile, said = facts.profile, heard(messages)
    cost_of, days = _asked(said, "days") or (profile.amount, _DAYS_OF_COST)
    amount, months = _asked(said, "months") or (profile.amount, profile.months)
    return {
        **_fixed_slots(facts),
        "amount": money(amount),
        "months": str(months),
        "payment": money(monthly_payment(amount, profile.monthly_rate, months)),
        "cost": money(interest(cost_of, profile.monthly_rate, days)),
        "days": str(days),
    }


@lru_cache(maxsize=2048)
def _fixed_slots(facts: Facts) -> Mapping[str, str]:
    profile = facts.profile
    return {
        "name": facts.name,
        "limit": money(profile.credit_limit),
        "rate": f"{profile.monthly_rate:g}",
        "fee": money(profile.fee),
        "coupon": money(profile.coupon),
        "expiry": counted(profile.coupon_days, "day"),
        "tail": profile.phone_tail,
        "eligible": "yes" if profile.eligible else "no",
    }


def _asked(said: Sequence[str], unit: str) -> tuple[float, int] | None:
    """Return the amount and the number of ``unit`` of the last message that names both, ``None`` for none."""
    return next(filter(None, (_amount_and_span(text, unit) for text in reversed(said))), None)


@lru_cache(maxsize=4096)
def _amount_and_span(text: str, unit: str) -> tuple[float, int] | None:
    stated = figures(text)
    named = [max(f.value, f.other) for f in stated if f.unit == "money" and f.label not in _NO_AMOUNT]
    amounts = [amount for amount in named if 1 <= amount <= MOST_MONEY]
    spans = [int(f.value) for f in stated if f.unit == unit and 1 <= f.value <= MOST_MONTHS]
    return (amounts[0], spans[0]) if amounts and spans else None
