"""Our methods under TRL's GRPOTrainer: the same loss and gradient as ours, and a run from end to end."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl", reason='needs the extra: pip install "td-gym[trl]"')

import torch
from torch import Tensor

import agents.adapters.trl
from agents.adapters.trl import ConversationTrainer
from agents.config import TrainConfig, budgets_of, scenario_of
from agents.learner import Learner
from agents.losses import KL_CEILING
from agents.sources import case_seed
from agents.token_policy import TokenPolicy
from agents.trainer import configured_method
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of TRL's and Transformers' old names

ENV = "td_gym/FoodDispute-v0"


def config_of(out: Path, method: str = "cmpo", **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {"steps": 1, "customers": 3, "copies": 2, "minibatches": 1, "max_grad_norm": 1e9}
    return TrainConfig(method, ENV, out, **settings | changes)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Trajectories:
    """Dialogues that TRL has generated."""
    trainer = ConversationTrainer(config_of(tmp_path_factory.mktemp("held")))
    trainer.model.train()
    trainer._generate_and_score_completions(rows_of(trainer))
    assert trainer._dialogues is not None
    return trainer._dialogues


def rows_of(trainer: ConversationTrainer, copies: int = 2) -> list[dict[str, Any]]:
    return [dict(row) for row in trainer.train_dataset for _ in range(copies)]


def nudge(model: Any, far: float) -> None:
    """Move the weights, the same for the same model, so that ratios and divergences are not trivial."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            weights += far * torch.randn(weights.shape, generator=generator)


def gradients(model: Any) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def theirs(trainer: ConversationTrainer, batch: dict[str, Any]) -> tuple[float, dict[str, Tensor]]:
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.item(), gradients(trainer.model)


def log_probs(trainer: ConversationTrainer, batch: dict[str, Any]) -> Tensor:
    ids, mask = (torch.cat((batch[f"prompt_{kind}"], batch[f"completion_{kind}"]), dim=1) for kind in ("ids", "mask"))
    with torch.no_grad():
        found: Tensor = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, batch["completion_ids"].shape[1]
        )[0]
    return found


def ours(
    config: TrainConfig, model: Any, moved: Any, held: Trajectories
) -> tuple[float, dict[str, Tensor], Trajectories]:
    """Return loss and gradient of our learner's step from the weights ``moved``, and the dialogues as it takes them.

    ``model`` sampled and is the reference.
    """
    scenario = scenario_of(config)
    method = configured_method(config, budgets_of(config, scenario), scenario)
    sampler = Learner(model, None, method, config)
    old = sampler._evaluate(held, lambda rows: sampler._score(model, held, rows).log_probs)
    held = replace(held, log_probs=old.numpy())
    figures = Learner(moved, model, method, config).update(held, 1)
    loss = figures["losses/policy_loss"] + method.loss.kl_beta * figures.get("losses/kl_reference", 0.0)
    return loss, gradients(moved), held


@pytest.mark.parametrize(
    ("method", "loss", "far", "ceiling"),
    [
        ("cmpo", {}, 0.01, False),
        ("duca", {"kl_beta": 1.0}, 0.04, True),
        ("grpo", {"normalisation": "sequence", "clip_high": 0.3}, 0.01, False),
    ],
)
def test_loss_and_gradient_are_those_of_our_trainer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    held: Trajectories,
    method: str,
    loss: dict[str, Any],
    far: float,
    ceiling: bool,
) -> None:
    monkeypatch.setattr(agents.adapters.trl, "rollout", lambda *_, **__: held)
    config = config_of(tmp_path, method, options={"loss": loss})
    trainer = ConversationTrainer(config, num_iterations=2)  # two steps on one batch: old log-probs are kept
    model = copy.deepcopy(TokenPolicy.load("tiny", scenario=scenario_of(config)).model)
    trainer.model.train()
    batch = trainer._generate_and_score_completions(rows_of(trainer))
    nudge(trainer.model, far)
    moved = copy.deepcopy(model)
    nudge(moved, far)

    found, gradient = theirs(trainer, batch)
    ratios = batch["ref_per_token_logps"] - log_probs(trainer, batch)
    assert bool((ratios[batch["tool_mask"].bool()] > KL_CEILING).any()) == ceiling
    expected, expected_gradient, scored = ours(config, model, moved, held)
    starts = held.agent_mask.argmax(axis=1)
    for row, (start, length) in enumerate(zip(starts, held.lengths, strict=True)):
        mask = held.agent_mask[row, start:length]
        old = batch["old_per_token_logps"][row, : length - start].numpy()[mask]
        assert np.allclose(old, scored.log_probs[row, start:length][mask], atol=1e-5)

    assert batch["advantages"].ndim == 2
    assert found == pytest.approx(expected, abs=1e-5)
    assert gradient.keys() == expected_gradient.keys()
    assert max(g.abs().max() for g in gradient.values()) > 1e-3
    for name, slope in gradient.items():
        assert torch.allclose(slope, expected_gradient[name], rtol=0, atol=1e-5), name


