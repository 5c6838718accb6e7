"""Sampling many conversations at once, with the key/value cache kept across their turns.

Rows decode together, one token a step, each at its own position.  A row whose turn is over waits
until a group of rows is ready; what they read then enters the cache in one forward pass while the
cache of all others stays as it is, and finished rows leave the batch.  Every draw is a function of
its row's own key, so the schedule cannot change what is sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agents.constraints import FREE, Choices
from agents.decoder import Decoder, Past
from td_gym.errors import TdGymError

_PREFILL_ROWS = 16
"""Rows that read together: more only adds padding."""


def turn_uniforms(key: int, count: int) -> npt.NDArray[np.float64]:
    """Return ``count`` uniforms in [0, 1), the splitmix64 stream of ``key`` (64 bits)."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = np.uint64(key & ((1 << 64) - 1)) + steps
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    uniforms: npt.NDArray[np.float64] = (x >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniforms


def draw(logits: Tensor, uniforms: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Draw one token a row by inverting the distribution function; greedy at temperature 0.

    ``logits [n, V]``, ``uniforms [n]`` (float64) -> tokens ``[n]`` and their log-probs at
    temperature 1 ``[n]``.
    """
    log_probs = torch.log_softmax(logits.float(), dim=-1)
    if temperature == 0.0:
        tokens = log_probs.argmax(dim=-1)
    else:
        tempered = log_probs if temperature == 1.0 else torch.log_softmax(log_probs / temperature, dim=-1)
        mass = tempered.exp().cumsum(dim=-1, dtype=torch.float64)
        points = (uniforms * mass[:, -1])[:, None]
        tokens = torch.searchsorted(mass, points, right=True)[:, 0].clamp_(max=mass.shape[1] - 1)
    return tokens, log_probs.gather(1, tokens[:, None])[:, 0]


def check_finite(log_probs: Iterable[float]) -> None:
    """Raise ``TdGymError`` when a model's log-probabilities are no longer finite."""
    if not all(map(isfinite, log_probs)):
        raise TdGymError("The policy's probabilities are not finite any more; lower the learning rate.")


@dataclass(slots=True, eq=False)
class Line:
    """One conversation as tokens.

    ``log_probs``, ``turns`` and ``allowed`` run beside ``tokens``; a token read has turn -1.
    """

    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    allowed: list[int] = field(default_factory=list)
    """Numbers of the sets that tokens were drawn from, see ``agents.constraints``."""
    origins: list[int] = field(default_factory=lambda: [0])
    """Where its parts begin, of which the model sees the last alone: a long conversation is read anew on the way."""
    turn: int = -1
    """The turn being sampled, or the last one."""
    uniforms: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    start: int = 0
    """Where that turn's first sampled token stands."""
    choices: Choices | None = None
    """What the turn may be; ``None`` for anything."""
    cached: int = 0
    """Tokens of the present part that are already in the cache."""
    past: Past | None = None
    """What the cache held of them when ``sample`` let go of the line."""

    def read(self, tokens: Sequence[int]) -> None:
        """Append tokens that others wrote."""
        self.tokens += tokens
        self.log_probs += [0.0] * len(tokens)
        self.turns += [-1] * len(tokens)
        self.allowed += [FREE] * len(tokens)

    def read_anew(self, tokens: Sequence[int]) -> None:
        """Read ``tokens`` in the place of everything so far."""
        self.origins.append(len(self.tokens))
        self.cached, self.past = 0, None
        self.read(tokens)

    def begin(self, uniforms: npt.NDArray[np.float64], choices: Choices | None = None) -> None:
        """Start the next turn: one uniform for each token it may have; with ``choices`` it is one of those.

        Raises ``ValueError`` when there are choices longer than the turn.
        """
        if choices is not None and choices.longest > len(uniforms):
            raise ValueError(f"A turn of {len(uniforms)} tokens is too short for choices of {choices.longest}.")
        self.turn += 1
        self.start = len(self.tokens)
        self.uniforms = uniforms
        self.choices = choices

    def take(self, token: int, log_prob: float, allowed: int = FREE) -> None:
        """Append a sampled token."""
        self.tokens.append(token)
        self.log_probs.append(log_prob)
        self.turns.append(self.turn)
        self.allowed.append(allowed)

    @property
    def sampled(self) -> int:
        """Tokens of the current turn so far."""
        return len(self.tokens) - self.start

    @property
    def width(self) -> int:
        """Tokens of the present part."""
        return len(self.tokens) - self.origins[-1]

    @property
    def reply(self) -> list[int]:
        """The current turn's tokens."""
        return self.tokens[self.start :]


Answer = Callable[[list[int]], list[int]]


class _Sampling:
    """The running state of ``sample``: which line holds which row of the cache, and what it waits for."""

    def __init__(
        self, decoder: Decoder, lines: Sequence[Line], end_id: int, temperature: float, device: Any, save: bool
    ) -> None:
        self.decoder, self.lines = decoder, lines
        self.end_id, self.temperature, self.device, self.save = end_id, temperature, device, save
        self.line_of = list(range(len(lines)))
        self.row_of = {line: row for row, line in enumerate(self.line_of)}
        self.decoding: set[int] = set()
        self.ended: list[int] = []

    def load(self, copies: int) -> None:
        """Take up what an earlier call left in the first of every ``copies`` lines."""
        for row, line in enumerate(self.lines[::copies]):
            if line.past is not None:
                self.decoder.load(row, line.past)
        for line in self.lines:
            line.past = None

    def read(self, waiting: list[int]) -> None:
        """Let the lines in ``waiting`` read what is new to them and sample their first token."""
        for part, logits in self._read(waiting, self.row_of):
            self.decoding.update(part)
            self._take(part, logits)

    def read_once(self, copies: int) -> None:
        """Let the first of every ``copies`` lines read for all of them, and sample their first tokens."""
        heads = range(0, len(self.lines), copies)
        found = list(self._read(heads, {head: row for row, head in enumerate(heads)}))
        self.decoder.keep([i // copies for i in self.line_of])
        for part, logits in found:
            together = [head + copy for head in part for copy in range(copies)]
            self.decoding.update(together)
            self._take(together, logits.repeat_interleave(copies, dim=0))

    def _read(self, waiting: Iterable[int], row_of: Mapping[int, int]) -> Iterator[tuple[list[int], Tensor]]:
        """Let lines read what is new to them, those with alike much together; yield them and their next logits."""
        lines = self.lines
        order = sorted(waiting, key=lambda i: (lines[i].width - lines[i].cached, i))
        for first in range(0, len(order), _PREFILL_ROWS):
            part = order[first : first + _PREFILL_ROWS]
            starts = [lines[i].cached for i in part]
            chunks = [lines[i].tokens[lines[i].origins[-1] + start :] for i, start in zip(part, starts, strict=True)]
            yield part, self.decoder.read([row_of[i] for i in part], chunks, starts)

    def step(self) -> None:
        """Sample one token in every line that is in its turn."""
        tokens = np.zeros(len(self.line_of), dtype=np.int64)
        positions = np.full(len(self.line_of), -1, dtype=np.int64)
        part = [i for i in self.line_of if i in self.decoding]
        rows = [self.row_of[i] for i in part]
        tokens[rows] = [self.lines[i].tokens[-1] for i in part]
        positions[rows] = [self.lines[i].width - 1 for i in part]
        logits = self.decoder.step(tokens, positions)
        self._take(part, logits if len(part) == len(self.line_of) else logits[rows])

    def _take(self, part: list[int], logits: Tensor) -> None:
        uniforms = np.array([self.lines[i].uniforms[self.lines[i].sampled] for i in part])
        allowed, logits = self._constrain(part, logits)
        tokens, log_probs = draw(logits, torch.from_numpy(uniforms).to(self.device), self.temperature)
        drawn = log_probs.tolist()
        check_finite(drawn)
        for i, token, log_prob, number in zip(part, tokens.tolist(), drawn, allowed, strict=True):
            line = self.lines[i]
            line.cached = line.width
            line.take(token, log_prob, number)
            if token == self.end_id or line.sampled == len(line.uniforms):
                self.decoding.discard(i)
                self.ended.append(i)

    def _constrain(self, part: list[int], logits: Tensor) -> tuple[list[int], Tensor]:
        """Return the number of the set that each line in ``part`` draws from, and logits with the rest impossible."""
        allowed = [FREE] * len(part)
        rows, possible = [], []
        for row, line in enumerate(self.lines[i] for i in part):
            if line.choices is not None:
                allowed[row] = line.choices.after(line.reply)
                rows.append(row)
                possible.append(line.choices.sets.mask(allowed[row]))
        if rows:
            mask = torch.from_numpy(np.stack(possible)).to(self.device)
            logits = logits.index_copy(
                0, torch.tensor(rows, device=self.device), logits[rows].masked_fill(~mask, -torch.inf)
            )
        return allowed, logits

    def compact(self, alive: set[int]) -> None:
        """Let go of finished rows once they are a quarter of the batch."""
        if len(alive) > 0.75 * len(self.line_of):
            return
        if self.save:
            for row, i in enumerate(self.line_of):
                if i not in alive:
                    self.lines[i].past = self.decoder.save(row, self.lines[i].cached)
        kept = [row for row, i in enumerate(self.line_of) if i in alive]
        self.decoder.keep(kept)
        self.line_of = [self.line_of[row] for row in kept]
        self.row_of = {i: row for row, i in enumerate(self.line_of)}


@torch.inference_mode()
def sample(
    model: Any,
    lines: Sequence[Line],
    answer: Answer,
    *,
    end_id: int,
    pad_id: int,
    temperature: float = 1.0,
    keep_cache: bool = True,
    copies: int = 1,
    save: bool = False,
) -> None:
    """Sample turns in ``lines`` until ``answer`` continues none of them.

    Each line has read its opening and begun its turn.  A turn ends at ``end_id`` or when its
    uniforms are used up; ``answer`` then gets the indices of a group of such lines, lets those
    that go on read and begin their next turn, and returns their indices.  ``keep_cache=False``
    reads the whole conversation again at every turn; it is there to measure against.  Of every
    ``copies`` lines in a row, all have read the same, which is then read once.  ``save`` leaves in
    each line what it has in the cache, from which it goes on when it is sampled again.
    """
    if not lines:
        return
    was_training = model.training
    model.eval()
    try:
        decoder = Decoder(model, len(lines) // copies, pad_id)
        state = _Sampling(decoder, lines, end_id, temperature, next(model.parameters()).device, save)
        state.load(copies)
        alive = set(range(len(lines)))
        group = max(1, len(lines) // 8)
        if copies > 1:
            state.read_once(copies)
        else:
            state.read(list(alive))
        while alive:
            if state.ended and (len(state.ended) >= group or not state.decoding):
                ended, state.ended = sorted(state.ended), []
                going_on = answer(ended)
                alive -= set(ended) - set(going_on)
                state.compact(alive)
                if not keep_cache:
                    for i in going_on:
                        lines[i].cached = 0
                if going_on:
                    state.read(going_on)
                group = max(1, min(group, len(alive) // 8))
            else:
                state.step()
    finally:
        model.train(was_training)
