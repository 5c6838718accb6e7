"""The memory baseline through the command line: filled, gone on with, evaluated; which draft it answers with."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agents
from agents import memory
from agents.cases import Case, Memory, Similar, read_cases
from agents.config import TrainConfig
from agents.memory_agent import MemoryAgent, most_agreeing
from agents.names import OF_LEARNING
from agents.token_policy import TokenPolicy
from evals.cli import main
from td_gym.errors import TdGymError
from td_gym.protocol import Messages
from td_gym.registration import env_id, make_scenario, scenario_names
from td_gym.scenario import Scenario
from td_gym.scenarios.food_dispute.scenario import FoodDispute
from tests.agents.fakes import FakeScenario, fake_policy

FOOD = "td_gym/FoodDispute-v0"


def train(out: Path, *more: str, env: str = FOOD, steps: int = 2) -> int:
    few = ["--customers", "3", "--copies", "2", "--steps", str(steps)]
    return main(["train", "memory", "--env", env, "--out", str(out), *few, *more])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run directory of two updates on FoodDispute."""
    folder = tmp_path_factory.mktemp("runs") / "memory"
    assert train(folder) == 0
    return folder


@pytest.mark.parametrize("scenario", scenario_names())
def test_a_memory_is_filled_and_answers(scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env, folder = env_id(scenario), tmp_path / "memory"
    assert train(folder, "--option", "drafts=2", env=env) == 0
    out, err = capsys.readouterr()
    assert out == f"trained; next: td-gym evaluate --env {env} --agent {folder} --out {folder}/evaluation\n"
    assert [line.split(":")[0] for line in err.splitlines()] == ["memory 1/2", "memory 2/2"]
    found = make_scenario(env)
    agent: Any = agents.make(str(folder))
    asked = ["evaluate", "--env", env, "--agent", str(folder), "--episodes", "2", "--out", str(tmp_path / "results")]
    assert main(asked) == 0
    episode = found.begin(3)
    episode.submit("customer", found.customer(found.customers[0]).reply_batch([episode])[0])
    agent.reset(0)
    assert agent.act(None, episode.messages("service"))


def test_a_run_directory_holds_what_it_promises(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {"config.json", "metrics.jsonl", "memory.jsonl", "model"}
    config = json.loads((run / "config.json").read_text())
    assert config["method"] == {"similar": 8, "drafts": 8}
    assert (config["environment"]["scenario"], config["settings"]["copies"]) == ("FoodDispute", 2)
    assert config["start"]["digest"]
    assert "lr" not in config["settings"]
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in metrics] == [1, 2]
    assert 0 < metrics[0]["memory/cases"] < metrics[1]["memory/cases"] == len(read_cases(run / "memory.jsonl"))
    assert all(line["charts/episodic_return"] > 0 for line in metrics)
    start = TokenPolicy.load("tiny", scenario=FoodDispute())
    for name, values in TokenPolicy.load(run).model.state_dict().items():
        assert values.equal(start.model.state_dict()[name])


def test_cases_are_of_dialogues_that_succeeded(run: Path) -> None:
    cases = read_cases(run / "memory.jsonl")
    assert {case.session_reward > 3 for case in cases} == {True}
    assert all(case.situation.startswith(("user: ", "assistant: ")) for case in cases)
    assert any("[item]" in case.draft for case in cases)
    assert not any(re.search("[1-9A-Z]", case.situation) for case in cases)


def test_the_same_command_writes_the_same_bytes(run: Path, tmp_path: Path) -> None:
    assert train(tmp_path / "same") == 0
    assert files(tmp_path / "same") == files(run)
    assert train(tmp_path / "other", "--seed", "1", steps=1) == 0
    assert (tmp_path / "other" / "memory.jsonl").read_bytes()[:2000] != (run / "memory.jsonl").read_bytes()[:2000]


def test_answers_depend_on_the_seed_alone(run: Path, tmp_path: Path) -> None:
    asked = ["evaluate", "--env", FOOD, "--agent", str(run), "--episodes", "2", "--out"]
    for out in ("a", "b"):
        assert main([*asked, str(tmp_path / out)]) == 0
    assert (tmp_path / "a" / "dialogues.jsonl").read_bytes() == (tmp_path / "b" / "dialogues.jsonl").read_bytes()


def test_a_run_cut_off_at_any_byte_goes_on_to_the_same(run: Path, tmp_path: Path) -> None:
    whole = files(run)
    first = whole["metrics.jsonl"].index(b"\n") + 1
    for place, kept in enumerate((0, first, first + 40)):
        cut = Path(shutil.copytree(run, tmp_path / f"cut-{place}"))
        (cut / "metrics.jsonl").write_bytes(whole["metrics.jsonl"][:kept])
        (cut / "memory.jsonl").write_bytes(whole["memory.jsonl"][: -7 if kept else 5])
        assert train(cut, "--resume") == 0
        assert files(cut) == whole


def test_a_run_goes_on_for_more_steps_and_with_no_other_settings(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "run", steps=1) == 0
    assert train(tmp_path / "run") == 2
    assert "already holds a run; add --resume" in capsys.readouterr().err
    assert train(tmp_path / "run", "--resume", "--option", "drafts=3") == 2
    assert "options {}, not {'drafts': 3}" in capsys.readouterr().err
    assert train(tmp_path / "run", "--resume") == 0
    assert files(tmp_path / "run") == files(run)
    capsys.readouterr()
    assert train(tmp_path / "run", "--resume", steps=1) == 2
    assert "has done 2 updates; resume it with at least as many steps, not 1" in capsys.readouterr().err
    assert files(tmp_path / "run") == files(run)


def test_where_nothing_succeeds_there_is_nothing_to_remember(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FoodDispute, "succeeded", lambda self, outcome: False)
    assert train(tmp_path / "run", steps=1) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("td-gym: error: None of the dialogues succeeded")
    with pytest.raises(TdGymError, match="holds no case"):
        agents.make(str(tmp_path / "run"), env_id=FOOD)
    monkeypatch.undo()
    assert train(tmp_path / "run", "--resume") == 0
    assert agents.make(str(tmp_path / "run"), env_id=FOOD)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--preset", "default"], "memory takes no --preset"),
        (["--budget", "voucher=0.3"], "memory takes no --budget"),
        (["--lr", "1e-4"], "memory takes no --lr"),
        (["--nproc", "2"], "memory takes no --nproc"),
        (["--seat", "customer"], "memory takes no --seat"),
        (["--opponent", "tiny"], "memory takes no --opponent"),
        (["--dtype", "bfloat16"], "memory takes no --dtype"),
        (["--option", "similr=3"], "Unknown option of memory 'similr'. Did you mean 'similar'"),
        (["--option", "drafts=0"], "drafts must be a whole number of at least 1, not 0"),
        (["--option", "drafts=many"], "drafts must be a whole number of at least 1, not 'many'"),
        (["--split", "test"], "Unknown split for training 'test'"),
        (["--customer", "scripted_b"], "kept for evaluation"),
        (["--model", "nowhere"], "There is no model 'nowhere'"),
        (["--resume"], "holds no run to resume"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "run", *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not list(tmp_path.glob("run/*"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "default"),
        ("budgets", {"voucher": 0.3}),
        ("seat", "customer"),
        ("opponent", "tiny"),
        ("lr", 1e-4),
        ("betas", (0.9, 0.99)),
        ("average", 0.0),
        ("max_grad_norm", 2.0),
        ("minibatches", 3),
        ("micro_tokens", 64),
        ("checkpoint_every", 1),
    ],
)
def test_what_would_be_said_in_vain_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    assert name in OF_LEARNING
    stated: dict[str, Any] = {name: value}
    with pytest.raises(TdGymError, match=f"memory takes no {name}; leave it out"):
        memory.train(TrainConfig("memory", FOOD, tmp_path / "run", **stated))
    assert not (tmp_path / "run").exists()


def test_other_and_broken_runs_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match="These weights are of FoodDispute"):
        agents.make(str(run), env_id="td_gym/Sales-v0")
    broken = Path(shutil.copytree(run, tmp_path / "broken"))
    lines = (run / "memory.jsonl").read_text().splitlines()
    (broken / "memory.jsonl").write_text("\n".join([*lines[:4], lines[4][:30]]))
    with pytest.raises(TdGymError, match=r"memory\.jsonl', line 5 is not JSON"):
        agents.make(str(broken), env_id=FOOD)
    (broken / "config.json").write_text('{"method": {"drafts": 1.5}}')
    with pytest.raises(TdGymError, match="drafts must be a whole number"):
        agents.make(str(broken), env_id=FOOD)
    (broken / "config.json").write_text("{}")
    with pytest.raises(TdGymError, match="has no field 'method'"):
        agents.make(str(broken), env_id=FOOD)


