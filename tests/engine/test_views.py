"""Rows of a scenario file, users' own scenarios, and the benchmark command, at the views."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from td_gym import bench
from td_gym.envs.aec import raw_env
from td_gym.envs.batch import Ledger
from td_gym.envs.gym import DialogueEnv
from td_gym.envs.spaces import observation_space
from td_gym.envs.vector import DialogueVectorEnv
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.scenario import Scenario
from td_gym.scenarios.multiwoz.scenario import MultiWOZ
from td_gym.turns import CustomerEffect
from tests.engine.echo_scenario import EchoCustomer, EchoEpisode, EchoScenario

ROWS = ("kiwi", "date", "sloe")


def test_a_row_is_picked_always() -> None:
    env = DialogueEnv(EchoScenario(ROWS))
    for seed in (None, 0, 5, None):
        _, info = env.reset(seed=seed, options={"scenario": 1})
        assert info["scenario"] == 1
        assert info["messages"][-1]["content"] == "1: I want to hear date."
    assert info["seed"] not in (0, 5)
    for row in (3, -1):
        with pytest.raises(TdGymError, match="no row"):
            env.reset(options={"scenario": row})


def test_rows_of_a_vector() -> None:
    env = DialogueVectorEnv(EchoScenario(ROWS), num_envs=3)
    _, infos = env.reset(seed=4, options={"scenario": [2, 0, 2]})
    assert list(infos["scenario"]) == [2, 0, 2]
    _, infos = env.reset(options={"scenario": 1})
    assert list(infos["scenario"]) == [1, 1, 1]


def test_what_is_no_row_or_option_is_refused() -> None:
    vector = DialogueVectorEnv(EchoScenario(ROWS), num_envs=2)
    _, infos = vector.reset(options={"scenario": np.array(1)})
    assert list(infos["scenario"]) == [1, 1]
    for row in (1.5, "1", True):
        with pytest.raises(TdGymError, match="is named by its number"):
            EchoScenario(ROWS).begin(0, row=row)  # type: ignore[arg-type]
    assert EchoScenario(ROWS).begin(0, row=np.int64(1)).row == 1  # type: ignore[arg-type]
    for options in ([1], "x"):
        with pytest.raises(TdGymError, match="are a dict, not"):
            raw_env(EchoScenario(ROWS)).reset(options=options)  # type: ignore[arg-type]
    with pytest.raises(TdGymError, match="max_turns must be a whole number of at least 1"):
        DialogueEnv("FoodDispute", max_turns=np.array([1, 2]))
    assert DialogueEnv("FoodDispute", scenarios=None).scenario.name == "FoodDispute"


def test_rows_of_the_multi_agent_view() -> None:
    env = raw_env(EchoScenario(ROWS))
    env.reset(options={"scenario": 2})
    assert "sloe" in env.observe("customer")["text"]
    assert "sloe" not in env.observe("service")["text"]


def test_the_service_seat_may_be_played_by_the_reference_agent() -> None:
    env = DialogueEnv(EchoScenario(), seat="customer")
    env.reset(seed=0)
    _, reward, *_ = env.step("say fig")
    assert (env.episode.transcript[-1].shown, reward) == ("fig", -0.5 + 0.25 * (env.episode.case == "fig"))


def test_a_customer_may_be_a_policy() -> None:
    customer = EchoCustomer()
    env = DialogueEnv(EchoScenario(), customer=customer)
    env.reset(seed=0)
    DialogueVectorEnv(EchoScenario(), num_envs=3, customer=customer).reset(seed=0)
    assert customer.batches == [1, 3]
    for made in (DialogueEnv, DialogueVectorEnv):
        with pytest.raises(TdGymError, match=r"A customer is named, or is a policy .*; 5 is neither"):
            made(EchoScenario(), customer=5)  # type: ignore[arg-type]
        with pytest.raises(TdGymError, match=r"An environment is named by its id, .*, not 5"):
            made(5)  # type: ignore[arg-type]


def test_a_row_that_is_not_there_changes_no_draw() -> None:
    for made in (DialogueEnv(EchoScenario(ROWS)), DialogueVectorEnv(EchoScenario(ROWS), num_envs=2)):
        seeds = []
        for failing in (False, True):
            made.reset(seed=1)
            if failing:
                with pytest.raises(TdGymError, match="no row"):
                    made.reset(seed=99, options={"scenario": 7})
            seeds.append(str(made.reset()[1]["seed"]))
        assert seeds[0] == seeds[1]


def test_a_built_scenario_takes_no_options() -> None:
    with pytest.raises(TdGymError, match="max_turns"):
        DialogueEnv(EchoScenario(), max_turns=3)


def test_steps_come_after_reset() -> None:
    env = DialogueEnv(EchoScenario())
    with pytest.raises(TdGymError, match="reset"):
        env.step("hello")
    with pytest.raises(TdGymError, match="reset"):
        _ = env.episode
    with pytest.raises(TdGymError, match="reset"):
        DialogueVectorEnv(EchoScenario(), num_envs=2, render_mode="ansi").render()


def test_the_benchmark_prints_both_rates(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--dialogues", "5"]) == 0
    printed = capsys.readouterr().out
    assert "service turns a second" in printed
    assert printed.count("\n") == 3
    assert bench.main(["--env", "td_gym/Nothing-v0"]) == 2
    assert "Unknown environment" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        bench.main(["--dialogues", "0"])


def test_each_unseeded_reset_meets_somebody_else() -> None:
    env = gymnasium.make("td_gym/FoodDispute-v0")
    env.reset(seed=1)
    assert len({env.reset()[1]["seed"] for _ in range(20)}) == 20


def test_a_conversation_full_of_look_ups_is_within_the_space() -> None:
    scenario = EchoScenario(max_turns=40)
    look_up = "<action>dictionary</action>"
    episode, ledger = all_look_ups(scenario, look_up + "\n" * (scenario.max_chars - len(look_up)))
    assert ledger.read(episode, "service") in observation_space(scenario)["text"]


@pytest.mark.parametrize("call", ["domain=restaurant food={}", "domain=train leaveat={}", "domain=restaurant"])
def test_so_is_one_full_of_long_answers(call: str) -> None:
    scenario = MultiWOZ(max_chars=80, max_turns=100)
    value = "\U0010ffff" * (80 - len(f"<action>query {call}</action>"))
    episode, ledger = all_look_ups(scenario, f"<action>query {call.format(value)}</action>")
    assert ledger.read(episode, "service") in observation_space(scenario)["text"]


def all_look_ups(scenario: Scenario, message: str) -> tuple[Episode, Ledger]:
    """Return a conversation in which the service seat never says a word, and its ledger."""
    episode = scenario.begin(0)
    ledger = Ledger(episode, "service")
    while episode.outcome is None:
        episode.submit(episode.next_seat, message if episode.next_seat == "service" else "\n".join("what?"))
    return episode, ledger


def test_conversations_that_a_mask_starts_anew_get_their_own_rows() -> None:
    env = DialogueVectorEnv(EchoScenario(ROWS), num_envs=3)
    env.reset(seed=0)
    options = {"reset_mask": np.array([False, True, True]), "scenario": [0, 1, 2]}
    observations, infos = env.reset(seed=0, options=options)
    assert list(infos["scenario"][1:]) == [1, 2]
    assert "date" in observations["text"][1]


def test_a_step_that_begins_the_next_conversation_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    opening = CustomerEffect(frozenset(), 2, {"service": 0.5})
    monkeypatch.setattr(EchoEpisode, "hear_customer", lambda episode, shown: opening)
    env = DialogueVectorEnv(EchoScenario(), num_envs=1)
    env.reset(seed=0)
    env.step(["<think>"])
    _, rewards, *_ = env.step(["not heard"])
    assert rewards.tolist() == [0.0]


def test_the_first_seed_beyond_64_bits_is_told_whole() -> None:
    _, infos = DialogueVectorEnv(EchoScenario(), num_envs=2).reset(seed=2**63 - 1)
    assert list(infos["seed"]) == [2**63 - 1, 2**63]
