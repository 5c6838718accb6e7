"""The OpenEnv server over a real WebSocket: the same conversations as Gymnasium's view, and what it refuses."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import td_gym
from td_gym.errors import TdGymError

pytest.importorskip("openenv", reason='needs the extra: pip install "td-gym[openenv]"')

import uvicorn
from openenv import GenericEnvClient

from td_gym.adapters.openenv import make_app

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ENV = td_gym.env_ids()[0]
VOUCHER = "<action>voucher</action><response>I am sorry. I have just issued you a voucher.</response>"


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve ``app`` on a free port of this machine and yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(make_app(ENV, max_turns=3, sessions=2)) as address:
        yield address


def test_an_episode_with_reward_and_cost_is_gymnasiums(url: str) -> None:
    env = gymnasium.make(ENV, max_turns=3)
    observation, info = env.reset(seed=5)
    with GenericEnvClient(base_url=url).sync() as client:
        result = client.reset(seed=5, episode_id="five")
        assert result.observation["messages"] == info["messages"]
        assert result.observation["screen"] == observation["observation"].tolist()
        assert result.reward is None
        over = truncated = False
        rewards = costs = 0.0
        while not over:
            observation, reward, terminated, truncated, info = env.step(VOUCHER)
            over = terminated or truncated
            result = client.step({"text": VOUCHER})
            assert (result.reward, result.done) == (reward, over)
            assert result.observation["truncated"] == truncated
            assert {**result.metadata, "messages": result.observation["messages"]} == info
            rewards += reward
            costs += info["cost"]
        assert costs == 1.0
        assert rewards > 0
        assert result.metadata["outcome"]["voucher"]
        assert client.state()["episode_id"] == "five"
        assert client.state()["step_count"] == sum(m["role"] == "assistant" for m in info["messages"])


def test_sessions_do_not_hear_of_each_other(url: str) -> None:
    with GenericEnvClient(base_url=url).sync() as one, GenericEnvClient(base_url=url).sync() as other:
        first = one.reset(seed=1).observation["messages"]
        assert other.reset(seed=2).observation["messages"] != first
        assert one.step({"text": "Hello."}).observation["messages"][: len(first)] == first


@pytest.mark.parametrize(
    ("payload", "said"),
    [({"seed": -1}, "non-negative whole number"), ({"scenario": 3}, "scenario"), ({"seed": "x"}, "non-negative")],
)
def test_a_bad_reset_is_one_sentence_and_the_session_goes_on(url: str, payload: dict[str, Any], said: str) -> None:
    with GenericEnvClient(base_url=url).sync() as client:
        with pytest.raises(RuntimeError, match=said):
            client.reset(**payload)
        assert not client.reset(seed=1).done


def test_a_message_before_the_first_reset_is_refused(url: str) -> None:
    with GenericEnvClient(base_url=url).sync() as client, pytest.raises(RuntimeError, match="reset"):
        client.step({"text": "Hello."})


def test_what_is_wrong_with_the_environment_is_said_before_serving() -> None:
    with pytest.raises(TdGymError, match="argument"):
        make_app(ENV, no_such_option=1)
    with pytest.raises(TdGymError, match="sessions"):
        make_app(ENV, sessions=0)
    with pytest.raises(TdGymError, match="servers of its own"):
        make_app(ENV, models=object())
    with pytest.raises(TdGymError, match="There is no environment 'td_gym/Nope-v0'"):
        make_app("td_gym/Nope-v0")
    with pytest.raises(TdGymError, match="is no message; serve the environment of the scenario itself"):
        make_app(td_gym.strategy_ids()[0])


def test_the_page_s_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")
    serve, play = re.findall(r"```python\n(.*?)```", page.partition("## OpenEnv")[2].partition("\n## ")[0], re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(serve, "serve.py", "exec"), names)
    with serving(names["app"]) as address:
        exec(compile(play.replace("http://127.0.0.1:8000", address), "adapters.md", "exec"), names)
    assert names["result"].done
