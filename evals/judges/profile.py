"""Does the agent state the credit's figures as its briefing has them, and answer what it is asked about them?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from evals.dialogue import Dialogue, DialogueTurn
from evals.judges.credit import CreditFacts, read_credit
from evals.judges.lexicon import load
from evals.judges.numbers import Number, numbers, plain
from evals.judges.reading import clauses, sentences
from evals.judges.rubric import exchanges

_CENT = 0.0051
_ROUGHLY = 0.02
_NEAR = 80
"""How many letters away from a number a word can still tell what it is."""
_SUMS = ("fee", "coupon", "payment", "interest", "total", "limit", "amount")
"""What a sum of money can be said to be, the more telling first."""
_ASKABLE = ("expiry", "coupon", "eligible", "fee", "limit", "rate", "payment", "interest")


class Statement(NamedTuple):
    """A figure that the agent stated, or yes or no as 1 or 0: what it is said to be, and whether it is right."""

    kind: str
    """``rate``, ``annual``, ``expiry``, ``eligible`` or one of the sums."""
    value: float
    right: bool


@dataclass(frozen=True, slots=True)
class _Named:
    """The amounts and the numbers of days that a text names."""

    amounts: tuple[float, ...] = ()
    days: tuple[float, ...] = ()

    def or_else(self, other: _Named) -> _Named:
        """Return these, each list from ``other`` where it is empty."""
        return _Named(self.amounts or other.amounts, self.days or other.days)


def profile_accuracy(dialogue: Dialogue) -> float:
    """Return right statements / (different statements + profile questions passed over), 0..1; NaN where neither is."""
    made = set(statements(dialogue))
    count = len(made) + len(passed_over(dialogue))
    return sum(statement.right for statement in made) / count if count else math.nan


def statements(dialogue: Dialogue) -> list[Statement]:
    """Return every statement of the agent about rate, fee, limit, coupon, cost and eligibility."""
    facts = read_credit(dialogue.briefing)
    coupons = frozenset({facts.coupon, *_booked(dialogue.service_turns, facts)})
    found: list[Statement] = []
    heard = ""
    known = _Named((facts.amount,), (30 * facts.months, 30))
    for turn in dialogue.turns:
        if turn.seat == "customer":
            heard = plain(turn.shown)
            named = _named(heard)
            known = _Named(known.amounts + named.amounts, known.days + named.days)
        elif turn.seat == "service":
            found += _Reader(facts, coupons, heard, known).read(turn.shown)
    return found


def passed_over(dialogue: Dialogue) -> list[str]:
    """Return what each question is about that the agent's next message does not answer, rightly or wrongly."""
    facts = read_credit(dialogue.briefing)
    missed: list[str] = []
    for heard, reply in exchanges(dialogue):
        heard = plain(heard)
        given = {statement.kind for statement in _Reader(facts, frozenset(), heard, _Named()).read(reply)}
        missed += sorted(_asked(heard) - given)
    return missed


def denied_costs(sentence: str) -> tuple[str, ...]:
    """Return which of ``fee`` and ``rate`` a ``plain`` sentence says there is none of."""
    table = load("sales")
    if table["costs_named"].search(sentence):
        return ()
    return tuple(kind for kind in ("fee", "rate") if table[f"hides_{kind}"].search(sentence))


def asked_part(sentence: str) -> str:
    """Return which part of the profile a ``plain`` sentence asks about, the first that fits; empty for none."""
    if not sentence.endswith("?"):
        return ""
    return next((kind for kind in _ASKABLE if load("sales")[f"asks_{kind}"].search(sentence)), "")


def _booked(turns: Iterable[DialogueTurn], facts: CreditFacts) -> Iterator[float]:
    for turn in turns:
        if turn.action == "offer_coupon" and not turn.tool_message:
            with suppress(ValueError):  # a record by another hand
                yield facts.coupon * float(turn.arguments.get("percent", 100)) / 100


