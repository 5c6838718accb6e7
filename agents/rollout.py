"""``rollout``: let a token policy hold a batch of conversations and record them as ``Trajectories``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from agents.constraints import FREE, Choices
from agents.plans import Planner
from agents.sampler import Line, check_finite, turn_uniforms
from agents.token_policy import TokenPolicy
from agents.trajectories import NO_SETS, Conduct, Trajectories, pad_rows
from td_gym.draws import mix
from td_gym.envs.planning import BREACHES, EXPERT
from td_gym.scenario import Scenario


@dataclass(slots=True, eq=False)
class _Dialogue:
    """A line and what the environment said about it."""

    key: int
    line: Line = field(default_factory=Line)
    written: list[tuple[int, str]] = field(default_factory=list)
    """For each turn of the line, the number of the service message that it belongs to, and the seat that wrote it."""
    strategy: str = ""
    """Which the message being written is to follow, empty where there is none."""
    messages: list[dict[str, str]] = field(default_factory=list)
    reward: float = 0.0
    costs: Counter[str] = field(default_factory=Counter)
    terms: list[Mapping[str, float]] = field(default_factory=list)
    relevance: list[int] = field(default_factory=list)
    followed: list[int] = field(default_factory=list)
    outcome: Mapping[str, Any] | None = None

    def observe(self, step: Any) -> None:
        """Take in one ``Step`` of the environment."""
        self.messages = step.info["messages"]
        self.reward += float(step.reward)
        for name, amount in step.info["costs"].items():
            self.costs[name] += amount
        if step.terminated or step.truncated:
            self.outcome = step.info["outcome"]

    def judge(self, step: Any) -> None:
        """Take in what ``step`` says of the message just sent."""
        self.terms.append(step.info["rewards"])
        self.relevance.append(-1 if step.relevance is None else step.relevance)
        self.followed.append(int(step.info["strategy"] == self.strategy) if self.strategy else -1)

    def begin(self, seat: str, longest: int, choices: Choices | None = None) -> None:
        """Let ``seat`` begin its part of the next message."""
        self.written.append((len(self.terms), seat))
        self.line.begin(turn_uniforms(mix(self.key, self.line.turn + 1), longest), choices)


def rollout(
    policy: TokenPolicy,
    batch: Any,
    seeds: Sequence[int],
    groups: Sequence[int],
    *,
    generator: torch.Generator | np.random.Generator,
    temperature: float = 1.0,
    keep_cache: bool = True,
) -> Trajectories:
    """Hold one conversation for each of ``seeds`` and return them in that order.

    ``batch`` is a ``ConversationBatch`` of at least ``len(seeds)`` conversations.  One number is
    taken from ``generator``; with it, the seed, the how-manieth copy of that seed it is, turn and
    position fix every draw, so neither batch composition nor schedule matters.  Rewards and costs
    are recorded and never shown to the policy.  A policy that plans writes a strategy before each
    message, as the seat ``expert``.  A customer has neither turn terms nor conduct, and its costs are
    those that the service seat ran up.  Raises ``TdGymError`` when the model's probabilities are no longer
    finite.
    """
    key = _draw_key(generator)
    copies: Counter[int] = Counter()
    dialogues = []
    for seed in seeds:
        dialogues.append(_Dialogue(mix(key, seed, copies[seed])))
        copies[seed] += 1
    talk = _Talk(policy, batch, dialogues)
    talk.open(seeds)
    lines = [dialogue.line for dialogue in dialogues]
    policy.write(lines, talk.answer, temperature=temperature, keep_cache=keep_cache)
    return _record(dialogues, groups, batch, policy.pad_id, talk.planner)


class _Talk:
    """Dialogues under way: who is asked next on each line, and what becomes of the answer."""

    def __init__(self, policy: TokenPolicy, batch: Any, dialogues: Sequence[_Dialogue]) -> None:
        self.policy, self.batch, self.dialogues = policy, batch, dialogues
        self.planner = Planner(policy, batch.scenario, policy.planning) if policy.planning is not None else None
        self.room = policy.context - policy.max_new_tokens - (self.planner.longest if self.planner is not None else 0)

    def open(self, seeds: Sequence[int]) -> None:
        """Start every conversation and begin its first message."""
        for i, step in enumerate(self.batch.reset(list(range(len(seeds))), list(seeds))):
            dialogue = self.dialogues[i]
            dialogue.observe(step)
            dialogue.line.read(self.policy.render_fitting(self._shown(dialogue), self.room))
            self._begin(i)

    def _shown(self, dialogue: _Dialogue) -> Sequence[Mapping[str, str]]:
        """Return the messages of a dialogue as the policy is shown them."""
        return dialogue.messages if self.planner is None else self.planner.opening(dialogue.messages)

    def answer(self, ended: list[int]) -> list[int]:
        """Take what was written on the lines ``ended``; return those that go on."""
        planned = [i for i in ended if self.dialogues[i].written[-1][1] == EXPERT]
        for i in planned:
            self._adopt(i, self._planner.name(self.dialogues[i].line.reply))
        said = [i for i in ended if i not in set(planned)]
        return sorted(planned + self._send(said)) if said else planned

    def _send(self, said: list[int]) -> list[int]:
        texts = [_text(self.policy, self.dialogues[i]) for i in said]
        going_on = []
        for i, step in zip(said, self.batch.step(said, texts), strict=True):
            dialogue = self.dialogues[i]
            seen = len(dialogue.messages)
            dialogue.observe(step)
            dialogue.judge(step)
            if dialogue.outcome is None:
                closed = dialogue.line.reply[-1] == self.policy.end_id
                heard = self.policy.render_reply(dialogue.messages[seen + 1 :], ended=closed)
                if dialogue.line.width + len(heard) <= self.room:
                    dialogue.line.read(heard)
                else:
                    dialogue.line.read_anew(self.policy.render_recent(self._shown(dialogue), self.room))
                self._begin(i)
                going_on.append(i)
        return going_on

    def _begin(self, i: int) -> None:
        """Ask for the next message of dialogue ``i``, or, where the policy plans, for its strategy."""
        dialogue = self.dialogues[i]
        if self.planner is None:
            dialogue.begin(self.batch.seat, self.policy.max_new_tokens)
        elif self.planner.planning.expert == "random":
            drawn = self.planner.draw(self.batch.episodes[i], mix(dialogue.key, len(dialogue.terms)))
            dialogue.line.read(self.planner.answer(drawn))
            self._adopt(i, drawn)
        else:
            choices = self.planner.choices(self.batch.episodes[i])
            dialogue.begin(EXPERT, choices.longest, choices)

    def _adopt(self, i: int, chosen: str) -> None:
        """Ask for a message that follows the expert's choice, which the model has read, admissible or not."""
        dialogue = self.dialogues[i]
        dialogue.strategy = chosen
        dialogue.costs[BREACHES] += chosen not in self.batch.scenario.admissible(self.batch.episodes[i])
        dialogue.line.read(self._planner.request())
        dialogue.begin(self.batch.seat, self.policy.max_new_tokens)

    @property
    def _planner(self) -> Planner:
        assert self.planner is not None
        return self.planner


