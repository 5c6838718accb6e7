"""Nothing anybody writes raises, at any view and any seat."""

from __future__ import annotations

import json

import gymnasium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from td_gym.envs.aec import env as aec_env
from tests.conformance.conftest import ENV_IDS

TAGS = ("<think>", "</think>", "<response>", "</response>", "<action>", "</action>", "<tool_result>")
CALLS = (
    "voucher",
    "offer_coupon",
    "confirm_order",
    " amount=",
    " percent=",
    "query",
    "book",
    " domain=train",
    " name=",
    "goodwill",
    " day=",
)
WORDS = (*CALLS, "nan", "1e309", "-", "1" * 400, "[end:5]", "[hangup:1]", "sorry ", "I will take it. ", "[item]")
ODD = ("\0", "\ud800", "\n", "x" * 50_000)
PIECES = st.sampled_from((*TAGS, *WORDS, *ODD))
TEXT = st.one_of(
    st.text(st.characters(), max_size=60),
    st.lists(st.one_of(PIECES, st.text(st.characters(), max_size=10)), max_size=8).map("".join),
)
CALL = st.builds(
    '<action>{}="{}"</action>ok'.format,
    st.sampled_from(
        (
            "voucher amount",
            "offer_coupon percent",
            "confirm_order x",
            "query domain",
            "query domain=train leaveat",
            "book domain=hotel name",
            "book domain=taxi departure=a destination=b leaveat",
            "book day",
        )
    ),
    st.one_of(st.text(st.characters(), max_size=20), st.sampled_from(("nan", "-1", "1e309", "50"))),
)
TEXTS = st.lists(st.one_of(TEXT, CALL), min_size=1, max_size=6)
SLOW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("env_id", ENV_IDS)
@pytest.mark.parametrize("seat", ["service", "customer"])
@SLOW
@given(seed=st.integers(0, 2**70), texts=TEXTS)
def test_single(env_id: str, seat: str, seed: int, texts: list[str]) -> None:
    env = gymnasium.make(env_id, seat=seat).unwrapped
    observation, info = env.reset(seed=seed)
    for text in texts:
        observation, _, terminated, truncated, info = env.step(text)
        assert observation in env.observation_space
        json.dumps(info)
        if terminated or truncated:
            observation, info = env.reset()
    assert observation in env.observation_space


@pytest.mark.parametrize("env_id", ENV_IDS)
@SLOW
@given(seed=st.integers(0, 2**40), texts=TEXTS)
def test_aec(env_id: str, seed: int, texts: list[str]) -> None:
    env = aec_env(env_id)
    env.reset(seed=seed)
    for text in texts:
        observation, _, terminated, truncated, _ = env.last()
        assert observation in env.observation_space(env.agent_selection)
        if terminated or truncated:
            break
        env.step(text)


@pytest.mark.parametrize("env_id", ENV_IDS)
@SLOW
@given(texts=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_vector(env_id: str, texts: list[tuple[str, str]]) -> None:
    env = gymnasium.make_vec(env_id, num_envs=2)
    env.reset(seed=0)
    for pair in texts:
        observations, *_ = env.step(pair)
        assert observations in env.observation_space
