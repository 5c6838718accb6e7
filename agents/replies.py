"""Batches of single replies: several to one history, each judged on its own, and answers to scaffold tasks.

What a reply is worth is found by branching: conversations go on from one snapshot, with the same customer and the same
randomness, and differ in that reply alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from agents import distributed
from agents.config import TrainConfig
from agents.sampler import Line, sample, turn_uniforms
from agents.sources import Batch, Source, hold, share_of
from agents.token_policy import TokenPolicy
from agents.trajectories import Trajectories, pad_rows
from td_gym.draws import choice, mix
from td_gym.envs.batch import ConversationBatch, Step
from td_gym.errors import TdGymError
from td_gym.judges.answers import MATCH, is_right
from td_gym.judges.replies import Reply, judge, rouge_l
from td_gym.protocol import Messages, parse_message
from td_gym.reading.numerals import numbers
from td_gym.scenario import Episode, ScaffoldTask, Scenario

QUESTION = "A question about your briefing, to be answered directly: {}"
"""How a scaffold task is put, so that it is not taken for the customer's words."""
TURNS = 2
"""Turns of a dialogue at which replies are compared."""


class Group(NamedTuple):
    """Replies to one history."""

    lines: Sequence[Line]
    rewards: Sequence[Mapping[str, float]]
    """Of each reply, by name; the same names in every group of a kind."""
    outcome: Mapping[str, Any]
    """``turn``, or the ``task`` (its kind) and ``name`` of a scaffold task."""


class _History(NamedTuple):
    """What the policy has read, as tokens and as messages; ``key`` fixes what is sampled."""

    tokens: Sequence[int]
    messages: Messages
    key: int


