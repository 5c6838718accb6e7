"""What a service message says, on hand-labelled messages, and on real ones where the data is there."""

import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from td_gym.scenarios.multiwoz.acts import read_service
from td_gym.scenarios.multiwoz.database import Database
from td_gym.scenarios.multiwoz.schema import DOMAINS, Act, canonical_slot
from td_gym.scenarios.multiwoz.synthetic import synthetic_database
from tests.multiwoz.test_values import CITY


def read(text: str, topic: str = "restaurant") -> list[str]:
    return [" ".join(filter(None, act)) for act in read_service(text, CITY, topic)]


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        (
            "The Gardenia is a cheap Mediterranean place in the centre. Shall I book a table?",
            [
                "recommend restaurant name the gardenia",
                "inform restaurant pricerange cheap",
                "inform restaurant food mediterranean",
                "inform restaurant area centre",
                "offer_book restaurant",
            ],
        ),
        ("What part of town would you like?", ["request restaurant area ?"]),
        (
            "Any particular price range or type of food?",
            ["request restaurant food ?", "request restaurant pricerange ?"],
        ),
        (
            "I am sorry, there are no Italian restaurants in the west.",
            ["no_offer restaurant", "no_offer restaurant food italian", "no_offer restaurant area west"],
        ),
        (
            "There is nothing in the west, but I have the Gardenia.",
            ["no_offer restaurant", "no_offer restaurant area west", "recommend restaurant name the gardenia"],
        ),
        ("Would you prefer the north or the south?", ["select restaurant area north", "select restaurant area south"]),
        (
            "Booking was successful. Your reference number is 7VRFHBER.",
            ["booked restaurant", "booked restaurant ref 7VRFHBER"],
        ),
        (
            "I'm sorry, that time is not available. Could you try another day?",
            ["no_book restaurant", "request restaurant day ?"],
        ),
        (
            "Their phone number is 01223356354, postcode cb2 3ll.",
            ["inform restaurant phone 01223356354", "inform restaurant postcode cb23ll"],
        ),
        ("I do not have their phone number.", ["inform restaurant phone ?"]),
        ("Is there anything else I can help you with?", ["reqmore general"]),
        ("You are welcome. Have a nice day!", ["welcome general", "bye general"]),
        (
            "TR0001 leaves at 9:00 and arrives at 09:51. How many tickets?",
            [
                "recommend train trainid tr0001",
                "inform train leaveat 09:00",
                "inform train arriveby 09:51",
                "request train people ?",
            ],
        ),
        (
            "For how many people and how many nights shall I book the hotel?",
            ["offer_book hotel", "request hotel people ?", "request hotel stay ?"],
        ),
        ("Where will you be leaving from?", ["request train departure ?"]),
        (
            "A red audi will pick you up. Call 07202610885.",
            ["booked taxi", "inform taxi type red audi", "inform taxi phone 07202610885"],
        ),
        (
            "The Lensfield has free parking, no internet and 3 stars.",
            [
                "recommend hotel name lensfield hotel",
                "inform hotel parking yes",
                "inform hotel internet no",
                "inform hotel stars 3",
            ],
        ),
    ],
)
def test_acts_are_read_as_meant(text, acts):
    topic = "train" if "leaving" in text else "restaurant"
    found = read(text, topic)
    assert sorted(found) == sorted(acts)


def test_what_is_asked_is_not_told():
    assert not [act for act in read_service("Do you want it in the centre?", CITY, "hotel") if act.intent == "inform"]


def test_the_topic_goes_on_where_words_name_none():
    acts = read_service("The Lensfield is a hotel. It is in the south.", CITY, "restaurant")
    assert Act("inform", "hotel", "area", "south") in acts


@given(st.text(max_size=300))
def test_any_text_is_accepted(text):
    for act in read_service(text, synthetic_database(), ""):
        assert act.domain in {*DOMAINS, "general", ""}


INTENTS = {
    "nooffer": "no_offer",
    "nobook": "no_book",
    "book": "booked",
    "offerbooked": "booked",
    "offerbook": "offer_book",
    "reqmore": "reqmore",
    "bye": "bye",
}
LEAST_F1 = {
    "no_offer": 0.8,
    "no_book": 0.8,
    "booked": 0.85,
    "offer_book": 0.8,
    "reqmore": 0.85,
    "bye": 0.85,
    "request": 0.75,
}


def labels(acts: dict[str, list[list[str]]]) -> set[str]:
    """Return the intents of a turn's annotation, requests with their slots."""
    found = set()
    for name, slots in acts.items():
        domain, intent = name.lower().split("-")
        if intent == "request":
            found |= {f"request {canonical_slot(domain if domain in DOMAINS else '', slot)}" for slot, _ in slots}
        else:
            found.add("offer_book" if (domain, intent) == ("booking", "inform") else INTENTS.get(intent, ""))
    return found - {""}


def test_real_service_messages_are_read_as_people_labelled_them(shared_data: Path):
    database = Database.load(shared_data / "multiwoz" / "db")
    with zipfile.ZipFile(shared_data / "multiwoz" / "MultiWOZ_2.1" / "test.json.zip") as archive:
        dialogues = json.loads(archive.read(archive.namelist()[0]))
    both, either = dict.fromkeys(LEAST_F1, 0), dict.fromkeys(LEAST_F1, 0)
    for dialogue in dialogues.values():
        topic = ""
        for place, turn in enumerate(dialogue["log"]):
            domains = [name.split("-")[0].lower() for name in turn.get("dialog_act") or {}]
            if place % 2:
                acts = read_service(turn["text"], database, topic)
                found = {f"request {act.slot}" if act.intent == "request" else act.intent for act in acts}
                meant = labels(turn.get("dialog_act") or {})
                for intent in LEAST_F1:
                    one = {label for label in meant if label.startswith(intent)}
                    other = {label for label in found if label.startswith(intent)}
                    both[intent] += 2 * len(one & other)
                    either[intent] += len(one) + len(other)
            topic = next((domain for domain in domains if domain in DOMAINS), topic)
    assert {
        intent: both[intent] / either[intent] for intent in both if both[intent] < LEAST_F1[intent] * either[intent]
    } == {}
