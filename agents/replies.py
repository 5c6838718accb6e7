"""Batches of single replies: several to one history, each judged on its own, and answers to scaffold tasks.

What a reply is worth is found by branching: conversations go on from one snapshot, with the same customer and the same
randomness, and differ in that reply alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from agents import distributed
from agents.config import TrainConfig
from agents.rollout import token_arrays
from agents.sampler import Answer, Line, turn_uniforms
from agents.sources import Batch, Seats, Source, hold, share_of
from agents.token_policy import TokenPolicy
from agents.trajectories import Trajectories
from td_gym.draws import choice, mix
from td_gym.envs.batch import ConversationBatch, Step
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.judges.answers import MATCH, is_right
from td_gym.judges.replies import Reply, judge, rouge_l
from td_gym.protocol import Messages, parse_message
from td_gym.reading.numerals import numbers
from td_gym.scenario import ScaffoldTask, Scenario
from td_gym.turns import Turn

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


class _Before(NamedTuple):
    """What is known of a message before it is written."""

    reply: Reply
    allowed: tuple[str, ...]
    """Strategies that the procedure allows."""
    reference: str | None
    """What the reference agent says; ``None`` where nobody asked it."""


@dataclass(slots=True, eq=False)
class _Draft:
    """A reply being written, with the key of its draws, the longest message, and the messages read so far."""

    key: int
    length: int
    messages: Messages
    line: Line = field(default_factory=Line)

    def go_on(self, tokens: Sequence[int]) -> None:
        """Read ``tokens`` and begin the next message."""
        self.line.read(tokens)
        self.line.begin(turn_uniforms(mix(self.key, self.line.turn + 1), self.length))

    def look(self, policy: TokenPolicy, messages: Messages) -> None:
        """Read what a look-up brought, the last of ``messages``, and begin the next message."""
        closed = self.line.reply[-1] == policy.end_id
        tokens = policy.render_reply(messages[len(self.messages) + 1 :], ended=closed)
        self.messages = messages
        self.go_on(tokens)

    def text(self, policy: TokenPolicy) -> str:
        """Return the message just written as it leaves the seat."""
        return policy.fill(policy.decode_reply(self.line.reply), self.messages)


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

    def __init__(self, config: TrainConfig, scenario: Scenario, others: Seats, rouge: bool = False) -> None:
        self.config, self.scenario = config, scenario
        self._reference = scenario.expert() if rouge else None
        self._mine = share_of(config, distributed.rank(), distributed.world_size())
        self._dialogues = _Remembering(scenario, "service", len(self._mine), others, split=config.split)
        most = len(self._mine) * config.copies * TURNS
        self._branches = ConversationBatch(scenario, "service", most, others, split=config.split)

    def at_turns(self, policy: TokenPolicy, number: int) -> tuple[list[Group], Trajectories]:
        """Return replies at some turns of each of the dialogues that the policy holds, and these dialogues."""
        held = hold(policy, self._dialogues, self.config, number, self._mine)
        histories, snapshots, outcomes = [], [], []
        for i, group in enumerate(self._mine):
            for turn in self._turns(int(held.turns[i]), number, group):
                snapshot = self._dialogues.snapshots[i][turn]
                messages = self.scenario.restore(snapshot).messages("service")
                read = held.read_before(i, turn)
                histories.append(_History(read, messages, mix(self.config.seed, "reply", number, group, turn)))
                snapshots += [snapshot] * self.config.copies
                outcomes.append({"turn": turn})
        drafts = self._drafts(policy, histories)
        rewards = self._judge(policy, drafts, snapshots)
        return self._grouped(drafts, rewards, outcomes), held

    def to_tasks(self, policy: TokenPolicy, number: int) -> list[Group]:
        """Return answers to one scaffold task on the briefing of each group's customer, the kinds taking turns."""
        asked, histories = [], []
        for group in self._mine:
            episode = self.scenario.begin(mix(self.config.seed, "task", number, group) >> 1, self.config.split)
            asked.append(self._task(episode, number, group))
            messages = [*episode.messages("service"), {"role": "user", "content": asked[-1].asked}]
            key = mix(self.config.seed, "answer", number, group)
            histories.append(
                _History(policy.render_fitting(messages, policy.context - policy.max_new_tokens), messages, key)
            )
        drafts = self._drafts(policy, histories)
        self._sample(policy, drafts, lambda ended: [])
        tasks = [task for task in asked for _ in range(self.config.copies)]
        answers = [self._response(draft.text(policy)) for draft in drafts]
        rewards = [{MATCH: float(is_right(task, text))} for task, text in zip(tasks, answers, strict=True)]
        return self._grouped(drafts, rewards, [{"task": task.kind, "name": task.name} for task in asked])

    def _turns(self, reached: int, number: int, group: int) -> list[int]:
        """Return ``TURNS`` of a dialogue's turns in order, or all where it has no more."""
        order = sorted(range(reached), key=lambda turn: mix(self.config.seed, "turn", number, group, turn))
        return sorted(order[:TURNS])

    def _task(self, episode: Episode, number: int, group: int) -> ScaffoldTask:
        """Return a task on the briefing of a group's customer; the kinds take turns, from update to update too."""
        tasks = self.scenario.scaffold_tasks(episode)
        if not tasks:
            raise TdGymError(f"{self.scenario.name} has no scaffold tasks; take a preset that trains without them.")
        kinds = sorted({task.kind for task in tasks})
        kind = kinds[(group + number * (self.config.customers % len(kinds))) % len(kinds)]
        return choice([task for task in tasks if task.kind == kind], episode.seed, "task")

    def _drafts(self, policy: TokenPolicy, histories: Sequence[_History]) -> list[_Draft]:
        """Return ``copies`` drafts to each history, begun."""
        drafts = []
        for history in histories:
            for copy in range(self.config.copies):
                drafts.append(_Draft(mix(history.key, copy), policy.max_new_tokens, history.messages))
                drafts[-1].go_on(history.tokens)
        return drafts

    def _sample(self, policy: TokenPolicy, drafts: Sequence[_Draft], answer: Answer) -> None:
        """Let the policy write the drafts, having read each history once."""
        policy.write([draft.line for draft in drafts], answer, copies=self.config.copies)

    def _judge(
        self, policy: TokenPolicy, drafts: Sequence[_Draft], snapshots: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, float]]:
        """Let the policy write each draft after its snapshot, look-ups and all, and return what its words earn."""
        branches = self._branches
        branches.resume(range(len(drafts)), snapshots)
        rewards: list[dict[str, float]] = [{} for _ in drafts]

        def answer(ended: list[int]) -> list[int]:
            before = [self._before(branches.episodes[i]) for i in ended]
            steps = branches.step(ended, [drafts[i].text(policy) for i in ended])
            looking = []
            for i, known, step in zip(ended, before, steps, strict=True):
                turn = next(turn for turn in reversed(branches.episodes[i].transcript) if turn.seat == "service")
                if turn.aside:
                    drafts[i].look(policy, step.info["messages"])
                    looking.append(i)
                else:
                    rewards[i] = self._earned(known, turn, step)
            return looking

        self._sample(policy, drafts, answer)
        return rewards

    def _before(self, episode: Episode) -> _Before:
        """Return what is known of the next message before it is written."""
        messages = episode.messages("service")
        read = [message["content"] for message in messages if message["role"] != "assistant"]
        looked_up = self.scenario.slot_values(messages).values()
        reply = Reply(
            text="",
            heard=next(turn.shown for turn in reversed(episode.transcript) if turn.seat != "service"),
            said=tuple(turn.shown for turn in episode.transcript if turn.seat == "service" and not turn.aside),
            known=frozenset(number for text in (*read, *looked_up) for number in numbers(text)),
            admissible=False,
            score=0.0,
            relevance=0,
        )
        reference = self._response(self._reference.reply_batch([episode])[0]) if self._reference is not None else None
        return _Before(reply, self.scenario.admissible(episode), reference)

    def _earned(self, before: _Before, turn: Turn, step: Step) -> dict[str, float]:
        """Return the rewards of ``turn``, which the customer answered in ``step``."""
        refused = bool(turn.tool_message) and not self.scenario.tools[turn.action].looks_up
        reply = before.reply._replace(
            text=turn.shown,
            admissible=step.info["strategy"] in before.allowed and not refused,
            score=_score(self.scenario, step.info["rewards"]),
            relevance=step.relevance or 0,
        )
        rewards = judge(reply)
        return rewards if before.reference is None else {**rewards, "rouge": rouge_l(reply.text, before.reference)}

    def _response(self, text: str) -> str:
        return parse_message(text, self.scenario.tools, self.scenario.max_chars).response

    def _grouped(self, drafts: Sequence[_Draft], rewards: Sequence[Any], outcomes: Sequence[Any]) -> list[Group]:
        copies, lines = self.config.copies, [draft.line for draft in drafts]
        parts = [slice(i * copies, (i + 1) * copies) for i in range(len(outcomes))]
        return [Group(lines[part], rewards[part], outcome) for part, outcome in zip(parts, outcomes, strict=True)]


