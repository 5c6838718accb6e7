"""MORE by hand: ranks, gradients' norms, phases, the frozen reference, and runs on every scenario."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agents.learner import Learner, last_block
from agents.methods import build_method, presets
from agents.methods.more import rank_weights
from agents.sources import Batch
from agents.trainer import TrainConfig, configured_method, train
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError
from td_gym.registration import env_id, scenario_names
from tests.agents.micro import make_trajectories, micro_model
from tests.agents.test_trainer import metrics_of, run_workers
from tests.agents.toy import SCENARIO, run_toy, toy_config, toy_policy, toy_source

KL = 0.05
norm_lists = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=8)


def replies(rewards: list[list[float]], groups: list[int], tasks: list[str] | None = None) -> Trajectories:
    """One reply of two tokens a row, with rewards ``r0``, ``r1`` and so on; answers are rewarded by ``match``."""
    count = len(rewards)
    found = make_trajectories(
        tokens=[[1, 2 + i % 3, 5, 3 + i % 4] for i in range(count)],
        turn=[[-1, 0, -1, 0]] * count,
        rewards=[0.0] * count,
        groups=groups,
        turn_rewards=[[row] for row in rewards],
        term_names=["match"] if tasks else [f"r{j}" for j in range(len(rewards[0]))],
    )
    return replace(found, outcomes=tuple({"task": task} for task in tasks)) if tasks else found


# Two histories with two replies each; the third reward knows nothing of the second history.
HAND = replies([[1.0, 0.0, 0.5], [0.0, 0.5, 0.5], [0.2, 0.0, 1.0], [0.2, 1.0, 1.0]], [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("norms", "weights"),
    [
        ([3.0, 1.0, 2.0, 0.5], [1.0, 0.5, 0.75, 0.25]),
        ([1.0, 1.0, 0.0, 2.0], [0.625, 0.625, 0.25, 1.0]),
        ([0.0, 0.0, 0.0], [2 / 3] * 3),
        ([7.0], [1.0]),
    ],
)
def test_rank_weights_by_hand(norms: list[float], weights: list[float]) -> None:
    torch.testing.assert_close(rank_weights(torch.tensor(norms)), torch.tensor(weights))


@given(norm_lists, st.randoms())
def test_rank_weights_depend_on_ranks_alone(norms: list[float], random: Any) -> None:
    n, weights = len(norms), rank_weights(torch.tensor(norms))
    assert weights.sum().item() == pytest.approx((n + 1) / 2)
    assert weights.min() >= 1 / n - 1e-6
    assert weights.max() <= 1.0
    torch.testing.assert_close(rank_weights(torch.tensor(norms) ** 3 + 1), weights)
    order = random.sample(range(n), n)
    torch.testing.assert_close(rank_weights(torch.tensor(norms)[order]), weights[order])
    larger = torch.tensor(norms)[:, None] > torch.tensor(norms)[None, :]
    assert bool((weights[:, None] > weights[None, :])[larger].all())


def learner(tmp_path: Path, **changes: Any) -> Learner:
    return Learner(micro_model(3), micro_model(3), build_method("more"), toy_config(tmp_path, method="more", **changes))


@pytest.mark.parametrize("micro_tokens", [4, 4096])
def test_norms_are_those_of_the_gram_matrix(tmp_path: Path, micro_tokens: int) -> None:
    built = learner(tmp_path, micro_tokens=micro_tokens)
    rewards = torch.tensor([[0.3, -1.0], [0.9, 0.0], [-0.2, 0.5], [0.1, 0.5]])
    block, tokens = last_block(built.model), torch.from_numpy(HAND.tokens)
    assert 0 < len(block) < len(list(built.model.parameters()))
    scores = []
    for row in tokens:
        log_probs = built.model(row[None]).logits[0].log_softmax(-1)
        log_prob = log_probs[0, row[1]] + log_probs[2, row[3]]
        scores.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(log_prob, block)]))
    gram = torch.stack(scores) @ torch.stack(scores).T
    expected = torch.stack([r @ gram @ r for r in rewards.T]).sqrt() / len(rewards)
    torch.testing.assert_close(built.gradient_norms(HAND, rewards), expected, rtol=1e-4, atol=1e-6)


def test_a_centred_reward_is_measured_by_what_it_tells_apart(tmp_path: Path) -> None:
    built = learner(tmp_path)
    raised = replace(HAND, turn_rewards=HAND.turn_rewards + np.float32(3.0))
    centred, letter = build_method("more"), build_method("more", "uncentred")
    norms = centred.measure(HAND, built)
    assert norms is not None
    torch.testing.assert_close(centred.measure(raised, built), norms, rtol=1e-4, atol=1e-5)
    assert norms[2] < 1e-6 < norms[:2].min()
    assert letter.measure(HAND, built)[2] > norms[2] + 0.1
    assert letter.measure(raised, built)[0] > 2 * norms[0]


def test_only_ranked_weights_ask_for_norms(tmp_path: Path) -> None:
    built = learner(tmp_path)
    assert build_method("more", "fixed_weights").measure(HAND, built) is None
    assert build_method("more").measure(replies([[1.0], [0.0]], [0, 0]), built) is None


def test_advantages_by_hand() -> None:
    # Weights 1, 1/3 and 2/3: totals 4/3 and 1/2, 13/15 and 6/5; of two replies one is a std above the mean.
    found = build_method("more").advantages(HAND, torch.tensor([9.0, 1.0, 2.0]))
    agent = torch.from_numpy(HAND.agent_mask)
    torch.testing.assert_close(found.tokens, torch.tensor([1.0, -1.0, -1.0, 1.0])[:, None] * agent)
    assert found.metrics == pytest.approx(
        {
            "rewards/r0": 0.35, "rewards/r1": 0.375, "rewards/r2": 0.75, "rewards/mean": 1.475 / 3,
            "weights/r0": 1.0, "weights/r1": 1 / 3, "weights/r2": 2 / 3,
            "gradient_norms/r0": 9.0, "gradient_norms/r1": 1.0, "gradient_norms/r2": 2.0,
            "groups/zero_variance_reward": 0.0,
        }
    )  # fmt: skip
    # With r1 first, r2 second and r0 last, the first history prefers its other reply: 1/3 + 1/3 against 1/2 + 1/3.
    other = build_method("more").advantages(HAND, torch.tensor([1.0, 9.0, 2.0]))
    assert other.tokens[0, 1].item() == pytest.approx(-1.0)


def test_reasoning_by_hand() -> None:
    batch = replies([[1.0], [0.0], [1.0], [1.0], [0.0], [1.0]], [0, 0, 1, 1, 2, 2], ["mac"] * 4 + ["pnr"] * 2)
    found = build_method("more", options={"mac_weight": 0.75, "pnr_weight": 0.25}).advantages(batch)
    torch.testing.assert_close(found.tokens[:, 1], torch.tensor([1.5, -1.5, 0.0, 0.0, -0.5, 0.5]))
    assert found.metrics == pytest.approx(
        {
            "reasoning/mac": 0.75,
            "reasoning/pnr": 0.5,
            "reasoning/accuracy": 0.625,
            "reasoning/groups/zero_variance_reward": 1 / 3,
        }
    )


def sources_of(preset: str, total: int = 3, **options: Any) -> list[list[tuple[str, int, bool]]]:
    method = build_method("more", preset, options=options)
    return [[(p.source, p.number, p.freezes) for p in method.phases(update, total)] for update in range(1, total + 1)]


def test_phases_of_each_preset() -> None:
    assert sources_of("default")[1] == [("tasks", 2, False), ("turns", 2, True)]
    assert sources_of("no_scaffold")[1] == [("turns", 2, True)]
    assert sources_of("merged")[1] == [("turns_and_tasks", 2, False)]
    assert sources_of("two_stage") == [
        [("tasks", 1, False), ("tasks", 2, False)],
        [("tasks", 3, False), ("turns", 1, True)],
        [("turns", 2, False), ("turns", 3, False)],
    ]
    assert [phases[-1][2] for phases in sources_of("default", 5, ref_every=2)] == [True, False, True, False, True]
    assert sources_of("default", rouge=True)[0][1][0] == "turns_with_rouge"
    paces = [phase.pace for phase in build_method("more", options={"reasoning_pace": 0.3}).phases(1, 3)]
    assert paces == [0.3, 1.0]


def test_a_slower_phase_takes_shorter_steps(tmp_path: Path) -> None:
    config = toy_config(tmp_path / "run", method="more", preset="no_scaffold", minibatches=1)
    batch = toy_replies(config)(toy_policy(), 1).rows
    moved = []
    for paces in ([1.0], [0.2], [1.0, 0.2]):
        policy = toy_policy()
        built = Learner(policy.model, None, build_method("more", "no_scaffold"), config)
        for pace in paces:
            before = {name: values.clone() for name, values in policy.model.state_dict().items()}
            built.update(batch, 1, pace=pace)
        moved.append({name: values - before[name] for name, values in policy.model.state_dict().items()})
    for name, step in moved[0].items():
        torch.testing.assert_close(moved[1][name], 0.2 * step, atol=1e-6, rtol=1e-3)  # Adam's first step
    longest = [max(step.abs().max().item() for step in each.values()) for each in moved]
    assert longest[2] < 0.5 * longest[0]


def test_a_fresh_reference_needs_two_steps(tmp_path: Path) -> None:
    config = toy_config(tmp_path, method="more", minibatches=1)
    with pytest.raises(TdGymError, match="minibatches of at least 2, not 1"):
        configured_method(config, {}, SCENARIO)
    for changes in ({"options": {"ref_every": 2}}, {"options": {"loss": {"kl_beta": 0.0}}}, {"preset": "merged"}):
        configured_method(replace(config, **changes), {}, SCENARIO)


def toy_replies(config: TrainConfig) -> Any:
    """The toy's dialogues of one turn as replies: pleasing is one reward, and saving another."""
    collect = toy_source(config)

    def replied(policy: Any, number: int) -> Batch:
        rows = collect(policy, number).rows
        rewards = np.stack([rows.session_rewards / 5, 1 - rows.costs[:, 0]], axis=1)[:, None]
        return Batch(replace(rows, turn_rewards=rewards.astype(np.float32), term_names=("pleases", "saves")))

    return replied


