from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import capwords

import pytest

from evals.multiwoz.delexicalise import Delexicaliser
from td_gym.scenarios.multiwoz.answers import Answer
from td_gym.scenarios.multiwoz.database import Database, Entity
from td_gym.scenarios.multiwoz.files import load_database
from td_gym.scenarios.multiwoz.schema import UNKNOWN
from td_gym.scenarios.multiwoz.synthetic import synthetic_database
from td_gym.scenarios.scripted import wordings
from td_gym.slots import SLOT

CITY = synthetic_database()
WORDINGS = wordings("td_gym.scenarios.multiwoz")
VALUES = {
    **{slot: f"value_{slot}" for slot in ("area", "food", "pricerange", "type", "stars", "day", "price", "duration")},
    **dict.fromkeys(("departure", "destination"), "value_place"),
    **dict.fromkeys(("leaveat", "arriveby"), "value_time"),
    "openhours": "openhours",
    "entrancefee": "value_price",
    "trainid": "train_id",
}


def sentences(domain: str, row: Entity) -> Iterator[tuple[str, str]]:
    """Yield what the rule agent says of a row, and what that is with placeholders."""
    written = {
        slot: value.upper() if slot in ("trainid", "postcode") else capwords(value) for slot, value in row.items()
    }
    for act in (f"offer_{domain}", *(f"inform_{slot}" for slot in row)):
        for wording in WORDINGS.get(act, ()):
            slots = [slot[0][1:-1] for slot in SLOT.finditer(wording)]
            if all(row.get(slot, UNKNOWN) != UNKNOWN and row[slot] != "free" for slot in slots):
                yield (
                    SLOT.sub(lambda slot: written[slot[0][1:-1]], wording),
                    SLOT.sub(
                        lambda slot: f"[{VALUES.get(slot[0][1:-1], f'{domain}_{slot[0][1:-1]}')}]", wording
                    ).lower(),
                )


def wrong(database: Database) -> Iterator[tuple[str, str]]:
    for domain, rows in database.tables.items():
        for row in rows[:200]:
            delexicaliser = Delexicaliser(database)
            delexicaliser.read(Answer("query", domain, count=1, entity={s: v for s, v in row.items() if v != UNKNOWN}))
            for said, expected in sentences(domain, row):
                if (got := delexicaliser.put(said, domain).text) != expected:
                    yield expected, got


def test_whatever_the_rule_agent_says_of_a_row_gets_its_placeholders() -> None:
    assert sum(1 for domain, rows in CITY.tables.items() for row in rows[:5] for _ in sentences(domain, row)) > 300
    assert list(wrong(CITY)) == []


def test_so_it_is_with_the_published_tables(shared_data: Path) -> None:
    if not (shared_data / "multiwoz").is_dir():
        pytest.skip(f"no MultiWOZ data in {shared_data}")
    assert list(wrong(load_database(shared_data / "multiwoz"))) == []


HOTEL, OTHER = CITY.tables["hotel"][:2]
RESTAURANT = CITY.tables["restaurant"][0]


def hotel_found() -> Delexicaliser:
    """A conversation in which one hotel was found, another named beside it, and a restaurant and a taxi booked."""
    delexicaliser = Delexicaliser(CITY)
    delexicaliser.read(Answer("query", "hotel", count=7, entity=HOTEL, others=(OTHER["name"],)))
    delexicaliser.read(
        Answer("book", "restaurant", entity={"ref": "A1B2C3D4", "name": RESTAURANT["name"], "people": "4"})
    )
    delexicaliser.read(Answer("book", "taxi", entity={"type": "red tesla", "phone": "07123456789", "leaveat": "17:00"}))
    return delexicaliser


HELD = hotel_found()
SAID = {
    "facts of their domains": (
        f"{capwords(HOTEL['name'])}, {HOTEL['address']}: call {HOTEL['phone']}.",
        "[hotel_name], [hotel_address]: call [hotel_phone].",
        ("hotel",),
    ),
    "the names of the next": (f"Or {OTHER['name']}?", "or [hotel_name]?", ("hotel",)),
    "two domains": (
        f"Your table at {RESTAURANT['name']} is a1b2c3d4, and {HOTEL['name']} is near.",
        "your table at [restaurant_name] is [restaurant_reference], and [hotel_name] is near.",
        ("restaurant", "hotel"),
    ),
    "a taxi": ("A red Tesla, 07123456789.", "a [taxi_type], [taxi_phone].", ("taxi",)),
    "patterns": (
        "At 5:15 pm for 12.50 pounds, 4 stars, 2 nights, on Monday; it takes 50 minutes.",
        "at [value_time] for [value_price], [value_stars] stars, [value_stay] nights, on [value_day]; "
        "it takes [value_duration].",
        (),
    ),
    "counts in figures": (
        "There are 7 of them, and one is cheap.",
        "there are [value_count] of them, and one is [value_pricerange].",
        (),
    ),
    "what was made up stays": (
        f"{capwords(CITY.tables['restaurant'][1]['name'])} is on 01223999999 under ZZZZ9999.",
        f"{CITY.tables['restaurant'][1]['name']} is on 01223999999 under zzzz9999.",
        (),
    ),
    "slots that were never filled": ("It is [ref], at [name].", "it is ref, at name.", ()),
    "a number within another": (f"Call {HOTEL['phone']}9.", f"call {HOTEL['phone']}9.", ()),
    "nothing": ("", "", ()),
}


@pytest.mark.parametrize(("said", "text", "domains"), SAID.values(), ids=SAID)
def test_replies(said: str, text: str, domains: tuple[str, ...]) -> None:
    assert HELD.put(said, "hotel") == (text, domains)


def test_nothing_was_answered_so_nothing_is_offered() -> None:
    said = f"{capwords(HOTEL['name'])}, {HOTEL['phone']}."
    assert Delexicaliser(CITY).put(said, "hotel").domains == ()


def test_ends_of_a_ride_are_not_offered() -> None:
    said = f"A taxi from {capwords(HOTEL['name'])} to {capwords(RESTAURANT['name'])}."
    assert HELD.put(said, "taxi") == ("a taxi from [value_place] to [value_place].", ())
    assert HELD.put(said, "hotel").domains == ("hotel", "restaurant")


def test_what_two_domains_have_is_told_of_the_topic_else_of_the_latest() -> None:
    delexicaliser = Delexicaliser(CITY)
    for domain in ("hotel", "restaurant"):
        delexicaliser.read(Answer("query", domain, count=1, entity={"postcode": "cb11aa"}))
    assert delexicaliser.put("CB11AA", "hotel").text == "[hotel_postcode]"
    assert delexicaliser.put("CB11AA", "train").text == "[restaurant_postcode]"
    delexicaliser.read(Answer("query", "hotel", count=1, entity={"postcode": "cb11aa"}))
    assert delexicaliser.put("CB11AA", "train").text == "[hotel_postcode]"


def test_every_placeholder_has_a_class() -> None:
    normalise = pytest.importorskip("evals.multiwoz.normalise", reason='needs pip install "td-gym[evals]"')
    texts = [
        expected for domain, rows in CITY.tables.items() for row in rows[:5] for _, expected in sentences(domain, row)
    ]
    texts += [text for _, text, _ in SAID.values()]
    assert [name for text in texts for name in normalise.unknown_placeholders(text)] == []