def _asked(heard: str) -> frozenset[str]:
    """Return which parts of the profile ``heard`` asks about, one a question; a cost only with its sum and time."""
    asked = set()
    for sentence in sentences(heard):
        kind = asked_part(sentence)
        complete = kind != "interest" or all((_named(sentence).amounts, _named(sentence).days))
        asked |= {kind} if kind and complete else set()
    return frozenset(asked)


def _named(text: str) -> _Named:
    """Return the amounts and durations in ``text``; a sum a month is a budget and no amount."""
    monthly = load("sales")["payment_after"]
    found = numbers(text)
    amounts = [each.value for each in found if each.unit == "money" and not monthly.match(text[each.end :])]
    days = [each.value * (30 if each.unit == "months" else 1) for each in found if each.unit in ("days", "months")]
    return _Named(tuple(amounts), tuple(days))


def _beside(number: Number, clause: str) -> tuple[str, str]:
    """Return what stands near ``number`` before and after it."""
    return clause[max(0, number.start - _NEAR) : number.start], clause[number.end : number.end + _NEAR]


def _said_beside(before: str, after: str) -> str:
    """Return which of the sums the words right after or right before a number say it is, empty for none."""
    return next((kind for kind in _SUMS if load("sales")[f"{kind}_after"].match(after)), "") or _said_before(before)


def _said_before(before: str) -> str:
    return next((kind for kind in _SUMS if load("sales")[f"{kind}_before"].search(before)), "")


def _nearest(number: Number, clause: str) -> str:
    """Return the sum whose word is nearest to ``number`` in its clause; words before it come first."""
    before, after = _beside(number, clause)
    near = []
    for kind in _SUMS:
        pattern = load("sales")[kind]
        near += [(len(before) - match.end(), kind) for match in pattern.finditer(before)]
        near += [(_NEAR + match.start(), kind) for match in pattern.finditer(after)]
    return min(near)[1] if near else ""


def _carried(number: Number, earlier: str) -> str:
    """Return the sum of which the clause before speaks last, for money about which its own clause is silent."""
    end = len(earlier)
    return _nearest(Number(0.0, "", end, end), earlier) if number.unit == "money" else ""