def _draw_key(generator: torch.Generator | np.random.Generator) -> int:
    if isinstance(generator, torch.Generator):
        return int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return int(generator.integers(2**62))


def _text(policy: TokenPolicy, dialogue: _Dialogue) -> str:
    return policy.fill(policy.decode_reply(dialogue.line.reply), dialogue.messages)


def token_arrays(lines: Sequence[Line], seat: int, pad_id: int) -> dict[str, Any]:
    """Return the fields of ``Trajectories`` that run along the tokens of ``lines``, and ``lengths``.

    ``seat`` is the index of the seat that sampled.  Raises ``TdGymError`` when the model's probabilities are no
    longer finite.
    """
    turn = pad_rows([line.turns for line in lines], np.int64, -1)
    for line in lines:
        check_finite(line.log_probs)
    return {
        "tokens": pad_rows([line.tokens for line in lines], np.int64, pad_id),
        "agent_mask": turn >= 0,
        "turn": turn,
        "seat": np.where(turn >= 0, seat, -1).astype(np.int64),
        "log_probs": pad_rows([line.log_probs for line in lines], np.float32),
        "allowed": pad_rows([line.allowed for line in lines], np.int64, FREE),
        "lengths": np.array([len(line.tokens) for line in lines], dtype=np.int64),
        "parts": _parts(lines),
    }


