"""A plan on a scenario small enough to follow by hand, in a batch that knows of no plan."""

from __future__ import annotations

import pytest

from td_gym.envs.aec import raw_env
from td_gym.envs.batch import ConversationBatch
from td_gym.envs.planning import EXPERT, Plan, realise_choice
from td_gym.errors import TdGymError
from tests.engine.echo_scenario import EchoCustomer, EchoScenario

BRIEFING = "Echo. Say what the customer wants."
NOTE = "\n\nSTRATEGY\nYour next message follows this strategy: "
LOOK_UP = "<action>dictionary</action>"


def planned(seed: int = 0) -> tuple[ConversationBatch, Plan]:
    """Return a conversation in which the customer has spoken, and its plan."""
    batch = ConversationBatch(EchoScenario(), "service", 1, {"customer": EchoCustomer()})
    batch.reset((0,), (seed,))
    return batch, Plan(batch.episodes[0])


def test_the_expert_is_asked_before_every_service_message() -> None:
    batch, plan = planned()
    for text in ("Which word?", LOOK_UP, LOOK_UP, "fig"):
        assert plan.next_seat == EXPERT
        plan.choose("say")
        assert plan.next_seat == "service"
        batch.step((0,), (text,))
    assert Plan(EchoScenario().begin(0)).next_seat == "customer"


def test_a_choice_is_in_force_until_the_service_seat_has_spoken() -> None:
    batch, plan = planned()
    assert plan.strategy == ""
    assert plan.messages("service") == batch.episodes[0].messages("service")
    for text in (LOOK_UP, "fig"):
        assert plan.choose("say") is False
        assert plan.strategy == "say"
        noted, *others = plan.messages("service")
        assert noted == {"role": "system", "content": f"{BRIEFING}{NOTE}say"}
        assert others == batch.episodes[0].messages("service")[1:]
        assert plan.read("service", f"{BRIEFING}\ncustomer: 1") == f"{BRIEFING}{NOTE}say\ncustomer: 1"
        assert plan.messages("customer") == batch.episodes[0].messages("customer")
        batch.step((0,), (text,))
        assert plan.strategy == ""
        assert plan.messages("service")[0]["content"] == BRIEFING


@pytest.mark.parametrize("text", ["shout", "", "say chat", "SAY"])
def test_what_is_no_strategy_is_a_breach_and_replaced(text: str) -> None:
    _, plan = planned()
    assert plan.choose(text) is True
    assert plan.strategy == "chat"
    assert plan.messages(EXPERT)[-1] == {"role": "assistant", "content": text}


def test_the_chat_of_the_expert() -> None:
    batch, plan = planned(3)
    word = batch.episodes[0].case
    opening = plan.messages(EXPERT)
    assert opening[0]["content"].startswith(f"{BRIEFING}\n\nPLAN\n")
    assert opening[0]["content"].endswith(":\nsay, chat")
    assert plan.read(EXPERT, f"{BRIEFING} ...") == opening[0]["content"] + " ..."
    plan.choose(" say\n")
    batch.step((0,), (LOOK_UP,))
    plan.choose("chat")
    batch.step((0,), (word,))
    assert plan.messages(EXPERT) == [
        *opening,
        {"role": "assistant", "content": "say"},
        {"role": "user", "content": f"service: {LOOK_UP}\ntool: dictionary: it is a fruit"},
        {"role": "assistant", "content": "chat"},
        {"role": "user", "content": f"service: {word}"},
        {"role": "user", "content": f"customer: 2: I want to hear {word}."},
    ]
    assert opening[1:] == [{"role": "user", "content": f"customer: 1: I want to hear {word}."}]
    plan.messages(EXPERT)[0]["content"] = "mine to change"
    assert plan.messages(EXPERT)[0] == opening[0]


def test_nobody_reads_what_the_service_seat_thinks() -> None:
    env = raw_env(EchoScenario(), expert=True)
    env.reset(seed=0)
    for text in ("1", "say", "<think>SECRET</think><action>gift</action><response>fig</response>"):
        env.step(text)
    assert "SECRET" in env.observe("service")["text"]
    for other in ("customer", EXPERT):
        assert "SECRET" not in str(env.infos[other]) + env.observe(other)["text"]
    assert env.observe(EXPERT)["text"].endswith("service: <action>gift</action><response>fig</response>")
    assert env.infos[EXPERT]["messages"][-1]["content"].endswith("<action>gift</action><response>fig</response>")
    env.step("2")
    env.step("say")
    env.step("<think>SECRET")
    assert "SECRET" not in str(env.infos[EXPERT]) + env.observe(EXPERT)["text"]


def test_nobody_chooses_out_of_turn() -> None:
    _, plan = planned()
    plan.choose("say")
    with pytest.raises(TdGymError, match="turn of 'service', not of 'expert'"):
        plan.choose("chat")
    with pytest.raises(TdGymError, match="turn of 'customer', not of 'expert'"):
        Plan(EchoScenario().begin(0)).choose("say")


def test_a_choice_in_words() -> None:
    episode = planned(4)[0].episodes[0]
    assert realise_choice(episode, "say") == ("say, 4", "say", False)
    assert realise_choice(episode, "shout") == ("chat, 4", "chat", True)
