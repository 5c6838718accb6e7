"""``td-gym train``: one method on one environment, in this process or in several."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.names import HF, MEMORY, OF_LEARNING, VLLM
from evals.commands import train_strategies
from evals.commands.arguments import (
    add_env,
    add_learning,
    add_servers,
    budget,
    check_split,
    learning,
    next_evaluation,
    positive_int,
    refuse,
    servers,
)
from evals.files import check_writable
from personas.packaged import packaged_toml
from td_gym.errors import TdGymError, require_installed, unknown
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario

DESCRIPTION = """\
Train a language-model service agent, or a customer, with one of the methods.

Needs pip install "td-gym[train]". The run directory --out receives config.json, metrics.jsonl,
TensorBoard events, checkpoints and the trained model, and is itself an agent for td-gym evaluate.
A run that was stopped goes on with --resume and ends with the same numbers. A customer learns by
ppo, grpo or dpo, from weights that play one (python -m agents.tiny --seat customer).

methods and their presets, the default first:
"""
EXAMPLES = """\
examples:
  td-gym train cmpo --env td_gym/FoodDispute-v0 --model tiny --out runs/cmpo --steps 40
  td-gym train cmpo --env td_gym/FoodDispute-v0 --out runs/strict --steps 40 --budget voucher=0.10
  td-gym train grpo --env td_gym/FoodDispute-v0 --out runs/priced --steps 40 --preset fixed_penalty --option penalty=1.5
  td-gym train cmpo --env td_gym/FoodDispute-v0 --out runs/cmpo --steps 40 --nproc 2
  td-gym train cmpo --env td_gym/FoodDispute-v0 --out runs/cmpo --steps 40 --resume
  td-gym train memory --env td_gym/Sales-v0 --out runs/memory --steps 8
  td-gym train grpo --env td_gym/Sales-v0 --seat customer --model runs/customer --opponent tiny --out runs/buyer
  td-gym train sb3-ppo --env td_gym/SalesStrategy-v0 --out runs/strategies --steps 40

memory changes no weights: it keeps what the model said in dialogues that succeeded; the agent drafts several replies
and sends the one that is most like what was said in similar situations.

sb3-ppo, sb3-dqn and sb3-maskable-ppo are those of stable-baselines3 and sb3-contrib (pip install "td-gym[sb3]").  They
learn which strategy to choose on the Discrete views, td_gym/...Strategy-v0, and write nothing themselves; an update is
2,048 choices.
"""
_WORKER = "TD_GYM_TRAIN_WORKER"


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser(
        "train", help="train an agent", description=DESCRIPTION + _listed(known_presets()), epilog=EXAMPLES
    )
    names = ", ".join(_methods())
    parser.add_argument("method", metavar="METHOD", help=f"one of {names}")
    add_env(parser)
    parser.add_argument(
        "--model",
        default="tiny",
        metavar="MODEL",
        help="tiny (shipped), a run directory, or a Hugging Face causal LM: directory or id of a downloaded one",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="run directory")
    add_learning(parser)
    parser.add_argument("--seat", default="service", choices=("service", "customer"), help="the seat that learns")
    parser.add_argument(
        "--opponent",
        default="",
        metavar="MODEL",
        help="model in the other seat (default: a simulated customer, or the reference agent)",
    )
    parser.add_argument("--preset", default="", metavar="NAME", help="preset of the method (default: its first)")
    parser.add_argument(
        "--budget",
        type=budget,
        action="append",
        default=[],
        metavar="NAME=LIMIT",
        help="limit on a budgeted cost per dialogue; repeatable (default: the environment's limits)",
    )
    parser.add_argument(
        "--option",
        type=option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="replace one setting of the preset, an unknown NAME lists them; repeatable (default: none)",
    )
    parser.add_argument("--customer", metavar="NAME", help="the environment's first, or llm:MODEL@URL")
    parser.add_argument(
        "--max-context",
        type=positive_int,
        metavar="N",
        help="tokens of a conversation to read: briefing and latest exchanges (default: what the model can)",
    )
    parser.add_argument(
        "--lora-rank", type=positive_int, default=0, metavar="R", help="train an adapter of this rank (LoRA)"
    )
    parser.add_argument(
        "--dtype",
        default="float32",
        metavar="NAME",
        help="of weights beside an adapter: float32, bfloat16, float16",
    )
    parser.add_argument(
        "--gradient-checkpointing", action="store_true", help="compute blocks twice to need less memory"
    )
    parser.add_argument("--sampler", default=HF, metavar="NAME", help="what writes: hf, the model itself, or vllm")
    parser.add_argument(
        "--vllm-memory", type=float, default=0.3, metavar="SHARE", help="of the GPU's memory that vLLM takes"
    )
    parser.add_argument("--nproc", type=positive_int, default=1, metavar="N", help="processes, one thread each")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint in --out, to as many --steps or to more; with fewer than twice as many, "
        "the mean weights that are saved are not quite those of one long run",
    )
    add_servers(parser)
    parser.set_defaults(run=run, default_of=parser.get_default)


def known_presets() -> dict[str, list[str]]:
    """Return every method with its presets, read as data so that help needs no torch."""
    return {method: list(presets) for method, presets in packaged_toml("agents", "methods/presets.toml").items()}


def _methods() -> list[str]:
    return [*known_presets(), MEMORY, *train_strategies.methods()]


def _listed(presets: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(f"  {method:<10} {', '.join(names)}" for method, names in presets.items()) + "\n"


def option(text: str) -> tuple[str, Any]:
    """Parse ``NAME=VALUE``; the value is read as TOML (1e-4, true, "text"), a bare word as text."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip() or "\n" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, for example penalty=1.5")
    try:
        return name.strip(), tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def run(args: argparse.Namespace) -> int:
    """Check the request, then train here or start ``--nproc`` processes that do."""
    if args.method in train_strategies.methods():
        return train_strategies.run(args)
    check(args)
    if args.nproc > 1 and _WORKER not in os.environ:
        return _spawn(args)
    from agents import memory, trainer
    from agents.config import TrainConfig

    with servers(args) as models:
        (memory if args.method == MEMORY else trainer).train(TrainConfig(**settings(args)), models)
    if os.environ.get("RANK", "0") == "0":
        print(next_evaluation(args.env, args.out, args) if args.seat == "service" else _next_opponent(args))
    return 0


