"""``python -m agents.breaches``: how often a policy's plans break the procedure, with the mask and without it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from agents.names import PLANNED, TINY
from agents.rollout import rollout
from agents.token_policy import TokenPolicy
from td_gym.draws import mix
from td_gym.envs.batch import ConversationBatch
from td_gym.envs.planning import BREACHES
from td_gym.errors import TdGymError, as_seed
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario

_BATCH = 128


def breaches(
    policy: TokenPolicy, scenario: Scenario, dialogues: int, seed: int = 0
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return ``[dialogues]``: how often the expert of ``policy`` chose what the procedure did not admit."""
    customer = {"customer": scenario.customer()}
    batch = ConversationBatch(scenario, "service", min(_BATCH, dialogues), customer)
    generator = np.random.default_rng(seed)
    found = []
    for first in range(0, dialogues, batch.size):
        seeds = [mix(seed, "breaches", i) >> 1 for i in range(first, min(first + batch.size, dialogues))]
        found.append(rollout(policy, batch, seeds, list(range(len(seeds))), generator=generator).cost(BREACHES))
    return np.concatenate(found)


def main(argv: Sequence[str] | None = None) -> int:
    """Print both counts; 0 when the mask let nothing through, 1 when it did, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m agents.breaches", description=__doc__)
    parser.add_argument("--env", required=True, help="environment id, such as td_gym/Sales-v0")
    parser.add_argument("--model", default=TINY, help="a model that plans (default: the shipped one)")
    parser.add_argument("--dialogues", type=int, default=10_000, help="with the mask; a tenth of them without it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        as_seed(options.seed)
        scenario = make_scenario(options.env)
        policy = TokenPolicy.load(options.model, scenario=scenario, plans=True)
        planning = policy.planning
        if planning is None:
            raise TdGymError(f"{options.model!r} does not plan; take {PLANNED!r}, or a run of gopo.")
        let_through = 0.0
        for masked, count in ((True, options.dialogues), (False, max(1, options.dialogues // 10))):
            policy.planning = replace(planning, masked=masked)
            counted = breaches(policy, scenario, count, options.seed)
            print(
                f"{options.env}, {'with' if masked else 'without'} the mask: {counted.sum():.0f} breaches in {count} "
                f"dialogues, {(counted > 0).sum()} of them with any",
                flush=True,
            )
            let_through += counted.sum() if masked else 0.0
    except TdGymError as error:
        print(error, file=sys.stderr)
        return 2
    return int(let_through > 0)


if __name__ == "__main__":
    sys.exit(main())
