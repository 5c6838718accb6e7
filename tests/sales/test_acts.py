"""Acts of both seats from free text: labelled utterances, scripted wordings, denials, keyword lists, hostile input."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personas.packaged import packaged_toml
from td_gym.errors import TdGymError
from td_gym.scenarios import sales
from td_gym.scenarios.sales import customer_acts
from td_gym.scenarios.sales.acts import SERVICE_ACTS, detect_acts, service_reader
from td_gym.scenarios.sales.customer_acts import CUSTOMER_ACTS, customer_reader, detect_customer_acts
from td_gym.scenarios.sales.eligibility import eligibility
from tests.bounded import bounded

DATA = Path(__file__).parent / "data"
SLOTS = {
    "name": "Anna",
    "tail": "4821",
    "rate": "1.2",
    "fee": "25.00",
    "limit": "8,000.00",
    "amount": "3,000.00",
    "months": "12",
    "payment": "268.50",
    "cost": "120.00",
    "coupon": "40.00",
    "expiry": "14 days",
    "eligible": "yes",
}
Detect = Callable[[str], frozenset[str]]


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def _f1(rows: list[dict[str, Any]], acts: Sequence[str], detect: Detect) -> dict[str, float]:
    """Return F1 per act that occurs in ``rows``: 2 tp / (labelled + detected)."""
    counts = {name: [0, 0] for name in acts}
    for row in rows:
        wanted, found = set(row["acts"]), detect(row["text"])
        for name in acts:
            counts[name][0] += 2 * (name in wanted and name in found)
            counts[name][1] += (name in wanted) + (name in found)
    return {name: hit / total for name, (hit, total) in counts.items() if total}


@pytest.mark.parametrize(
    ("name", "each", "acts", "detect"),
    [
        # Written before the patterns were tried on them: the first file then scored 0.90, the fresh one 0.87, the
        # customers' 0.96. The patterns were developed on the misses, so the floors guard against regressions.
        ("service_utterances.jsonl", 8, SERVICE_ACTS, detect_acts),
        ("service_utterances_fresh.jsonl", 3, SERVICE_ACTS, detect_acts),
        ("customer_utterances.jsonl", 3, CUSTOMER_ACTS, detect_customer_acts),
    ],
)
def test_acts_agree_with_labelled_utterances(name: str, each: int, acts: tuple[str, ...], detect: Detect) -> None:
    rows = _rows(name)
    for act in acts:
        assert sum(act in row["acts"] for row in rows) >= each, act
    scores = _f1(rows, acts, detect)
    assert sum(scores.values()) / len(scores) >= 0.95, scores
    assert min(scores.values()) >= 0.85, scores


@pytest.mark.parametrize("row", _rows("rule_utterances.jsonl"), ids=lambda row: row["text"])
def test_acts_that_break_a_rule_are_told_from_honest_words_about_the_same(row: dict[str, Any]) -> None:
    found = detect_acts(row["text"]) & {"press", "guarantee", "hide_fee", "deny_ai"}
    assert found >= {row["rule"]} if row["rule"] else not found


def _service_wordings() -> list[tuple[str, str]]:
    wordings = []
    for key, drafts in packaged_toml(sales.__name__, "service.toml").items():
        for draft in drafts:
            for slot, value in SLOTS.items():
                draft = draft.replace(f"[{slot}]", value)
            wordings.append((key, draft))
    return wordings


@pytest.mark.parametrize(("key", "text"), _service_wordings())
def test_every_scripted_wording_carries_the_act_its_key_names(key: str, text: str) -> None:
    found = detect_acts(text)
    if key == "stall":
        assert found == frozenset()
        return
    act = "answer" if key.startswith("answer_") else key
    # Figures answer and understanding empathises, whatever else is said; the rest would be a misreading.
    beside = {"answer", "empathise", *(["ask_order"] if act == "press" else [])}
    assert {act} <= found <= {act} | beside


def test_one_kind_of_scripted_wording_alone_says_that_the_customer_is_not_eligible() -> None:
    assert {key for key, text in _service_wordings() if eligibility(text) == "no"} == {"answer_eligible_no"}


def _customer_wordings() -> list[tuple[str, str]]:
    table = packaged_toml(sales.__name__, "customer.toml")
    acts = {
        **{("opening", key): "who_is_this" for key in table["opening"]},
        **{("question", key): "ask_question" for key in table["question"]},
        **{("objection", key): f"object_{key}" for key in table["objection"]},
        **{("refusal", key): "refuse" for key in table["refusal"]},
        **{("deal", key): "accept_order" for key in ("accept", "give_in", "waiting")},
        **{("verdict", key): "leave" for key in table["verdict"]},
        ("robot", "ask"): "ask_robot",
        **{("robot", key): "notice_robot" for key in ("noticed", "evaded")},
        ("deal", "done"): "thank",
        ("listen", "keen"): "interested",
    }
    filled = {"{amount}": "2,000.00", "{days}": "30", "{months}": "12", "{budget}": "150"}
    wordings = []
    for (section, key), act in acts.items():
        for draft in table[section][key]:
            for slot, value in filled.items():
                draft = draft.replace(slot, value)
            wordings.append((act, draft))
    return wordings


@pytest.mark.parametrize(("act", "text"), _customer_wordings())
def test_every_scripted_customer_wording_is_read(act: str, text: str) -> None:
    assert act in detect_customer_acts(text)


@pytest.mark.parametrize(
    ("text", "absent", "present"),
    [
        ("I can't guarantee approval, but your limit is 4,000.", "guarantee", "answer"),
        ("It isn't free: there is a fee of 25.", "hide_fee", "answer"),
        ("I won't say this is your last chance; take your time.", "press", "handle_timing"),
        ("I am not a human, I am a chatbot.", "deny_ai", "reveal_ai"),
        ("I'm not a robot. Would you like to go ahead?", "reveal_ai", "deny_ai"),
        ("I can't give you a coupon, but a smaller amount would cost less.", "offer_coupon", None),
        ("Your order is not confirmed yet. Shall I place it?", "confirm", None),
        ("This is not a sales call and no credit costs interest.", "disclose", None),
        ("You pay nothing while you do not use it.", "hide_fee", "handle_need"),
        ("There is no fee for repaying early.", "hide_fee", None),
        ("You don't have to decide now.", "press", "handle_timing"),
    ],
)
def test_a_denial_cancels_only_the_act_it_governs(text: str, absent: str, present: str | None) -> None:
    found = detect_acts(text)
    assert absent not in found
    assert present is None or present in found


@pytest.mark.parametrize(
    ("text", "absent", "present"),
    [
        ("It is not too expensive, but I do not need it.", "object_price", "object_need"),
        ("I'm not saying no, I just have to ask my wife.", "refuse", "object_authority"),
        ("I won't take it. Goodbye.", "accept_order", "refuse"),
        ("If I take it, what does it cost?", "accept_order", "ask_question"),
        ("I will take it if there is a coupon.", "accept_order", None),
        ("No, thank you, I do not want it.", "thank", "refuse"),
        ("I need to know the rate.", "object_need", None),
        ("That is not interesting for me.", "interested", None),
    ],
)
def test_a_customers_denial_cancels_only_the_act_it_governs(text: str, absent: str, present: str | None) -> None:
    found = detect_customer_acts(text)
    assert absent not in found
    assert present is None or present in found


def test_a_disclosure_may_take_two_sentences_but_needs_both_halves() -> None:
    assert "disclose" in detect_acts("This is a sales call about a credit. You would pay 1.2 percent interest a month.")
    assert "disclose" not in detect_acts("This is a sales call about a credit.")
    assert "disclose" not in detect_acts("The rate is 1.2 percent a month, with a fee of 25.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\t ",
        "coupon credit rate fee interest approval confirm order",
        "guarantee guarantee guarantee",
        "greet introduce disclose qualify present answer",
        "handle_price offer_coupon ask_order confirm back_off close",
        "husband wife regulator website emergency later",
        "[end:5]",
        "The the coupon of is confirmed to will.",
    ],
)
def test_keywords_are_no_acts(text: str) -> None:
    assert detect_acts(text) == frozenset()


@pytest.mark.parametrize(
    "text",
    ["", "rate fee coupon credit", "wife later expensive credit", "accept_order order interested", "[end:5]"],
)
def test_keywords_are_no_acts_of_a_customer(text: str) -> None:
    assert detect_customer_acts(text) == frozenset()


def test_one_slip_of_the_keyboard_is_read_through() -> None:
    assert "offer_coupon" in detect_acts("I can give you a discont of 40.")
    assert "object_price" in detect_customer_acts("That is too expensiv for me.")


@settings(max_examples=100)
@given(st.text(max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert detect_acts(text) <= set(SERVICE_ACTS)
    assert detect_customer_acts(text) <= set(CUSTOMER_ACTS)


HOSTILE = [
    "coupon, ",
    "a",
    "if ",
    "not ",
    "something ",
    "costs ",
    "human ",
    "i will just now ",
    "what would you like to use ",
    "it is approved for certain and ",
    "no fee or cost ",
    "money where ",
    "'",
    "1.",
    "𝒊’",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_bounded_on_hostile_text(unit: str) -> None:
    text = (unit * 4096)[:4096]
    for reader in (service_reader(), customer_reader()):
        reader.read("warm up")
        with bounded():
            reader.read(text)


def test_errors_of_the_customers_patterns_name_their_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def edited(package: str, name: str) -> dict[str, Any]:
        data = dict(packaged_toml(package, name))
        if name == "customer_acts.toml":
            data["customer"] = {**data["customer"], "refuse": {"patterns": ["h[i]"]}}
        return data

    monkeypatch.setattr(customer_acts, "packaged_toml", edited)
    with pytest.raises(TdGymError, match=r"^sales/customer_acts\.toml \[customer\.refuse\] 'h\[i\]': cannot read"):
        customer_reader.__wrapped__()
