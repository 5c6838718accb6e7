"""``python -m td_gym.bench``: service turns a second through ``gymnasium.make``, on one core."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from multiprocessing import get_context
from typing import Any, NamedTuple

import gymnasium

import td_gym
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario

_WARM_UP = 50
"""Dialogues replayed before the clock starts."""


class Replayed(NamedTuple):
    """What was replayed."""

    turns: int
    """Service turns: messages but for look-ups without a word, which nobody hears."""
    messages: int
    seconds: float
    """CPU seconds it took."""


def record_expert(env_id: str, data_dir: str | None, seeds: Sequence[int]) -> list[list[str]]:
    """Return the service messages of the reference agent, one list a conversation."""
    scenario = make_scenario(env_id, data_dir=data_dir)
    expert = scenario.expert()
    batch = ConversationBatch(scenario, "service", 1, {"customer": scenario.customer()})
    recorded = []
    for seed in seeds:
        (step,) = batch.reset((0,), (seed,))
        texts: list[str] = []
        while not (step.terminated or step.truncated):
            texts += expert.reply_batch([batch.episodes[0]])
            (step,) = batch.step((0,), texts[-1:])
        recorded.append(texts)
    return recorded


def measure(env_id: str, data_dir: str | None, seeds: range, all_new: bool) -> Replayed:
    """Replay the expert's dialogues of ``seeds`` once, against the clock.

    The messages are recorded in another process, so that nothing is in a cache when the clock starts but what other
    dialogues left there: at least the fifty behind ``seeds``, which also load the lexicons.  With ``all_new`` every
    message gets a number of its own, and no whole text is ever seen twice.
    """
    warm_up = range(seeds.stop, seeds.stop + _WARM_UP)
    with get_context("spawn").Pool(1) as pool:
        recorded = pool.apply(record_expert, (env_id, data_dir, [*seeds, *warm_up]))
    options: dict[str, Any] = {} if data_dir is None else {"data_dir": data_dir}
    env = gymnasium.make(env_id, **options)
    _replay(env, zip(warm_up, recorded[len(seeds) :], strict=True), all_new)
    return _replay(env, zip(seeds, recorded, strict=False), all_new)


def _replay(env: gymnasium.Env[Any, Any], dialogues: Iterable[tuple[int, Sequence[str]]], all_new: bool) -> Replayed:
    """Send recorded messages, by the seed of their conversation."""
    sent = turns = 0
    begun = time.process_time()
    for seed, texts in dialogues:
        env.reset(seed=seed)
        for text in texts:
            sent += 1
            _, _, terminated, truncated, _ = env.step(_numbered(text, sent) if all_new else text)
            if terminated or truncated:
                break
        turns += env.unwrapped.episode.service_turns  # type: ignore[attr-defined]
    return Replayed(turns, sent, time.process_time() - begun)


def nanoseconds_per_iteration() -> float:
    """Return what one pass of an empty Python loop takes, so that two machines, or two hours, compare."""
    begun = time.process_time()
    for _ in range(2_000_000):
        pass
    return (time.process_time() - begun) / 2_000_000 * 1e9


def _numbered(text: str, number: int) -> str:
    if text.endswith("</action>"):  # a look-up without a word stays one
        return text
    head, mark, tail = text.rpartition("</response>")
    return f"{head} Number {number}.{mark}{tail}" if mark else f"{text} Number {number}."


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for messages as they come and one for messages that are all new."""
    parser = argparse.ArgumentParser(prog="python -m td_gym.bench", description=__doc__)
    parser.add_argument("--env", default=td_gym.env_ids()[0], help="environment id (default: %(default)s)")
    parser.add_argument("--data", metavar="DIR", help="published data of MultiWOZ, see td-gym data")
    parser.add_argument("--dialogues", type=int, default=5000, help="how many to replay (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.dialogues < 1:
        parser.error("--dialogues must be at least 1")
    try:
        first = 0
        for all_new, kind in ((False, "as the reference agent writes them"), (True, "every message new")):
            seeds = range(first, first + options.dialogues)
            done = measure(options.env, options.data, seeds, all_new)
            first = seeds.stop + _WARM_UP  # no customer says twice what it said
            rate = f"{done.turns / done.seconds:.0f} service turns a second on one core"
            if done.messages > done.turns:
                rate += f", {done.messages / done.seconds:.0f} messages with look-ups"
            print(f"{options.env}: {rate} ({done.turns} turns, {kind})")
    except TdGymError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"for comparison, an empty loop takes {nanoseconds_per_iteration():.1f} ns an iteration here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
