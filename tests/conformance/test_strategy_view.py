"""The Discrete views: choices become words, the procedure is kept, and all else is as in the text view."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import td_gym
from td_gym import registration
from td_gym.errors import TdGymError
from tests.conformance.conftest import dialogue

DIALOGUES = 24
"""Enough that words which do not say what was chosen show in their mean reward."""


@pytest.fixture(params=(*td_gym.strategy_ids(), registration.strategy_id("Repairs")))
def strategy_id(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


def play(env: gymnasium.Env[Any, Any], seed: int, masked: bool = True) -> list[tuple[Any, ...]]:
    """Return all steps of a conversation in which strategies are drawn at random."""
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    steps: list[tuple[Any, ...]] = [(observation, 0.0, False, False, info)]
    while not (steps[-1][2] or steps[-1][3]):
        mask = steps[-1][0]["action_mask"] if masked else None
        steps.append(env.step(env.action_space.sample(mask)))
    return steps


def breaches(env: gymnasium.Env[Any, Any], seed: int, masked: bool) -> float:
    return sum(info["costs"]["sop_breaches"] for *_, info in play(env, seed, masked))


def test_check_env_without_warnings(strategy_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(strategy_id, split="test").unwrapped)


def test_two_copies_side_by_side(strategy_id: str) -> None:
    first, second = gymnasium.make(strategy_id), gymnasium.make(strategy_id)
    for seed in range(10):
        for one, other in zip(play(first, seed, seed % 2 == 0), play(second, seed, seed % 2 == 0), strict=True):
            assert data_equivalence(one, other, exact=True)


def test_with_the_mask_the_procedure_is_never_broken_and_without_it_is(strategy_id: str) -> None:
    env = gymnasium.make(strategy_id)
    broken = {masked: sum(breaches(env, seed, masked) for seed in range(20)) for masked in (True, False)}
    assert broken[True] == 0
    assert broken[False] > 0


def test_an_inadmissible_choice_says_the_fallback(strategy_id: str) -> None:
    env: Any = gymnasium.make(strategy_id).unwrapped
    observation, info = env.reset(seed=3)
    strategies = env.scenario.strategies
    assert info["costs"]["sop_breaches"] == 0
    shown = tuple(strategies[i] for i in np.flatnonzero(observation["action_mask"]))
    assert shown == env.scenario.admissible(env.episode)
    assert observation["action_mask"][strategies.index(env.scenario.fallback_strategy)]
    fallen, same = copy.deepcopy(env), copy.deepcopy(env)
    *_, info = fallen.step(strategies.index("chat"))
    *_, expected = same.step(strategies.index(env.scenario.fallback_strategy))
    assert info["costs"] == {**expected["costs"], "sop_breaches": 1.0}
    assert info["messages"] == expected["messages"]


def test_the_words_are_those_of_the_text_view(strategy_id: str) -> None:
    """A conversation chosen by number, written out, is the same conversation in the text view."""
    discrete: Any = gymnasium.make(strategy_id)
    steps = play(discrete, 5)
    text = gymnasium.make(strategy_id.replace("Strategy", ""))
    text.reset(seed=5)
    own = [turn.text for turn in discrete.unwrapped.episode.transcript if turn.seat == "service"]
    for said, (_, reward, terminated, truncated, info) in zip(own, steps[1:], strict=True):
        _, *others, other_info = text.step(said)
        assert others == [reward, terminated, truncated]
        assert other_info["costs"].items() <= info["costs"].items()
        assert other_info["messages"] == info["messages"]
        assert set(other_info) == set(info)


def as_the_reference_agent(env: Any) -> int:
    """Return the number of the strategy as which the reference agent's next message would be read."""
    scenario, episode = env.scenario, env.episode
    (text,) = scenario.expert().reply_batch([episode])
    used: str = scenario.restore(episode.snapshot()).submit("service", text).strategy
    return scenario.strategies.index(used)


def test_choosing_as_the_reference_agent_does_is_worth_nearly_what_it_gets(strategy_id: str) -> None:
    discrete: Any = gymnasium.make(strategy_id).unwrapped
    text = gymnasium.make(strategy_id.replace("Strategy", ""))
    lost = []
    for seed in range(DIALOGUES):
        own = sum(reward for _, reward, *_ in dialogue(text, discrete.scenario.expert(), seed=seed))
        discrete.reset(seed=seed)
        chosen, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = discrete.step(as_the_reference_agent(discrete))
            chosen, over = chosen + reward, terminated or truncated
        lost.append(own - chosen)
    low, high = discrete.scenario.reward_ranges["service"]
    assert np.mean(lost) < 0.05 * (high - low)


@pytest.mark.parametrize("action", [-1, 99, 1.5, "open", None, True, np.array([1, 2])], ids=str)
def test_wrong_actions_are_one_sentence(strategy_id: str, action: Any) -> None:
    env = gymnasium.make(strategy_id)
    env.reset(seed=0)
    with pytest.raises(TdGymError, match="An action is the number of a strategy, 0 to"):
        env.step(action)
    env.step(np.int64(0))


def test_wrong_arguments_name_what_is_known(strategy_id: str) -> None:
    with pytest.raises(TdGymError, match=r"Unknown argument 'custmer'\. Did you mean 'customer'") as caught:
        gymnasium.make(strategy_id, custmer="scripted")
    for known in ("split", "customer", "seat", "debug", "render_mode", "population", "max_turns"):
        assert known in str(caught.value).partition("Known: ")[2]
    with pytest.raises(TdGymError, match=r"Unknown seat 'customer'\. Known: service\."):
        gymnasium.make(strategy_id, seat="customer")


def test_a_running_conversation_can_be_copied_and_pickled(strategy_id: str) -> None:
    env = gymnasium.make(strategy_id)
    env.reset(seed=0)
    twins = [env, copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    texts = [twin.step(1)[4]["messages"] for twin in twins]
    assert texts == [texts[0]] * 3
