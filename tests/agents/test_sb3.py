"""Agents that choose strategies: trained by stable-baselines3 through the command line, kept without pickle."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from stable_baselines3.common.env_util import make_vec_env

import agents
from agents import sb3
from agents.sb3 import UPDATE, StrategyAgent, load
from evals.cli import main
from evals.dialogue import read_dialogues
from personas.packaged import packaged_toml
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario, strategy_ids
from td_gym.seats import play_on

METHODS = tuple(packaged_toml("agents", "sb3.toml"))
FOOD = "td_gym/FoodDisputeStrategy-v0"


def train(out: Path, method: str = "sb3-ppo", env: str = FOOD, *more: str) -> int:
    return main(["train", method, "--env", env, "--out", str(out), "--steps", "1", *more])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a run directory of every method after one update."""
    folder = tmp_path_factory.mktemp("runs")
    for method in METHODS:
        assert train(folder / method, method) == 0
    return {method: folder / method for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_holds_weights_and_json_only(runs: dict[str, Path], method: str) -> None:
    names = {path.name for path in runs[method].iterdir()}
    assert names == {"strategy.json", "policy.safetensors", "metrics.jsonl"}
    about = json.loads((runs[method] / "strategy.json").read_text())
    told = {"method": method, "env": FOOD, "steps": 1, "seed": 0, "split": "train", "population": "", "customer": ""}
    assert about.items() >= told.items()
    assert about.keys() - told.keys() == {"data", "settings", "environment", "software"}
    assert about["settings"] == packaged_toml("agents", "sb3.toml")[method]["settings"]
    (line,) = map(json.loads, (runs[method] / "metrics.jsonl").read_text().splitlines())
    assert line["update"] == 1
    assert 0 < line["charts/episodic_return"] <= 5
    assert (line["costs/sop_breaches"] == 0) == (method == "sb3-maskable-ppo")


@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_an_agent_among_others(
    runs: dict[str, Path], method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--agent", str(runs[method]), "--agent", "random", "--episodes", "8", "--out"]
    for out in (tmp_path / "a", tmp_path / "b"):
        assert main(["evaluate", "--env", "td_gym/FoodDispute-v0", *asked, str(out)]) == 0
    first, again = ((tmp_path / name / "dialogues.jsonl").read_bytes() for name in "ab")
    assert first == again
    assert method in capsys.readouterr().out
    for dialogue in read_dialogues(tmp_path / "a" / "dialogues.jsonl"):
        plans = [turn.seat for turn in dialogue.turns].count("expert")
        assert plans == (len(dialogue.service_turns) if dialogue.agent == method else 0)
    agents = json.loads((tmp_path / "a" / "results.json").read_text())["agents"]
    assert agents[method]["metrics"]["consistency"]["mean"] > 0.8
    assert "consistency" not in agents["random"]["metrics"]


@pytest.mark.parametrize("env", ["FoodDispute", "MultiWOZ"])
def test_what_is_planned_is_the_strategy_in_force(env: str) -> None:
    """Whatever is chosen, what the procedure does not admit included."""
    scenario = make_scenario(env)
    agent, customer = StrategyAgent(scenario, None, masked=False), scenario.customer(scenario.customers[0])
    seen = set()
    for seed, strategy in enumerate(scenario.strategies):
        agent.choose = lambda episode, strategy=strategy: strategy  # type: ignore[method-assign, misc]
        episode = scenario.begin(seed)
        play_on(episode, {"customer": customer})
        text = agent.act_episode(episode)
        (planned,) = agent.planned
        assert text == scenario.realise(episode.messages("service"), planned, seed)
        assert planned == (strategy if strategy in scenario.admissible(episode) else scenario.fallback_strategy)
        seen.add(planned == strategy)
    assert seen == {True, False}


def chosen_inadmissibly(run: Path, env: str) -> int:
    """Return how many choices of a run's agent the procedure did not admit, over twenty conversations."""
    scenario = make_scenario(env)
    agent, customer, count = load(run, scenario), scenario.customer(scenario.customers[0]), 0
    for seed in range(20):
        episode = scenario.begin(seed)
        while episode.outcome is None:
            play_on(episode, {"customer": customer})
            if episode.outcome is None:
                count += agent.choose(episode) not in scenario.admissible(episode)
                episode.submit("service", agent.act_episode(episode))
    return count


@pytest.mark.parametrize("env", strategy_ids())
def test_the_masked_agent_keeps_to_the_procedure(env: str, tmp_path: Path) -> None:
    assert train(tmp_path / "run", "sb3-maskable-ppo", env) == 0
    assert chosen_inadmissibly(tmp_path / "run", env.replace("Strategy", "")) == 0


def test_without_the_mask_it_does_not(runs: dict[str, Path]) -> None:
    assert chosen_inadmissibly(runs["sb3-ppo"], "td_gym/FoodDispute-v0") > 0


def test_the_same_seed_learns_the_same(runs: dict[str, Path], tmp_path: Path) -> None:
    assert train(tmp_path / "same") == 0
    assert train(tmp_path / "other", "sb3-ppo", FOOD, "--seed", "1") == 0
    weights = [(folder / "policy.safetensors").read_bytes() for folder in (runs["sb3-ppo"], tmp_path / "same")]
    assert weights[0] == weights[1] != (tmp_path / "other" / "policy.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--resume"], "sb3-ppo takes no --resume"),
        (["--budget", "voucher=0.3"], "sb3-ppo takes no --budget"),
        (["--copies", "2"], "sb3-ppo takes no --copies"),
        (["--split", "test"], "Unknown split for training 'test'"),
        (["--customer", "scripted_b"], "kept for evaluation"),
        (["--population", "nobody"], "Unknown population 'nobody'"),
        (["--option", "gama=0.5"], "sb3-ppo does not take these options: .*gama"),
        (["--option", "use_sde=true"], "sb3-ppo does not take these options: .*gSDE"),
        (["--option", "gamma=abc"], "gamma of sb3-ppo is a number, not 'abc'"),
        (["--option", "target_kl=abc"], "target_kl of sb3-ppo is a number, not 'abc'"),
        (["--option", "normalize_advantage=maybe"], "normalize_advantage of sb3-ppo is true or false, not 'maybe'"),
        (["--option", "ent_coef=true"], "ent_coef of sb3-ppo is a number, not True"),
        (["--option", "n_epochs=0"], "n_epochs must be a whole number of at least 1, not 0"),
        (["--option", "policy=MlpPolicy"], "cannot be trained with another policy"),
        (["--option", "tensorboard_log=x"], "cannot be trained with another tensorboard_log"),
        (["--option", "policy_kwargs={net_arch=[8]}"], "cannot be trained with another policy_kwargs"),
        (["--env", "td_gym/FoodDispute-v0"], "Unknown environment with a Discrete view 'td_gym/FoodDispute-v0'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "run", "sb3-ppo", FOOD, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(words, line)
    assert not (tmp_path / "run" / "strategy.json").exists()


def test_a_run_is_not_written_over(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert train(runs["sb3-ppo"]) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_other_and_broken_runs_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match=r"was trained for .*FoodDispute.* here it is .*Sales"):
        agents.make(str(runs["sb3-ppo"]), env_id="td_gym/Sales-v0")
    with pytest.raises(TdGymError, match="name the environment"):
        agents.make(str(runs["sb3-ppo"]))
    broken = Path(shutil.copytree(runs["sb3-ppo"], tmp_path / "broken"))
    (broken / "policy.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(TdGymError, match=r"policy\.safetensors in 'broken' cannot be read"):
        agents.make(str(broken), env_id="td_gym/FoodDispute-v0")
    save_file({"q": torch.full((2,), torch.nan)}, broken / "policy.safetensors")
    with pytest.raises(TdGymError, match=r"policy\.safetensors in 'broken' cannot be read: .*Missing key"):
        agents.make(str(broken), env_id="td_gym/FoodDispute-v0")
    weights = load_file(runs["sb3-ppo"] / "policy.safetensors")
    save_file(
        {name: torch.full_like(values, torch.nan) for name, values in weights.items()}, broken / "policy.safetensors"
    )
    with pytest.raises(TdGymError, match="holds values that are no numbers"):
        agents.make(str(broken), env_id="td_gym/FoodDispute-v0")
    with pytest.raises(TdGymError, match="temperature must not be negative"):
        agents.make(str(runs["sb3-ppo"]), env_id="td_gym/FoodDispute-v0", temperature=-1)
    (broken / "strategy.json").write_text('{"method": "os.system"}')
    with pytest.raises(TdGymError, match=r"Unknown method in strategy\.json 'os\.system'"):
        agents.make(str(broken), env_id="td_gym/FoodDispute-v0")


def test_words_alone_are_not_enough(runs: dict[str, Path]) -> None:
    agent: Any = agents.make(str(runs["sb3-dqn"]), env_id="td_gym/FoodDispute-v0")
    assert isinstance(agent, StrategyAgent)
    with pytest.raises(TdGymError, match="needs the desk's screen"):
        agent.act({}, [])


def test_an_update_is_what_the_settings_say() -> None:
    for method in ("sb3-ppo", "sb3-maskable-ppo"):
        assert packaged_toml("agents", "sb3.toml")[method]["settings"]["n_steps"] * 8 == UPDATE


@pytest.mark.filterwarnings("ignore:.*render_mode")
def test_environments_are_made_by_id() -> None:
    """stable-baselines3 asks for pictures first and goes without them when there are none."""
    envs = make_vec_env(FOOD, 2, seed=0)
    assert envs.reset()["action_mask"].shape == (2, len(make_scenario("FoodDispute").strategies))


def test_runs_of_two_seeds_meet_no_customer_in_common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Begun(Exception):
        pass

    class Watched(sb3.StrategyEnv):
        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            seeds.append(seed)
            return super().reset(seed=seed, options=options)

        def step(self, action: Any) -> Any:
            raise Begun

    monkeypatch.setattr(sb3, "StrategyEnv", Watched)
    met = []
    for seed in (0, 1, 2**32 + 1):
        seeds: list[int] = []
        with pytest.raises(Begun):
            sb3.train(sb3.StrategyRun("sb3-ppo", "td_gym/FoodDisputeStrategy-v0", tmp_path / str(seed), seed=seed))
        met.append(set(seeds[-sb3.ENVS :]))
    assert met[0] == set(range(sb3.ENVS))
    assert len(set().union(*met)) == 3 * sb3.ENVS
