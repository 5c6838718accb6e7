"""The loop on a two-armed conversation: it learns, it keeps its budget, it describes itself."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from agents.learner import Learner
from agents.methods import build_method, method_names
from agents.progress import figure, summary
from agents.sources import share_of
from agents.token_policy import TokenPolicy
from agents.trainer import TrainConfig, train
from td_gym.errors import TdGymError
from tests.agents.toy import SCENARIO, run_toy, toy_config, toy_policy, toy_source


def metrics_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_first_ratio_is_one_and_the_reference_is_the_start(tmp_path: Path) -> None:
    config = toy_config(tmp_path, minibatches=1)
    policy, start = toy_policy(), toy_policy()
    learner = Learner(policy.model, start.model, build_method("grpo"), config)
    metrics = learner.update(toy_source(config)(policy, 1).rows, 1)
    assert abs(metrics["losses/approx_kl"]) < 1e-6
    assert abs(metrics["losses/kl_reference"]) < 1e-6
    assert metrics["losses/clipfrac"] == 0.0
    assert metrics["losses/grad_norm"] > 0.0


def test_micro_batches_change_nothing(tmp_path: Path) -> None:
    found = []
    for micro_tokens in (4, 4096):
        config = toy_config(tmp_path, micro_tokens=micro_tokens)
        policy = toy_policy()
        learner = Learner(policy.model, toy_policy().model, build_method("ppo"), config)
        found.append(learner.update(toy_source(config)(policy, 1).rows, 1))
    assert found[0] == pytest.approx(found[1], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("minibatches", [2, 64, 200])
def test_steps_with_nothing_to_learn_from_are_not_taken(tmp_path: Path, minibatches: int) -> None:
    """Of the same weights, the entropy of a batch is the same in whatever parts it is read."""
    config = toy_config(tmp_path, minibatches=minibatches, lr=1e-30)
    policy = toy_policy()
    learner = Learner(policy.model, toy_policy().model, build_method("grpo"), config)
    rows = toy_source(config)(policy, 1).rows
    assert len(rows) == 64
    found = learner.update(rows, 1)
    whole = Learner(policy.model, toy_policy().model, build_method("grpo"), toy_config(tmp_path, minibatches=1))
    assert found["losses/entropy"] == pytest.approx(whole.update(rows, 1)["losses/entropy"], rel=1e-4)
    assert {int(state["step"]) for state in learner.optimizer.state.values()} == {min(minibatches, 64)}


def test_figures_are_means_over_tokens_whatever_the_loss_divides_by(tmp_path: Path) -> None:
    found = []
    for options in ({}, {"loss": {"normalisation": "constant"}}):
        config, policy = toy_config(tmp_path, minibatches=1), toy_policy()
        learner = Learner(policy.model, toy_policy().model, build_method("grpo", options=options), config)
        found.append(learner.update(toy_source(config)(policy, 1).rows, 1)["losses/entropy"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize("method", ["grpo", "ppo"])
def test_unconstrained_methods_spend(tmp_path: Path, method: str) -> None:
    run_toy(toy_config(tmp_path / "run", method=method, steps=25, checkpoint_every=25))
    metrics = metrics_of(tmp_path / "run")
    assert metrics[0]["costs/voucher"] < 0.7
    assert metrics[-1]["costs/voucher"] > 0.9


@pytest.mark.parametrize("preset", ["hybrid", "outcome_scale_group"])
def test_cmpo_keeps_its_budget(tmp_path: Path, preset: str) -> None:
    run_toy(toy_config(tmp_path / "run", steps=60, preset=preset, checkpoint_every=60))
    late = [line["costs/voucher"] for line in metrics_of(tmp_path / "run")[30:]]
    assert sum(late) / len(late) == pytest.approx(0.3, abs=0.06)
    assert max(late) < 0.6


def test_a_run_directory_holds_what_it_promises(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_toy(toy_config(run, model=str(tmp_path / "weights"), steps=2))
    assert {path.name for path in run.iterdir()} == {"config.json", "metrics.jsonl", "model", "state", "tensorboard"}
    config = (run / "config.json").read_text()
    assert str(tmp_path) not in config
    recorded = json.loads(config)
    assert recorded["settings"]["budgets"] == {"voucher": 0.3}
    assert recorded["method"]["pid"]["kp"] == 4.0
    assert recorded["environment"]["protocol"] == "1"
    versions = json.loads((run / "model" / "td_gym.json").read_text())
    assert (versions["protocol"], versions["scenario"]) == ("1", "Toy")
    names = metrics_of(run)[0].keys()
    assert {
        "losses/policy_loss", "losses/approx_kl", "losses/clipfrac", "losses/entropy", "losses/kl_reference",
        "charts/episodic_return", "charts/turns", "charts/format_error", "costs/voucher", "pid/voucher/lambda",
        "groups/zero_variance_reward", "groups/zero_variance_cost/voucher",
    } <= names  # fmt: skip
    assert not any("time" in name or "second" in name for name in names)
    assert not list(run.rglob("*.pt")) + list(run.rglob("*.pkl")) + list(run.rglob("*.bin"))
    TokenPolicy.load(run, scenario=SCENARIO)


def test_progress_without_a_terminal_is_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_toy(toy_config(tmp_path / "run", steps=1))
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("cmpo 1/1: reward 3.")
    assert "voucher 0." in line
    assert "(limit 0.30), lambda " in line


def test_progress_shows_no_limit_that_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_toy(toy_config(tmp_path / "run", method="grpo", steps=1))
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "voucher 0." in line
    assert "limit" not in line
    assert "lambda" not in line


@pytest.mark.parametrize("method", ["sft", "ppo", "grpo", "duca", "gdpo", "more"])
def test_budgets_that_would_be_ignored_are_refused(tmp_path: Path, method: str) -> None:
    config = TrainConfig(method, "td_gym/FoodDispute-v0", tmp_path / "run", budgets={"voucher": 0.0})
    with pytest.raises(TdGymError, match=f"{method} ignores budgets; .* dual_ascent, or cmpo"):
        train(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("preset", ["fixed_penalty", "dual_ascent"])
def test_a_preset_with_prices_takes_budgets(tmp_path: Path, preset: str) -> None:
    run_toy(toy_config(tmp_path / "run", method="grpo", preset=preset, budgets={"voucher": 0.1}, steps=1))
    assert "pid/voucher/lambda" in metrics_of(tmp_path / "run")[0]


def test_progress_of_supervised_learning_shows_the_loss() -> None:
    assert summary({"losses/policy_loss": 1.25, "losses/entropy": 0.5}, {"voucher": 0.3}) == "entropy 0.500, loss 1.250"


def test_a_figure_is_found_behind_the_role_that_alone_has_it() -> None:
    metrics = {"expert/losses/entropy": 0.5, "losses/kl_reference": 0.1, "reasoning/losses/kl_reference": 0.2}
    assert figure(metrics, "losses/entropy") == 0.5
    assert figure(metrics, "losses/kl_reference") == 0.1
    assert figure(metrics, "losses/policy_loss") is None


@pytest.mark.parametrize("method", [name for name in method_names() if name != "gopo"])  # which needs two seats
def test_every_method_trains(tmp_path: Path, method: str) -> None:
    run_toy(toy_config(tmp_path / "run", method=method, steps=1))
    assert all(torch.isfinite(torch.tensor(value)) for value in metrics_of(tmp_path / "run")[0].values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "test"}, "test split is for evaluation"),
        ({"split": "tests"}, "Unknown split"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"seed": -1}, "seed must be a non-negative whole number"),
        ({"lr": 0.0}, "lr must be a finite number above 0"),
        ({"lr": math.nan}, "lr must be a finite number above 0"),
        ({"lr": math.inf}, "lr must be a finite number above 0"),
        ({"betas": [0.5]}, "betas must be two numbers"),
        ({"betas": [0.5, 1.0]}, "betas must be two numbers"),
        ({"betas": [0.5, "x"]}, "betas must be two numbers"),
        ({"max_grad_norm": 0.0}, "max_grad_norm must be above 0"),
        ({"max_new_tokens": -3}, "max_new_tokens must be at least 1, it is -3"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TdGymError, match=message):
        toy_config(tmp_path, **changes)


@pytest.mark.parametrize(
    "changes", [{"options": {"term_weights": {"x": 1.0}}}, {"preset": "released", "options": {"window": 0}}]
)
def test_options_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(TdGymError, match=r"Unknown turn term 'x'|window must be at least 1"):
        train(TrainConfig("cmpo", "td_gym/FoodDispute-v0", tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["grpo", "cmpo", "duca", "gdpo", "more", "dpo", "gopo"])
def test_a_method_that_compares_dialogues_needs_two_of_each_customer(tmp_path: Path, method: str) -> None:
    with pytest.raises(TdGymError, match=f"{method} compares .* copies of at least 2, not 1"):
        train(TrainConfig(method, "td_gym/FoodDispute-v0", tmp_path / "run", copies=1))
    assert not (tmp_path / "run").exists()


def test_who_learns_from_scripted_dialogues_meets_no_customer(tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match="sft learns from scripted dialogues and meets no customer; leave that out"):
        train(TrainConfig("sft", "td_gym/FoodDispute-v0", tmp_path / "run", customer="scripted"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["sft", "ppo"])
def test_other_methods_learn_from_one_dialogue_with_each_customer(tmp_path: Path, method: str) -> None:
    run_toy(toy_config(tmp_path / "run", method=method, copies=1, steps=1))
    assert metrics_of(tmp_path / "run")[0]["losses/grad_norm"] > 0.0


def test_groups_are_shared_out_whole(tmp_path: Path) -> None:
    config = toy_config(tmp_path)
    assert [list(share_of(config, rank, 4)) for rank in range(4)] == [list(range(i, i + 4)) for i in (0, 4, 8, 12)]
    with pytest.raises(TdGymError, match="evenly by 3"):
        share_of(config, 0, 3)


_WORKER = """
import sys
from pathlib import Path
from agents import distributed
from tests.agents.toy import run_toy, toy_config
with distributed.together("cpu"):
    run_toy(toy_config(Path(sys.argv[1]), steps=3, minibatches=1))