def test_a_refreshed_reference_is_the_policy_before_the_batch(tmp_path: Path) -> None:
    config = toy_config(tmp_path / "run", method="more", preset="no_scaffold", minibatches=2, steps=3)
    policy, start = toy_policy(), toy_policy()
    built = Learner(policy.model, start.model, build_method("more", "no_scaffold"), config)
    before = {name: values.clone() for name, values in policy.model.state_dict().items()}
    read = {"input_ids": torch.tensor([[1, 2, 3]])}
    for number in (1, 2):
        built.freeze()
        frozen = policy.model(**read).logits
        found = built.update(toy_replies(config)(policy, number).rows, number)
        assert built.reference is not None
        assert found["losses/kl_reference"] > 0.0  # of the second step
        assert torch.equal(built.reference(**read).logits, frozen)
        assert not torch.equal(policy.model(**read).logits, frozen)
        for name, values in start.model.state_dict().items():
            assert torch.equal(values, before[name])


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize(("preset", "ref_every"), [("default", 3), ("two_stage", 1)])
def test_a_killed_run_resumes_to_the_same_numbers(tmp_path: Path, preset: str, ref_every: int) -> None:
    def config(name: str, **changes: Any) -> TrainConfig:
        return toy_config(tmp_path / name, method="more", preset=preset, options={"ref_every": ref_every}, **changes)

    calls = 0

    def dies(policy: Any, number: int) -> Batch:
        nonlocal calls
        calls += 1
        if calls == 10:  # in the fifth update, after the checkpoint of the fourth
            raise Killed
        return toy_replies(config("killed"))(policy, number)

    run_toy(config("whole"), toy_replies(config("whole")))
    with pytest.raises(Killed):
        run_toy(config("killed"), dies)
    run_toy(config("killed", resume=True), toy_replies(config("killed")))
    metrics = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "killed")]
    assert metrics[0] == metrics[1]
    assert json.loads(metrics[0].splitlines()[-1])["losses/kl_reference"] > 0.0
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


