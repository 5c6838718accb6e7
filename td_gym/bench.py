"""``python -m td_gym.bench``: service turns a second through ``gymnasium.make``, on one core."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import gymnasium

import td_gym
from td_gym.envs.batch import ConversationBatch
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario

_DIALOGUES = 200


def record_expert(env_id: str, seeds: Sequence[int]) -> list[list[str]]:
    """Return the service messages of the reference agent, one list a conversation."""
    scenario = make_scenario(env_id)
    expert = scenario.expert()
    batch = ConversationBatch(scenario, "service", 1, {"customer": scenario.customer(scenario.customers[0])})
    recorded = []
    for seed in seeds:
        (step,) = batch.reset((0,), (seed,))
        texts: list[str] = []
        while not (step.terminated or step.truncated):
            texts += expert.reply_batch([batch.episodes[0]])
            (step,) = batch.step((0,), texts[-1:])
        recorded.append(texts)
    return recorded


def turns_per_second(env_id: str, seconds: float) -> tuple[float, int]:
    """Replay expert dialogues for ``seconds``; return service turns a second, and how many there were.

    Every message gets a number of its own, so that nothing is answered from a cache of whole texts.
    """
    seeds = range(_DIALOGUES)
    recorded = record_expert(env_id, seeds)
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    turns = 0
    begun = now = time.process_time()
    while now - begun < seconds:
        for seed, texts in zip(seeds, recorded, strict=True):
            env.reset(seed=seed)
            over = False
            for text in texts:
                if over:
                    break
                turns += 1
                _, _, terminated, truncated, _ = env.step(_numbered(text, turns))
                over = terminated or truncated
        now = time.process_time()
    return turns / (now - begun), turns


def _numbered(text: str, number: int) -> str:
    head, mark, tail = text.rpartition("</response>")
    return f"{head} Number {number}.{mark}{tail}" if mark else f"{text} Number {number}."


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line."""
    parser = argparse.ArgumentParser(prog="python -m td_gym.bench", description=__doc__)
    parser.add_argument("--env", default=td_gym.env_ids()[0], help="environment id (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="at least this long (default: %(default)s)")
    options = parser.parse_args(argv)
    if not 0 < options.seconds < 3600:
        parser.error("--seconds must be above 0 and below 3600")
    try:
        rate, turns = turns_per_second(options.env, options.seconds)
    except TdGymError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.env}: {rate:.0f} service turns a second on one core ({turns} turns)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
