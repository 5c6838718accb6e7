"""The agenda customer in words: what it says can be read back, and how it takes what it is told."""

from itertools import product

import pytest

from td_gym.draws import Stream
from td_gym.reading.sentences import sentences
from td_gym.scenario import SPLITS
from td_gym.scenarios.multiwoz.agenda import Move
from td_gym.scenarios.multiwoz.customer import LONGEST, reply
from td_gym.scenarios.multiwoz.episode import MultiWOZEpisode
from td_gym.scenarios.multiwoz.language import Voice
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from td_gym.scenarios.multiwoz.values import find_values
from td_gym.scenarios.scripted import CustomerPolicy
from td_gym.seats import play_on
from td_gym.turns import split_end_mark

SCENARIO = MultiWOZ()
CITY = SCENARIO.database
VALUES = {
    "name": ("name", "the silver fork"),
    "food": ("food", "british"),
    "pricerange": ("pricerange", "expensive"),
    "area": ("area", "west"),
    "stars": ("stars", "4"),
    "internet_yes": ("internet", "yes"),
    "internet_no": ("internet", "no"),
    "parking_yes": ("parking", "yes"),
    "parking_no": ("parking", "no"),
    "type": ("type", "museum"),
    "theme": ("type", "architecture"),
    "departure": ("departure", "kelby"),
    "destination": ("destination", "kelby"),
    "day": ("day", "monday"),
    "leaveat": ("leaveat", "09:15"),
    "arriveby": ("arriveby", "09:15"),
    "people": ("people", "3"),
    "person": ("people", "1"),
    "tickets": ("people", "3"),
    "table_day": ("day", "monday"),
    "time": ("time", "09:15"),
    "stay": ("stay", "3"),
    "night": ("stay", "1"),
}


@pytest.mark.parametrize("section", ["what", "detail"])
def test_every_wording_of_a_value_says_that_value(section):
    name = CITY.values("restaurant", "name")[0]
    for act, wordings in Voice.book.acts[section].items():
        if act == "department":
            continue
        slot, value = VALUES[act]
        value = name if slot == "name" else value
        for words in wordings:
            found = find_values(f"It should {words.format(value=value)}.", CITY)
            assert [(one.slot, one.value) for one in found if one.kind != "number"] == [(slot, value)], words


def test_a_value_of_a_department_is_said():
    value = CITY.values("hospital", "department")[0]
    for words in Voice.book.acts["what"]["department"]:
        assert value in [found.value for found in find_values(words.format(value=value), CITY)]


def begun(seed: int = 0, split: str = "train") -> MultiWOZEpisode:
    """Return a conversation in which the customer has spoken first."""
    episode = SCENARIO.begin(seed, split)
    episode.submit("customer", reply(episode))
    return episode


def answer(episode: MultiWOZEpisode, text: str) -> str:
    """Return what the customer says to ``text``."""
    episode.submit("service", text)
    said = reply(episode)
    episode.submit("customer", said)
    return said


@pytest.mark.parametrize(("seed", "split"), list(product(range(20), SPLITS)))
def test_the_first_message_brings_up_the_first_domain_and_no_other(seed, split):
    episode = begun(seed, split)
    first = next(iter(episode.case.goal.domains))
    assert episode.memory["customer"]["domain"] == first


@pytest.mark.parametrize("text", ["", "   ", "word " * LONGEST])
def test_nothing_is_taken_in_from_silence_or_a_flood(text):
    episode = begun()
    before = [list(move) for move in episode.memory["customer"]["stack"]]
    answer(episode, text)
    assert episode.memory["customer"]["stack"] == before
    assert episode.memory["customer"]["irritation"] > 0.0


def test_the_same_message_again_costs_patience():
    one, other = begun(), begun()
    answer(one, "Let me see what I can find for you."), answer(other, "Let me see what I can find for you.")
    answer(one, "Let me see what I can find for you."), answer(other, "I am still looking for something.")
    assert one.memory["customer"]["irritation"] > other.memory["customer"]["irritation"]


@pytest.mark.parametrize("text", ["", "Is there anything else?", "Which area? What food?", "asdf " * 9])
def test_without_service_every_customer_leaves_dissatisfied(text):
    for seed in range(20):
        episode = begun(seed)
        while episode.outcome is None:
            said = answer(episode, text)
        _, mark = split_end_mark(said)
        assert mark is None or mark.rating < 2.0


def test_a_conversation_goes_on_from_its_memory_alone():
    episode = begun(3)
    copy = SCENARIO.restore(episode.snapshot())
    assert answer(episode, "What day would you like?") == answer(copy, "What day would you like?")


def test_moves_of_a_kind_are_put_into_one_sentence():
    voice = Voice(begun().case.persona, "train", Stream(0, "words"))
    moves = [Move("start", "hotel"), Move("inform", "hotel", "area", "east"), Move("inform", "hotel", "stars", "1")]
    text = voice.put(moves, first=True)
    assert len(sentences(text)) == 2
    assert [(value.slot, value.value) for value in find_values(text, CITY)] == [("area", "east"), ("stars", "1")]


@pytest.mark.parametrize("name", MultiWOZ.customers)
def test_a_customer_that_takes_leave_at_length_is_gone(name: str) -> None:
    scenario = MultiWOZ(max_chars=12, max_turns=60)
    seats = {"customer": scenario.customer(name), "service": CustomerPolicy(lambda episode: "Hm.")}
    for seed in range(4):
        episode = scenario.begin(seed)
        play_on(episode, seats)
        assert episode.outcome is not None
        assert episode.outcome["ended_by"] in ("resolved", "hung_up")
