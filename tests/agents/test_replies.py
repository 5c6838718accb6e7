"""Single replies: the history as it was read, the customer as it was, every draw keyed, every reply judged."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import distributed
from agents.config import TrainConfig
from agents.replies import TURNS, Group, Replies, merged_source, record, task_source, turn_source
from agents.sources import Batch, partners
from agents.token_policy import TokenPolicy
from agents.trajectories import Trajectories
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.protocol import Messages, ParsedMessage, Tool
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario
from td_gym.turns import ServiceEffect
from tests.agents.fakes import FakeEpisode, FakeScenario, fake_policy

COPIES = 3


def config(**changes: Any) -> TrainConfig:
    return TrainConfig(
        **{"method": "more", "env": "fake", "out": Path("x"), "customers": 4, "copies": COPIES, **changes}
    )


def rows(batch: Trajectories) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(batch.tokens, batch.lengths, strict=True)]


def from_source(source: Any, scenario: Scenario, **changes: Any) -> Any:
    """Return what ``source`` builds for a run in ``scenario``."""
    settings = config(**changes)
    return source(settings, scenario, partners(settings, scenario))


def from_fakes(source: Any, number: int = 1, **changes: Any) -> Batch:
    found: Batch = from_source(source, FakeScenario(), **changes)(fake_policy(), number)
    return found


def test_a_group_is_several_replies_to_one_history() -> None:
    batch = from_fakes(turn_source)
    dialogues = batch.dialogues
    assert dialogues is not None
    assert len(dialogues) == 4
    first = batch.rows.agent_mask.argmax(axis=1)
    for group in set(batch.rows.group.tolist()):
        members = np.flatnonzero(batch.rows.group == group)
        assert len(members) == COPIES
        histories = {tuple(batch.rows.tokens[i, : first[i]]) for i in members}
        assert len(histories) == 1
        assert any(row[: len(history)] == list(history) for row in rows(dialogues) for history in histories)
    turns = np.minimum(dialogues.turns, TURNS)
    assert len(batch.rows) == COPIES * turns.sum()
    assert (batch.rows.turns == 1).all()
    # What a policy wrote ends its row, and nothing that was read is learnt.
    assert (batch.rows.agent_mask.sum(axis=1) == batch.rows.lengths - first).all()


def test_log_probs_equal_a_training_forward_pass() -> None:
    policy = fake_policy()
    for source in (turn_source, task_source):
        batch = from_source(source, FakeScenario())(policy, 1).rows
        tokens = torch.from_numpy(batch.tokens)
        with torch.no_grad():
            scores = policy.model(tokens[:, :-1]).logits.log_softmax(-1).gather(2, tokens[:, 1:, None])[..., 0]
        mask = batch.agent_mask[:, 1:]
        np.testing.assert_allclose(batch.log_probs[:, 1:][mask], scores.numpy()[mask], atol=1e-4)


def test_broken_weights_are_reported() -> None:
    policy = fake_policy()
    next(policy.model.parameters()).data[:] = float("nan")
    with pytest.raises(TdGymError, match="not finite"):
        from_source(task_source, FakeScenario())(policy, 1)


@pytest.mark.parametrize("source", [turn_source, task_source, merged_source])
def test_draws_are_keyed_by_number_and_seed(source: Any) -> None:
    assert rows(from_fakes(source).rows) == rows(from_fakes(source).rows)
    assert rows(from_fakes(source).rows) != rows(from_fakes(source, number=2).rows)
    assert rows(from_fakes(source).rows) != rows(from_fakes(source, seed=1).rows)


@pytest.mark.parametrize("source", [turn_source, task_source])
def test_sharing_out_changes_nothing(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows(from_fakes(source).rows)
    shares: list[list[int]] = []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares += rows(from_fakes(source).rows)
    assert shares == whole


class Scripted(TokenPolicy):
    """Its tokens are random, and what leaves the seat is the next of some texts."""

    def __init__(self, *texts: str) -> None:
        random = fake_policy()
        super().__init__(random.model, random.tokenizer, scenario=random.scenario, max_new_tokens=random.max_new_tokens)
        self.texts = cycle(texts)
        self.read: list[str] = []

    def fill(self, text: str, messages: Messages) -> str:
        self.read.append(messages[-1]["content"])
        return next(self.texts)


def test_both_kinds_of_tasks_are_asked_and_answers_compared() -> None:
    policy = Scripted("It is the soup.", "1", "<response>two</response>")
    groups = from_source(Replies, FakeScenario(), customers=8).to_tasks(policy, 1)
    assert [group.outcome["task"] for group in groups] == ["mac", "pnr"] * 4
    assert [question.split(": ")[1].split()[0] for question in policy.read[::COPIES]] == ["What", "How"] * 4
    right = [[reward["match"] for reward in group.rewards] for group in groups]
    assert {tuple(marks) for marks in right[::2]} == {(1.0, 0.0, 0.0), (0.0, 0.0, 0.0)}
    assert all(marks[0] == 0.0 and sum(marks) <= 1.0 for marks in right[1::2])


@pytest.mark.parametrize(("customers", "kinds"), [(1, "m p m p"), (2, "mp mp mp"), (3, "mpm pmp mpm")])
def test_kinds_of_tasks_take_turns_over_updates(customers: int, kinds: str) -> None:
    source = from_source(Replies, FakeScenario(), customers=customers)
    updates = range(2, 2 + len(kinds.split()))
    asked = [[group.outcome["task"][0] for group in source.to_tasks(Scripted("1"), update)] for update in updates]
    assert [*map("".join, asked)] == kinds.split()


def test_a_scenario_without_tasks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeScenario, "scaffold_tasks", lambda self, episode: [])
    with pytest.raises(TdGymError, match="Fake has no scaffold tasks"):
        from_fakes(task_source)


def test_merged_batches_hold_every_reward() -> None:
    batch = from_fakes(merged_source).rows
    assert batch.term_names[-1] == "match"
    asked = np.array(["task" in outcome for outcome in batch.outcomes])
    assert asked.sum() == 4 * COPIES
    assert (batch.turn_rewards[asked, 0, :-1] == 0).all()
    assert (batch.turn_rewards[~asked, 0, -1] == 0).all()
    assert len(set(batch.group[asked])) == 4
    assert not set(batch.group[asked]) & set(batch.group[~asked])


@pytest.fixture(scope="module")
def judged() -> tuple[list[Group], TokenPolicy]:
    scenario = make_scenario("Sales")
    policy = TokenPolicy.load("tiny", scenario=scenario)
    replies = from_source(partial(Replies, rouge=True), scenario, customers=6, copies=6)
    return replies.at_turns(policy, 1)[0], policy


def test_the_same_reply_to_the_same_history_earns_the_same(judged: tuple[list[Group], TokenPolicy]) -> None:
    groups, policy = judged
    again = 0
    for group in groups:
        earned: dict[str, Any] = {}
        for line, rewards in zip(group.lines, group.rewards, strict=True):
            text = policy.decode_reply(line.reply)
            again += text in earned
            assert earned.setdefault(text, rewards) == rewards
    assert again


def test_rewards_tell_replies_apart(judged: tuple[list[Group], TokenPolicy]) -> None:
    for name in ("contextual_reasoning", "rouge"):
        assert any(len({rewards[name] for rewards in group.rewards}) > 1 for group in judged[0])
    assert all(0.0 <= value <= 1.0 for group in judged[0] for rewards in group.rewards for value in rewards.values())


def test_a_format_error_earns_nothing() -> None:
    groups, _ = from_source(Replies, FakeScenario()).at_turns(Scripted("<action>"), 1)
    assert {value for group in groups for rewards in group.rewards for value in rewards.values()} == {0.0}


class LookingUp(FakeEpisode):
    def hear_service(self, message: ParsedMessage) -> ServiceEffect:
        found = "it weighs 250 grams" if message.action == "look" else ""
        return replace(super().hear_service(message), tool_message=found)


class LooksUp(FakeScenario):
    """A kitchen whose dish can be looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.tools = {"look": Tool("look", frozenset(), "see", looks_up=True)}

    def make_episode(self, seed: int, split: str, row: int | None) -> Episode:
        return LookingUp(self, seed, split, row, super().make_episode(seed, split, row).case)


def test_a_reply_is_judged_by_its_words_and_holds_the_look_up_before_them() -> None:
    class Looking(Scripted):
        def fill(self, text: str, messages: Messages) -> str:
            looked = messages[-1]["content"].startswith("<tool_result>")
            return "The dish weighs 250 grams, and I am sorry." if looked else "<action>look</action>"

    policy, scenario = Looking(), LooksUp()
    groups, _ = from_source(Replies, scenario).at_turns(policy, 1)
    rewards = [rewards for group in groups for rewards in group.rewards]
    assert {reward["naturalness"] for reward in rewards} == {1.0}
    assert {reward["semantic_fidelity"] for reward in rewards} == {1.0}  # the number stood in the tool's answer
    batch = record(policy, scenario, groups)
    assert set(batch.turn[batch.agent_mask]) == {0}
    messages = (batch.agent_mask & ~np.pad(batch.agent_mask, ((0, 0), (1, 0)))[:, :-1]).sum(axis=1)
    assert set(messages) == {1, 2}  # one where the history ended with the look-up
