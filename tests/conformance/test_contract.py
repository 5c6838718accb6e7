"""What a scenario owes every method, agent and recorder, whatever it is about."""

from __future__ import annotations

import json
import math
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest

from td_gym.draws import choice
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario
from td_gym.scenarios.desk import Desk
from td_gym.seats import play_on
from td_gym.slots import SLOT
from tests.conformance.conftest import OF_DESKS, dialogue, players

SEEDS = range(6)
INFO = {"cost", "costs", "rewards", "messages", "strategy", "scenario", "seed"}
FORBIDDEN = ("hidden", "persona", "demand", "fault")
BUDGETS = {
    "td_gym/FoodDispute-v0": ("voucher", 0.30),
    "td_gym/Sales-v0": ("discount", 0.30),
    "td_gym/MultiWOZ-v0": ("db_queries", 0.25),
}
"""What other people's scripts count on."""


def converse(scenario: Scenario, name: str, seed: int) -> tuple[Episode, list[Any]]:
    """Return a finished conversation of the service agent ``name`` and all turn results."""
    episode = scenario.begin(seed)
    seats = {"customer": scenario.customer(scenario.customers[0]), "service": players(scenario)[name]}
    return episode, play_on(episode, seats)


def keys_of(value: Any) -> list[str]:
    """Return every key in nested dicts."""
    if not isinstance(value, dict):
        return []
    return [*value, *(key for item in value.values() for key in keys_of(item))]


@pytest.mark.parametrize("env_id", BUDGETS)
def test_budgets_by_default(env_id: str) -> None:
    scenario = make_scenario(env_id)
    assert (scenario.budgeted_cost, scenario.costs[scenario.budgeted_cost].limit) == BUDGETS[env_id]


def test_declarations(scenario: Scenario) -> None:
    assert set(scenario.seats) >= {"service", "customer"}
    assert len(scenario.terms) >= 4
    assert all(math.isfinite(term.low) and term.low < term.high for term in scenario.terms.values())
    budgeted = [cost for cost in scenario.costs.values() if cost.budgeted]
    assert len(budgeted) == 1
    assert budgeted[0].limit is not None
    assert budgeted[0].limit > 0
    assert "format" in scenario.costs
    assert set(scenario.reward_ranges) >= {"service", "customer"}
    assert scenario.fallback_strategy in scenario.strategies
    assert len(set(scenario.strategies)) == len(scenario.strategies)
    assert set(scenario.floors) >= {"random", "do_nothing"}
    assert scenario.populations
    assert scenario.customers
    for name, tool in scenario.tools.items():
        assert (tool.name, name == "chat") == (name, False)


def test_results_keep_to_their_ranges(scenario: Scenario) -> None:
    for name in players(scenario):
        for seed in SEEDS:
            episode, results = converse(scenario, name, seed)
            paid = {seat: sum(result.rewards.get(seat, 0.0) for result in results) for seat in scenario.seats}
            for seat, (low, high) in scenario.reward_ranges.items():
                assert low <= paid[seat] <= high, (name, seed, seat)
            for result in results:
                assert set(result.costs) <= set(scenario.costs)
                assert all(math.isfinite(amount) and amount >= 0 for amount in result.costs.values())
                if result.seat == "service":
                    assert set(result.terms) == set(scenario.terms)
                    for term, value in result.terms.items():
                        assert scenario.terms[term].low <= value <= scenario.terms[term].high
                    assert result.strategy in (*scenario.strategies, "")
                else:
                    assert result.relevance in (0, 1, 2, 3)
            assert [result.terminated or result.truncated for result in results].index(True) == len(results) - 1
            assert episode.outcome is not None
            assert episode.outcome["turns"] == episode.service_turns <= scenario.max_turns
            assert json.loads(json.dumps(episode.outcome)) == episode.outcome


