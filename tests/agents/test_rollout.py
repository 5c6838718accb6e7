"""A rollout records what was sampled, what the environment said, and nothing that depends on the schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from agents import bench
from agents.rollout import rollout
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError
from tests.agents.fakes import FakeBatch, fake_policy

SEEDS = [3, 3, 4, 4, 9, 10, 11, 12, 13, 14, 15, 16]


def run(seeds: list[int] = SEEDS, **options: Any) -> tuple[Trajectories, FakeBatch]:
    batch = FakeBatch()
    generator = options.pop("generator", None) or torch.Generator().manual_seed(5)
    policy = options.pop("policy", None) or fake_policy()
    return rollout(policy, batch, seeds, [s * 10 for s in seeds], generator=generator, **options), batch


def rows(record: Trajectories) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(record.tokens, record.lengths, strict=True)]


def test_log_probs_equal_a_training_forward_pass() -> None:
    policy = fake_policy()
    record, _ = run(policy=policy)
    tokens = torch.from_numpy(record.tokens)
    with torch.no_grad():
        scores = policy.model(tokens[:, :-1]).logits.log_softmax(-1).gather(2, tokens[:, 1:, None])[..., 0]
    mask = record.agent_mask[:, 1:]
    np.testing.assert_allclose(record.log_probs[:, 1:][mask], scores.numpy()[mask], atol=1e-4)
    assert (record.log_probs[~record.agent_mask] == 0).all()


def test_keeping_the_cache_changes_nothing() -> None:
    kept, again = run()[0], run(keep_cache=False)[0]
    assert rows(kept) == rows(again)
    np.testing.assert_allclose(kept.log_probs, again.log_probs, atol=1e-4)


def test_tokens_are_the_rendered_conversation() -> None:
    policy = fake_policy()
    record, batch = run(policy=policy)
    for i, episode in batch.episodes.items():
        messages = episode.messages("service")
        expected = policy.render_opening(messages[:2])
        row = record.tokens[i, : record.lengths[i]]
        assert row[: len(expected)].tolist() == expected
        for t in range(record.turns[i]):
            reply = row[record.turn[i, : len(row)] == t]
            expected += reply.tolist()
            if t + 1 < record.turns[i]:
                said = messages[2 + 2 * t + 1 :][:1]
                expected += policy.render_reply(said, ended=reply[-1] == policy.end_id)
            assert batch.submitted[i][t] == policy.fill(policy.decode_reply(reply), messages[: 2 + 2 * t])
        assert row.tolist() == expected


def test_rewards_costs_and_outcomes_are_the_environments() -> None:
    record, batch = run()
    assert record.term_names == ("polite",)
    assert record.cost_names == ("voucher", "format")
    assert record.group.tolist() == [s * 10 for s in SEEDS]
    for i, episode in batch.episodes.items():
        assert record.outcomes[i] == episode.outcome
        assert record.turns[i] == len(batch.submitted[i]) == episode.service_turns
        if episode.outcome["ended_by"] == "resolved":
            # Half a point a customer message after the first, the rating with the last.
            assert record.session_rewards[i] == 0.5 * episode.service_turns + 4.0
        else:
            assert record.cost("format")[i] == 1.0


def test_the_same_generator_seed_gives_the_same_dialogues() -> None:
    first, second = run()[0], run()[0]
    assert rows(first) == rows(second)
    np.testing.assert_array_equal(first.log_probs, second.log_probs)
    assert rows(first) != rows(run(generator=torch.Generator().manual_seed(6))[0])
    numpy_first = run(generator=np.random.default_rng(1))[0]
    assert rows(numpy_first) == rows(run(generator=np.random.default_rng(1))[0])


def test_copies_of_a_seed_differ_and_order_does_not_matter() -> None:
    record = run()[0]
    assert rows(record)[0] != rows(record)[1]
    backwards = run(seeds=SEEDS[::-1])[0]
    # The copies of a seed are counted in their order, so compare seeds that occur once.
    assert rows(backwards)[:8] == rows(record)[:3:-1]


def test_a_turn_that_runs_out_of_tokens_is_closed_for_it() -> None:
    policy = fake_policy(max_new_tokens=3)
    record, _ = run(policy=policy)
    lengths = [(record.turn[i] == t).sum() for i in range(len(record)) for t in range(record.turns[i])]
    assert max(lengths) == 3
    i = int(np.argmax(record.turns > 1))
    cut = int(np.flatnonzero(record.turn[i] == 0)[-1])
    assert record.tokens[i, cut] != policy.end_id
    assert record.tokens[i, cut + 1] == policy.end_id
    assert not record.agent_mask[i, cut + 1]


def test_conversations_are_stepped_in_groups_without_waiting_for_all() -> None:
    _, batch = run(seeds=list(range(40)))
    assert any(1 < len(call) < 40 for call in batch.calls)


def test_broken_weights_are_reported() -> None:
    policy = fake_policy()
    next(policy.model.parameters()).data[:] = float("nan")
    with pytest.raises(TdGymError, match="not finite"):
        run(policy=policy)


@pytest.mark.parametrize(
    ("case", "compared"),
    [
        (["--size", "micro"], ["rollout", "scoring of four replies"]),
        (["--env", "td_gym/FoodDispute-v0"], ["rollout", "evaluation", "scoring of four replies"]),
    ],
    ids=["synthetic", "shipped"],
)
def test_the_benchmark_does_the_same_work_both_ways(
    case: list[str], compared: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([*case, "--dialogues", "3", "--repeats", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ratio ")[0] for line in lines[2::3]] == compared
    for one, other, ratio in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        assert one.partition(": ")[2].partition(" in ")[0] == other.partition(": ")[2].partition(" in ")[0]
        assert float(ratio.partition(": ratio ")[2]) > 0
