"""``python -m agents.bench``: what reading once is worth, each ratio from one run.

Rollouts and, with ``--env``, evaluation: a kept cache against reading all again every turn.  Scoring of several
replies to one history: the history read once against read with each.

Without ``--env`` the conversations are synthetic, with lengths like FoodDispute's: an opening of
about 60 tokens, replies of about 35, customers of about 20, five or six turns.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from agents.distributed import local_device
from agents.losses import forward_log_probs
from agents.model import build_model, train_tokenizer
from agents.rollout import rollout
from agents.token_agent import TokenAgent
from agents.token_policy import TokenPolicy
from td_gym.draws import choice, integer
from td_gym.envs.batch import ConversationBatch, Step
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario

_TEXT = "the order was late and cold so what can you do about it please tell me now"
_WORDS = _TEXT.split()


class SyntheticBatch:
    """Conversations of drawn lengths whose customers say nothing in particular."""

    seat = "service"
    scenario = SimpleNamespace(
        seats=("service", "customer"),
        terms={},
        costs={},
        reward_ranges={"service": (0.0, 1.0)},
        max_turns=7,
        succeeded=lambda outcome: False,
    )

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        self._messages: dict[int, list[dict[str, str]]] = {}

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> list[Any]:
        """Start a conversation of 4 to 7 turns for each of ``indices``."""
        for i, seed in zip(indices, seeds, strict=True):
            self._left[i] = integer(4, 8, seed, "turns")
            self._messages[i] = [
                {"role": "system", "content": _sentence(seed, 0, 36)},
                {"role": "user", "content": _sentence(seed, 1, 20)},
            ]
        return [self._step(i) for i in indices]

    def step(self, indices: Sequence[int], texts: Sequence[str]) -> list[Any]:
        """Answer each message with about 20 words."""
        for i, text in zip(indices, texts, strict=True):
            self._left[i] -= 1
            number = len(self._messages[i])
            self._messages[i] += [
                {"role": "assistant", "content": text},
                {"role": "user", "content": _sentence(i, number, integer(10, 30, i, number))},
            ]
        return [self._step(i) for i in indices]

    def _step(self, i: int) -> Any:
        over = self._left[i] == 0
        info = {"messages": list(self._messages[i]), "costs": {}, "rewards": {}, "strategy": "", "outcome": {}}
        return Step({}, reward=0.0, terminated=over, truncated=False, info=info)


def _sentence(seed: int, number: int, words: int) -> str:
    return " ".join(choice(_WORDS, seed, number, i) for i in range(words))


Measurement = Callable[[], int]
"""Does the work once and returns how much of it there was."""


def _rollout(policy: TokenPolicy, batch: Any, dialogues: int, keep: bool) -> int:
    """Hold ``dialogues`` as training does; return the tokens sampled."""
    record = rollout(
        policy,
        batch,
        list(range(dialogues)),
        [0] * dialogues,
        generator=torch.Generator().manual_seed(0),
        keep_cache=keep,
    )
    return int(record.agent_mask.sum())


def _evaluation(policy: TokenPolicy, batch: ConversationBatch, dialogues: int, kept: int) -> int:
    """Hold ``dialogues`` as evaluation does, asking for one reply after the other; return the replies."""
    agent = TokenAgent(policy, kept=kept)
    batch.reset(range(dialogues), range(dialogues))
    replies = 0
    while alive := [i for i in range(dialogues) if batch.episodes[i].outcome is None]:
        batch.step(alive, agent.reply_batch([batch.episodes[i] for i in alive]))
        replies += len(alive)
    return replies


def _scoring(model: Any, once: bool) -> int:
    """Score four replies of 40 tokens to each of 12 histories of 150, and their gradient; return the tokens scored."""
    histories, replies, read, written = 12, 4, 150, 40
    tokens = torch.arange(histories * replies * (read + written)).view(histories * replies, -1) % 500
    tokens[:, :read] = tokens[::replies, :read].repeat_interleave(replies, dim=0)
    mask = torch.zeros(tokens.shape, dtype=torch.bool)
    mask[:, read:] = True
    groups = np.repeat(np.arange(histories), replies) if once else None
    model.zero_grad(set_to_none=True)
    device = next(model.parameters()).device
    forward_log_probs(model, tokens.to(device), mask.to(device), histories=groups).log_probs.sum().backward()
    return int(mask.sum())


def _compare(what: str, unit: str, ways: Mapping[str, Measurement], repeats: int) -> None:
    """Print how fast each of two ``ways`` is, the best of ``repeats`` by turns, and the ratio of first to second."""
    seconds = dict.fromkeys(ways, math.inf)
    counts = dict.fromkeys(ways, 0)
    for _ in range(repeats):
        for name, measurement in ways.items():
            start = time.perf_counter()
            counts[name] = measurement()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    rates = {name: counts[name] / seconds[name] for name in ways}
    for name, rate in rates.items():
        print(f"{what}, {name}: {counts[name]} {unit} in {seconds[name]:.2f} s, {rate:.0f} a second")
    first, second = rates.values()
    print(f"{what}: ratio {first / second:.2f}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m agents.bench", description=__doc__)
    parser.add_argument("--env", help="environment id; default: synthetic conversations")
    parser.add_argument("--model", default="tiny", help="with --env: tiny, a directory or a hub id")
    parser.add_argument("--size", default="tiny", help="without --env: size of the random model")
    parser.add_argument("--dialogues", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args(argv)
    if min(options.dialogues, options.repeats, options.threads) < 1:
        parser.error("--dialogues, --repeats and --threads must be at least 1")
    torch.set_num_threads(options.threads)
    try:
        device = local_device(options.device)
        if options.env:
            scenario = make_scenario(options.env)
            policy = TokenPolicy.load(options.model, device, scenario=scenario)
            customers = {"customer": scenario.customer()}
            batch: Any = ConversationBatch(scenario, "service", options.dialogues, customers)
        else:
            tokenizer = train_tokenizer([_TEXT, _TEXT], 512)
            model = build_model(options.size, 1024).to(device)
            policy, batch = TokenPolicy(model, tokenizer, max_new_tokens=35), SyntheticBatch()
    except TdGymError as error:
        print(error, file=sys.stderr)
        return 2
    ways: dict[str, Measurement] = {
        "kept cache": lambda: _rollout(policy, batch, options.dialogues, keep=True),
        "reading again": lambda: _rollout(policy, batch, options.dialogues, keep=False),
    }
    _compare("rollout", "tokens sampled", ways, options.repeats)
    if options.env:
        ways = {
            "kept cache": lambda: _evaluation(policy, batch, options.dialogues, options.dialogues),
            "reading again": lambda: _evaluation(policy, batch, options.dialogues, 0),
        }
        _compare("evaluation", "replies", ways, options.repeats)
    ways = {
        "history read once": lambda: _scoring(policy.model, once=True),
        "with each reply": lambda: _scoring(policy.model, once=False),
    }
    _compare("scoring of four replies", "tokens scored", ways, options.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
