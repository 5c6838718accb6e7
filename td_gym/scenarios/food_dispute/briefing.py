"""What each seat knows before the first word, and how the service side reads it back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from td_gym.protocol import Messages
from td_gym.scenarios.food_dispute.orders import Case, amount_owed, clock, menu
from td_gym.scenarios.wording import counted

ROLE = """You are a customer service agent of FoodDeliver, a food delivery platform, in a text chat with a customer \
about a delivered order.

Rules
- Find out what went wrong, ask for evidence where it helps, judge from the facts below where the fault lies, \
then resolve or explain, and close politely.
- You cannot refund, replace or redeliver, and nobody will contact the customer after this chat: promise neither.
- A voucher is the only compensation. It is at your discretion, at most one per conversation, and the desk's budget \
allows it in about 30 of 100 conversations. What you say and what you do must agree.
- Blame the restaurant or the courier only where the facts bear it out.
- Write like a person{disclosure}
- Write one to three plain sentences.
"""
_LINE = re.compile(r"^- (\d+) x (.+), (\d+\.\d\d) each$", re.MULTILINE)
_TIMES = re.compile(r"^Promised for (\d\d:\d\d), delivered at (\d\d:\d\d) \((\d+) minutes? late\)\.$", re.MULTILINE)
_RESTAURANT = re.compile(r"^Restaurant: (.+)$", re.MULTILINE)
_CASE = re.compile(r"^CASE\n(.+); (\d+) minutes? late; report: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Facts:
    """The order's facts as the service seat can read them."""

    items: tuple[tuple[str, int, float], ...]
    """Name, quantity, price of one."""
    restaurant: str
    promised: str
    delivered: str
    minutes_late: int
    report: str
    """``restaurant``, ``courier`` or ``none``."""
    issue: str


def service_briefing(case: Case, rules: str) -> str:
    """Return the service seat's system message: rules, tools, order, and a one-line summary."""
    order = case.order
    issue = menu()["issues"][order.issue]
    lines = [f"- {item.quantity} x {item.name}, {item.price:.2f} each" for item in order.items]
    share = "the full price" if issue["owed"] == 1.0 else "half the price"
    reporter = {"merchant": "restaurant", "courier": "courier"}.get(order.report, "none")
    chat = ["Courier chat:", *(f"  {line}" for line in order.chat)] if order.chat else ["Courier chat: none."]
    report = menu()["reports"].get(order.report, "none")
    late = counted(order.minutes_late, "minute")
    return "\n".join(
        [
            rules,
            "",
            f"ORDER {order.id}",
            f"Restaurant: {order.restaurant}",
            *lines,
            f"Total: {order.total:.2f} {menu()['currency']}",
            f"Ordered at {clock(order.ordered)}.",
            f"Promised for {clock(order.promised)}, delivered at {clock(order.delivered)} ({late} late).",
            *chat,
            f"Abnormality reports: {report}.",
            f"A voucher for this kind of complaint is worth {share} of one piece of the dish complained about.",
            "",
            "CASE",
            f"{issue['label']}; {late} late; report: {reporter}",
        ]
    )


def customer_briefing(case: Case) -> str:
    """Return the customer seat's system message: the persona card and what happened."""
    order = case.order
    truth = (
        "Nothing was wrong with it; you hope to get something anyway."
        if order.fault == "customer"
        else f"What was wrong: {menu()['issues'][order.issue]['label']}."
    )
    photo = "You have a photo you can send (say so in words)." if case.has_photo else "You have no photo."
    return (
        f"{case.persona.card()}\n\nYou ordered {', '.join(f'{i.quantity} x {i.name}' for i in order.items)} from "
        f"{order.restaurant} and complain about the {order.item.name}. {truth} {photo}"
    )


@lru_cache(maxsize=2048)
def read_facts(briefing: str) -> Facts | None:
    """Read the facts back from a service briefing; ``None`` when the text is no such briefing."""
    case, times, restaurant = _CASE.search(briefing), _TIMES.search(briefing), _RESTAURANT.search(briefing)
    if case is None or times is None or restaurant is None:
        return None
    labels = {spec["label"]: name for name, spec in menu()["issues"].items()}
    items = tuple((m[2], int(m[1]), float(m[3])) for m in _LINE.finditer(briefing))
    return Facts(items, restaurant[1], times[1], times[2], int(times[3]), case[3], labels.get(case[1], "other"))


def slot_values(messages: Messages) -> dict[str, str]:
    """Return the values of the service language's slots from what the service seat has read.

    ``[item]`` is the ordered dish the customer named last, or the first dish while it has named none.
    """
    facts = read_facts(messages[0]["content"]) if messages else None
    if facts is None:
        return {}
    said = " ".join(m["content"] for m in reversed(messages) if m["role"] == "user").lower()
    places = {item: said.find(item[0].lower()) for item in facts.items}
    named = [item for item, place in places.items() if place >= 0]
    name, _, price = min(named, key=places.__getitem__) if named else facts.items[0]
    return {
        "item": name,
        "restaurant": facts.restaurant,
        "promised": facts.promised,
        "delivered": facts.delivered,
        "minutes": counted(facts.minutes_late, "minute"),
        "amount": f"{amount_owed(facts.issue, price):.2f}",
        "reporter": facts.report if facts.report != "none" else "restaurant",
    }
