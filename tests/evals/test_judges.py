import math
from collections.abc import Callable

import pytest

from evals.dialogue import Dialogue
from evals.judges import communication as c
from evals.judges import logic as l
from evals.judges.briefing import read_briefing
from evals.judges.consistency import inconsistent
from evals.judges.grounding import grounding, mentions
from evals.judges.reading import clauses, sentences, voucher_statement
from tests.evals.dialogues import dialogue, good, said

MISSING = {"issue": "item missing"}
COLD = "My Mixed Grill came cold."

CASES: list[tuple[Callable[[Dialogue], int], Dialogue, int]] = [
    (l.clarifies_first, good(), 2),
    (l.clarifies_first, dialogue(("customer", COLD), ("service", "Take this voucher.", "9")), 0),
    (l.clarifies_first, said("I cannot give you a refund.", "What was wrong with it?"), 1),
    (l.asks_evidence_where_it_helps, said("Could you send a photo?", **MISSING), 2),
    (l.asks_evidence_where_it_helps, dialogue(("service", "Here is a voucher of 7.", "7"), **MISSING), 0),
    (
        l.asks_evidence_where_it_helps,
        dialogue(("service", "Here is a voucher of 7.", "7"), report="the courier", **MISSING),
        2,
    ),
    (l.asks_evidence_where_it_helps, said("I am sorry.", **MISSING), 1),
    (l.uses_facts, said("Your Mixed Grill was delivered at 18:56."), 2),
    (l.uses_facts, said("Your sushi was delivered at 19:30."), 0),
    (l.uses_facts, said("The kitchen made a mistake with it."), 0),
    (l.uses_facts, said("The kitchen made a mistake.", report="the restaurant reported a problem."), 1),
    (l.decides_by_rules, said("I cannot refund you."), 2),
    (l.decides_by_rules, said("I will refund your order."), 0),
    (l.decides_by_rules, said("A manager will call you tomorrow."), 0),
    (l.decides_by_rules, said("If it were up to me I would refund you, but I can't."), 2),
    (
        l.decides_by_rules,
        dialogue(("service", "A voucher.", "9"), ("customer", "ok"), ("service", "One more.", "error")),
        1,
    ),
    (l.words_match_actions, good(), 2),
    (l.words_match_actions, said("I have added a voucher of 26.00 SAR.", "Goodbye."), 0),
    (l.words_match_actions, dialogue(("service", "I have added a voucher of 30.00 SAR to your account.", "26.00")), 1),
    (l.comes_to_a_close, good(), 2),
    (l.comes_to_a_close, good(outcome={"ended_by": "hung_up"}), 1),
    (l.comes_to_a_close, said(*["I am sorry about the cold food."] * 4), 0),
    (c.greets, good(), 2),
    (c.greets, said("No.", "Hello there."), 1),
    (c.apologises_once, good(), 2),
    (c.apologises_once, said("I am sorry.", "Sorry.", "I apologise.", "So sorry."), 0),
    (c.names_feeling, good(), 2),
    (c.names_feeling, said("No."), 0),
    (c.names_problem, good(), 2),
    (c.names_problem, said("I am sorry."), 0),
    (c.answers_questions, said("I cannot give you a refund.", customer="Can I have a refund?"), 2),
    (c.answers_questions, said("Have a nice day.", customer="Are you a bot?"), 0),
    (c.is_concise, good(), 2),
    (c.is_concise, said("One. Two. Three. Four. Five."), 0),
    (c.avoids_repetition, good(), 2),
    (c.avoids_repetition, said(*["I am very sorry about it."] * 3), 0),
    (c.avoids_robot_speak, good(), 2),
    (c.avoids_robot_speak, said("As an AI language model, I understand your query, valued customer."), 0),
    (c.closes_politely, good(), 2),
    (c.closes_politely, said("No."), 0),
    (c.fits_emotion, good(), 2),
    (c.fits_emotion, said("It arrived at 18:56.", customer="This is a disgusting joke!!"), 0),
    (c.fits_emotion, said("It arrived at 18:56.", customer="Hello, my pizza arrived late today."), 2),
    (c.fits_emotion, said("It arrived at 18:56.", customer="I want it NOW, THIS VERY minute"), 0),
    (c.blames_nobody, good(), 2),
    (c.blames_nobody, said("That is your own fault."), 0),
    (c.gives_next_step, good(), 2),
    (c.gives_next_step, said("Hm.", "Yes.", "No."), 0),
    (c.completes_sentences, good(), 2),
    (c.completes_sentences, said("Your was cold. I the voucher to."), 0),
    (c.puts_no_pressure, good(), 2),
    (c.puts_no_pressure, said("Give us 5 stars. This is your last chance."), 0),
]


