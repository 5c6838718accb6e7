"""Specs become agents, or one clear line; agents see messages and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

import agents.agent as agent_module
from agents.agent import STRATEGY, Agent, OracleAgent, make, scripted_names
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario
from tests.agents.fakes import HEADING, FakeScenario, fake_policy

MESSAGES = [{"role": "system", "content": f"{HEADING}\n\nCASE\nsoup; waits 3"}, {"role": "user", "content": "cold"}]


class Echo:
    """An agent of a user's own."""

    def reset(self, seed: int | None = None) -> None:
        self.seed = seed

    def act(self, observation: Any, messages: Sequence[Any]) -> str:
        return str(messages[-1]["content"])


def broken() -> Agent:
    raise RuntimeError("no such key")


def not_an_agent() -> object:
    return object()


def test_scripted_and_seed() -> None:
    agent = make("scripted", scenario=FakeScenario())
    assert isinstance(agent, Agent)
    agent.reset(seed=7)
    assert agent.act(None, MESSAGES) == "sorry, 2 7"
    agent.reset()
    assert agent.act(None, MESSAGES) == "sorry, 2 0"


def test_scripted_finds_its_scenario_in_the_briefing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "scenario_names", lambda: ("Fake",))
    monkeypatch.setattr(agent_module, "make_scenario", lambda name: FakeScenario())
    assert make("scripted").act(None, MESSAGES) == "sorry, 2 0"
    with pytest.raises(TdGymError, match="no registered scenario"):
        make("scripted").act(None, [{"role": "system", "content": "Something else."}])


@pytest.mark.parametrize("name", FakeScenario.floors)
def test_floors(name: str) -> None:
    assert make(name, scenario=FakeScenario()).act(None, MESSAGES).startswith("sorry")


@pytest.mark.parametrize("name", scripted_names())
def test_a_scripted_agent_of_some_scenario_needs_no_scenario_to_be_made(name: str) -> None:
    assert isinstance(make(name), Agent)


def test_a_floor_the_scenario_lacks_is_refused() -> None:
    with pytest.raises(TdGymError, match="Unknown agent 'always_voucher'"):
        make("always_voucher", scenario=FakeScenario())
    sales = make_scenario("Sales").begin(0)
    with pytest.raises(TdGymError, match="Unknown floor 'always_voucher'"):
        make("always_voucher").act(None, sales.messages("service"))


def test_the_oracle_wants_the_episode() -> None:
    oracle = make("oracle", scenario=FakeScenario())
    assert isinstance(oracle, OracleAgent)
    assert oracle.needs_episode
    with pytest.raises(TdGymError, match="needs the episode itself"):
        oracle.act(None, MESSAGES)
    assert oracle.act_episode(FakeScenario().begin(1)) == "I know all"


def test_a_factory() -> None:
    agent = make("tests.agents.test_agent:Echo")
    agent.reset(3)
    assert agent.act(None, MESSAGES) == "cold"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nonsense", "Unknown agent 'nonsense'"),
        ("scriptd", "Did you mean 'scripted'"),
        ("no.such.module:f", "Cannot import agent"),
        ("tests.agents.test_agent:missing", "has no factory 'missing'"),
        ("tests.agents.test_agent:broken", "no such key"),
        ("tests.agents.test_agent:not_an_agent", "no reset\\(\\) and act\\(\\)"),
    ],
)
def test_bad_specs_are_one_line(spec: str, words: str) -> None:
    with pytest.raises(TdGymError, match=words) as caught:
        make(spec)
    assert "\n" not in str(caught.value)


def test_an_unknown_spec_lists_the_known() -> None:
    with pytest.raises(TdGymError) as caught:
        make("nonsense")
    for name in ("scripted", "oracle", "tiny", "RUN_DIRECTORY", "package.module:factory"):
        assert name in str(caught.value)


def test_a_run_directory_and_a_model_directory(tmp_path: Path) -> None:
    fake_policy().save(tmp_path / "model")
    for folder in (tmp_path, tmp_path / "model"):
        agent = make(str(folder), scenario=FakeScenario(), temperature=0.0)
        agent.reset(seed=1)
        assert isinstance(agent.act(None, MESSAGES), str)
    with pytest.raises(TdGymError, match="negative"):
        make(str(tmp_path), temperature=-1.0)


def test_the_id_of_a_hub_model_that_was_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for absent in ("desk/small", "too/many/parts", "desk/-wrong-"):
        with pytest.raises(TdGymError, match=r"Unknown agent .*DOWNLOADED_HUB_ID"):
            make(absent, scenario=FakeScenario())
    held = tmp_path / "models--desk--small"
    fake_policy().save(held / "snapshots" / ("0" * 40))
    (held / "refs").mkdir()
    (held / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    agent = make("desk/small", scenario=FakeScenario(), temperature=0.0)
    agent.reset(seed=1)
    assert isinstance(agent.act(None, MESSAGES), str)


def test_a_language_model_finds_its_scenario_from_the_briefing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_policy().save(tmp_path)
    known = make(str(tmp_path), scenario=FakeScenario())
    monkeypatch.setattr(agent_module, "scenario_of_briefing", lambda briefing: FakeScenario())
    briefed = make(str(tmp_path))
    for seed in (3, 4):
        for agent in (known, briefed):
            agent.reset(seed=seed)
        assert briefed.act(None, MESSAGES) == known.act(None, MESSAGES)


@pytest.mark.parametrize("spec", ["scripted", "tiny"])
def test_an_agent_without_a_scenario_goes_from_one_to_another(spec: str) -> None:
    """Conversations of two scenarios, in one batch and one after the other, in the words of each one's own agent."""
    asked = []
    for name in ("FoodDispute", "Sales", "FoodDispute"):
        scenario = make_scenario(name)
        episode = scenario.begin(len(asked))
        episode.submit("customer", scenario.customer(scenario.customers[0]).reply_batch([episode])[0])
        asked.append((scenario, episode.messages("service")))

    def said(agent: Any, messages: Sequence[Any]) -> str:
        agent.reset(seed=5)
        return str(agent.act(None, messages))

    expected = [said(make(spec, scenario=scenario), messages) for scenario, messages in asked]
    agent: Any = make(spec)
    assert [said(agent, messages) for _, messages in asked] == expected
    if spec == "tiny":
        both: Any = make(spec)
        both.reset(seed=5)
        assert both.act_batch([None] * 3, [messages for _, messages in asked]) == expected


def test_scripted_agents_need_no_torch(tmp_path: Path) -> None:
    (tmp_path / STRATEGY).write_text("{}")
    code = (
        "import sys\n"
        "extras = ('torch', 'transformers', 'tokenizers', 'safetensors', 'stable_baselines3', 'sb3_contrib')\n"
        "sys.modules |= dict.fromkeys(extras)\n"
        "import agents\n"
        "from agents.agent import make\n"
        "from td_gym.errors import TdGymError\n"
        "make('scripted'); make('oracle')\n"
        "for spec in ('tiny', sys.argv[1]):\n"
        "    try: make(spec, env_id='td_gym/Sales-v0')\n"
        "    except TdGymError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    tiny, strategies = result.stdout.splitlines()
    for line, extra in ((tiny, "train"), (strategies, "sb3")):
        assert re.fullmatch(rf'This needs \'\w+\', which is not installed: run pip install "td-gym\[{extra}\]"\.', line)


def test_an_unknown_environment_is_one_line() -> None:
    with pytest.raises(TdGymError, match="Unknown environment"):
        make("scripted", env_id="td_gym/Nothing-v0")
