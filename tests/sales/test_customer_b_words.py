"""The second prospect's reading and words: what it understands, and that it is understood."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from personas.prospect import OBJECTIONS
from td_gym.scenarios.sales.credit import QUESTIONS, ask, money
from td_gym.scenarios.sales.customer_acts import detect_customer_acts
from td_gym.scenarios.sales.customer_b import reply
from td_gym.scenarios.sales.customer_b_reading import DATA, echo, read, verdict
from td_gym.scenarios.sales.customer_b_speech import WORDS
from td_gym.scenarios.sales.language import Voice
from td_gym.scenarios.sales.scenario import Sales
from td_gym.scenarios.sales.topics import topic_of
from td_gym.scenarios.wording import SHARED, WORDINGS
from tests.bounded import bounded

FRESH = Path(__file__).with_name("data") / "service_utterances_fresh.jsonl"
PITCH = "You can borrow up to $8,000, and $5,000 over 24 months would be $268.33 a month."
ASK = "Would you like to take the credit on these terms?"

# Written by hand as an agent's free speech.
UTTERANCES = {
    "plans": [
        "Are you saving for anything special?",
        "What would you spend it on?",
        "Is there a project on your mind?",
    ],
    "terms": [
        "You could borrow 3,000 and repay it in 12 instalments.",
        "We lend you 900 for 6 months, at 160 a month.",
    ],
    "ease_price": ["With a smaller loan you pay less.", "If you repay early it costs you far less interest."],
    "ease_need": ["It is a cushion for rainy days.", "You could pay off a dearer loan with it."],
    "ease_timing": ["Sleep on it, I can ring you next week.", "There's no hurry at all."],
    "ease_trust": ["We are regulated and you get it all in writing.", "You can verify me on our official page."],
    "ease_authority": ["Please talk to your husband first.", "Do show it to your wife and decide together."],
    "order": ["Shall I set it up for you?", "Would you like me to place the order now?"],
    "press": ["It's now or never, hurry!", "You must decide today, do not wait."],
    "respect": ["Okay, I won't bother you again.", "I respect that."],
    "machine": ["I'm a chatbot of CrediLine.", "Yes, you are talking to an automated assistant."],
    "denial": ["I'm not a robot.", "You are talking to a real person."],
    "promise": ["You will be approved, I promise.", "We guarantee it."],
    "free": ["There's no fee.", "You get it without interest."],
}
NOT_SAID = {
    "press": ["You don't have to decide right now.", "Take your time, there is no hurry.", "I am not saying hurry."],
    "promise": ["I cannot guarantee that.", "We never promise approval."],
    "machine": ["I am not a robot.", "Are you a robot?"],
    "order": ["You can order it later.", "I will not set it up."],
    "terms": ["We cannot lend you 900 for 6 months."],
    "free": ["You pay no fee if you cancel early."],
    "done": ["Once it is confirmed you get the contract."],
}


@pytest.mark.parametrize(("theme", "text"), [(theme, text) for theme, texts in UTTERANCES.items() for text in texts])
def test_reads_what_is_said(theme: str, text: str) -> None:
    assert theme in read(text).themes


def test_reads_most_of_what_was_written_for_another_reader() -> None:
    """A floor for its coverage, no measure of it: some of these sentences were known when the cues were written."""
    same = {"introduce": "caller", "qualify": "plans", "present": "terms", "ask_order": "order", "back_off": "respect"}
    same |= {"reveal_ai": "machine", "offer_coupon": "coupon", "close": "farewell"}
    same |= {f"handle_{name}": f"ease_{name}" for name in OBJECTIONS}
    lines = map(json.loads, FRESH.read_text(encoding="utf-8").splitlines())
    pairs = [(same[act], line["text"]) for line in lines for act in line["acts"] if act in same]
    assert sum(theme in read(text).themes for theme, text in pairs) > 0.75 * len(pairs) > 30


@pytest.mark.parametrize(("theme", "text"), [(theme, text) for theme, texts in NOT_SAID.items() for text in texts])
def test_does_not_read_what_is_denied_or_supposed(theme: str, text: str) -> None:
    assert theme not in read(text).themes


@pytest.mark.parametrize(
    "text",
    [
        "sales call credit rate fee interest limit coupon payment trust price need time partner order confirmed",
        "This is a sales call about the your limit is what do you would like a coupon of.",
        "credit credit credit credit credit offer loan sales call",
    ],
)
def test_words_that_do_not_hold_together_say_nothing(text: str) -> None:
    assert not read(text).themes


def test_figures_are_found_and_judged() -> None:
    profile = replace(Sales().begin(0).case.profile, fee=25.0, monthly_rate=1.25, credit_limit=8000.0, coupon_days=20)
    fee, rate, limit, days = (ask(profile, name) for name in ("fee", "rate", "limit", "coupon_expiry"))
    cost = ask(profile, "cost_of_days", 2000.0, 20)
    assert verdict(read("The fee is $25, and you pay it once."), fee) == "right"
    assert verdict(read("It costs 1.25% interest a month and a fee of 25.00."), rate) == "right"
    assert verdict(read("You can borrow up to 8.000 dollars."), limit) == "right"
    assert verdict(read("The coupon is valid for 20 days."), days) == "right"
    assert verdict(read(f"The interest on $2,000 for 20 days is {money(float(cost.answer))}."), cost) == "right"
    assert verdict(read("The fee is $30."), fee) == "wrong"
    assert verdict(read("The fee is 10, 15, 20, 25 or 30."), fee) == "wrong"
    assert verdict(read("Let me tell you about the coupon."), fee) == ""
    assert verdict(read("You can borrow up to $5,000."), fee) == ""
    eligible = ask(replace(profile, eligible=False), "eligible")
    assert verdict(read("I am afraid you aren't eligible yet."), eligible) == "right"
    assert verdict(read("Yes, you qualify."), eligible) == "wrong"


def test_an_echo_is_heard_whatever_the_order_of_its_words() -> None:
    assert echo(read(PITCH), [read(PITCH)]) == 1.0
    assert (
        echo(read("A month would be $268.33, and $5,000 over 24 months, you can borrow $8,000."), [read(PITCH)]) == 1.0
    )
    assert echo(read(f"{ASK} {ASK}"), []) == 0.5
    assert echo(read(PITCH), [read(ASK)]) == 0.0


ACTS = {
    "who_is_this": ("hello", "again"),
    "interested": ("keen",),
    "refuse": ("strike_off", "decline", "no_again"),
    "accept_order": ("agree", "give_way", "remind"),
    "leave": ("part", "leave", "hang_up", "turned_away"),
    "ask_robot": ("ask_robot",),
    "notice_robot": ("noticed", "dodged"),
    "ask_question": tuple(f"ask_{name}" for name in QUESTIONS),
    **{f"object_{name}": (f"object_{name}",) for name in OBJECTIONS},
}
BESIDE = frozenset(("thank", "insult"))
"""What may be read beside the act that is meant."""
WARM = {"coupon_helps": {"interested"}, "go_on": {"interested"}}
MEANT = {name: act for act, names in ACTS.items() for name in names}


@pytest.mark.parametrize("name", sorted(WORDS))
def test_the_desk_reads_every_wording_as_it_is_meant(name: str) -> None:
    figures = {"amount": "$1,500", "days": "30", "months": "12", "budget": "$250"}
    for wording in WORDS[name]:
        text = wording.format_map(figures)
        read_as = detect_customer_acts(text) - BESIDE
        assert read_as - WARM.get(name, set()) == ({MEANT[name]} if name in MEANT else set()), text
        topic = name.removeprefix("ask_") if MEANT.get(name) == "ask_question" else ""
        assert topic_of(text) == topic, text


def test_wordings_are_ten_each_and_shared_with_nobody() -> None:
    def texts(node: Any) -> set[str]:
        if isinstance(node, str):
            return {node.strip().lower()}
        children = node.values() if isinstance(node, dict) else node
        return set().union(*map(texts, children))

    assert all(len(set(wordings)) == WORDINGS for wordings in WORDS.values())
    assert not texts(WORDS) & ((texts(Voice.book.acts) | texts(Voice.book.manners)) - {""})


def test_held_out_wordings_are_said_in_their_split_only() -> None:
    def openings(split: str) -> set[str]:
        calls = [Sales().begin(seed, split) for seed in range(400)]
        return {reply(call).lower() for call in calls}

    held_out = {"validation": WORDS["hello"][SHARED].lower(), "test": WORDS["hello"][SHARED + 1].lower()}
    for split in ("train", "validation", "test"):
        said = openings(split)
        assert {name for name, wording in held_out.items() if wording in said} == {split} - {"train"}


@pytest.mark.parametrize(
    "text", ["1." * 25_000, "[a" * 25_000, "no " * 17_000, "." * 50_000, "\n-" * 25_000, "١²" * 9_000]
)
def test_huge_texts_are_read_at_once(text: str) -> None:
    with bounded():
        read(text)


@pytest.mark.parametrize("code", [*range(0x21), 0x85, 0xA0, 0x2003, 0x2028, 0x3000])
def test_any_character_may_stand_by_a_figure(code: int) -> None:
    for text in (f"{chr(code)}50", f"It is{chr(code)}50", f"50{chr(code)}50", f"${chr(code)}50{chr(code)}days"):
        assert {figure.value for sentence in read(text).sentences for figure in sentence.figures} == {50.0}


def test_every_theme_can_be_reached() -> None:
    for name, table in DATA["themes"].items():
        points = sum(int(key) * len(cues) for key, cues in table.items() if isinstance(cues, list) and int(key) > 0)
        assert points >= table["needs"], name
