"""``td-gym train sb3-...``: an agent that chooses strategies, trained with stable-baselines3."""

from __future__ import annotations

import argparse

from agents.names import STRATEGY
from evals.commands.arguments import check_split, next_evaluation, refuse
from evals.files import check_writable
from personas.packaged import packaged_toml
from td_gym.errors import TdGymError, require_installed
from td_gym.registration import env_id, strategy_id, strategy_scenario

_OF_LANGUAGE_MODELS = (
    "model",
    "preset",
    "budget",
    "nproc",
    "device",
    "resume",
    "customers",
    "copies",
    "seat",
    "opponent",
    "max_context",
    "lora_rank",
    "dtype",
    "sampler",
    "vllm_memory",
    "gradient_checkpointing",
    "record",
    "replay",
    "concurrency",
    "timeout",
    "attempts",
    "max_tokens",
    "token_budget",
)
"""Arguments of ``td-gym train`` that mean nothing here."""


def methods() -> tuple[str, ...]:
    """Return the names of the methods, read as data so that help needs no torch."""
    return tuple(packaged_toml("agents", "sb3.toml"))


def run(args: argparse.Namespace) -> int:
    """Check the request and train here."""
    scenario = _check(args)
    import torch

    from agents.sb3 import StrategyRun, train

    torch.set_num_threads(1)
    stated = {name: value for name in ("population", "customer", "data") if (value := getattr(args, name)) is not None}
    options = dict(args.option) if args.lr is None else {"learning_rate": args.lr, **dict(args.option)}
    train(
        StrategyRun(args.method, args.env, args.out, args.steps, args.seed, split=args.split, options=options, **stated)
    )
    print(next_evaluation(args.env.replace(strategy_id(scenario), env_id(scenario)), args.out, args))
    return 0


def _check(args: argparse.Namespace) -> str:
    """Return the scenario; ``TdGymError`` for whatever is wrong with the request, before anything is written."""
    refuse(args, _OF_LANGUAGE_MODELS)
    scenario = strategy_scenario(args.env)
    check_split(args.split)
    require_installed("torch", "stable_baselines3", "sb3_contrib")
    if any((args.out / name).exists() for name in (STRATEGY, "config.json")):
        raise TdGymError(f"{str(args.out)!r} already holds a run; take another --out.")
    check_writable(args.out)
    return scenario