@pytest.mark.parametrize(("item", "talk", "points"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_rubric_item(item: Callable[[Dialogue], int], talk: Dialogue, points: int) -> None:
    assert item(talk) == points


def test_every_item_has_a_passing_and_a_failing_case() -> None:
    for item in (*l.ITEMS, *c.ITEMS):
        earned = {points for tested, _, points in CASES if tested is item}
        assert 2 in earned
        assert earned & {0, 1}


def test_sums_and_their_ends() -> None:
    assert (l.logic(good()), c.communication(good())) == (12.0, 28.0)
    silent = dialogue(("customer", COLD), ("service", ""))
    assert (l.logic(silent), c.communication(silent)) == (0.0, 0.0)
    assert (len(l.ITEMS), len(c.ITEMS)) == (6, 14)


def test_briefing_facts() -> None:
    facts = read_briefing(good().briefing)
    assert [(line.quantity, line.name, line.price) for line in facts.lines] == [
        (1, "Mixed Grill", 52.0),
        (2, "Rice with Nuts", 14.0),
    ]
    assert (facts.total, facts.late, facts.restaurant, facts.issue) == (80.0, 38, "Kebab Garden", "food arrived cold")
    assert {7.0, 14.0, 26.0, 28.0, 52.0, 80.0} == facts.amounts
    assert {38, 43, 81} <= facts.durations
    assert read_briefing("no facts at all").lines == ()


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("Your Mixed Grill was cold.", 1, 0),
        ("I am sorry about the rice.", 1, 0),
        ("I am sorry about your Chicken Burger.", 0, 1),
        ("Your meal and your order came late.", 0, 0),
        ("It was delivered at 18:56, 38 minutes late.", 2, 0),
        ("It was delivered at 18:50, 30 minutes late.", 0, 2),
        ("The total was 80.00 SAR.", 1, 0),
        ("The total was 81 SAR.", 0, 1),
        ("There is no pizza in your order.", 0, 0),
        ("Kebab Garden sent your Rice with Nuts.", 1, 0),
        ("You will see it within 5 minutes.", 0, 0),
        ("A voucher of 26 SAR would be half the price.", 1, 0),
        ("A voucher of 30 SAR is possible.", 0, 1),
    ],
)
def test_grounding_of_single_mentions(text: str, right: int, wrong: int) -> None:
    found = mentions(said(text))
    assert (sum(m.right for m in found), sum(not m.right for m in found)) == (right, wrong)


def test_grounding_of_a_voucher_sum_follows_what_was_issued() -> None:
    assert grounding(dialogue(("service", "I have added a voucher of 20.00 SAR.", "20.00"))) == 1.0
    assert grounding(dialogue(("service", "I have added a voucher of 26.00 SAR.", "20.00"))) == 0.0
    assert math.isnan(grounding(said("Hello.")))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I have added a voucher of 7.00 SAR to your account.", "given"),
        ("I've just put 12 SAR on your account.", "given"),
        ("Here is a voucher for you.", "given"),
        ("Let me add a coupon to your account.", "given"),
        ("The voucher has been issued.", "given"),
        ("I can offer you a voucher of 7.00 SAR.", "offered"),
        ("I would like to give you a voucher.", "offered"),
        ("Would a voucher help?", "asked"),
        ("If you send a photo, I can offer a voucher.", "asked"),
        ("I cannot offer you a voucher.", ""),
        ("I have not issued a voucher.", ""),
        ("If it were up to me, I would give you a voucher.", ""),
        ("I wish I could add a voucher.", ""),
        ("Unfortunately, no voucher is possible.", ""),
        ("I cannot refund you, but I have added a voucher.", "given"),
        ("Your food was cold.", ""),
        ("I have added a note to your account.", ""),
    ],
)
def test_voucher_statements(text: str, kind: str) -> None:
    assert voucher_statement(text) == kind


OFFER = "I can offer you a voucher of 7.00 SAR."
GIVEN = "I have added a voucher of 7.00 SAR to your account."


@pytest.mark.parametrize(
    ("turns", "disagree"),
    [
        ([("service", GIVEN, "7")], False),
        ([("service", "Goodbye.", "7")], True),
        ([("service", "One moment.", "7"), ("customer", "?"), ("service", GIVEN)], False),
        (
            [
                ("service", "One moment.", "7"),
                ("customer", "?"),
                ("service", "Well."),
                ("customer", "?"),
                ("service", GIVEN),
            ],
            True,
        ),
        ([("service", OFFER), ("customer", "Okay."), ("service", "It is there now.", "7")], False),
        ([("service", GIVEN), ("customer", "Thanks."), ("service", "Goodbye.")], True),
        ([("service", GIVEN), ("customer", "No, I want a refund."), ("service", "I understand.")], False),
        ([("service", OFFER), ("customer", "I don't want it."), ("service", "I understand.")], False),
        ([("service", OFFER), ("customer", "Yes please."), ("service", "Goodbye.")], True),
        ([("service", "Would a voucher help?"), ("customer", "Hm."), ("service", "Goodbye.")], False),
        ([("service", "Would a voucher help?"), ("customer", "Yes."), ("service", "Goodbye.")], True),
        ([("service", GIVEN, "error"), ("customer", "Thanks."), ("service", "Goodbye.")], True),
        ([("service", "Hello.")], False),
    ],
)
def test_inconsistent(turns: list[tuple[str, ...]], disagree: bool) -> None:
    assert inconsistent(dialogue(*turns)) is disagree


def test_sentences_and_clauses() -> None:
    assert sentences("It cost 12.50 SAR. Really? Yes") == ("It cost 12.50 SAR.", "Really?", "Yes")
    assert clauses("I can't refund it, but I can help.") == ("I can't refund it", "I can help.")
