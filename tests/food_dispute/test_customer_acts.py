"""What the service side reads in a customer's message: examples by act, denials, any text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personas.packaged import packaged_toml
from td_gym.reading.sentences import sentences
from td_gym.scenarios.food_dispute.customer_acts import CUSTOMER_ACTS, detect_customer_acts

EXAMPLES = [
    ("I want my money back.", ["ask_refund"]),
    ("Can I get a refund please?", ["ask_refund"]),
    ("just refund me already", ["ask_refund"]),
    ("I expect a full refund for this order.", ["ask_refund"]),
    ("give me my money back now!!", ["ask_refund"]),
    ("I don't want a refund, I want this noted.", ["give_feedback"]),
    ("What are you going to do about it?", ["ask_compensation"]),
    ("I think some compensation would be in order, can you offer me a voucher?", ["ask_compensation"]),
    ("I'd like some kind of credit for the trouble.", ["ask_compensation"]),
    ("Please pass this on to the restaurant.", ["give_feedback"]),
    ("I just want you to know so it doesn't happen again.", ["give_feedback"]),
    ("Tell the kitchen to seal the soup properly.", ["give_feedback"]),
    ("You really need to improve your packaging.", ["give_feedback"]),
    ("The soup was cold and the bread was missing.", ["give_details"]),
    ("It arrived 40 minutes late.", ["give_details"]),
    ("my fries were soggy", ["give_details"]),
    ("They sent me the wrong pizza.", ["give_details"]),
    ("There was a hair in the salad.", ["give_details"]),
    ("I ordered two burgers and got one.", ["give_details"]),
    ("The bag was open and everything had spilled.", ["give_details"]),
    ("It was the noodles, stone cold.", ["give_details"]),
    ("I've attached a photo of the box.", ["show_photo"]),
    ("Here's a picture.", ["show_photo"]),
    ("ok sending a pic now", ["show_photo"]),
    ("I can send you a photo if you like.", ["show_photo"]),
    ("photo attached", ["show_photo"]),
    ("I don't have a photo.", ["withhold_photo"]),
    ("I threw it away, so no photo.", ["withhold_photo"]),
    ("didn't take a pic, sorry", ["withhold_photo"]),
    ("Why should I send a photo?", ["withhold_photo"]),
    ("OK, that works for me.", ["accept"]),
    ("That sounds fair.", ["accept"]),
    ("Deal.", ["accept"]),
    ("yeah ok", ["accept"]),
    ("Keep your voucher.", ["decline"]),
    ("nope", ["decline"]),
    ("I refuse that offer.", ["decline"]),
    ("You people are useless.", ["insult"]),
    ("What a joke of a company, you idiots.", ["insult"]),
    ("Are you a bot?", ["ask_robot"]),
    ("Am I talking to a real person?", ["ask_robot"]),
    ("is there a human there?", ["ask_robot"]),
    ("Thank you so much.", ["thank"]),
    ("thanks, bye", ["thank", "leave"]),
    ("Cheers mate.", ["thank"]),
    ("I really appreciate it.", ["thank"]),
    ("Bye.", ["leave"]),
    ("I'm done here, goodbye.", ["leave"]),
    ("Okay, I am leaving.", ["leave"]),
    ("How does that help me?", []),
    ("Really?", []),
    ("The courier was rude.", []),
    ("Thanks, that's fine by me. Goodbye!", ["accept", "thank", "leave"]),
]


@pytest.mark.parametrize(("text", "wanted"), EXAMPLES)
def test_examples_are_read_exactly(text: str, wanted: list[str]) -> None:
    assert detect_customer_acts(text) == frozenset(wanted)


def test_examples_cover_every_act() -> None:
    assert {act for _, wanted in EXAMPLES for act in wanted} == set(CUSTOMER_ACTS)
    assert len(EXAMPLES) >= 40


@settings(max_examples=100)
@given(st.text(max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert detect_customer_acts(text) <= set(CUSTOMER_ACTS)


PATTERNS = [
    (act, kind, re.compile(pattern))
    for act, kinds in packaged_toml("td_gym.scenarios.food_dispute", "customer_acts.toml").items()
    for kind in ("any", "unless")
    for pattern in kinds[kind]
]
PIECES = sorted({piece for _, _, found in PATTERNS for piece in re.split(r"\\b|[\[\]()|?*{}.:]+", found.pattern)})


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*PIECES, " ", "is", "one ", "é", "_", "7", ", ", "’"]), min_size=3, max_size=12))
def test_looking_for_words_first_misses_no_pattern(pieces: list[str]) -> None:
    wanted: set[str] = set()
    for part in sentences("".join(pieces)):
        found = [(act, kind) for act, kind, pattern in PATTERNS if pattern.search(part.lower().replace("’", "'"))]
        wanted |= {act for act, kind in found if kind == "any"} - {act for act, kind in found if kind == "unless"}
    assert detect_customer_acts("".join(pieces)) == wanted