def conversations(scenario: Scenario) -> list[Messages]:
    """Return four conversations that wait for their first reply."""
    found = []
    for seed in range(4):
        episode = scenario.begin(seed)
        episode.submit("customer", scenario.customer(scenario.customers[0]).reply_batch([episode])[0])
        found.append(episode.messages("service"))
    return found


def replies(agent: Any, asked: list[Messages]) -> list[str]:
    agent.reset(7)
    said: list[str] = agent.act_batch([None] * len(asked), asked)
    return said


def test_where_no_case_is_similar_it_says_what_the_policy_would(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    (other / "memory.jsonl").write_text('{"situation": "user: xyz", "draft": "xyz", "session_reward": 1}\n')
    scenario = FoodDispute()
    asked = conversations(scenario)
    alone, far, near = (replies(agents.make(str(spec), scenario=scenario), asked) for spec in ("tiny", other, run))
    assert alone == far != near


def test_it_sends_the_draft_that_agrees_best_whoever_else_is_asked() -> None:
    policy, scenario = fake_policy(), FakeScenario()
    asked = conversations(scenario)
    case = Case("user: my [item] was cold", "", 1.0)

    def agent_with(draft: str) -> MemoryAgent:
        return MemoryAgent(policy, scenario, Memory([replace(case, draft=draft)]), similar=2, drafts=16)

    agent = agent_with("")
    first, *_ = replies(agent, asked)
    lines = agent._begun(asked[0])
    agent._sample(lines, lambda ended: [])
    drafts = [policy.decode_reply(line.reply) for line in lines]
    assert first == policy.fill(drafts[0], asked[0])
    wanted = max(drafts[1:], key=lambda text: len(re.findall("[a-z]+", text)))
    said = replies(agent_with(wanted), asked)
    assert said[0] == policy.fill(wanted, asked[0]) != first
    assert [replies(agent_with(wanted), [messages])[0] for messages in asked] == said


def test_a_policy_that_plans_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", "--model", "tiny-planned") == 2
    assert "'tiny-planned' plans before it writes" in capsys.readouterr().err
    assert not list(tmp_path.glob("run/*"))


def test_agreement_by_hand() -> None:
    """Two of four words in common order are a ROUGE-L of one half."""
    drafts = ["send me a photo", "send me the bill"]

    def found(reward: float) -> list[Similar]:
        return [Similar(Case("", drafts[0], 1.0), 0.9), Similar(Case("", drafts[1], reward), 0.3)]

    assert most_agreeing(drafts, found(1.0)) == 0  # 0.9 + 0.15 against 0.45 + 0.3
    assert most_agreeing(drafts, found(4.0)) == 1  # 0.9 + 0.6 against 0.45 + 1.2
    assert most_agreeing(drafts, found(3.0)) == 0  # 1.35 each: the first
    assert most_agreeing(drafts, []) == 0
