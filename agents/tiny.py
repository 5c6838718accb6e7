"""``python -m agents.tiny``: the recipe of the small models shipped per scenario.

Scripted dialogues of the scenario's demonstrator, a tokenizer trained on them, a model from
scratch, cross entropy on one seat's tokens, and a gate on what it then writes by itself.
``--planned`` goes on from these weights with dialogues in which each reply follows the name of its strategy.
``--seat customer`` learns from the simulated customer's side of the same dialogues; such weights are not shipped.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.checkpoint import check_no_run
from agents.config import versions_of
from agents.distributed import local_device
from agents.model import MARKERS, build_model, train_tokenizer
from agents.names import TINY
from agents.plans import Planner, Planning
from agents.rollout import rollout
from agents.supervised import Demonstration, FitConfig, FitProgress, demonstrate, demonstrate_answers, encode, fit
from agents.token_policy import TokenPolicy
from agents.trajectories import Trajectories
from td_gym.draws import mix
from td_gym.envs.arguments import other_seats
from td_gym.envs.batch import ConversationBatch
from td_gym.episode import Episode
from td_gym.errors import TdGymError, as_positive, as_seed
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario

FORMAT_VALID = 0.99
"""Share of sampled turns whose format must be valid for the weights to be good."""
ENDED = 0.95
"""Share of its dialogues that a customer must bring to an end itself."""
_COMMON = 0.03
"""Share of the customers in whose briefings a phrase must stand to become a token."""
_PHRASE = re.compile(r"\s*\S.{11,}?[.!?:;](?=\s|$)")
_MARKERS = re.compile("|".join(map(re.escape, MARKERS)))
_BATCH = 128


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings that, with the code, fix the weights."""

    seat: str = "service"
    size: str = "tiny"
    vocabulary: int = 1024
    dialogues: int = 6000
    planned: bool = False
    """Go on from the shipped weights and learn to plan, instead of beginning from scratch."""
    tasks: int = 0
    """Answered scaffold tasks beside the dialogues, where these show no reasoning that MORE could begin with."""
    tokens: int = 2_500_000
    lr: float = 2e-3
    batch_tokens: int = 3000
    seed: int = 0
    gate_turns: int = 500


@dataclass(frozen=True, slots=True)
class Gate:
    """What the model writes at temperature 1 in conversations of the train split."""

    turns: int
    """Sampled turns."""
    format_valid: float
    """Share of them whose format is valid; a customer writes words alone, with at most an end mark behind them."""
    cut_off: float
    """Share that ran into ``max_new_tokens``."""
    session_reward: float
    """Mean over dialogues."""
    costs: dict[str, float]
    """Mean sum per dialogue, by name."""
    followed: float | None = None
    """Share of messages that are read as the strategy they follow, for a model that plans."""
    ended: float | None = None
    """Share of dialogues that end by the customer's mark, for a customer."""

    @property
    def passed(self) -> bool:
        """Whether the weights are good enough to ship."""
        return self.format_valid > FORMAT_VALID and (self.ended is None or self.ended > ENDED)


def train(
    scenario: Scenario, recipe: Recipe, *, device: str = "cpu", report: bool = True
) -> tuple[TokenPolicy, dict[str, Any]]:
    """Return a policy trained by ``recipe`` on ``device`` and a record of how; the gate is not yet run."""
    started = time.perf_counter()
    demonstrations = list(demonstrate(scenario, recipe.dialogues, recipe.seed, seat=recipe.seat))
    demonstrations += demonstrate_answers(scenario, recipe.tasks, recipe.seed)
    _say(report, f"{len(demonstrations)} demonstrations in {time.perf_counter() - started:.0f} s")
    versions = versions_of(scenario)
    policy = _planned(scenario, device) if recipe.planned else _scratch(scenario, recipe, demonstrations, device)
    planner = Planner(policy, scenario, policy.planning) if policy.planning is not None else None
    examples = [encode(policy, demonstration, planner) for demonstration in demonstrations]
    replies = [len(policy.encode_reply(draft)) for d in demonstrations for draft in d.drafts]
    if not recipe.planned:
        policy.max_new_tokens = 8 * int(np.ceil(1.25 * max(replies) / 8))
    lengths = [len(example.tokens) for example in examples]
    _say(
        report,
        f"{sum(lengths)} tokens: {np.mean(lengths):.0f} a dialogue (longest {max(lengths)}), "
        f"{np.mean(replies):.0f} a reply (longest {max(replies)})",
    )
    config = FitConfig(recipe.tokens, recipe.batch_tokens, recipe.lr, seed=recipe.seed)
    started = time.perf_counter()
    result = fit(policy, examples, config, report=_progress(config, started) if report else None)
    policy.model.half().float()  # shipped as float16: whatever is measured later is measured after rounding
    record = {
        "recipe": asdict(recipe),
        "device": torch.device(device).type,
        "versions": versions,
        "parameters": sum(p.numel() for p in policy.model.parameters()),
        "demonstration_tokens": sum(lengths),
        "mean_reply_tokens": round(float(np.mean(replies)), 2),
        "trained_tokens": result.tokens,
        "steps": result.step,
        "final_loss": round(result.loss, 4),
    }
    return policy, record