def test_the_reference_agent_keeps_to_the_procedure(scenario: Scenario) -> None:
    agent, customer, kept = scenario.expert(), scenario.customer(scenario.customers[0]), []
    for seed in range(40):
        episode = scenario.begin(seed)
        while episode.outcome is None:
            play_on(episode, {"customer": customer})
            if episode.outcome is None:
                admissible = scenario.admissible(episode)
                (text,) = agent.reply_batch([episode])
                kept.append(episode.submit("service", text).strategy in admissible)
    assert np.mean(kept) > 0.98


def test_the_reference_agent_succeeds_and_doing_nothing_does_not(scenario: Scenario) -> None:
    def successes(name: str) -> list[bool]:
        outcomes = [converse(scenario, name, seed)[0].outcome for seed in range(20)]
        return [scenario.succeeded(outcome) for outcome in outcomes if outcome is not None]

    assert successes("do_nothing") == [False] * 20
    assert sum(successes("expert")) > 0


def test_every_admissible_strategy_can_be_put_into_words(scenario: Scenario) -> None:
    """What is said is what was chosen, but where there is nothing to tell or ask, and for stray wordings."""
    customer, kept = scenario.customer(scenario.customers[0]), []
    for seed in range(60):
        episode = scenario.begin(seed)
        while episode.outcome is None:
            play_on(episode, {"customer": customer})
            if episode.outcome is None:
                chosen = choice(scenario.admissible(episode), seed, len(episode.transcript))
                text = scenario.realise(episode.messages("service"), chosen, seed)
                assert not SLOT.search(text), (chosen, text)
                result = episode.submit("service", text)
                kept.append(result.strategy == chosen)
        assert episode.outcome["ended_by"] != "format_error"
    assert np.mean(kept) > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [({"population": "hrad"}, "hard"), ({"disclosure": "maybe"}, "honest"), ({"max_turns": 0}, "at least 1")],
)
def test_bad_options_are_refused_in_words(scenario: Scenario, options: dict[str, Any], message: str) -> None:
    if not isinstance(scenario, Desk) and options.keys() & OF_DESKS:
        pytest.skip("an option of desks alone")
    with pytest.raises(TdGymError, match=message):
        make_scenario(scenario.name, **options)


def test_a_row_needs_a_scenario_file(scenario: Scenario) -> None:
    with pytest.raises(TdGymError, match="leave the row out"):
        scenario.begin(0, row=3)


def test_only_the_first_customer_is_trained_with(scenario: Scenario) -> None:
    first, *kept = scenario.customers
    assert kept, "a scenario needs a second customer, for evaluation alone"
    assert type(scenario.training_customer()) is type(scenario.training_customer(first))
    for name in kept:
        with pytest.raises(TdGymError, match="kept for evaluation"):
            scenario.training_customer(name)


def test_a_prospect_is_told_that_its_mark_may_have_decimals() -> None:
    episode = make_scenario("Sales").begin(0)
    assert "from 1 to 5, decimals allowed" in episode.briefing("customer")
    assert "decimals" not in episode.briefing("service")
    episode.submit("customer", "Hello?")
    episode.submit("service", "Goodbye.")
    episode.submit("customer", "Bye. [end:4.5018]")
    assert episode.outcome is not None
    assert episode.outcome["ended_by"] == "resolved"


def test_the_breaker_ends_by_format_error(scenario: Scenario) -> None:
    for seed in SEEDS:
        episode, results = converse(scenario, "breaker", seed)
        assert episode.outcome is not None
        if episode.outcome["ended_by"] == "format_error":
            assert results[-1].costs["format"] == 1.0
            assert results[-1].terms == scenario.zero_terms
            return
    pytest.fail("no conversation lived long enough for the malformed message")


def test_some_strategy_is_always_admissible(scenario: Scenario) -> None:
    customer = {"customer": scenario.customer(scenario.customers[0])}
    for name, player in players(scenario).items():
        for seed in SEEDS:
            episode = scenario.begin(seed)
            play_on(episode, customer)
            while episode.outcome is None:
                allowed = scenario.admissible(episode)
                assert allowed, (name, seed)
                assert list(allowed) == [strategy for strategy in scenario.strategies if strategy in allowed]
                episode.submit("service", *player.reply_batch([episode]))
                play_on(episode, customer)


