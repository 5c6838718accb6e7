"""Conversations longer than a model reads: the briefing stays, the latest exchanges stay, the rest is let go of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from agents.losses import forward_log_probs
from agents.planning_agent import agent_of
from agents.rollout import rollout
from agents.token_agent import TokenAgent
from agents.token_policy import TokenPolicy
from agents.trainer import train
from agents.trajectories import Trajectories
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario
from tests.agents.checkpoints import write_checkpoint
from tests.agents.test_lora import metrics_of, settings

ENV = "td_gym/Sales-v0"


def policy_of(path: str, max_context: int) -> TokenPolicy:
    policy = TokenPolicy.load(path, scenario=make_scenario(ENV))
    policy.max_context = max_context
    return policy


def conversations() -> ConversationBatch:
    scenario = make_scenario(ENV)
    return ConversationBatch(scenario, "service", 4, {"customer": scenario.customer()})


def held(policy: TokenPolicy, batch: ConversationBatch | None = None, temperature: float = 1.0) -> Trajectories:
    batch, generator = batch or conversations(), np.random.default_rng(0)
    return rollout(policy, batch, [1, 2, 3, 4], [0, 1, 2, 3], generator=generator, temperature=temperature)


def test_an_opening_that_does_not_fit_is_refused_as_in_evaluation() -> None:
    policy = policy_of("tiny", 40)
    policy.max_new_tokens = 15
    scenario = make_scenario(ENV, max_turns=1)
    with pytest.raises(TdGymError, match="briefing and the last message do not fit"):
        held(policy, ConversationBatch(scenario, "service", 4, {"customer": scenario.customer()}))


@pytest.mark.parametrize("path", ["tiny", "tiny-planned"])
def test_a_rollout_reads_anew_what_it_trains_on_as_it_was_sampled(path: str) -> None:
    policy = policy_of(path, 280 if path == "tiny" else 330)
    found = held(policy)
    assert found.parts is not None
    assert found.parts.max() >= 1
    for row in range(len(found)):
        sizes = np.bincount(found.parts[row][found.parts[row] >= 0])
        assert sizes.max() <= policy.context
        openings = [found.tokens[row, found.parts[row] == part][:20].tolist() for part in range(len(sizes))]
        assert all(opening == openings[0] for opening in openings)
    with torch.no_grad():
        scores = forward_log_probs(
            policy.model,
            torch.from_numpy(found.tokens),
            torch.from_numpy(found.agent_mask),
            torch.from_numpy(found.allowed),
            torch.from_numpy(found.allowed_sets),
            parts=torch.from_numpy(found.parts),
        )
    assert (scores.log_probs - torch.from_numpy(found.log_probs)).abs().max() < 1e-4


@pytest.mark.parametrize(("path", "limit"), [("tiny", 280), ("tiny-planned", 460)])
def test_an_agent_reads_anew_what_the_policy_did_in_training(path: str, limit: int) -> None:
    policy = policy_of(path, limit)
    trained, evaluated = conversations(), conversations()
    found = held(policy, trained, temperature=0.0)
    assert found.parts is not None
    agent = agent_of(policy, make_scenario(ENV), temperature=0.0)
    evaluated.reset(range(4), [1, 2, 3, 4])
    while alive := [i for i in range(4) if evaluated.episodes[i].outcome is None]:
        evaluated.step(alive, agent.reply_batch([evaluated.episodes[i] for i in alive]))
    for i, episode in trained.episodes.items():
        assert episode.messages("service") == evaluated.episodes[i].messages("service")
        assert found.tokens[i, found.parts[i] == found.parts[i].max()].tolist() in agent._histories.values()


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    plain, limited = (held(policy_of("tiny", limit)) for limit in (4096, 3000))
    assert plain.parts is None
    assert limited.parts is None
    assert np.array_equal(plain.tokens, limited.tokens)


def test_an_agent_reads_the_briefing_and_the_latest_exchanges() -> None:
    policy = policy_of("tiny", 300)
    messages = [{"role": "system", "content": "Be kind."}]
    for i in range(40):
        messages.append({"role": "user", "content": f"What about number {i}?"})
        messages.append({"role": "assistant", "content": f"Number {i} is fine."})
    messages.append({"role": "user", "content": "And the last?"})
    room = policy.context - policy.max_new_tokens
    text = policy.tokenizer.decode(policy.render_recent(messages, room))
    assert "Be kind." in text
    assert "And the last?" in text
    assert "number 39?" in text
    assert "number 1?" not in text
    agent = TokenAgent(policy)
    agent.reset(0)
    reply = agent.act(None, messages)
    alone = TokenAgent(policy)
    alone.reset(0)
    assert alone.act(None, messages) == reply


def test_a_briefing_that_does_not_fit_is_one_line() -> None:
    with pytest.raises(TdGymError, match="do not fit into the 90 tokens"):
        held(policy_of("tiny", 90))


def test_a_checkpoint_with_a_short_context_trains_and_remembers_it(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "base")
    train(settings(tmp_path / "run", folder, env=ENV, max_context=2200, max_new_tokens=40, steps=1))
    assert len(metrics_of(tmp_path / "run")) == 1
    trained = TokenPolicy.load(tmp_path / "run")
    assert (trained.context, trained.max_new_tokens) == (2200, 40)