RUN: dict[str, Any] = {"method": "more", "customers": 2, "copies": 2, "checkpoint_every": 9}


@pytest.mark.parametrize("scenario", scenario_names())
@pytest.mark.parametrize("preset", presets("more"))
def test_it_trains_on_every_scenario(tmp_path: Path, scenario: str, preset: str) -> None:
    train(TrainConfig(env=env_id(scenario), out=tmp_path / "run", preset=preset, steps=2, **RUN))
    lines = metrics_of(tmp_path / "run")
    assert len(lines) == 2
    assert all(np.isfinite(value) for line in lines for value in line.values())
    names = set().union(*lines)
    rewards = {name.removeprefix("rewards/") for name in names if name.startswith("rewards/")} - {"mean"}
    assert rewards == {
        "naturalness", "contextual_reasoning", "semantic_fidelity", "demand_coverage", "low_redundancy", "no_repetition"
    }  # fmt: skip
    weighed = rewards | ({"match"} if preset == "merged" else set()) if preset != "fixed_weights" else set()
    for kind in ("weights", "gradient_norms"):
        assert {name.removeprefix(f"{kind}/") for name in names if name.startswith(f"{kind}/")} == weighed
    assert ({"reasoning/mac", "reasoning/pnr", "reasoning/accuracy"} <= names) == (preset != "no_scaffold")
    assert {"charts/episodic_return", "charts/turns", "losses/kl_reference"} <= names


_WORKER = """
import sys
from pathlib import Path
from agents.trainer import TrainConfig, train
from tests.agents.test_more import RUN
train(TrainConfig(env="td_gym/Sales-v0", out=Path(sys.argv[1]), preset=sys.argv[2], steps=1, **RUN))
"""


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["no_scaffold", "merged"])
def test_two_processes_weigh_as_one_would(tmp_path: Path, preset: str) -> None:
    script = tmp_path / "worker.py"
    script.write_text(_WORKER)
    run_workers(script, tmp_path / "two", preset)
    train(TrainConfig(env="td_gym/Sales-v0", out=tmp_path / "one", preset=preset, steps=1, **RUN))
    one, two = metrics_of(tmp_path / "one")[0], metrics_of(tmp_path / "two")[0]
    assert one.keys() == two.keys()
    for name in one:
        if not name.startswith("losses/"):  # each process has minibatches of its own
            assert two[name] == pytest.approx(one[name], rel=1e-3, abs=1e-5), name