def test_every_strategy_of_the_procedure_is_admissible_somewhere(env_id: str) -> None:
    plain = make_scenario(env_id)
    scenario = make_scenario(env_id, transfer=True) if isinstance(plain, Desk) else plain
    customer = {"customer": scenario.customer(scenario.customers[0])}
    seats = players(scenario)
    missing = {*scenario.strategies[:-1]}  # the last is that of a message which follows none
    for seed, name in product(range(40), ("expert", "caller")):
        episode = scenario.begin(seed)
        play_on(episode, customer)
        while missing and episode.outcome is None:
            missing -= {*scenario.admissible(episode)}
            episode.submit("service", *seats[name].reply_batch([episode]))
            play_on(episode, customer)
    assert not missing


def test_scaffold_answers_stand_in_the_briefing(scenario: Scenario) -> None:
    for seed in range(30):
        episode = scenario.begin(seed)
        tasks = scenario.scaffold_tasks(episode)
        assert {task.kind for task in tasks} == {"mac", "pnr"}
        briefing = episode.briefing("service").lower()
        for task in tasks:
            assert task.question.strip()
            if task.kind == "pnr":
                assert math.isfinite(float(task.answer)), (seed, task)
            elif task.answer not in ("yes", "no"):
                assert task.answer.lower() in briefing, (seed, task)


def test_floors_and_references_run_to_the_end(scenario: Scenario) -> None:
    for name in ("expert", "oracle", *scenario.floors):
        for seed in SEEDS:
            episode, results = converse(scenario, name, seed)
            assert all(result.costs.get("format", 0.0) == 0.0 for result in results), (name, seed)
            assert episode.outcome is not None


def test_a_conversation_branches_at_any_turn(scenario: Scenario) -> None:
    customer = scenario.customer(scenario.customers[0])
    for name in ("expert", "caller"):
        reference, results = converse(scenario, name, 5)
        texts = [turn.text for turn in reference.transcript]
        for cut in range(len(texts)):
            episode = scenario.begin(5)
            for k in range(cut):
                reply = customer.reply_batch([episode])[0] if episode.next_seat == "customer" else texts[k]
                episode.submit(episode.next_seat, reply)
            branch = scenario.restore(json.loads(json.dumps(episode.snapshot())))
            for k in range(cut, len(texts)):
                seat = branch.next_seat
                text = customer.reply_batch([branch])[0] if seat == "customer" else texts[k]
                assert text == texts[k]
                assert branch.submit(seat, text) == results[k]
            assert branch.outcome == reference.outcome
            assert branch.messages("service") == reference.messages("service")


def test_snapshots_of_other_options_are_refused(scenario: Scenario) -> None:
    episode = scenario.begin(3)
    episode.submit("customer", "Hello.")
    snapshot = episode.snapshot()
    assert make_scenario(scenario.name).restore(snapshot).transcript == episode.transcript
    of_desks = [{"transfer": True}] if isinstance(scenario, Desk) else []
    for options in ({"population": scenario.populations[1]}, {"max_chars": 500}, *of_desks):
        with pytest.raises(TdGymError, match="another case"):
            make_scenario(scenario.name, **options).restore(snapshot)
    with pytest.raises(TdGymError, match="messages of a snapshot must be a JSON list, not null"):
        make_scenario(scenario.name).restore({**snapshot, "messages": None})
    for messages in (["customer"], [["customer"]], [["customer", 3]]):
        with pytest.raises(TdGymError, match="messages are pairs of seat and text"):
            make_scenario(scenario.name).restore({**snapshot, "messages": messages})


def test_an_unknown_seat_reads_nothing(scenario: Scenario) -> None:
    episode = scenario.begin(0)
    with pytest.raises(TdGymError, match="Unknown seat 'servcie'"):
        episode.messages("servcie")
    with pytest.raises(TdGymError, match="Unknown seat 'servcie'"):
        episode.briefing("servcie")