def _score(scenario: Scenario, terms: Mapping[str, float]) -> float:
    """Return the weighted mean of a turn's terms, each from 0 at the low end of its range to 1 at the high end."""
    scaled = [spec.weight * (terms[name] - spec.low) / (spec.high - spec.low) for name, spec in scenario.terms.items()]
    return sum(scaled) / sum(spec.weight for spec in scenario.terms.values())


def record(policy: TokenPolicy, scenario: Scenario, groups: Sequence[Group]) -> Trajectories:
    """Return the groups as rows of one service turn each; a reward that a group does not know is 0 in it.

    Raises ``TdGymError`` when the model's probabilities are no longer finite.
    """
    lines = [line for group in groups for line in group.lines]
    names = tuple(dict.fromkeys(name for group in groups for name in group.rewards[0]))
    rewards = [[found.get(name, 0.0) for name in names] for group in groups for found in group.rewards]
    arrays = token_arrays(lines, scenario.seats.index("service"), policy.pad_id)
    arrays["turn"] = np.minimum(arrays["turn"], 0)  # a look-up and the words after it are one turn
    return Trajectories(
        **arrays,
        turns=np.ones(len(lines), dtype=np.int64),
        turn_rewards=np.array(rewards, dtype=np.float32)[:, None],
        session_rewards=np.zeros(len(lines), dtype=np.float32),
        costs=np.zeros((len(lines), 0), dtype=np.float32),
        group=np.repeat(np.arange(len(groups)), [len(group.lines) for group in groups]),
        term_names=names,
        cost_names=(),
        outcomes=tuple(group.outcome for group in groups for _ in group.lines),
        one_history=True,
    )


def turn_source(config: TrainConfig, scenario: Scenario, others: Seats, rouge: bool = False) -> Source:
    """Return the source of replies at some turns of each dialogue that the policy holds."""
    replies = Replies(config, scenario, others, rouge)

    def collect(policy: TokenPolicy, number: int) -> Batch:
        groups, dialogues = replies.at_turns(policy, number)
        return Batch(record(policy, scenario, groups), dialogues)

    return collect


def task_source(config: TrainConfig, scenario: Scenario, others: Seats) -> Source:
    """Return the source of answers to scaffold tasks."""
    replies = Replies(config, scenario, others)
    return lambda policy, number: Batch(record(policy, scenario, replies.to_tasks(policy, number)))


def merged_source(config: TrainConfig, scenario: Scenario, others: Seats) -> Source:
    """Return the source of both at once, in one batch."""
    replies = Replies(config, scenario, others)

    def collect(policy: TokenPolicy, number: int) -> Batch:
        groups, dialogues = replies.at_turns(policy, number)
        return Batch(record(policy, scenario, groups + replies.to_tasks(policy, number)), dialogues)

    return collect
