"""Orders and cases: what was delivered, what went wrong, and where the fault really lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from personas.fds import FdsRow
from personas.packaged import packaged_toml
from personas.persona import Persona
from personas.splits import split_of_order
from td_gym.draws import Stream, mix


class Item(NamedTuple):
    """A line of an order; ``price`` is for one piece."""

    name: str
    quantity: int
    price: float


class Order(NamedTuple):
    """A delivered order as the service desk's system shows it.  Times are minutes after midnight."""

    id: str
    restaurant: str
    items: tuple[Item, ...]
    ordered: int
    promised: int
    delivered: int
    chat: tuple[str, ...]
    report: str
    """Who reported a problem to the desk: ``merchant``, ``courier`` or empty."""
    issue: str
    claimed: int
    """Index of the item the customer complains about."""
    fault: str
    """Where the fault really lies: ``merchant``, ``courier``, ``none`` or ``customer``."""

    @property
    def minutes_late(self) -> int:
        """Minutes between the promised and the actual delivery, 0 when on time."""
        return max(0, self.delivered - self.promised)

    @property
    def total(self) -> float:
        """Price of the whole order."""
        return round(sum(item.quantity * item.price for item in self.items), 2)

    @property
    def item(self) -> Item:
        """The item the customer complains about."""
        return self.items[self.claimed]

    @property
    def owed(self) -> float:
        """What a voucher for this complaint is worth, in money, to the nearest half."""
        return amount_owed(self.issue, self.item.price)

    def to_json(self) -> dict[str, Any]:
        """Return the order as plain data."""
        return {**self._asdict(), "items": [item._asdict() for item in self.items]}


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation's hidden truth: who complains about which order, and with what evidence."""

    persona: Persona
    order: Order
    has_photo: bool

    def to_json(self) -> dict[str, Any]:
        """Return the case as plain data, for ``debug=True`` and for recorders."""
        return {"persona": self.persona.to_json(), "order": self.order.to_json(), "has_photo": self.has_photo}


def menu() -> Mapping[str, Any]:
    """Return the table of restaurants, issues and chat lines (``orders.toml``)."""
    return packaged_toml(__package__, "orders.toml")


class _Shares(NamedTuple):
    """What to draw from, with what weights."""

    options: tuple[str, ...]
    weights: tuple[float, ...]


Priced = tuple[tuple[str, float], ...]


class _Lottery(NamedTuple):
    """The tables of ``menu`` in the form one draws from."""

    restaurants: tuple[tuple[str, Priced], ...]
    drinks: Priced
    issues: _Shares
    faults: Mapping[str, _Shares]


@lru_cache(maxsize=1)
def _lottery() -> _Lottery:
    table = menu()
    issues = table["issues"]
    return _Lottery(
        tuple((restaurant["name"], tuple(restaurant["menu"].items())) for restaurant in table["restaurants"]),
        tuple(table["drinks"].items()),
        _Shares(tuple(issues), tuple(spec["share"] for spec in issues.values())),
        {name: _Shares(tuple(spec["fault"]), tuple(spec["fault"].values())) for name, spec in issues.items()},
    )


def amount_owed(issue: str, price: float) -> float:
    """Return what a voucher is worth for ``issue`` with an item of this price, to the nearest half."""
    share: float = menu()["issues"][issue]["owed"]
    return round(share * price * 2) / 2


def clock(minutes: int) -> str:
    """Return minutes after midnight as ``HH:MM``."""
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def order_id(number: int) -> str:
    """Return the id of synthetic order ``number``."""
    return f"FD{number:08X}"


def draw_case(seed: int, split: str, persona: Persona) -> Case:
    """Draw the order of conversation ``seed`` in ``split`` and what the customer can show for it."""
    draws = Stream(seed, f"order/{split}")
    photo = draws.uniform()
    while split_of_order(order_id(number := draws.integer(0, 1 << 32))) != split:
        pass
    order = _with_persona(generate_order(number), persona)
    return Case(persona, order, _has_photo(photo, order, persona))


def generate_order(number: int) -> Order:
    """Return synthetic order ``number``; the same number is always the same order."""
    lottery = _lottery()
    draws = Stream(number, "order")
    restaurant, dishes = draws.choice(lottery.restaurants)
    first = draws.integer(0, len(dishes))
    picked = [dishes[first]]
    if draws.uniform() < 0.55:
        picked.append(dishes[(first + draws.integer(1, len(dishes))) % len(dishes)])
    if draws.uniform() < 0.5:
        picked.append(draws.choice(lottery.drinks))
    items = tuple([Item(name, 2 if draws.uniform() < 0.2 else 1, price) for name, price in picked])
    return _deliver(draws, order_id(number), restaurant, items, draws.weighted(*lottery.issues))


def order_of_row(row: FdsRow) -> Order:
    """Return the order of a published FDS row.

    The published rows name no prices, times or fault; those are drawn here, keyed by the order id,
    so that a row is always the same case.
    """
    draws = Stream(mix(0, row.order_id), "order")
    items = tuple(Item(name, quantity, 5.0 + draws.integer(0, 80) / 2) for name, quantity in row.items)
    items = items or (Item("Meal", 1, 25.0),)
    issue = row.issue if row.issue in menu()["issues"] else "other"
    chat = tuple(f"{speaker.title()}: {text}" for speaker, text in row.courier_chat)
    return _deliver(draws, row.order_id, row.merchant, items, issue, chat, reported=row.abnormal_report)


def case_of_row(row: FdsRow) -> Case:
    """Return the case of a published FDS row."""
    order = _with_persona(order_of_row(row), row.persona)
    return Case(row.persona, order, _has_photo(Stream(0, f"photo/{row.order_id}").uniform(), order, row.persona))


def _deliver(
    draws: Stream,
    order_id: str,
    restaurant: str,
    items: tuple[Item, ...],
    issue: str,
    chat: tuple[str, ...] | None = None,
    reported: bool | None = None,
) -> Order:
    table = menu()
    fault = draws.weighted(*_lottery().faults[issue])
    late_courier = fault == "courier" and issue == "cold"
    late = draws.integer(15, 50) if late_courier else draws.integer(-8, 7)
    if chat is None:
        pool = table["chat"]["late"] if late_courier else table["chat"]["lines"]
        chat = tuple(draws.choice(pool))
    if reported is None:
        reported = fault != "none" and draws.uniform() < 0.35
    ordered = 11 * 60 + draws.integer(0, 11 * 60)
    promised = ordered + draws.integer(30, 50)
    report = (fault if fault in table["reports"] else "merchant") if reported else ""
    dishes = [i for i, item in enumerate(items) if not _is_extra(item)] or [0]
    claimed = draws.choice(dishes)
    return Order(order_id, restaurant, items, ordered, promised, promised + late, chat, report, issue, claimed, fault)


def _is_extra(item: Item) -> bool:
    return item.name in menu()["drinks"] or item.name.lower() == "processing fee"


def _with_persona(order: Order, persona: Persona) -> Order:
    """A dishonest customer complains about an order with which nothing was wrong."""
    if persona.honesty != "dishonest":
        return order
    return order._replace(delivered=order.promised - order.minutes_late % 5, report="", fault="customer")


def _has_photo(draw: float, order: Order, persona: Persona) -> bool:
    if persona.honesty == "dishonest":
        return draw < 0.1
    return draw < (0.9 if order.fault != "none" else 0.6)
