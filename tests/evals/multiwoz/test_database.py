from __future__ import annotations

import pytest

from evals.multiwoz.database import close
from evals.multiwoz.normalise import Value
from tests.evals.multiwoz.world import TOWN

# The ratio of two texts is twice the letters kept over all letters; the shorter is laid on a stretch of the longer.
CLOSE = {
    "the same": ("nandos", "nandos", True),
    "one inside the other": ("pizza hut", "pizza hut city centre", True),
    "one letter more": ("cambridge", "cambridges", True),
    "one letter changed of ten, 18 of 20": ("broxbourne", "broxbourns", True),
    "one letter changed of nine, 16 of 18 is 88.9": ("cambridge", "cambridgs", False),
    "two of 19 changed is 89.47": ("abcdefghijklmnopqrs", "ab-defghijklmn-pqrs", False),
    "three of 29 changed is 89.66, rounded 90": (
        "abcdefghijklmnopqrstuvwxyz123",
        "ab-defghijklmn-pqrstuvw-yz123",
        True,
    ),
    "nothing said": ("nandos", "", False),
    # "anish" at the end of "spanish" would match "danish" with 10 letters of 11, but no stretch is shorter than it.
    "only the best of all stretches is close": ("spanish", "danish", False),
}


@pytest.mark.parametrize(("own", "wished", "expected"), CLOSE.values(), ids=CLOSE)
def test_close_is_a_partial_ratio_of_90(own: str, wished: str, expected: bool) -> None:
    assert close(own, wished) is expected


SEARCHES: dict[str, tuple[str, dict[str, Value], set[str]]] = {
    "no wish": ("restaurant", {}, {"r1", "r2", "r3"}),
    "all wishes hold": ("restaurant", {"area": "centre", "food": "spanish"}, {"r2"}),
    "names are fuzzy": ("restaurant", {"name": "curry gardens"}, {"r3"}),
    "food is fuzzy": ("restaurant", {"food": "italian food"}, {"r1"}),
    "areas are not": ("restaurant", {"area": "centre of town"}, set()),
    "other spelling of a name": ("hotel", {"name": "Acorn House"}, {"h1"}),
    "stars are not fuzzy": ("hotel", {"stars": "40"}, set()),
    "free parking is parking": ("hotel", {"parking": "free"}, {"h1"}),
    "any value": ("hotel", {"area": "dontcare", "stars": "not mentioned", "parking": "do n't care"}, {"h1", "h2"}),
    "nothing said of a slot": ("hotel", {"area": None}, {"h1", "h2"}),
    "a number is no text": ("hotel", {"stars": 4}, set()),
    "no such column": ("hotel", {"people": "3"}, {"h1", "h2"}),
    "columns that are not searched": ("restaurant", {"signature": "x", "introduction": "x"}, {"r1", "r2", "r3"}),
    "a row without the column": ("restaurant", {"phone": "2"}, {"r2", "r3"}),
    "what the table does not know": ("attraction", {"entrancefee": "5 pounds"}, {"a1"}),
    "types in two words": ("attraction", {"type": "night club"}, {"a1"}),
    "arrive by": ("train", {"arrive": "11:20"}, {"TR1", "TR2"}),
    "leave after": ("train", {"leave": "09:01"}, {"TR2", "TR3"}),
    "stations are fuzzy": ("train", {"destination": "london kings crosss", "departure": "cambridge"}, {"TR3"}),
    "no time: nothing arrives by then": ("train", {"arrive": "soon"}, set()),
    "no time: everything leaves after": ("train", {"leave": "soon"}, {"TR1", "TR2", "TR3"}),
}


@pytest.mark.parametrize(("domain", "wishes", "expected"), SEARCHES.values(), ids=SEARCHES)
def test_search(domain: str, wishes: dict[str, Value], expected: set[str]) -> None:
    assert TOWN.search(domain, wishes) == expected
