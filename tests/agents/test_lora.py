"""Checkpoints of other architectures, whole and with adapters: they sample what they train on, and come back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from agents import lora
from agents.agent import make
from agents.learner import Learner
from agents.losses import forward_log_probs
from agents.methods import build_method
from agents.reference import Frozen
from agents.rollout import rollout
from agents.token_policy import TokenPolicy
from agents.trainer import TrainConfig, train
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario
from tests.agents.checkpoints import KINDS, write_checkpoint
from tests.agents.micro import micro_model
from tests.agents.toy import run_toy, toy_config, toy_policy, toy_source

ENV = "td_gym/FoodDispute-v0"
WEIGHTS = "adapter_model.safetensors"
TOKENS = torch.tensor([[1, 2, 3, 4, 5]])


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(request.param, tmp_path_factory.mktemp(request.param))


def settings(out: Path, model: Path, **changes: Any) -> TrainConfig:
    few: dict[str, Any] = {"customers": 2, "copies": 2, "steps": 2, "max_new_tokens": 6, "checkpoint_every": 1}
    return TrainConfig(**{"method": "grpo", "env": ENV, "out": out, "model": str(model), **few, **changes})


def stirred(model: Any) -> Any:
    """Let the adapter of ``model`` be one that changes what it says."""
    with torch.no_grad():
        for number, weights in enumerate(p for p in model.parameters() if p.requires_grad):
            weights.add_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(number)), alpha=0.3)
    return model


@pytest.mark.parametrize("rank", [0, 4])
def test_what_is_sampled_has_the_probabilities_that_are_trained_on(checkpoint: Path, rank: int) -> None:
    scenario = make_scenario(ENV)
    policy = TokenPolicy.load(checkpoint, scenario=scenario)
    if rank:
        policy.model = stirred(lora.adapted(policy.model, rank, seed=0))
    batch = ConversationBatch(scenario, "service", 3, {"customer": scenario.customer("scripted")})
    policy.max_new_tokens = 12
    found = rollout(policy, batch, [1, 2, 3], [0, 1, 2], generator=np.random.default_rng(0))
    with torch.no_grad():
        scores = forward_log_probs(policy.model, torch.from_numpy(found.tokens), torch.from_numpy(found.agent_mask))
    assert found.agent_mask.any(axis=1).all()
    assert (scores.log_probs - torch.from_numpy(found.log_probs)).abs().max() < 1e-4


@pytest.mark.parametrize("rank", [0, 4])
def test_a_checkpoint_trains_and_plays(checkpoint: Path, tmp_path: Path, rank: int) -> None:
    train(settings(tmp_path, checkpoint, lora_rank=rank))
    first, second = metrics_of(tmp_path)
    assert abs(first["losses/kl_reference"]) < 1e-4
    assert second["losses/kl_reference"] > 1e-9
    files = {file.name for file in (tmp_path / "model").iterdir()}
    assert ("adapter_model.safetensors" in files, "model.safetensors" in files) == (rank > 0, rank == 0)
    agent = make(str(tmp_path), env_id=ENV)
    agent.reset(0)
    assert isinstance(agent.act(None, [{"role": "user", "content": "My soup was cold."}]), str)


def test_an_adapters_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "base")
    train(settings(tmp_path / "straight", folder, lora_rank=2, average=0.0))
    train(settings(tmp_path / "halves", folder, lora_rank=2, average=0.0, steps=1))
    train(settings(tmp_path / "halves", folder, lora_rank=2, average=0.0, resume=True))
    assert metrics_of(tmp_path / "halves") == metrics_of(tmp_path / "straight")


def metrics_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_an_adapter_begins_as_the_model_and_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = write_checkpoint("llama", tmp_path / "base")
    plain, policy = TokenPolicy.load(folder), TokenPolicy.load(folder)
    policy.model = lora.adapted(policy.model, 4, seed=0)
    with torch.no_grad():
        before = plain.model(TOKENS).logits
        assert torch.equal(policy.model(TOKENS).logits, before)
        after = stirred(policy.model)(TOKENS).logits
        assert not torch.allclose(after, before, atol=0.01)
        policy.save(tmp_path / "adapter")
        back = TokenPolicy.load(tmp_path / "adapter")
        assert torch.equal(back.model(TOKENS).logits, after)
    back.save(tmp_path / "again")
    first, second = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("adapter", "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # which PEFT reads
def test_adapters_are_pefts_and_pefts_are_adapters(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "base")
    policy = TokenPolicy.load(folder)
    policy.model = stirred(lora.adapted(policy.model, 4, seed=0))
    policy.save(tmp_path / "ours")
    wanted = policy.model(TOKENS).logits
    theirs = PeftModel.from_pretrained(TokenPolicy.load(folder).model, tmp_path / "ours")
    assert torch.equal(theirs(TOKENS).logits, wanted)
    theirs.save_pretrained(tmp_path / "theirs")
    for file in (tmp_path / "ours").iterdir():
        if not (tmp_path / "theirs" / file.name).exists():
            shutil.copy(file, tmp_path / "theirs")
    back = TokenPolicy.load(tmp_path / "theirs").model
    assert torch.equal(back(TOKENS).logits, wanted)
    assert any(weights.requires_grad for weights in back.parameters())
    bare = {name.removeprefix("base_model.model."): w for name, w in load_file(tmp_path / "ours" / WEIGHTS).items()}
    save_file(bare, tmp_path / "ours" / WEIGHTS)  # as runs of before had them
    assert torch.equal(TokenPolicy.load(tmp_path / "ours").model(TOKENS).logits, wanted)


def test_room_is_wanted_for_the_adapter_and_not_for_the_model() -> None:
    model = micro_model()
    about = lora.size(model, 2)
    trained = sum(4 * p.numel() for p in _weights(lora.adapted(model, 2, seed=0)))
    assert trained <= about <= 1.5 * trained  # the head, which has none, is counted


def test_the_adapter_is_drawn_from_its_seed_and_from_nothing_else() -> None:
    state = torch.random.get_rng_state()
    drawn = [next(_weights(lora.adapted(micro_model(), 2, seed))) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.random.get_rng_state(), state)


def _weights(model: Any) -> Iterator[torch.Tensor]:
    return (p.detach() for p in model.parameters() if p.requires_grad)


def test_a_frozen_model_stays_as_it_was() -> None:
    model = stirred(lora.adapted(micro_model(), 2, seed=0))
    with torch.no_grad():
        then = model(TOKENS).logits
        frozen = Frozen(model)
        now = stirred(model)(TOKENS).logits
        assert not torch.allclose(now, then, atol=0.01)
        assert torch.equal(frozen(input_ids=TOKENS).logits, then)
        assert torch.equal(model(TOKENS).logits, now)


def test_a_reference_that_is_renewed_survives_a_resumed_run(tmp_path: Path) -> None:
    start = toy_policy()
    model = lora.adapted(start.model, 2, seed=0)
    learner = Learner(model, Frozen(model), build_method("grpo"), toy_config(tmp_path, lora_rank=2))
    stirred(model)
    learner.freeze()
    kept = {name: values.clone() for name, values in learner.tensors().items()}
    with torch.no_grad():
        wanted = learner.reference(input_ids=TOKENS).logits  # type: ignore[misc]
        stirred(model)
        other = Learner(model, Frozen(model), build_method("grpo"), toy_config(tmp_path, lora_rank=2))
        other.load_tensors(kept)
        assert torch.equal(other.reference(input_ids=TOKENS).logits, wanted)  # type: ignore[misc]


def test_half_precision_beside_an_adapter(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "base")
    train(settings(tmp_path / "run", folder, method="ppo", lora_rank=2, dtype="bfloat16", steps=1))
    kept = load_file(tmp_path / "run" / "model" / "adapter_model.safetensors")
    assert {values.dtype for values in kept.values()} == {torch.float32}
    assert next(TokenPolicy.load(tmp_path / "run").model.parameters()).dtype == torch.bfloat16


def test_gradient_checkpointing_computes_blocks_twice_and_the_same(tmp_path: Path) -> None:
    found, calls = [], []
    for checkpointed in (False, True):
        config = toy_config(tmp_path, gradient_checkpointing=checkpointed)
        policy = toy_policy()
        learner = Learner(policy.model, toy_policy().model, build_method("grpo"), config)
        batch = toy_source(config)(policy, 1).rows
        count = [0]
        block = policy.model.model.layers[0]
        block.mlp.register_forward_pre_hook(lambda *_, count=count: count.__setitem__(0, count[0] + 1))
        found.append(learner.update(batch, 1))
        calls.append(count[0])
        assert not any(module.training for module in policy.model.modules())
    assert found[0] == pytest.approx(found[1], rel=1e-5, abs=1e-7)
    assert calls[1] == 2 * calls[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora_rank": -1}, "lora_rank must not be negative"),
        ({"dtype": "bfloat16"}, "train an adapter"),
        ({"dtype": "int8", "lora_rank": 2}, "Unknown dtype 'int8'"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TdGymError, match=message):
        settings(tmp_path / "run", tmp_path, **changes)


def test_bad_adapters_are_one_line(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "base")
    policy = TokenPolicy.load(folder)
    policy.model = lora.adapted(policy.model, 4, seed=0)
    policy.save(tmp_path / "adapter")
    with pytest.raises(TdGymError, match="is an adapter of rank 4"):
        train(settings(tmp_path / "run", tmp_path / "adapter"))
    with pytest.raises(TdGymError, match="lora_rank 4"):
        train(settings(tmp_path / "run", tmp_path / "adapter", lora_rank=2))
    assert not (tmp_path / "run").exists()
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file(dict(list(tensors.items())[1:]), weights)
    with pytest.raises(TdGymError, match="not those of a plain LoRA adapter of this model"):
        TokenPolicy.load(tmp_path / "adapter")
    weights.write_bytes(b"torn")
    with pytest.raises(TdGymError, match="Cannot load the adapter"):
        TokenPolicy.load(tmp_path / "adapter")
    folder.rename(tmp_path / "moved")
    with pytest.raises(TdGymError, match="There is no model"):
        TokenPolicy.load(tmp_path / "adapter")


def test_a_toy_learns_with_an_adapter_what_its_frozen_head_lets_it_say(tmp_path: Path) -> None:
    run_toy(toy_config(tmp_path / "run", method="grpo", steps=25, checkpoint_every=25, lora_rank=8, lr=3e-3))
    spent = [line["costs/voucher"] for line in metrics_of(tmp_path / "run")]
    assert spent[0] < 0.5
    assert sum(spent[15:]) / 10 == pytest.approx(0.7, abs=0.05)