def test_infos_have_the_contracted_keys_and_hide_what_is_hidden(env_id: str, scenario: Scenario) -> None:
    env = gymnasium.make(env_id)
    declared = {*scenario.costs, *scenario.terms}  # always all there, so their presence tells nothing
    for seed, (_name, player) in enumerate(players(scenario).items()):
        for observation, reward, terminated, truncated, info in dialogue(env, player, seed=seed):
            over = terminated or truncated
            assert set(info) == (INFO | {"outcome"} if over else INFO)
            assert not [key for key in keys_of(info) if key not in declared for word in FORBIDDEN if word in key]
            assert set(info["costs"]) == set(scenario.costs)
            assert info["cost"] == info["costs"][scenario.budgeted_cost]
            assert set(info["rewards"]) == set(scenario.terms)
            assert all(type(value) is float for value in [*info["costs"].values(), *info["rewards"].values()])
            assert (info["seed"], info["scenario"]) == (seed, -1)
            assert json.loads(json.dumps(info)) == info
            assert type(reward) is float
            assert observation in env.observation_space
            assert np.isfinite(observation["observation"]).all()
            messages = info["messages"]
            assert messages[0]["role"] == "system"
            assert all(set(message) == {"role", "content"} for message in messages)
            for message in messages:
                assert message["content"].split("\n")[0] in observation["text"] or "<tool_result>" in message["content"]
        assert messages == env.unwrapped.episode.messages("service")  # type: ignore[attr-defined]
        assert not env.unwrapped.episode.memory.get("service")  # type: ignore[attr-defined]


def test_debug_shows_the_case_and_nothing_else_does(env_id: str) -> None:
    env = gymnasium.make(env_id, debug=True)
    _, info = env.reset(seed=1)
    assert set(info) == INFO | {"debug"}
    json.dumps(info["debug"])


def test_the_agent_does_not_choose_its_customer(env_id: str, scenario: Scenario) -> None:
    for seed in (0, 1, 2**31 - 1, 2**40, 2**80):
        met = set()
        for player in players(scenario).values():
            env = gymnasium.make(env_id, debug=True)
            first, *_rest = dialogue(env, player, seed=seed)
            met.add((json.dumps(first[4]["debug"]), first[0]["text"]))
        assert len(met) == 1, seed


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_seed_zero_is_a_seed_in_every_split(env_id: str, split: str) -> None:
    env = gymnasium.make(env_id, split=split)
    observation, info = env.reset(seed=0)
    assert info["seed"] == 0
    again, _ = env.reset(seed=0)
    other, _ = env.reset(seed=1)
    assert observation["text"] == again["text"] != other["text"]


def test_splits_hold_different_customers(env_id: str) -> None:
    met = {}
    for split in ("train", "validation", "test"):
        env = gymnasium.make(env_id, split=split, debug=True)
        met[split] = {json.dumps(env.reset(seed=seed)[1]["debug"]) for seed in range(40)}
    assert not met["train"] & met["test"]
    assert not met["train"] & met["validation"]
    assert not met["validation"] & met["test"]


def test_a_conversation_goes_on_with_its_own_customer_alone(scenario: Scenario) -> None:
    first, second = scenario.customers[:2]
    for begun, other in ((first, second), (second, first)):
        episode = scenario.begin(3)
        seats = {name: scenario.customer(name) for name in (begun, other)}
        episode.submit("customer", seats[begun].reply_batch([episode])[0])
        episode.submit("service", "I am sorry to hear that.")
        snapshot = json.loads(json.dumps(episode.snapshot()))
        told = seats[begun].reply_batch([episode])
        assert seats[begun].reply_batch([scenario.restore(snapshot)]) == told
        if snapshot["memory"]:
            with pytest.raises(TdGymError, match="begun with another simulated customer"):
                seats[other].reply_batch([scenario.restore(snapshot)])
        for memory in (None, 5, {"customer": [1]}):
            with pytest.raises(TdGymError, match=r"The memory of a snapshot.* must be a JSON object"):
                scenario.restore({**snapshot, "memory": memory})
