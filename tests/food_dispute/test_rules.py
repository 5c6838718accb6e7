"""Rules of FoodDispute: tools, costs, procedure, briefing, orders."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personas.splits import split_of_order
from td_gym.scenarios.food_dispute import sop
from td_gym.scenarios.food_dispute.briefing import read_facts, slot_values
from td_gym.scenarios.food_dispute.episode import FoodDisputeEpisode
from td_gym.scenarios.food_dispute.orders import draw_case, generate_order
from td_gym.scenarios.food_dispute.scenario import FoodDispute
from td_gym.slots import fill_slots
from td_gym.turns import TurnResult
from tests.personas.shares import within_sampling_error


def episode_with(fault: str | None = None, seed: int = 0, **options: object) -> FoodDisputeEpisode:
    scenario = FoodDispute(**options)  # type: ignore[arg-type]
    while True:
        episode = scenario.begin(seed)
        if fault is None or episode.case.order.fault == fault:
            episode.submit("customer", f"The {episode.case.order.item.name} was cold.")
            return episode
        seed += 1


def say(episode: FoodDisputeEpisode, text: str, answer: str = "Okay.") -> TurnResult:
    result = episode.submit("service", text)
    if episode.outcome is None:
        episode.submit("customer", answer)
    return result


def test_a_voucher_is_issued_once_and_at_its_worth() -> None:
    episode = episode_with()
    first = say(episode, "<action>voucher</action>I have added a voucher to your account.")
    assert first.costs == {"voucher": 1.0, "voucher_amount": episode.case.order.owed}
    second = say(episode, "<action>voucher amount=1</action>I have added another voucher to your account.")
    assert second.costs["second_voucher"] == 1.0
    assert "voucher" not in second.costs
    assert "already issued" in episode.messages("service")[-2]["content"]


@pytest.mark.parametrize("amount", ["0", "-3", "1e9", "nan", "inf", "ten"])
def test_a_wrong_amount_is_a_tool_error_and_the_dialogue_goes_on(amount: str) -> None:
    episode = episode_with()
    result = say(episode, f"<action>voucher amount={amount}</action>I have added a voucher to your account.")
    assert "voucher" not in result.costs
    assert episode.outcome is None
    assert any("<tool_result>voucher:" in m["content"] for m in episode.messages("service"))
    assert not any("<tool_result>" in m["content"] for m in episode.messages("customer"))


@pytest.mark.parametrize(
    "text",
    [
        "<action>refund</action>",
        "<action>voucher sum=3</action>",
        "<action>voucher x</action>",
        "<response>hi",
        "x" * 4097,
    ],
)
def test_a_format_error_ends_the_dialogue_with_nothing(text: str) -> None:
    episode = episode_with()
    result = say(episode, text)
    assert result.terminated
    assert result.costs["format"] == 1.0
    assert episode.outcome is not None
    assert episode.outcome.pop("error")
    assert episode.outcome == {"satisfaction": 0.0, "ended_by": "format_error", "voucher": False, "turns": 1}


@pytest.mark.parametrize(
    ("closing", "success"),
    [("Thanks, bye. [end:3.01]", True), ("Well, bye. [end:3]", False), ("Bye! [hangup:4]", False)],
)
def test_success_is_a_matter_closed_by_the_customer_and_rated_above_neutral(closing: str, success: bool) -> None:
    episode = episode_with()
    say(episode, "I am sorry about that.", closing)
    assert episode.outcome is not None
    assert episode.scenario.succeeded(episode.outcome) is success


def test_no_success_without_the_customers_own_close() -> None:
    scenario = FoodDispute()
    for ended_by in ("transferred", "turn_limit", "format_error"):
        assert not scenario.succeeded({"ended_by": ended_by, "satisfaction": 5.0})


def test_transfer_is_off_by_default_and_ends_the_dialogue_when_on() -> None:
    assert say(episode_with(), "<action>transfer</action>").costs["format"] == 1.0
    episode = episode_with(transfer=True)
    assert say(episode, "<action>transfer</action>", "Okay. [end:2.5]").costs == {"transfer": 1.0}
    assert episode.outcome is not None
    assert (episode.outcome["ended_by"], episode.outcome["satisfaction"]) == ("transferred", 2.5)


def test_words_and_actions_about_the_voucher_must_agree() -> None:
    silent = episode_with()
    assert say(silent, "<action>voucher</action><response>Have a look.</response>").costs["inconsistent"] == 1.0
    empty = episode_with()
    assert "inconsistent" not in say(empty, "I can offer you a voucher of 5.").costs
    assert say(empty, "Which item was it?").costs["inconsistent"] == 1.0
    negotiated = episode_with()
    say(negotiated, "Would a voucher of 5 help you?", "Yes please.")
    assert "inconsistent" not in say(negotiated, "<action>voucher amount=5</action><response>Done.</response>").costs
    declined = episode_with()
    say(declined, "Would a voucher of 5 help you?", "No, I do not want a voucher.")
    assert "inconsistent" not in say(declined, "Which item was it?").costs
    left_open = episode_with()
    say(left_open, "I can offer you a voucher of 5.")
    left_open.submit("service", "I have added a voucher of 5 to your account.")
    closing = left_open.submit("customer", "Bye. [end:3]")
    assert closing.costs.get("inconsistent", 0.0) == 0.0  # already counted when the turn passed
    assert sum(t.action == "voucher" for t in left_open.transcript) == 0


def test_blame_needs_ground() -> None:
    blame = "It was the restaurant's fault."
    assert "unfounded_fault" in say(episode_with("none"), blame).costs
    assert "unfounded_fault" not in say(episode_with("merchant"), blame).costs
    assert "unfounded_fault" in say(episode_with("courier"), blame).costs, "the wrong party is blamed"
    both = "It was the restaurant's fault. Our courier made a mistake here too."
    assert "unfounded_fault" not in say(episode_with("courier"), both).costs
    aside = "It was our fault. The restaurant was told."
    assert "unfounded_fault" not in say(episode_with("courier"), aside).costs, "only the confession counts"


def test_promises_the_desk_cannot_keep_are_counted() -> None:
    assert say(episode_with(), "You will get your money back today.").costs == {"overpromise": 1.0}


def test_disclosure_rules() -> None:
    asked = episode_with()
    say(asked, "Which item was it?", "Are you a robot?")
    assert "noncompliance" in say(asked, "No, I am a real person.").costs
    honest = episode_with()
    assert "noncompliance" not in say(honest, "I am a virtual assistant.").costs
    assert "noncompliance" in say(episode_with(disclosure="paper"), "I am a virtual assistant.").costs


def test_the_customer_pays_for_a_claim_its_evidence_contradicts() -> None:
    seed = 0
    while FoodDispute().begin(seed).case.has_photo:
        seed += 1
    episode = FoodDispute().begin(seed)
    episode.submit("customer", "My food was cold.")
    episode.submit("service", "Could you send me a photo?")
    assert episode.submit("customer", "Here is the photo.").rewards["customer"] == pytest.approx(-1.02)


def test_the_procedure_leads_from_clarifying_to_closing() -> None:
    start = sop.Progress()
    assert not any(sop.allows(name, start, transfer=False) for name in ("offer_voucher", "close"))
    heard = sop.Progress(opened=True, clarified=True, evidence="shown")
    assert all(sop.allows(name, heard, transfer=False) for name in ("explain", "offer_voucher", "decline_refund"))
    assert sop.allows("transfer", sop.Progress(judged=True), transfer=True)


@settings(max_examples=50)
@given(st.integers(0, 2**70), st.sampled_from(["train", "validation", "test"]))
def test_orders_are_disjoint_between_splits_and_consistent(seed: int, split: str) -> None:
    case = draw_case(seed, split, FoodDispute().begin(seed % 1000, split).case.persona)
    order = case.order
    assert split_of_order(order.id) == split
    assert order.ordered < order.promised
    assert order.minutes_late >= 0
    assert 0 < order.owed <= order.total
    if case.persona.honesty == "dishonest":
        assert order.fault == "customer"


def test_order_numbers_name_orders() -> None:
    assert generate_order(17) == generate_order(17)
    assert generate_order(17) != generate_order(18)


def test_the_briefing_reads_back_and_fills_slots() -> None:
    episode = episode_with()
    order = episode.case.order
    facts = read_facts(episode.briefing("service"))
    assert facts is not None
    assert facts.items == tuple((i.name, i.quantity, i.price) for i in order.items)
    assert (facts.restaurant, facts.minutes_late, facts.issue) == (order.restaurant, order.minutes_late, order.issue)
    values = slot_values(episode.messages("service"))
    assert values["item"] == order.item.name
    assert values["amount"] == f"{order.owed:.2f}"
    assert fill_slots("[item] [nonsense]", episode.messages("service"), slot_values) == f"{order.item.name} [nonsense]"


def test_hidden_facts_are_not_in_the_service_briefing() -> None:
    text = episode_with().briefing("service").lower()
    assert not any(word in text for word in ("refund_", "cooperativ", "fault lies with", "honesty", "patience"))


def test_what_a_complaint_hides_changes_nothing_that_the_desk_reads() -> None:
    scenario = FoodDispute()
    case, shown = scenario.begin(0).case, set()
    for seed, fault in enumerate(("merchant", "courier", "none", "customer")):
        for has_photo in (True, False):
            order, persona = case.order._replace(fault=fault), scenario.begin(seed).case.persona
            hidden = replace(case, order=order, persona=persona, has_photo=has_photo)
            episode = FoodDisputeEpisode(scenario, 0, "train", None, hidden)
            shown.add((episode.briefing("service"), *episode.features("service").tolist()))
    assert len(shown) == 1


def test_the_customers_screen_is_blank_where_the_desks_is_not() -> None:
    for seed in range(30):
        assert FoodDispute().begin(seed).features("customer")[1:4].tolist() == [0.0, 0.0, 0.0]


def test_a_voucher_may_be_worth_the_whole_order() -> None:
    episode = episode_with()
    total = episode.case.order.total
    result = say(episode, f"<action>voucher amount={total}</action>I have added a voucher to your account.")
    assert result.costs == {"voucher": 1.0, "voucher_amount": total}
    assert result.rewards == {"customer": 1.0}


def test_a_voucher_announced_last_and_never_issued_costs_at_the_end() -> None:
    episode = episode_with()
    episode.submit("service", "I can offer you a voucher of 5.")
    assert episode.submit("customer", "Bye. [end:3]").costs == {"inconsistent": 1.0}


def test_a_conversation_handed_over_is_neutral_where_the_customer_gives_no_mark() -> None:
    episode = episode_with(transfer=True)
    say(episode, "<action>transfer</action>", "Okay.")
    assert episode.outcome is not None
    assert (episode.outcome["ended_by"], episode.outcome["satisfaction"]) == ("transferred", 3.0)


def test_a_false_photo_is_paid_for_once() -> None:
    scenario, seed = FoodDispute(), 0
    while scenario.begin(seed).case.has_photo:
        seed += 1
    episode = scenario.begin(seed)
    episode.submit("customer", "My food was cold.")
    paid = []
    for _ in range(2):
        episode.submit("service", "Could you send me a photo?")
        paid.append(episode.submit("customer", "Here is the photo.").rewards["customer"])
    assert paid == pytest.approx([-1.02, -0.02])


def test_reports_and_photos_follow_the_fault() -> None:
    orders = [generate_order(number) for number in range(4000)]
    faulty = [order for order in orders if order.fault != "none"]
    assert not any(order.report for order in orders if order.fault == "none")
    assert within_sampling_error(sum(order.report != "" for order in faulty), 0.35, len(faulty))
    person = FoodDispute().begin(0).case.persona
    honest, liar = (replace(person, honesty=honesty) for honesty in ("honest", "dishonest"))
    photos: defaultdict[str, list[bool]] = defaultdict(list)
    for seed in range(1500):
        case, lied = (draw_case(seed, "train", each) for each in (honest, liar))
        photos["none" if case.order.fault == "none" else "fault"].append(case.has_photo)
        photos["liar"].append(lied.has_photo)
        assert (lied.order.report, lied.order.fault) == ("", "customer")
    for kind, share in (("fault", 0.9), ("none", 0.6), ("liar", 0.1)):
        assert within_sampling_error(sum(photos[kind]), share, len(photos[kind])), kind
