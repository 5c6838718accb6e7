"""What the seats read: the service side gets its facts back whole, and slots follow the customer's question."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas.packaged import packaged_toml
from personas.prospect_population import Prospects
from td_gym.scenarios import sales
from td_gym.scenarios.sales.briefing import customer_briefing, read_facts, service_briefing, slot_values
from td_gym.scenarios.sales.credit import ask, interest, money, monthly_payment, question_text
from td_gym.scenarios.sales.offers import Case, answers, draw_case, false_figures
from td_gym.scenarios.sales.scenario import Sales

POPULATION = Prospects.load("standard")
RULES = Sales().service_rules
seeds = st.integers(0, 1 << 40)


def drawn(seed: int) -> Case:
    return draw_case(seed, "train", POPULATION.sample(seed, "train"))


def heard(case: Case, *texts: str) -> list[dict[str, str]]:
    said = [{"role": "user", "content": text} for text in texts]
    return [{"role": "system", "content": service_briefing(case, RULES)}, *said]


@given(seeds)
def test_facts_come_back_whole(seed: int) -> None:
    case = drawn(seed)
    facts = read_facts(service_briefing(case, RULES))
    assert facts is not None
    assert facts.profile == case.profile
    assert facts.name == case.persona.identity.name
    assert facts.eligible == case.profile.eligible


def test_any_other_text_has_no_facts() -> None:
    assert read_facts("You are a helpful assistant.") is None
    assert slot_values([{"role": "system", "content": "Hello."}]) == {}
    assert slot_values([]) == {}


@given(seeds, seeds)
def test_the_service_seat_learns_nothing_hidden(seed: int, other: int) -> None:
    case = drawn(seed)
    mind = replace(drawn(other).persona, identity=case.persona.identity)
    assert service_briefing(replace(case, persona=mind, questions=()), RULES) == service_briefing(case, RULES)


def test_the_customer_seat_learns_nothing_of_the_offer() -> None:
    case = next(case for case in map(drawn, range(50)) if case.persona.curiosity == 3)
    text = customer_briefing(case)
    assert all(question_text(question) in text for question in case.questions)
    assert f"{case.persona.budget:.2f}" in text
    assert f"{case.profile.monthly_rate} percent" not in text
    nosy = next(case for case in map(drawn, range(50)) if case.persona.curiosity == 0)
    assert "no questions" in customer_briefing(nosy)


def test_the_disclosure_rule_is_stated() -> None:
    honest, paper = Sales().service_rules, Sales(disclosure="paper").service_rules
    assert "never deny it" in honest
    assert "never reveal" in paper
    assert honest.splitlines()[0] == paper.splitlines()[0]


@given(seeds)
def test_slots_hold_the_profile(seed: int) -> None:
    case = drawn(seed)
    profile = case.profile
    slots = slot_values(heard(case, "Hello, who is this?"))
    assert slots["name"] == case.persona.identity.name
    assert slots["tail"] == profile.phone_tail
    text = (
        f"Your limit is {slots['limit']}. The rate is {slots['rate']} percent. The fee is {slots['fee']}. The coupon "
        f"is worth {slots['coupon']} and valid for {slots['expiry']}. {slots['amount']} over {slots['months']} months "
        f"is {slots['payment']} a month. The interest on {slots['amount']} for {slots['days']} days is {slots['cost']}."
    )
    assert "[" not in text
    assert false_figures(text, profile) == frozenset()


@given(seeds, st.integers(0, 9))
def test_slots_answer_every_question(seed: int, wording: int) -> None:
    case = drawn(seed)
    asked = packaged_toml(sales.__name__, "customer.toml")["question"]
    wordings = {
        "cost_of_days": "The interest for that is [cost].",
        "monthly_payment": "You would pay [payment] a month.",
        "rate": "The rate is [rate] percent a month.",
        "fee": "The fee is [fee].",
        "limit": "Your limit is [limit].",
        "coupon_value": "The coupon is worth [coupon].",
        "coupon_expiry": "It is valid for [expiry].",
        "eligible": "[eligible].",
    }
    for question in case.questions:
        text = wordings[question.name]
        spoken = asked[question.name][wording].format(
            amount=money(question.amount), days=question.days, months=question.days // 30
        )
        for slot, value in slot_values(heard(case, spoken)).items():
            text = text.replace(f"[{slot}]", value)
        assert answers(text, question), (spoken, text)


@pytest.mark.parametrize(
    ("asked", "amount", "days"),
    [
        ("What would 10,000 for 30 days cost me?", 10_000, 30),
        ("If I take $2.500 for two weeks, what is the interest?", 2500, 14),
        ("What's the interest on 1 500 dollars over 45 days?", 1500, 45),
        ("Say 3k, ninety days. How much interest?", 3000, 90),
    ],
)
def test_the_cost_slot_follows_the_question(asked: str, amount: float, days: int) -> None:
    case = drawn(1)
    right = money(interest(amount, case.profile.monthly_rate, days))
    assert slot_values(heard(case, asked))["cost"] == right
    assert slot_values(heard(case, asked, "Well?"))["cost"] == right
    assert slot_values(heard(case, asked, "And 100 for 10 days?"))["cost"] != right
    assert answers(f"That costs {right}.", ask(case.profile, "cost_of_days", amount, days))


def test_the_payment_slot_follows_the_question() -> None:
    case = drawn(2)
    slots = slot_values(heard(case, "I can spare 200 a month.", "What would I pay a month for 1,000 over 8 months?"))
    assert slots["payment"] == money(monthly_payment(1000.0, case.profile.monthly_rate, 8))
    assert (slots["amount"], slots["months"]) == ("$1,000", "8")
    assert slot_values(heard(case, "I can spare 200 a month for 10 months."))["amount"] == money(case.profile.amount)


@given(seeds, st.text(max_size=80))
def test_tool_results_and_odd_words_change_no_profile_slot(seed: int, text: str) -> None:
    case = drawn(seed)
    plain = slot_values(heard(case))
    assert slot_values(heard(case, "<tool_result>confirm_order: 5,000 for 30 days</tool_result>")) == plain
    fixed = ("name", "limit", "rate", "fee", "coupon", "expiry", "tail", "eligible")
    noisy = slot_values(heard(case, text))
    assert {slot: noisy[slot] for slot in fixed} == {slot: plain[slot] for slot in fixed}