def _scratch(scenario: Scenario, recipe: Recipe, demonstrations: Sequence[Demonstration], device: str) -> TokenPolicy:
    """Return an untrained policy with a tokenizer of its own."""
    phrases = _common_phrases(demonstrations) if recipe.seat == "customer" else []
    tokenizer = train_tokenizer(_texts(demonstrations), recipe.vocabulary, phrases)
    model = build_model(
        recipe.size,
        recipe.vocabulary,
        seed=recipe.seed,
        pad_id=tokenizer.pad_token_id,
        end_id=tokenizer.eos_token_id,
    )
    return TokenPolicy(model.to(device), tokenizer, scenario=scenario, versions=versions_of(scenario), seat=recipe.seat)


def _common_phrases(demonstrations: Sequence[Demonstration]) -> list[str]:
    """Return the phrases that many briefings have in common, each with the white space before it.

    A customer's card is put together from set phrases: as one token each they make it short, and a small model can
    tell them apart.
    """
    briefings = [demonstration.opening[0]["content"] for demonstration in demonstrations]
    found = Counter(phrase for briefing in briefings for phrase in set(_PHRASE.findall(briefing)))
    return [phrase for phrase, count in found.items() if count > _COMMON * len(briefings)]


def _planned(scenario: Scenario, device: str) -> TokenPolicy:
    """Return the shipped policy, about to learn to plan."""
    policy = TokenPolicy.load(TINY, device, scenario=scenario)
    policy.planning, policy.versions = Planning(), versions_of(scenario)
    return policy


def gate(policy: TokenPolicy, batch: Any, *, turns: int = 500, seed: int = 0) -> Gate:
    """Sample at least ``turns`` turns with ``policy`` in ``batch`` and say what they are worth."""
    generator = np.random.default_rng(seed)
    records: list[Trajectories] = []
    counted = broken = 0
    while counted < turns:
        first = len(records) * _BATCH
        seeds = [mix(seed, "gate", first + i) >> 1 for i in range(_BATCH)]
        records.append(rollout(policy, batch, seeds, list(range(_BATCH)), generator=generator))
        counted += int(records[-1].turns.sum())
        broken += sum(_faults(episode, batch.seat) for episode in batch.episodes.values())
    cut = sum(_written(r) - int((r.agent_mask & (r.tokens == policy.end_id)).sum()) for r in records)
    costs = np.concatenate([r.costs for r in records]).mean(axis=0)
    followed = [r.conduct.followed[r.conduct.followed >= 0] for r in records if policy.planning and r.conduct]
    ended = [outcome["ended_by"] in ("resolved", "hung_up") for r in records for outcome in r.outcomes]
    return Gate(
        turns=counted,
        format_valid=round(1.0 - broken / counted, 4),
        cut_off=round(cut / counted, 4),
        session_reward=round(float(np.concatenate([r.session_rewards for r in records]).mean()), 4),
        costs={name: round(float(mean), 4) for name, mean in zip(records[0].cost_names, costs, strict=True)},
        followed=round(float(np.concatenate(followed).mean()), 4) if followed else None,
        ended=round(float(np.mean(ended)), 4) if batch.seat == "customer" else None,
    )


def _faults(episode: Episode, seat: str) -> int:
    """Return how many of the seat's messages have no valid format.

    A customer's does when it says something, without a tag or bracket but its end mark.
    """
    if seat == "service":
        return int(episode.outcome is not None and episode.outcome["ended_by"] == "format_error")
    said = [turn.shown for turn in episode.transcript if turn.seat == seat]
    return sum(not text or not set("<>[]").isdisjoint(text) for text in said)


def _written(record: Trajectories) -> int:
    """Return how many messages and strategies the policy wrote."""
    starts = record.agent_mask & ~np.pad(record.agent_mask, ((0, 0), (1, 0)))[:, :-1]
    return int(starts.sum())


def open_batch(scenario: Scenario, seat: str) -> Any:
    """Return the conversations of the train split in which the gate samples, a scripted agent in the other seat."""
    return ConversationBatch(scenario, seat, _BATCH, other_seats(scenario, seat, None))