"""


def run_workers(script: Path, *arguments: Any) -> None:
    """Run ``script`` in two processes that train together."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*start, str(script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_learn_what_one_would_and_always_the_same(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(_WORKER)
    run_workers(tmp_path / "worker.py", tmp_path / "two")
    run_toy(toy_config(tmp_path / "one", steps=3, minibatches=1))
    one, two = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two")
    assert len(two) == 3
    for line, other in zip(one, two, strict=True):
        assert line == pytest.approx(other, rel=1e-3, abs=1e-4)
    before = (tmp_path / "two" / "metrics.jsonl").read_text()
    shutil.rmtree(tmp_path / "two")
    run_workers(tmp_path / "worker.py", tmp_path / "two")
    assert (tmp_path / "two" / "metrics.jsonl").read_text() == before


def test_the_saved_model_is_the_mean_of_the_last_weights(tmp_path: Path) -> None:
    def saved(name: str, **changes: Any) -> dict[str, Tensor]:
        run_toy(toy_config(tmp_path / name, **changes))
        return load_file(tmp_path / name / "model" / "model.safetensors")

    latest = [saved(f"latest-{steps}", steps=steps, average=0.0) for steps in (1, 2, 3, 4)]
    for name, values in saved("half", steps=4, average=0.5).items():
        torch.testing.assert_close(values, (latest[2][name] + latest[3][name]) / 2)
    for name, values in saved("all", steps=4, average=1.0).items():
        torch.testing.assert_close(values, sum(weights[name] for weights in latest) / 4)