def test_a_run_learns_from_dialogues_with_costs_and_is_evaluated(tmp_path: Path) -> None:
    config = config_of(tmp_path, steps=2, customers=2, minibatches=2, max_grad_norm=1.0)
    trainer = ConversationTrainer(config)
    before = [p.detach().clone() for p in trainer.policy.model.parameters()]
    result = trainer.train()
    assert result.global_step == 4
    assert any(not torch.equal(was, p) for was, p in zip(before, trainer.policy.model.parameters(), strict=True))
    logged = [entry for entry in trainer.state.log_history if "charts/episodic_return" in entry]
    assert all(
        {"costs/voucher", "pid/voucher/lambda", "rewards/session_reward/mean"} <= entry.keys() for entry in logged
    )
    assert logged[0]["rewards/session_reward/mean"] == pytest.approx(logged[0]["charts/episodic_return"])
    assert logged[0]["charts/turns"] > 1

    trainer.save_model(str(tmp_path / "model"))
    assert not list((tmp_path / "model").glob("*.bin"))
    assert json.loads((tmp_path / "model" / "td_gym.json").read_text())["scenario"] == "FoodDispute"
    loaded = TokenPolicy.load(tmp_path / "model", scenario=scenario_of(config))
    for was, p in zip(trainer.policy.model.parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(was, p)


def test_dialogues_are_with_the_customers_of_our_own_runs(tmp_path: Path) -> None:
    config = config_of(tmp_path, steps=2)
    trainer = ConversationTrainer(config)
    seeds = [case_seed(config, update, group) for update in (1, 2) for group in range(3)]
    assert trainer.train_dataset["seed"][:] == seeds
    assert list(trainer._get_train_sampler())[:6] == [0, 0, 1, 1, 2, 2]


def test_only_what_the_policy_wrote_is_learnt_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: Trajectories
) -> None:
    monkeypatch.setattr(agents.adapters.trl, "rollout", lambda *_, **__: held)
    trainer = ConversationTrainer(config_of(tmp_path))
    trainer.model.train()
    batch = trainer._generate_and_score_completions(rows_of(trainer))
    assert held.turns.max() > 1
    assert batch["tool_mask"].bool().logical_and(batch["completion_mask"].bool()).sum() == held.agent_mask.sum()
    assert (batch["advantages"][~batch["tool_mask"].bool()] == 0).all()
    for row in range(len(held)):
        tokens = torch.cat(
            (
                batch["prompt_ids"][row][batch["prompt_mask"][row].bool()],
                batch["completion_ids"][row][batch["completion_mask"][row].bool()],
            )
        )
        assert tokens.tolist() == held.tokens[row, : held.lengths[row]].tolist()


@pytest.mark.parametrize(
    ("method", "changes", "said"),
    [
        ("ppo", {}, "take grpo, cmpo, duca or gdpo"),
        ("more", {"minibatches": 2}, "take grpo, cmpo, duca or gdpo"),
        ("dpo", {}, "take grpo, cmpo, duca or gdpo"),
        ("gopo", {}, "take grpo, cmpo, duca or gdpo"),
        ("sft", {}, "take grpo, cmpo, duca or gdpo"),
        ("cmpo", {"model": "tiny-planned"}, "cannot constrain"),
        ("cmpo", {"options": {"loss": {"normalisation": "constant"}}}, "normalisation under TRL"),
        ("cmpo", {"resume": True}, "train anew"),
        ("cmpo", {"lora_rank": 4}, "lora_rank is of td-gym train"),
        ("cmpo", {"max_context": 4000}, "max_context is of td-gym train"),
        ("cmpo", {"customers": 3, "minibatches": 4}, "shared out evenly"),
        ("cmpo", {"copies": 1}, "copies of at least"),
    ],
)
def test_what_trl_cannot_do_is_refused(tmp_path: Path, method: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TdGymError, match=said):
        ConversationTrainer(config_of(tmp_path, method, **changes))


def test_a_folder_that_holds_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(TdGymError, match="holds a run of td-gym train; take another folder"):
        ConversationTrainer(config_of(tmp_path))


def test_the_page_s_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page.partition("## TRL")[2].partition("\n## ")[0], re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert "steps=40, customers=32, copies=4" in example
    short = example.replace("steps=40, customers=32, copies=4", "steps=1, customers=2, copies=2, minibatches=1")
    exec(compile(short, "adapters.md", "exec"), {})
    scenario = scenario_of(config_of(tmp_path))
    assert TokenPolicy.load(tmp_path / "runs" / "trl", scenario=scenario).versions["scenario"] == scenario.name
