"""The taskset of verifiers v1, played against a chat server over real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium
import pytest

pytest.importorskip("verifiers.v1", reason='needs the extra: pip install "td-gym[verifiers]"')

import verifiers.v1 as vf

from tests.llm.server import Answer, Behaviour, ChatServer, says, serving

ENV = "td_gym/FoodDispute-v0"
VOUCHER = "<action>voucher</action><response>I am sorry. I have just issued you a voucher.</response>"


def environment(**taskset: Any) -> vf.Env[Any]:
    raw = {"taskset": {"id": "td-gym-verifiers", "env": ENV, "options": {"max_turns": 3}, **taskset}}
    return vf.load_environment(vf.resolve_env_config(raw))


def episode(env: vf.Env[Any], server: ChatServer, seed: int = 5) -> vf.Episode:
    client = vf.EvalClientConfig(base_url=server.url, api_key_var="NO_KEY_IS_SET")

    async def hold() -> vf.Episode:
        (task,) = env.taskset.include(idx=[f"{seed}:{seed + 1}"])
        async with env.serving():
            return await env.run_episode(task, vf.ModelContext("fake", client))

    return asyncio.run(hold())


def test_an_episode_with_reward_and_cost_is_gymnasiums() -> None:
    with serving(says(VOUCHER)) as server:
        held = episode(environment(), server)
    assert held.ok, held.errors
    (trace,) = held.traces

    env = gymnasium.make(ENV, max_turns=3)
    _, info = env.reset(seed=5)
    read = [info["messages"]]
    reward, over, cost, terms = 0.0, False, 0.0, Counter[str]()
    while not over:
        _, earned, terminated, truncated, info = env.step(VOUCHER)
        read.append(info["messages"])
        over = terminated or truncated
        reward, cost = reward + float(earned), cost + info["cost"]
        terms.update(info["rewards"])
    assert cost == 1.0
    assert reward > 0
    assert trace.reward == reward
    assert trace.metrics["cost/voucher"] == cost
    assert {name: trace.metrics[f"term/{name}"] for name in terms} == terms
    assert sum(terms.values()) > 0
    assert trace.info["outcome"] == info["outcome"]

    # What the model was told: the briefing, and what others said, but of its own messages what it wrote.
    for seen, messages in zip(server.seen, read, strict=False):
        told = seen.payload["messages"]
        assert [m for m in told if m["role"] != "assistant"] == [m for m in messages if m["role"] != "assistant"]
        assert {m["content"] for m in told if m["role"] == "assistant"} <= {VOUCHER}
    assert len(server.seen) == len(read) - 1
    assert trace.num_turns == len(server.seen)


def test_tasks_are_seeds_and_the_environment_is_as_configured() -> None:
    env = environment(env="td_gym/Sales-v0", split="test", options={"max_turns": 2})
    assert [task.data.seed for task in itertools.islice(env.taskset, 3)] == [0, 1, 2]
    with serving(says("Hello.")) as server:
        (trace,) = episode(env, server).traces
    assert trace.info["outcome"]["turns"] <= 2
    _, info = gymnasium.make("td_gym/Sales-v0", split="test", max_turns=2).reset(seed=5)
    assert server.seen[0].payload["messages"] == info["messages"]


def fails_at(number: int) -> Behaviour:
    return lambda payload, asked: Answer("no", "400") if asked == number else Answer("Hello.")


@pytest.mark.parametrize("number", [0, 1])
def test_a_server_that_fails_is_an_error_and_no_reward(number: int) -> None:
    with serving(fails_at(number)) as server:
        held = episode(environment(), server)
    assert not held.ok
    assert all("session_reward" not in trace.rewards for trace in held.traces)


def test_a_limit_on_the_model_s_side_gives_no_reward() -> None:
    env = environment(options={"max_turns": 8})
    env.config.agent.max_turns = 1
    with serving(says("Hello.")) as server:
        held = episode(env, server)
    assert not held.ok
    assert "broken off" in held.errors[0].message


def test_a_bad_option_is_one_sentence() -> None:
    with serving(says("Hello.")) as server:
        held = episode(environment(options={"population": "nobody"}), server)
    assert not held.ok
    assert "nobody" in held.errors[0].message
    assert server.seen == []


def test_the_page_s_example_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page.partition("## verifiers")[2].partition("\n## ")[0], re.DOTALL)
    names: dict[str, Any] = {}
    with serving(says(VOUCHER)) as server:
        exec(compile(example.replace("http://127.0.0.1:8000/v1", server.url), "adapters.md", "exec"), names)
    assert [episode.ok for episode in names["episodes"]] == [True] * 8
