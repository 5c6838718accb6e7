"""An invented city in MultiWOZ's schema, about the size of the published one, for use without any data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from personas.packaged import packaged_toml
from td_gym.draws import Stream
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.schema import WEEK, clock

_EVENING = 19 * 60

Row = dict[str, str]


@lru_cache(maxsize=8)
def synthetic_database(seed: int = 0) -> Database:
    """Return the city of ``seed``: the same seed is always the same city, and built once.

    Some foods may be asked for that nobody serves.
    """
    words = packaged_toml(__package__, "synthetic.toml")
    draws = Stream(seed, "city")
    phones, postcodes = _phones(draws, words), _postcodes(draws, words)
    venues = {
        domain: [
            {**row, "address": _address(draws, words), "phone": next(phones), "postcode": next(postcodes)}
            for row in _venues(draws, words, domain, look)
        ]
        for domain, look in (("restaurant", _restaurant), ("hotel", _hotel), ("attraction", _attraction))
    }
    hospital = {"address": f"{words['hospital']['name']}, {_address(draws, words)}", "postcode": next(postcodes)}
    tables = {
        **venues,
        "train": list(_trains(draws, words)),
        "hospital": [
            {"department": name, "phone": next(phones), **hospital} for name in words["hospital"]["departments"]
        ],
        "police": [
            {"name": name, "address": _address(draws, words), "phone": next(phones), "postcode": next(postcodes)}
            for name in words["police"]["names"]
        ],
    }
    fleet = [words["taxi"]["colour"], words["taxi"]["make"]]
    return Database(tables, fleet, {("restaurant", "food"): words["restaurant"]["asked"]})


def _unlike(draw: Callable[[], str]) -> Iterator[str]:
    """Yield what ``draw`` returns, none of it twice."""
    seen: set[str] = set()
    while True:
        value = draw()
        if value not in seen:
            seen.add(value)
            yield value


def _phones(draws: Stream, words: Mapping[str, Any]) -> Iterator[str]:
    return _unlike(lambda: f"{words['phone']}{draws.integer(0, 10**7):07d}")


def _postcodes(draws: Stream, words: Mapping[str, Any]) -> Iterator[str]:
    letters = "abdefghjlnpqrstuwxyz"
    return _unlike(
        lambda: (
            f"{words['postcode']}{draws.integer(1, 10)}{draws.integer(1, 10)}"
            f"{draws.choice(letters)}{draws.choice(letters)}"
        )
    )


def _address(draws: Stream, words: Mapping[str, Any]) -> str:
    street = words["streets"]
    return f"{draws.integer(1, 160)} {draws.choice(street['first'])} {draws.choice(street['last'])}"


def _venues(
    draws: Stream, words: Mapping[str, Any], domain: str, look: Callable[[Stream, Mapping[str, Any]], Row]
) -> Iterator[Row]:
    """Yield the venues of ``domain`` as ``look`` draws them, each with its own name."""
    names: set[str] = set()
    while len(names) < words["counts"][domain]:
        row = look(draws, words[domain])
        if row["name"] not in names:
            names.add(row["name"])
            yield {**row, "area": draws.weighted_key(words["areas"][domain])}


def _restaurant(draws: Stream, words: Mapping[str, Any]) -> Row:
    return {
        "name": f"the {draws.choice(words['first'])} {draws.choice(words['last'])}",
        "food": draws.weighted_key(words["food"]),
        "pricerange": draws.weighted_key(words["pricerange"]),
    }


def _hotel(draws: Stream, words: Mapping[str, Any]) -> Row:
    kind = draws.weighted_key(words["type"])
    return {
        "name": f"{draws.choice(words['first'])} {draws.choice(words[kind])}",
        "type": kind,
        "pricerange": draws.weighted_key(words["pricerange"]),
        "stars": draws.weighted_key(words["stars"]),
        "internet": _yes(draws, words["internet"]),
        "parking": _yes(draws, words["parking"]),
    }


def _attraction(draws: Stream, words: Mapping[str, Any]) -> Row:
    kind = draws.weighted_key(words["type"])
    return {
        "name": f"{draws.choice(words['first'])} {draws.choice(words['last'][kind])}",
        "type": kind,
        "entrancefee": draws.weighted_key(words["entrancefee"]),
        "openhours": draws.weighted_key(words["openhours"]),
    }


def _yes(draws: Stream, share: float) -> str:
    return "yes" if draws.uniform() < share else "no"


def _trains(draws: Stream, words: Mapping[str, Any]) -> Iterator[Row]:
    """Yield every train of the week, both ways between the city and each town."""
    city, table = words["city"], words["train"]
    numbers = _unlike(lambda: f"tr{draws.integer(0, 10**4):04d}")
    hour, minute = table["first"]
    for town, (duration, pence, every) in table["towns"].items():
        for departure, destination in ((city, town), (town, city)):
            first = 60 * hour + minute + draws.integer(0, 60)
            for day in WEEK:
                for leave in range(first, 60 * table["last"], every):
                    share = table["weekend"] if day in WEEK[5:] else table["evening"] if leave >= _EVENING else 1.0
                    yield {
                        "trainid": next(numbers),
                        "departure": departure,
                        "destination": destination,
                        "day": day,
                        "leaveat": clock(leave),
                        "arriveby": clock(leave + duration),
                        "duration": f"{duration} minutes",
                        "price": f"{pence * share / 100:.2f} pounds",
                    }