class _Remembering(ConversationBatch):
    """Conversations that can be taken up again at each turn of the seat."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.snapshots: dict[int, list[dict[str, Any]]] = {}

    def reset(
        self, indices: Sequence[int], seeds: Sequence[int], rows: Sequence[int | None] | None = None
    ) -> list[Step]:
        self.snapshots |= {i: [] for i in indices}
        return super().reset(indices, seeds, rows)

    def step(self, indices: Sequence[int], texts: Sequence[str]) -> list[Step]:
        for i in indices:
            self.snapshots[i].append(self.episodes[i].snapshot())
        return super().step(indices, texts)


class Replies:
    """Collects judged replies of this process's share of the groups, ``copies`` to each history.

    ``rouge`` adds the reward of that name: ROUGE-L against what the scenario's reference agent says there.
    """

    def __init__(self, config: TrainConfig, scenario: Scenario, rouge: bool = False) -> None:
        self.config, self.scenario = config, scenario
        self._reference = scenario.expert() if rouge else None
        self._mine = share_of(config, distributed.rank(), distributed.world_size())
        customer = {"customer": scenario.training_customer(config.customer)}
        self._dialogues = _Remembering(scenario, "service", len(self._mine), customer, split=config.split)
        most = len(self._mine) * config.copies * TURNS
        self._branches = ConversationBatch(scenario, "service", most, customer, split=config.split)

    def at_turns(self, policy: TokenPolicy, number: int) -> tuple[list[Group], Trajectories]:
        """Return replies at some turns of each of the dialogues that the policy holds, and these dialogues."""
        held = hold(policy, self._dialogues, self.config, number, self._mine)
        histories, snapshots, outcomes = [], [], []
        for i, group in enumerate(self._mine):
            for turn in self._turns(int(held.turns[i]), number, group):
                snapshot = self._dialogues.snapshots[i][turn]
                messages = self.scenario.restore(snapshot).messages("service")
                read = held.tokens[i, : int(np.argmax(held.turn[i] == turn))].tolist()
                histories.append(_History(read, messages, mix(self.config.seed, "reply", number, group, turn)))
                snapshots += [snapshot] * self.config.copies
                outcomes.append({"turn": turn})
        lines, texts = self._sample(policy, histories)
        rewards = self._judge(snapshots, texts)
        return self._grouped(lines, rewards, outcomes), held

    def to_tasks(self, policy: TokenPolicy, number: int) -> list[Group]:
        """Return answers to one scaffold task on the briefing of each group's customer, the kinds taking turns."""
        asked, histories = [], []
        for group in self._mine:
            episode = self.scenario.begin(mix(self.config.seed, "task", number, group) >> 1, self.config.split)
            asked.append(self._task(episode, group))
            messages = [*episode.messages("service"), {"role": "user", "content": QUESTION.format(asked[-1].question)}]
            key = mix(self.config.seed, "answer", number, group)
            histories.append(_History(policy.render_opening(messages), messages, key))
        lines, texts = self._sample(policy, histories)
        tasks = [task for task in asked for _ in range(self.config.copies)]
        found = [is_right(task, self._response(text)) for task, text in zip(tasks, texts, strict=True)]
        rewards = [{MATCH: float(right)} for right in found]
        return self._grouped(lines, rewards, [{"task": task.kind, "name": task.name} for task in asked])

    def _turns(self, reached: int, number: int, group: int) -> list[int]:
        """Return ``TURNS`` of a dialogue's turns in order, or all where it has no more."""
        order = sorted(range(reached), key=lambda turn: mix(self.config.seed, "turn", number, group, turn))
        return sorted(order[:TURNS])

    def _task(self, episode: Episode, group: int) -> ScaffoldTask:
        tasks = self.scenario.scaffold_tasks(episode)
        if not tasks:
            raise TdGymError(f"{self.scenario.name} has no scaffold tasks; take a preset that trains without them.")
        kinds = sorted({task.kind for task in tasks})
        kind = kinds[group % len(kinds)]
        return choice([task for task in tasks if task.kind == kind], episode.seed, "task")

    def _sample(self, policy: TokenPolicy, histories: Sequence[_History]) -> tuple[list[Line], list[str]]:
        """Return ``copies`` replies to each history, as lines and as the text that leaves the seat."""
        length = self.config.max_new_tokens or policy.max_new_tokens
        lines = []
        for history in histories:
            for copy in range(self.config.copies):
                line = Line()
                line.read(history.tokens)
                line.begin(turn_uniforms(mix(history.key, copy), length))
                lines.append(line)
        sample(policy.model, lines, lambda ended: [], end_id=policy.end_id, pad_id=policy.pad_id)
        read = [history.messages for history in histories for _ in range(self.config.copies)]
        return lines, [policy.fill(policy.decode_reply(line.reply), m) for line, m in zip(lines, read, strict=True)]

    def _judge(self, snapshots: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[dict[str, float]]:
        """Return the rewards of each text as the next message after its snapshot."""
        indices, batch = range(len(texts)), self._branches
        batch.resume(indices, snapshots)
        episodes = [batch.episodes[i] for i in indices]
        before = [_before(episode) for episode in episodes]
        allowed = [self.scenario.admissible(episode) for episode in episodes]
        references = self._reference.reply_batch(episodes) if self._reference is not None else []
        rewards = []
        for i, step in enumerate(batch.step(indices, texts)):
            turn = next(turn for turn in reversed(episodes[i].transcript) if turn.seat == "service")
            admissible = step.info["strategy"] in allowed[i] and not turn.tool_message
            score = _score(self.scenario, step.info["rewards"])
            reply = before[i]._replace(
                text=turn.shown, admissible=admissible, score=score, relevance=step.relevance or 0
            )
            rewards.append(judge(reply))
            if references:
                rewards[-1]["rouge"] = rouge_l(reply.text, self._response(references[i]))
        return rewards

    def _response(self, text: str) -> str:
        return parse_message(text, self.scenario.tools, self.scenario.max_chars).response

    def _grouped(self, lines: Sequence[Line], rewards: Sequence[Any], outcomes: Sequence[Any]) -> list[Group]:
        copies = self.config.copies
        parts = [slice(i * copies, (i + 1) * copies) for i in range(len(outcomes))]
        return [Group(lines[part], rewards[part], outcome) for part, outcome in zip(parts, outcomes, strict=True)]


def _before(episode: Episode) -> Reply:
    """Return what is known of the next service turn before it is written."""
    messages = episode.messages("service")
    read = [message["content"] for message in messages if message["role"] != "assistant"]
    looked_up = episode.scenario.slot_values(messages).values()
    return Reply(
        text="",
        heard=episode.transcript[-1].shown,
        said=tuple(turn.shown for turn in episode.transcript if turn.seat == "service"),
        known=frozenset(number for text in (*read, *looked_up) for number in numbers(text)),
        admissible=False,
        score=0.0,
        relevance=0,
    )


def _score(scenario: Scenario, terms: Mapping[str, float]) -> float:
    """Return the weighted mean of a turn's terms, each from 0 at the low end of its range to 1 at the high end."""
    scaled = [spec.weight * (terms[name] - spec.low) / (spec.high - spec.low) for name, spec in scenario.terms.items()]
    return sum(scaled) / sum(spec.weight for spec in scenario.terms.values())


def record(policy: TokenPolicy, scenario: Scenario, groups: Sequence[Group]) -> Trajectories:
    """Return the groups as rows of one service turn each; a reward that a group does not know is 0 in it."""
    lines = [line for group in groups for line in group.lines]
    names = tuple(dict.fromkeys(name for group in groups for name in group.rewards[0]))
    rewards = [[found.get(name, 0.0) for name in names] for group in groups for found in group.rewards]
    turn = pad_rows([line.turns for line in lines], np.int64, -1)
    return Trajectories(
        tokens=pad_rows([line.tokens for line in lines], np.int64, policy.pad_id),
        agent_mask=turn >= 0,
        turn=turn,
        seat=np.where(turn >= 0, scenario.seats.index("service"), -1),
        log_probs=pad_rows([line.log_probs for line in lines], np.float32),
        allowed=np.full_like(turn, -1),
        lengths=np.array([len(line.tokens) for line in lines]),
        turns=np.ones(len(lines), dtype=np.int64),
        turn_rewards=np.array(rewards, dtype=np.float32)[:, None],
        session_rewards=np.zeros(len(lines), dtype=np.float32),
        costs=np.zeros((len(lines), 0), dtype=np.float32),
        group=np.repeat(np.arange(len(groups)), [len(group.lines) for group in groups]),
        term_names=names,
        cost_names=(),
        outcomes=tuple(group.outcome for group in groups for _ in group.lines),
    )


def turn_source(config: TrainConfig, scenario: Scenario, rouge: bool = False) -> Source:
    """Return the source of replies at some turns of each dialogue that the policy holds."""
    replies = Replies(config, scenario, rouge)

    def collect(policy: TokenPolicy, number: int) -> Batch:
        groups, dialogues = replies.at_turns(policy, number)
        return Batch(record(policy, scenario, groups), dialogues)

    return collect


def task_source(config: TrainConfig, scenario: Scenario) -> Source:
    """Return the source of answers to scaffold tasks."""
    replies = Replies(config, scenario)
    return lambda policy, number: Batch(record(policy, scenario, replies.to_tasks(policy, number)))


def merged_source(config: TrainConfig, scenario: Scenario) -> Source:
    """Return the source of both at once, in one batch."""
    replies = Replies(config, scenario)

    def collect(policy: TokenPolicy, number: int) -> Batch:
        groups, dialogues = replies.at_turns(policy, number)
        return Batch(record(policy, scenario, groups + replies.to_tasks(policy, number)), dialogues)

    return collect