def _agrees(said: float, value: float, before: str) -> bool:
    """Whether ``value`` is what was ``said``, roughly or as a bound where the words ``before`` it say so."""
    table = load("sales")
    if table["above_before"].search(before):
        return value > said - _CENT
    if table["below_before"].search(before):
        return value < said + _CENT
    return abs(said - value) <= (_ROUGHLY * said if table["roughly_before"].search(before) else _CENT)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one message of the agent against the facts and what the customer has said."""

    facts: CreditFacts
    coupons: frozenset[float]
    heard: str
    """The customer's last message, ``plain``."""
    known: _Named
    """What the customer has named so far, and the proposal."""

    def read(self, message: str) -> list[Statement]:
        """Return the statements of ``message``."""
        message = plain(message)
        named = self._amounts_named(message)
        found: list[Statement] = []
        for sentence in sentences(message):
            own = self._amounts_named(sentence).or_else(named)
            for before, clause in pairwise(("", *clauses(sentence))):
                found += self._figures(clause, before, sentence, own)
            found += self._eligible(sentence)
            for kind in denied_costs(sentence):
                found.append(Statement(kind, 0.0, kind == "fee" and self.facts.fee == 0))
        return found

    def _figures(self, clause: str, earlier: str, sentence: str, named: _Named) -> Iterator[Statement]:
        table = load("sales")
        question = sentence.endswith("?") and table["inverted"].search(sentence) is not None
        unstated = question or table["customer_plan"].search(sentence) is not None
        for number in numbers(clause):
            before, _ = _beside(number, clause)
            if table["denied_before"].search(before):
                continue
            kind = self._kind(number, clause, sentence) or _carried(number, earlier)
            if not kind or (unstated and kind in ("payment", "amount", "interest")):
                continue
            if kind == "amount":
                if number.value > self.facts.limit + _CENT:
                    yield Statement("limit", number.value, False)
                continue
            right = any(_agrees(number.value, value, before) for value in self._allowed(kind, named))
            yield Statement(kind, number.value, right)

    def _kind(self, number: Number, clause: str, sentence: str) -> str:
        """Return what ``number`` is said to be, empty where nothing tells."""
        table = load("sales")
        before, after = _beside(number, clause)
        if number.unit == "percent":
            if table["no_rate"].match(after) or table["coupon_before"].search(before):
                return ""
            yearly = table["annual"].search(clause) and not table["payment_after"].match(after)
            return "annual" if yearly else "rate"
        if number.unit in ("days", "months"):
            of_coupon = number.unit == "days" or table["coupon_named"].search(sentence)
            told = table["expires"].search(sentence) or (number.unit == "days" and self._only_asked() == "expiry")
            return "expiry" if told and of_coupon and not table["no_expiry"].search(sentence) else ""
        if number.unit == "money":
            asked = self._only_asked()
            return _said_beside(before, after) or _nearest(number, clause) or (asked if asked in _SUMS else "")
        if after[:1].isalnum() or (after.strip()[:1].isalpha() and not table["payment_after"].match(after)):
            return ""
        if table["rate_before"].search(before):
            return "rate"
        ends_in = before.endswith("in ")  # the digits that a phone number ends in
        return _said_before(before) or ("" if ends_in else self._only_asked())

    def _only_asked(self) -> str:
        asked = _asked(self.heard)
        return next(iter(asked)) if len(asked) == 1 else ""

    def _allowed(self, kind: str, named: _Named) -> Iterable[float]:
        """Return the values that are right for ``kind``, by the amounts and durations ``named`` or in question."""
        facts = self.facts
        if kind == "fee":
            return (facts.fee,)
        if kind == "rate":
            return (facts.rate,)
        if kind == "annual":
            return (12 * facts.rate, round(100 * ((1 + facts.rate / 100) ** 12 - 1), 1))
        if kind == "limit":
            return (facts.limit,)
        if kind == "coupon":
            return self.coupons
        if kind == "expiry":
            return (facts.coupon_days,)
        pairs = self._pairs(kind, named)
        if kind == "payment":
            return [facts.payment(amount, days / 30) for amount, days in pairs if days]
        interests = {(amount, facts.interest(amount, days)) for amount, days in pairs}
        if kind == "interest":
            return [interest - coupon for _, interest in interests for coupon in (0.0, *self.coupons)]
        return [
            part + interest + fee - coupon
            for amount, interest in interests
            for part in (0.0, amount)
            for fee in (0.0, facts.fee)
            for coupon in (0.0, *self.coupons)
        ]

    def _pairs(self, kind: str, named: _Named) -> list[tuple[float, float]]:
        """Return the (amount, days) for which a cost may be stated: those named, else asked about, else known."""
        asked = _named(self.heard) if kind in _asked(self.heard) else _Named()
        chosen = named.or_else(asked).or_else(self.known)
        return [(amount, days) for amount in chosen.amounts for days in chosen.days]

    def _amounts_named(self, text: str) -> _Named:
        """Return the amounts to borrow and the durations that ``text`` of the agent names."""
        amounts, days = [], []
        for clause in clauses(text):
            for number in numbers(clause):
                if number.unit == "money":
                    amounts += [number.value] * (_said_beside(*_beside(number, clause)) == "amount")
                elif number.unit in ("days", "months") and not self._kind(number, clause, text):
                    days.append(number.value * (30 if number.unit == "months" else 1))
        return _Named(tuple(amounts), tuple(days))

    def _eligible(self, sentence: str) -> Iterator[Statement]:
        table = load("sales")
        if sentence.endswith("?"):
            return
        refused = table["eligible_no"].search(sentence) is not None
        said = refused or table["eligible_yes"].search(sentence) is not None
        if said and not table["eligible_open"].search(sentence):
            yield Statement("eligible", float(not refused), self.facts.eligible is not refused)
        elif self._only_asked() == "eligible":
            if table["says_yes"].search(sentence):
                yield Statement("eligible", 1.0, self.facts.eligible)
            elif table["says_no"].search(sentence):
                yield Statement("eligible", 0.0, not self.facts.eligible)
