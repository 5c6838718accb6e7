"""``Trajectories``: the struct of arrays between a rollout and a training method.

One row is one dialogue of one seat.  ``B`` dialogues, ``L`` tokens, ``T`` messages of the seat (its turns; a
look-up is one too), ``K`` turn terms, ``N`` costs; rows are padded on the right.  Tokens are those the policy
read and sampled; nothing is ever re-tokenised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.constraints import FREE

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

NO_SETS: Bools = np.zeros((0, 0), dtype=np.bool_)
"""The admissible token sets of free decoding."""


@dataclass(frozen=True, slots=True, eq=False)
class Conduct:
    """How the turns of dialogues were received, whether they kept to their plan, and what the dialogues came to."""

    relevance: Ints
    """``[B, T]`` grade 0..3 that the customer's answer gives the turn, -1 where none came, as after a look-up."""
    followed: Ints
    """``[B, T]`` 1 where the message was read as the strategy in force, 0 where not, -1 where none was."""
    goal: Floats
    """``[B]`` session reward as a share of its range, 0..1."""
    succeeded: Bools
    """``[B]`` whether the seat reached its goal."""
    horizon: int
    """Answered turns that a dialogue may have."""

    def select(self, index: Ints, turns: int) -> Conduct:
        """Return the rows ``index`` and the first ``turns`` turns."""
        return Conduct(
            self.relevance[index, :turns],
            self.followed[index, :turns],
            self.goal[index],
            self.succeeded[index],
            self.horizon,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """A batch of recorded dialogues."""

    tokens: Ints
    """``[B, L]`` everything the policy read and wrote, in order."""
    agent_mask: Bools
    """``[B, L]`` the tokens the policy sampled."""
    turn: Ints
    """``[B, L]`` index of the seat's message an agent token belongs to, -1 elsewhere."""
    seat: Ints
    """``[B, L]`` index in ``seats`` of the seat whose policy wrote the token, -1 elsewhere."""
    log_probs: Floats
    """``[B, L]`` sampling log-prob of agent tokens at temperature 1, 0 elsewhere."""
    allowed: Ints
    """``[B, L]`` row of ``allowed_sets`` the token was sampled from, ``FREE`` for the whole vocabulary."""
    lengths: Ints
    """``[B]`` tokens in the row."""
    turns: Ints
    """``[B]`` messages of the seat in the row, look-ups among them."""
    turn_rewards: Floats
    """``[B, T, K]`` named turn terms; 0 beyond the row's turns."""
    session_rewards: Floats
    """``[B]`` session reward of the seat."""
    costs: Floats
    """``[B, N]`` named costs, summed over the dialogue."""
    group: Ints
    """``[B]`` dialogues with the same number share customer, order and seed."""
    term_names: tuple[str, ...]
    """``K`` names of the turn terms."""
    cost_names: tuple[str, ...]
    """``N`` names of the costs."""
    outcomes: tuple[Mapping[str, Any], ...]
    """``info["outcome"]`` of each dialogue."""
    term_weights: tuple[float, ...] = ()
    """``K`` weights of the turn terms in a turn's score, as the scenario states them; empty for all 1."""
    allowed_sets: Bools = field(default_factory=lambda: NO_SETS)
    """``[S, V]`` admissible token sets that ``allowed`` points into; empty where decoding is free."""
    seats: tuple[str, ...] = ("service",)
    """Names of the seats."""
    conduct: Conduct | None = None
    """How the dialogues went, where they were held and not only read."""
    one_history: bool = False
    """Whether the rows of a group have read the same before the agent's first token."""
    parts: Ints | None = None
    """``[B, L]`` how often the conversation had been read anew when a token came, -1 for padding: nothing of an earlier
    part was seen any more.  ``None`` where every row was read in one go."""

    def __post_init__(self) -> None:
        b, length = self.tokens.shape
        t = self.turn_rewards.shape[1]
        expected = {
            "agent_mask": (b, length),
            "turn": (b, length),
            "seat": (b, length),
            "log_probs": (b, length),
            "allowed": (b, length),
            "lengths": (b,),
            "turns": (b,),
            "turn_rewards": (b, t, len(self.term_names)),
            "session_rewards": (b,),
            "costs": (b, len(self.cost_names)),
            "group": (b,),
        }
        if self.parts is not None:
            expected["parts"] = (b, length)
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"Trajectories.{name} has shape {found}, expected {shape}.")
        if len(self.term_weights) not in (0, len(self.term_names)):
            raise ValueError(f"Trajectories.term_weights are {self.term_weights}, expected {len(self.term_names)}.")
        sets = len(self.allowed_sets)
        if self.allowed.size and not FREE <= int(self.allowed.min()) <= int(self.allowed.max()) < sets:
            raise ValueError(f"Trajectories.allowed must point into {sets} sets, or be {FREE}.")
        if self.seat.size and not -1 <= int(self.seat.min()) <= int(self.seat.max()) < len(self.seats):
            raise ValueError(f"Trajectories.seat must point into {self.seats}, or be -1.")
        if self.conduct is not None and self.conduct.relevance.shape != (b, t):
            raise ValueError(f"Trajectories.conduct is of {self.conduct.relevance.shape} turns, expected {(b, t)}.")
        if len(self.outcomes) != b:
            raise ValueError(f"Trajectories.outcomes has {len(self.outcomes)} entries for {b} dialogues.")

    def __len__(self) -> int:
        return int(self.tokens.shape[0])

    def cost(self, name: str) -> Floats:
        """Return ``[B]``, the episode sum of the cost called ``name``; ``KeyError`` when unknown."""
        if name not in self.cost_names:
            raise KeyError(name)
        column: Floats = self.costs[:, self.cost_names.index(name)]
        return column

    def select(self, rows: Sequence[int] | Ints) -> Trajectories:
        """Return the given rows, in that order, cut to the longest of them."""
        index = np.asarray(rows, dtype=np.int64)
        length = int(self.lengths[index].max()) if len(index) else 0
        t = int(self.turns[index].max()) if len(index) else 0
        return Trajectories(
            tokens=self.tokens[index, :length],
            agent_mask=self.agent_mask[index, :length],
            turn=self.turn[index, :length],
            seat=self.seat[index, :length],
            log_probs=self.log_probs[index, :length],
            allowed=self.allowed[index, :length],
            lengths=self.lengths[index],
            turns=self.turns[index],
            turn_rewards=self.turn_rewards[index, :t],
            session_rewards=self.session_rewards[index],
            costs=self.costs[index],
            group=self.group[index],
            term_names=self.term_names,
            cost_names=self.cost_names,
            outcomes=tuple(self.outcomes[i] for i in index),
            term_weights=self.term_weights,
            allowed_sets=self.allowed_sets,
            seats=self.seats,
            conduct=self.conduct and self.conduct.select(index, t),
            one_history=self.one_history,
            parts=None if self.parts is None else self.parts[index, :length],
        )

    def read_before(self, row: int, turn: int) -> list[int]:
        """Return the tokens that the seat had before it when it wrote the message ``turn`` of a row."""
        end = int(np.argmax(self.turn[row] == turn))
        start = 0 if self.parts is None else int(np.argmax(self.parts[row] == self.parts[row, end]))
        found: list[int] = self.tokens[row, start:end].tolist()
        return found

    def writers(self) -> set[str]:
        """Return the seats that wrote the tokens to learn from."""
        return {self.seats[seat] for seat in np.unique(self.seat[self.agent_mask])}

    def of_seat(self, seat: str) -> Trajectories:
        """Return the same dialogues with only the tokens that the policy of ``seat`` wrote to learn from."""
        mask = self.agent_mask & (self.seat == self.seats.index(seat))
        turn, log_probs = np.where(mask, self.turn, -1), np.where(mask, self.log_probs, np.float32(0))
        return replace(self, agent_mask=mask, turn=turn, log_probs=log_probs)


def pad_rows(rows: Sequence[npt.ArrayLike], dtype: npt.DTypeLike, fill: float = 0) -> npt.NDArray[Any]:
    """Stack one-dimensional ``rows`` of unequal length into ``[B, L]``, filled on the right."""
    arrays = [np.asarray(row, dtype=dtype) for row in rows]
    padded = np.full((len(arrays), max((len(a) for a in arrays), default=0)), fill, dtype=dtype)
    for i, array in enumerate(arrays):
        padded[i, : len(array)] = array
    return padded
