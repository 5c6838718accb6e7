from pathlib import Path

import pytest

from evals.judges.fluency import _grammar, fluency, surface_is_clean, well_formed
from evals.judges.grammar import Grammar
from evals.judges.word_classes import _lexicon, classes, tokens
from tests.evals.corruption import SPOILS, spoilt
from tests.evals.dialogues import dialogue

DATA = Path(__file__).parent / "data"


def listed(name: str) -> list[str]:
    return (DATA / f"{name}_sentences.txt").read_text(encoding="utf-8").splitlines()


def passing(sentences: list[str]) -> float:
    return sum(map(well_formed, sentences)) / len(sentences)


GOOD = listed("good")
HELD_OUT = listed("held_out")
"""Written after the grammar was finished and never used to change it, like the other ``held_out`` ones."""

FUSED = [
    "I am sorry that your rice was cold the voucher for 12 to you as an apology.",
    "Could you tell me which item send a photo of the?",
    "I understand how frustrating I can put 12 your account.",
    "I have added voucher of to your account.",
    "Your was cold.",
    "I am sorry your order.",
    "I will refund the bag and your the.",
    "Thank you for your I see that the courier.",
    "Please send me a photo the burger so I can.",
    "The restaurant has is late.",
    "I can give you voucher.",
    "Have a nice the evening.",
]


def test_good_sentences_pass() -> None:
    assert len(GOOD) > 700
    assert passing(GOOD) >= 0.98


def test_sentences_nobody_tuned_on_pass() -> None:
    assert len(HELD_OUT) == 100
    assert not set(HELD_OUT) & set(GOOD)
    assert passing(HELD_OUT) >= 0.95


@pytest.mark.parametrize("name", ["sales_good", "sales_held_out", "visitors_good", "visitors_held_out"])
def test_sentences_of_other_desks_pass(name: str) -> None:
    assert passing(listed(name)) >= 0.94


@pytest.mark.parametrize(
    "name", ["sales_broken", "sales_held_out_broken", "visitors_broken", "visitors_held_out_broken"]
)
def test_broken_sentences_of_other_desks_are_noticed(name: str) -> None:
    assert passing(listed(name)) <= 0.12


@pytest.mark.parametrize("kind", SPOILS)
@pytest.mark.parametrize("name", ["good", "held_out", "sales_good", "visitors_good"])
def test_spoilt_sentences_are_noticed(kind: str, name: str) -> None:
    bad = spoilt(kind, listed(name), 400)
    assert passing(bad) <= 0.45


@pytest.mark.parametrize("sentence", FUSED)
def test_fused_half_sentences_are_ill_formed(sentence: str) -> None:
    assert not well_formed(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "your food was late.",
        "Your food was late",
        "Your food food was late.",
        "Your [item] was late.",
        "Your food (the rice was late.",
        "I offer you a apple pie.",
        "I offer you an voucher.",
        "I am sorry that I am sorry that I am here.",
        "I am " + "very " * 50 + "sorry.",
        "",
        "...",
        "?",
    ],
)
def test_surface_faults_are_noticed(sentence: str) -> None:
    assert not surface_is_clean(sentence)
    assert not well_formed(sentence)


def test_hostile_text_neither_raises_nor_passes() -> None:
    for text in ("A" * 50_000 + ".", "\u202e\x00 \ud83d.", "((((" * 1000, "I " * 20_000 + ".", "£$%^&*."):
        assert not well_formed(text)


def test_fluency_is_the_share_of_well_formed_sentences() -> None:
    talk = dialogue(
        ("customer", "Hi"), ("service", "Hello. Your was cold. I am sorry that your rice was cold. The the.")
    )
    assert fluency(talk) == 0.5
    assert fluency(dialogue(("customer", "Hi"), ("service", ""))) != fluency(talk)


def test_every_symbol_of_the_grammar_is_defined_and_every_terminal_has_words() -> None:
    grammar = _grammar()
    produced = {terminal for terminals in _lexicon().values() for terminal in terminals}
    assert not grammar.undefined
    assert grammar.terminals <= produced | {"name", "ly"}
    assert produced <= grammar.terminals


def test_recogniser_on_a_language_whose_answer_is_known() -> None:
    grammar = Grammar('S -> "a" S "b" | "a" "b"')
    for text, expected in (("ab", True), ("aabb", True), ("aab", False), ("abab", False), ("", False)):
        assert grammar.derives("S", [frozenset(c) for c in text]) is expected


def test_words_come_apart_and_phrases_together() -> None:
    assert tokens("I can't say, of course, the courier's late") == [
        "I", "can", "n't", "say", ",", "of-course", ",", "the", "courier", "'s", "late",
    ]  # fmt: skip
    assert tokens("The visitors' desk") == ["The", "visitors", "'s", "desk"]
    assert tokens("Its reference is 48M1JC7J, at WM9 4GU for 100SAR") == [
        "Its", "reference", "is", "48M1JC7J", ",", "at", "WM9 4GU", "for", "100", "SAR",
    ]  # fmt: skip
    assert {"tB", "count"} <= classes("order", first=False)
    assert "name" in classes("Shawarma", first=False)
    assert classes("TR0052", first=True) == {"name"}
    assert "name" not in classes("The", first=False)
    assert "tD" in classes("delivered", first=False)