def _parts(lines: Sequence[Line]) -> npt.NDArray[np.int64] | None:
    """Return for the tokens of ``lines`` the number of their part, ``None`` where every line has but one."""
    if all(len(line.origins) == 1 for line in lines):
        return None
    sizes = [np.diff([*line.origins, len(line.tokens)]) for line in lines]
    return pad_rows([np.repeat(np.arange(len(each)), each) for each in sizes], np.int64, -1)


def _record(
    dialogues: Sequence[_Dialogue], groups: Sequence[int], batch: Any, pad_id: int, planner: Planner | None
) -> Trajectories:
    scenario = batch.scenario
    seats = (*scenario.seats, EXPERT)
    arrays = token_arrays([dialogue.line for dialogue in dialogues], seats.index(batch.seat), pad_id)
    if planner is not None:
        _attribute(arrays, dialogues, seats)
    serves = batch.seat == "service"
    term_names = tuple(scenario.terms) if serves else ()
    cost_names = (*scenario.costs, BREACHES) if planner is not None else tuple(scenario.costs)
    turns = np.array([len(dialogue.terms) for dialogue in dialogues], dtype=np.int64)
    terms = np.zeros((len(dialogues), int(turns.max(initial=0)), len(term_names)), dtype=np.float32)
    for i, dialogue in enumerate(dialogues):
        for t, earned in enumerate(dialogue.terms):
            terms[i, t] = [earned.get(name, 0.0) for name in term_names]
    costs = [[dialogue.costs[name] for name in cost_names] for dialogue in dialogues]
    rewards = np.array([dialogue.reward for dialogue in dialogues], dtype=np.float32)
    outcomes = tuple(dialogue.outcome or {} for dialogue in dialogues)
    return Trajectories(
        **arrays,
        turns=turns,
        turn_rewards=terms,
        session_rewards=rewards,
        costs=np.array(costs, dtype=np.float32).reshape(len(dialogues), len(cost_names)),
        group=np.asarray(groups, dtype=np.int64),
        term_names=term_names,
        cost_names=cost_names,
        outcomes=outcomes,
        term_weights=tuple(scenario.terms[name].weight for name in term_names),
        allowed_sets=NO_SETS if planner is None else planner.sets.as_array(),
        seats=seats,
        conduct=_conduct(dialogues, scenario, rewards) if serves else None,
    )


def _conduct(dialogues: Sequence[_Dialogue], scenario: Scenario, rewards: npt.NDArray[np.float32]) -> Conduct:
    low, high = scenario.reward_ranges["service"]
    return Conduct(
        relevance=pad_rows([dialogue.relevance for dialogue in dialogues], np.int64, -1),
        followed=pad_rows([dialogue.followed for dialogue in dialogues], np.int64, -1),
        goal=((rewards - low) / (high - low)).clip(0.0, 1.0),
        succeeded=np.array([scenario.succeeded(dialogue.outcome or {}) for dialogue in dialogues]),
        horizon=scenario.max_turns,
    )


def _attribute(arrays: dict[str, Any], dialogues: Sequence[_Dialogue], seats: Sequence[str]) -> None:
    """Count in messages, not in turns of a line, and let every token be of the seat that wrote it."""
    turn, mask = arrays["turn"], arrays["agent_mask"]
    for name, values in (
        ("turn", [[message for message, _ in dialogue.written] for dialogue in dialogues]),
        ("seat", [[seats.index(seat) for _, seat in dialogue.written] for dialogue in dialogues]),
    ):
        found = np.take_along_axis(pad_rows(values, np.int64), np.maximum(turn, 0), axis=1)
        arrays[name] = np.where(mask, found, -1)