def _next_opponent(args: argparse.Namespace) -> str:
    """Return the line that the training of a customer ends with."""
    return f"trained; next: td-gym train METHOD --env {args.env} --opponent {args.out} --out DIR"


def check(args: argparse.Namespace) -> None:
    """Raise ``TdGymError`` for whatever is wrong with the request, before anything is written."""
    presets = known_presets()
    if args.method == MEMORY:
        stated = {"budgets": "budget"}  # what an argument is called, where that is not the field's name
        refuse(args, ["nproc", *(name for field in OF_LEARNING if (name := stated.get(field, field)) in args)])
    elif args.method not in presets:
        raise unknown("method", args.method, _methods())
    elif args.preset and args.preset not in presets[args.method]:
        raise unknown(f"preset of {args.method}", args.preset, presets[args.method])
    scenario = make_scenario(args.env, population=args.population, data_dir=args.data)
    scenario.check_customer(args.customer or "", training=True)
    check_split(args.split)
    _check_budgets(args.budget, scenario)
    if args.record and args.nproc > 1:
        raise TdGymError("Several processes cannot make one recording; take --nproc 1, or leave --record out.")
    require_installed("torch", *([VLLM] if args.sampler == VLLM else []))
    if not args.resume and (args.out / "metrics.jsonl").exists():
        raise TdGymError(
            f"{str(args.out)!r} already holds a run; add --resume to go on with it, or take another --out."
        )
    check_writable(args.out)


def _check_budgets(budgets: Sequence[tuple[str, float]], scenario: Scenario) -> None:
    for name, _ in budgets:
        if name not in scenario.costs:
            raise unknown("budget name", name, scenario.costs)


def _spawn(args: argparse.Namespace) -> int:
    """Start the processes; what can be wrong with the request is found here, where it is one line."""
    from agents.config import TrainConfig
    from agents.distributed import local_device
    from agents.trainer import prepare

    local_device(args.device)
    prepare(TrainConfig(**settings(args)), "cpu", args.nproc)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(args.nproc)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", _WORKER: "1"}
    # After "--" torchrun does not try to read our options, of which some begin like its own.
    return subprocess.run([*command, "-m", "--", "evals", *args.argv], env=environment, check=False).returncode


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the training configuration that ``args`` state."""
    stated = {
        "method": args.method,
        "env": args.env,
        "model": args.model,
        "out": args.out,
        "preset": args.preset,
        "budgets": dict(args.budget),
        "options": dict(args.option),
        "seat": args.seat,
        "opponent": args.opponent,
        "customer": args.customer or "",
        "max_context": args.max_context,
        "lora_rank": args.lora_rank,
        "dtype": args.dtype,
        "sampler": args.sampler,
        "vllm_memory": args.vllm_memory,
        "gradient_checkpointing": args.gradient_checkpointing,
        "resume": args.resume,
    }
    return stated | learning(args)
