"""Policies that plan: strategies under the procedure's mask, recorded so that they are scored as they were drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import breaches
from agents.config import TrainConfig
from agents.learner import Learner
from agents.methods import build_method
from agents.planning_agent import PlanningAgent, agent_of
from agents.plans import Planner, Planning
from agents.rollout import rollout
from agents.supervised import demonstrate, encode
from agents.token_policy import TokenPolicy
from agents.trainer import starting_policy
from agents.trajectories import Trajectories
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario
from tests.agents.fakes import FakeBatch, FakeScenario, fake_policy
from tests.agents.test_token_policy import CHATML

SEEDS = list(range(24))


def planning_policy(planning: Planning | None = None) -> TokenPolicy:
    policy = fake_policy()
    policy.planning = planning or Planning()
    return policy


def hold(policy: TokenPolicy, seeds: Sequence[int] = SEEDS, **options: Any) -> tuple[Trajectories, FakeBatch]:
    batch = FakeBatch()
    generator = torch.Generator().manual_seed(3)
    return rollout(policy, batch, seeds, [s // 2 for s in seeds], generator=generator, **options), batch


def strategies(policy: TokenPolicy, rows: Trajectories) -> list[list[str]]:
    """Return what the expert chose, by dialogue."""
    expert = rows.of_seat("expert")
    return [
        [policy.decode_reply(row[turn == t]) for t in range(rows.turns[i])]
        for i, (row, turn) in enumerate(zip(expert.tokens, expert.turn, strict=True))
    ]


def test_both_seats_write_in_every_message() -> None:
    policy = planning_policy()
    rows, batch = hold(policy)
    assert rows.writers() == {"service", "expert"}
    service = rows.of_seat("service")
    for i, chosen in enumerate(strategies(policy, rows)):
        assert len(chosen) == len(batch.submitted[i]) == rows.turns[i]
        assert set(chosen) <= {"answer", "compensate"}
        for t, text in enumerate(batch.submitted[i]):
            reply = policy.decode_reply(service.tokens[i][service.turn[i] == t])
            assert text == reply.replace("[item]", batch.episodes[i].case["item"])


def test_a_masked_expert_never_breaks_the_procedure_and_an_unmasked_one_does() -> None:
    masked, _ = hold(planning_policy())
    free, _ = hold(planning_policy(Planning(masked=False)))
    first = [chosen[0] for chosen in strategies(planning_policy(), masked)]
    assert set(first) == {"answer"}, "at first nothing else is admissible"
    assert masked.cost("sop_breaches").sum() == 0
    assert free.cost("sop_breaches").sum() > 0


def test_whether_messages_follow_their_strategy_is_recorded() -> None:
    policy = planning_policy(Planning(masked=False))
    rows, batch = hold(policy)
    assert rows.conduct is not None
    plans = strategies(policy, rows)
    assert "compensate" in {chosen[0] for chosen in plans}, "what the procedure does not admit is read all the same"
    for i, chosen in enumerate(plans):
        said = [turn.strategy for turn in batch.episodes[i].transcript if turn.seat == "service"]
        followed = [int(a == b) for a, b in zip(said, chosen, strict=True)]
        assert rows.conduct.followed[i, : rows.turns[i]].tolist() == followed
        assert (rows.conduct.followed[i, rows.turns[i] :] == -1).all()


def test_a_policy_without_finite_probabilities_is_one_sentence() -> None:
    policy = planning_policy()
    next(policy.model.parameters()).data[:] = float("nan")
    with pytest.raises(TdGymError, match="not finite any more; lower the learning rate"):
        hold(policy)


def test_relevance_and_goal_are_recorded_without_a_plan_too() -> None:
    rows, batch = hold(fake_policy())
    assert rows.conduct is not None
    assert (rows.conduct.followed == -1).all()
    assert "sop_breaches" not in rows.cost_names
    for i, episode in batch.episodes.items():
        broken = episode.outcome["ended_by"] == "format_error"
        answered = rows.turns[i] - broken
        assert rows.conduct.relevance[i, :answered].tolist() == [1] * answered
        assert (rows.conduct.relevance[i, answered:] == -1).all()
        assert rows.conduct.goal[i] == pytest.approx(rows.session_rewards[i] / 20)
        assert rows.conduct.succeeded[i] == FakeScenario().succeeded(episode.outcome)


def test_a_drawn_strategy_is_read_and_not_learnt() -> None:
    rows, _ = hold(planning_policy(Planning(expert="random")))
    assert rows.writers() == {"service"}
    assert rows.cost("sop_breaches").sum() == 0
    assert rows.conduct is not None
    assert set(rows.conduct.followed[:, 0].tolist()) == {0, 1}


@pytest.mark.parametrize("planning", [Planning(), Planning(masked=False), Planning(expert="random")])
def test_neither_the_cache_nor_the_company_changes_a_dialogue(planning: Planning) -> None:
    policy = planning_policy(planning)
    whole, again = hold(policy)[0], hold(policy, keep_cache=False)[0]
    few = hold(policy, SEEDS[5:9])[0]
    for i in range(len(SEEDS)):
        assert whole.tokens[i, : whole.lengths[i]].tolist() == again.tokens[i, : again.lengths[i]].tolist()
    for i in range(4):
        assert few.tokens[i, : few.lengths[i]].tolist() == whole.tokens[5 + i, : whole.lengths[5 + i]].tolist()


@pytest.mark.parametrize("preset", ["grpo", "no_mask"])
@pytest.mark.parametrize("seat", ["expert", "service"])
def test_the_first_ratio_is_one_with_constrained_tokens(tmp_path: Path, preset: str, seat: str) -> None:
    """The same masked softmax in sampling, training and reference."""
    policy = planning_policy(build_method("gopo", preset).planning)
    rows, _ = hold(policy)
    method = build_method("grpo")
    learner = Learner(policy.model, fake_policy().model, method, TrainConfig("grpo", "x", tmp_path, minibatches=1))
    part = rows.of_seat(seat)
    scores = learner._evaluate(part, lambda micro: learner._score(policy.model, part, micro).log_probs)
    np.testing.assert_allclose(scores.numpy(), np.where(part.agent_mask, part.log_probs, 0.0), atol=1e-5)
    metrics = learner.update(part, 1)
    assert abs(metrics["losses/approx_kl"]) < 1e-6
    assert metrics["losses/clipfrac"] == 0.0
    moved = rows.of_seat("service")
    now = learner._evaluate(moved, lambda micro: learner._score(policy.model, moved, micro).log_probs).numpy()
    ratio = (now - moved.log_probs)[moved.agent_mask]  # under the draws' own policy, the mean of exp(r) - 1 - r
    assert learner.divergence(moved) == pytest.approx(float((np.expm1(ratio) - ratio).mean()), rel=1e-3) != 0.0


def test_a_demonstration_with_its_plan_is_what_a_rollout_would_record() -> None:
    scenario, policy = FakeScenario(), planning_policy()
    planner = Planner(policy, scenario, Planning())
    (demonstration,) = demonstrate(scenario, 1, 5)
    example = encode(policy, demonstration, planner)
    runs = np.flatnonzero(np.diff(np.concatenate(([0], example.agent_mask.astype(int), [0]))))
    written = [policy.decode_reply(example.tokens[a:b]) for a, b in zip(runs[::2], runs[1::2], strict=True)]
    assert written[::2] == list(demonstration.strategies)
    assert written[1::2] == list(demonstration.drafts)
    assert set(demonstration.strategies) <= {"answer", "compensate"}
    plain = encode(policy, demonstration)
    assert plain.agent_mask.sum() < example.agent_mask.sum()


def test_an_agent_plans_alike_whoever_else_asks() -> None:
    scenario, policy = FakeScenario(), planning_policy()
    agent = PlanningAgent(policy, scenario)
    agent.reset(7)
    episodes = []
    for seed in range(6):
        episodes.append(scenario.begin(seed))
        episodes[-1].submit("customer", "my soup was cold")
    together = agent.act_episode_batch(episodes)
    assert agent.planned == ["answer"] * 6
    agent.reset(7)
    assert [agent.act_episode(episode) for episode in episodes] == together
    agent.reset(7)
    assert agent.reply_batch(episodes) == together
    for episode, text in zip(episodes, together, strict=True):
        episode.submit("service", text)
    alive = [episode for episode in episodes if episode.outcome is None]
    for episode in alive:
        episode.submit("customer", "and late")
    again = agent.act_episode_batch(alive)
    assert len(again) == len(agent.planned) == len(alive)
    with pytest.raises(TdGymError, match="td-gym evaluate"):
        agent.act({}, [])


def test_an_agent_needs_a_model_that_plans() -> None:
    with pytest.raises(TdGymError, match="does not plan"):
        PlanningAgent(fake_policy(), FakeScenario())


def test_planning_is_saved_with_the_weights(tmp_path: Path) -> None:
    planning_policy(Planning("random", True)).save(tmp_path / "model")
    assert TokenPolicy.load(tmp_path / "model").planning == Planning("random", True)
    fake_policy().save(tmp_path / "plain")
    assert TokenPolicy.load(tmp_path / "plain").planning is None


@pytest.mark.parametrize("value", [{"expert": "nobody"}, {"mask": True}, 3])
def test_a_broken_record_of_planning_is_one_clear_error(tmp_path: Path, value: Any) -> None:
    fake_policy().save(tmp_path)
    file = tmp_path / "td_gym.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "planning": value}))
    with pytest.raises(TdGymError, match=r"planning|expert 'nobody'"):
        TokenPolicy.load(tmp_path)


@pytest.mark.parametrize(("method", "preset"), [("sft", ""), ("more", "no_scaffold"), ("gopo", "no_expert")])
def test_a_method_without_dialogues_or_without_an_expert_refuses_a_model_that_plans(
    tmp_path: Path, method: str, preset: str
) -> None:
    planning_policy().save(tmp_path / "model")
    config = TrainConfig(
        method, "td_gym/FoodDispute-v0", tmp_path / "run", model=str(tmp_path / "model"), preset=preset
    )
    with pytest.raises(TdGymError, match=f"plans before it writes, which {method} {preset}".strip()):
        starting_policy(config, build_method(method, preset), make_scenario("FoodDispute"), "cpu")


def test_breaches_are_counted_with_the_mask_and_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = planning_policy()
    monkeypatch.setattr(breaches, "make_scenario", lambda name: FakeScenario())
    monkeypatch.setattr(breaches.TokenPolicy, "load", lambda *_, **__: policy)
    assert breaches.main(["--env", "Fake", "--dialogues", "300"]) == 0
    masked, free = capsys.readouterr().out.splitlines()
    assert masked == "Fake, with the mask: 0 breaches in 300 dialogues, 0 of them with any"
    assert free.startswith("Fake, without the mask: ")
    assert " 0 breaches in 30 dialogues" not in free


def test_a_model_that_does_not_plan_has_no_breaches_to_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(breaches, "make_scenario", lambda name: FakeScenario())
    monkeypatch.setattr(breaches.TokenPolicy, "load", lambda *_, **__: fake_policy())
    assert breaches.main(["--env", "Fake", "--model", "mine", "--dialogues", "3"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "'mine' does not plan; take 'tiny-planned', or a run of gopo.\n")


def test_a_negative_seed_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert breaches.main(["--env", "td_gym/Sales-v0", "--seed", "-1"]) == 2
    assert capsys.readouterr().err == "A seed must be a non-negative whole number, not -1.\n"


def test_an_unknown_environment_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert breaches.main(["--env", "td_gym/Nothing-v0"]) == 2
    assert "Unknown environment" in capsys.readouterr().err


@pytest.mark.parametrize("template", [None, CHATML])
@pytest.mark.parametrize("planning", [None, Planning(), Planning(masked=False)])
def test_an_agent_reads_and_says_what_the_policy_did_in_training(
    planning: Planning | None, template: str | None
) -> None:
    policy = fake_policy()
    if template is not None:
        policy.tokenizer.chat_template = template
        policy = TokenPolicy(policy.model, policy.tokenizer, scenario=FakeScenario(), max_new_tokens=12)
    policy.planning = planning
    seeds = SEEDS[:6]
    rows, trained = hold(policy, seeds, temperature=0.0)
    agent = agent_of(policy, FakeScenario(), temperature=0.0)
    batch = FakeBatch()
    batch.reset(seeds, seeds)
    while alive := [i for i in seeds if batch.episodes[i].outcome is None]:
        batch.step(alive, agent.reply_batch([batch.episodes[i] for i in alive]))
    assert batch.submitted == trained.submitted
    for i in seeds:
        assert rows.tokens[i, : rows.lengths[i]].tolist() in agent._histories.values()
    if template is not None:  # the shipped template leaves the rules out
        assert ("asked for its strategy" in policy.tokenizer.decode(rows.tokens[0])) == (planning is not None)