def write(policy: TokenPolicy, record: dict[str, Any], result: Gate, out: Path) -> None:
    """Save the weights as float16 with tokenizer, versions and the record of how they were made."""
    policy.save(out, half=True)
    (out / "recipe.json").write_text(json.dumps({**record, "gate": asdict(result)}, indent=2) + "\n")


def _texts(demonstrations: Iterable[Demonstration]) -> list[str]:
    """Return what the model will read and write, chat markers removed."""
    bare = train_tokenizer(["."], 512)
    texts: list[str] = []
    for demonstration in demonstrations:
        read = [*demonstration.opening, *(message for answer in demonstration.answers for message in answer)]
        rendered = bare.apply_chat_template(read, tokenize=False, add_generation_prompt=False)
        texts += filter(None, _MARKERS.split(rendered))
        texts += demonstration.drafts
    return texts


def _progress(config: FitConfig, started: float) -> Any:
    recent: list[float] = []

    def report(progress: FitProgress) -> None:
        recent.append(progress.loss)
        if progress.step % 25 == 0 or progress.tokens >= config.tokens:
            speed = progress.tokens / (time.perf_counter() - started)
            left = max(0.0, (config.tokens - progress.tokens) / speed)
            _say(
                True,
                f"step {progress.step}: loss {np.mean(recent):.3f}, {progress.tokens / config.tokens:.0%} of the "
                f"tokens, {speed:.0f} a second, {left:.0f} s left",
            )
            recent.clear()

    return report


def _say(report: bool, line: str) -> None:
    if report:
        print(line, flush=True)


def _count(text: str) -> int:
    """Parse a count such as ``2.5M`` or ``800k``."""
    factor = {"k": 1e3, "m": 1e6}.get(text[-1:].lower(), 1.0)
    try:
        value = int(float(text[:-1] if factor > 1 else text) * factor)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a count such as 800k or 2.5M") from error
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _check(recipe: Recipe) -> None:
    """Raise ``TdGymError`` for a recipe that cannot be followed."""
    if recipe.seat == "customer" and (recipe.planned or recipe.tasks):
        raise TdGymError("A customer learns neither to plan nor to answer tasks; leave --planned and --tasks out.")
    if recipe.planned and recipe.tasks:
        raise TdGymError("Answers to tasks follow no plan; leave --planned or --tasks out.")
    default = Recipe()
    if recipe.planned and (recipe.size, recipe.vocabulary) != (default.size, default.vocabulary):
        raise TdGymError("With --planned the shipped model goes on as it is; leave --size and --vocabulary out.")
    as_seed(recipe.seed)
    as_positive("lr", recipe.lr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the recipe; 0 when the weights pass the gate, 1 when not, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m agents.tiny", description=__doc__)
    default = Recipe()
    parser.add_argument("--env", required=True, help="environment id, such as td_gym/FoodDispute-v0")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, whether or not the gate is passed")
    parser.add_argument("--seat", default=default.seat, choices=Scenario.seats, help="the seat to learn")
    parser.add_argument("--size", default=default.size)
    parser.add_argument("--dialogues", type=_count, default=default.dialogues)
    parser.add_argument("--planned", action="store_true", help="go on from the shipped weights and learn to plan")
    parser.add_argument("--tasks", type=_count, default=default.tasks, help="answered scaffold tasks (default: none)")
    parser.add_argument("--tokens", type=_count, default=default.tokens, help="tokens to train on, such as 2.5M")
    parser.add_argument("--batch-tokens", type=_count, default=default.batch_tokens)
    parser.add_argument("--lr", type=float, default=default.lr)
    parser.add_argument("--vocabulary", type=_count, default=default.vocabulary)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--gate-turns", type=_count, default=default.gate_turns)
    parser.add_argument("--threads", type=_count, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda; a GPU's weights differ in their last digits")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    recipe = Recipe(
        seat=options.seat,
        size=options.size,
        vocabulary=options.vocabulary,
        dialogues=options.dialogues,
        planned=options.planned,
        tasks=options.tasks,
        tokens=options.tokens,
        lr=options.lr,
        batch_tokens=options.batch_tokens,
        seed=options.seed,
        gate_turns=options.gate_turns,
    )
    try:
        device = local_device(options.device)
        scenario = make_scenario(options.env)
        _check(recipe)
        check_no_run(options.out)
        options.out.mkdir(parents=True, exist_ok=True)
        policy, record = train(scenario, recipe, device=device)
        result = gate(policy, open_batch(scenario, recipe.seat), turns=recipe.gate_turns, seed=recipe.seed)
        write(policy, record, result, options.out)
    except (TdGymError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(asdict(result)))
    if not result.passed:
        ended = "" if result.ended is None else f" and {result.ended:.2%} of dialogues brought to an end"
        print(f"Only {result.format_valid:.2%} of turns are valid{ended}; train on more --tokens.", file=sys.stderr)
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
